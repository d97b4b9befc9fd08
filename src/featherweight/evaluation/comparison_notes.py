"""Notes for readers of a comparison: what makes its figures uncertain, or the rounds hard to compare."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from featherweight.evaluation.differences import Difference
from featherweight.evaluation.round import Round
from featherweight.evaluation.run_groups import (
    changed_data,
    differing,
    repeated_seeds,
    training_rows,
    uneven_shift_sets,
)
from featherweight.evaluation.seeds import pooled_spread
from featherweight.formatting import counted, in_sentence
from featherweight.run.best import without_test_set
from featherweight.run.doubts import TOO_GOOD
from featherweight.run.folder import Run


def not_better(pair: Difference) -> str:
    """A clause such as "A is worse than B", for a round A that is not significantly better than B."""
    return f"{pair.first} {_verb_phrases(pair)[0]} {pair.second}"


def _verb_phrases(pair: Difference) -> tuple[str, str]:
    """How ``pair.first`` compares with ``pair.second``, such as ("is worse than", "are worse than")."""
    if pair.difference > 0:
        return "is not significantly better than", "are not significantly better than"
    if pair.verdict == "significant":
        return "is worse than", "are worse than"
    return "does not beat", "do not beat"


def _grouped_notes(pairs: Sequence[Difference]) -> list[str]:
    """Sentences such as "A and B do not beat C.", where (A, C) and (B, C) are ``pairs`` of a round and a baseline.

    Rounds share a sentence if it says the same of the same baseline.
    """
    groups: dict[tuple[str, str, str], list[str]] = {}
    for pair in pairs:
        groups.setdefault((*_verb_phrases(pair), pair.second), []).append(pair.first)
    return [
        f"{in_sentence(names)} {singular if len(names) == 1 else plural} {baseline}."
        for (singular, plural, baseline), names in groups.items()
    ]


def _rows_of_baselines(rounds: Sequence[Round]) -> list[str]:
    """One sentence for each number of training rows of baselines that a round was not trained with."""
    own = {round_.name: training_rows(round_.runs) for round_ in rounds if round_.baseline is None}
    baselines: dict[tuple[int, ...], list[str]] = {}
    for round_ in rounds:
        if round_.baseline is not None and (rows := training_rows(round_.runs)):
            baselines.setdefault(rows, []).append(round_.name)
    notes = []
    for rows, names in baselines.items():
        others = {name: theirs for name, theirs in own.items() if theirs and theirs != rows}
        if others:
            counts = in_sentence([f"{count:,}" for count in dict.fromkeys(chain.from_iterable(others.values()))])
            were = "was" if len(names) == 1 else "were"
            notes.append(
                f"{in_sentence(names)} {were} trained on {in_sentence([f'{count:,}' for count in rows])} rows, but "
                f"{in_sentence([*others])} on {counts}."
            )
    return notes


def _too_good(rounds: Sequence[Round], split: str) -> list[str]:
    """The warnings of the runs that compared rows, or rows of shift sets, are known from a training; each once.

    Of the runs of a round, which may have other training rows with each seed, the first with such a warning is named.
    """
    noted: dict[str, list[str]] = {}
    for round_ in rounds:
        warned = (_of_parts(run, split) for run in round_.runs)
        for text in next(filter(None, warned), []):
            noted.setdefault(text, []).append(round_.name)
    return [f"{in_sentence(names)}: {text.rstrip('.')}." for text, names in noted.items()]


def _of_parts(run: Run, split: str) -> list[str]:
    """The warnings of ``run`` that metrics may be too good, if they name neither ``split`` nor other rows, or name it.

    A shift set is compared, too.
    """
    shift = tuple(run.evaluation.get("shift") or {})
    named = {
        text: {part for part in ("validation", "test", *shift) if f"{part} row" in text}
        for text in run.environment.get("warnings") or ()
        if TOO_GOOD in text
    }
    return [text for text, parts in named.items() if not parts or parts & {split, *shift}]


def _repeated_texts(texts: NDArray[np.int64] | None, split: str) -> list[str]:
    if texts is None:
        return []
    count = len(texts) - int(texts.max()) - 1
    return [
        f"{count:,} of {counted(len(texts), f'{split} row')} {'repeats' if count == 1 else 'repeat'} the text of an "
        "earlier one: the tests and the intervals of the differences count each text once; the 95% interval of an "
        "accuracy takes all rows as independent, so it is too narrow."
    ]


def notes_on(
    rounds: Sequence[Round], not_better_than_tfidf: Sequence[Difference], split: str, texts: NDArray[np.int64] | None
) -> list[str]:
    """Notes for readers of a comparison, one sentence each; an empty list if there is nothing to say.

    ``not_better_than_tfidf`` are the pairs of a round and a TF-IDF baseline where the round is not significantly
    better; ``texts`` are the numbers of the rows' texts if some are equal.
    """
    notes = [*_grouped_notes(not_better_than_tfidf), *_too_good(rounds, split)]
    own = [round_ for round_ in rounds if round_.baseline is None]
    uneven = [note for round_ in own for note in differing(f"The seeds of {round_.name}", round_.runs)]
    notes += uneven or differing("The rounds", [round_.runs[0] for round_ in own])
    notes += changed_data({round_.name: round_.runs for round_ in own})
    notes += _rows_of_baselines(rounds)
    notes += [note for round_ in own for note in repeated_seeds(round_.name, round_.runs)]
    notes += uneven_shift_sets([run for round_ in rounds for run in round_.runs])
    notes += _repeated_texts(texts, split)
    if split == "validation":
        recipes = [round_.recipe.model_dump() for round_ in rounds]
        linear = [place for place, round_ in enumerate(rounds) if round_.baseline not in (None, "full-fine-tuning")]
        notes.append(without_test_set(*recipes, names=[round_.name for round_ in rounds], linear=linear))
    if pooled_spread(round_.correct for round_ in rounds) is None:
        notes.append("Too few seeds to estimate the variance between seeds: another seed may reverse a difference.")
    return notes
