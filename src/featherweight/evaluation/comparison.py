"""Runs put together into rounds, and rounds compared with each other; reads run folders alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featherweight.argument_checks import list_of
from featherweight.evaluation.differences import Difference, compare_pairs
from featherweight.evaluation.run_groups import (
    SHIFT,
    common_split,
    correct_rows,
    differing,
    figures_of,
    groups_of,
    names_of,
    require_each_once,
    uneven_shift_sets,
)
from featherweight.evaluation.seeds import mean_interval, pooled_spread, spread
from featherweight.formatting import in_sentence
from featherweight.recipe import Recipe
from featherweight.run.folder import Run


@dataclass(frozen=True, eq=False)
class Round:
    """One recipe over several seeds, evaluated on the rows that all rounds of a comparison share."""

    name: str
    runs: tuple[Run, ...]
    """One a seed, in the order of the seeds."""
    correct: NDArray[np.bool_]
    """Whether the prediction is right, [seeds, rows]."""
    figures: dict[str, tuple[float | None, ...]]
    """Each figure of the table, one value a seed; None where a run lacks it. Shift sets: ``shift: NAME``."""

    @property
    def recipe(self) -> Recipe:
        """The recipe, with the first seed."""
        return self.runs[0].recipe

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that were run."""
        return tuple(run.recipe.seed for run in self.runs)

    @cached_property
    def baseline(self) -> str | None:
        """What kind of baseline it is, such as ``tfidf-svm``; None for a round of Featherweight's own."""
        return self.runs[0].environment.get("baseline")

    @property
    def is_bag_of_words(self) -> bool:
        """Whether it is one of the TF-IDF baselines, which every round should beat."""
        return (self.baseline or "").startswith("tfidf")

    @cached_property
    def parameters(self) -> int | None:
        """Trained parameters."""
        return self.runs[0].weight.get("total")

    @cached_property
    def interval(self) -> list[float]:
        """95% interval [low, high] of the mean accuracy, over test rows."""
        return mean_interval(self.correct)

    def mean(self, key: str) -> float | None:
        """Mean of a figure over the seeds; None where a run lacks it."""
        values = [value for value in self.figures.get(key, ()) if value is not None]
        return float(np.mean(values)) if len(values) == len(self.runs) else None

    def spread(self, key: str) -> float | None:
        """Standard deviation of a figure over the seeds; None of one seed, or where a run lacks the figure."""
        values = [value for value in self.figures.get(key, ()) if value is not None]
        return spread(values) if len(values) == len(self.runs) else None


@dataclass(frozen=True, eq=False)
class Comparison:
    """Rounds on the same rows, every pair of them, and every round against every baseline."""

    split: str
    """The rows that decide: ``test``, or ``validation`` where no run has a test set."""
    rows: int
    rounds: list[Round]
    """Featherweight's own rounds, then the baselines."""
    differences: list[Difference]
    """Of each pair of rounds, the later over the earlier."""
    against_baselines: list[Difference]
    """Of each round over each baseline."""
    notes: list[str]
    """What a reader should know, a sentence each."""

    @property
    def own(self) -> list[Round]:
        """The rounds without the baselines."""
        return [round_ for round_ in self.rounds if round_.baseline is None]

    @property
    def baselines(self) -> list[Round]:
        """The baselines alone."""
        return [round_ for round_ in self.rounds if round_.baseline is not None]

    @property
    def baseline_notes(self) -> list[str]:
        """How each baseline was trained."""
        return [note for round_ in self.baselines for note in round_.runs[0].environment.get("notes", [])]

    @property
    def lost_to_bags(self) -> list[Difference]:
        """The pairs of a round and a bag of words that it is not significantly better than."""
        return _lost_to_bags(self.rounds, self.against_baselines)

    @property
    def knows_seeds(self) -> bool:
        """Whether there are seeds enough to estimate their variance."""
        return _knows_seeds(self.rounds)

    @property
    def shift_sets(self) -> list[str]:
        """Names of the shift sets that any round was evaluated on."""
        names = (key.removeprefix(SHIFT) for round_ in self.rounds for key in round_.figures if key.startswith(SHIFT))
        return list(dict.fromkeys(names))

    def shift_rows(self, name: str) -> int:
        """Rows of a shift set."""
        shifted = (run.evaluation.get("shift") or {} for round_ in self.rounds for run in round_.runs)
        return next(int(sets[name]["rows"]) for sets in shifted if name in sets)


def compare_runs(folders: Sequence[str | Path]) -> Comparison:
    """Compare finished runs: those of the same recipe but for the seed make one round.

    Raises UserError where a folder is no finished run, one is named twice, or not all were evaluated on the same rows.
    """
    runs = [Run(folder) for folder in list_of(folders, "compare_runs(...)", "run folders", one=Run)]
    require_each_once(runs)
    split = common_split(runs)
    correct = correct_rows(runs, split)
    groups = groups_of(runs)
    rounds = [
        Round(name, tuple(members), np.stack([correct[run.folder] for run in members]), figures_of(members, split))
        for name, members in zip(names_of(groups), groups, strict=True)
    ]
    rounds.sort(key=lambda round_: round_.baseline is not None)  # keeps the order otherwise
    own = [round_.name for round_ in rounds if round_.baseline is None]
    right = {round_.name: round_.correct for round_ in rounds}
    differences = compare_pairs([(later, first) for place, later in enumerate(own) for first in own[:place]], right)
    against = _against(rounds, right)
    return Comparison(split, rounds[0].correct.shape[1], rounds, differences, against, _notes(rounds, against, split))


def _knows_seeds(rounds: Sequence[Round]) -> bool:
    return pooled_spread(round_.correct for round_ in rounds) is not None


def _against(rounds: Sequence[Round], right: dict[str, NDArray[np.bool_]]) -> list[Difference]:
    """Every round over every baseline; one that does not beat bags of words says so first."""
    own = [round_.name for round_ in rounds if round_.baseline is None]
    pairs = compare_pairs(
        [(name, round_.name) for round_ in rounds if round_.baseline is not None for name in own], right
    )
    said = {pair: f"{not_beaten(pair)}. {pair.words}" for pair in _lost_to_bags(rounds, pairs)}
    return [replace(pair, words=said.get(pair, pair.words)) for pair in pairs]


def _lost_to_bags(rounds: Sequence[Round], pairs: Sequence[Difference]) -> list[Difference]:
    bags = {round_.name for round_ in rounds if round_.is_bag_of_words}
    return [pair for pair in pairs if pair.second in bags and not pair.won]


def not_beaten(pair: Difference) -> str:
    """What a round that is not significantly better than a baseline is, in words."""
    return f"{pair.first} {_fails(pair)[0]} {pair.second}"


def _fails(pair: Difference) -> tuple[str, str]:
    """What to say of one round and of several that are ahead, behind or level, but not significantly better."""
    if pair.difference > 0:
        return "is not significantly better than", "are not significantly better than"
    return ("is worse than", "are worse than") if pair.verdict == "shown" else ("does not beat", "do not beat")


def _together(pairs: Sequence[Difference]) -> list[str]:
    """``not_beaten`` of all ``pairs``, those that fail alike against the same baseline in one sentence."""
    alike: dict[tuple[str, str, str], list[str]] = {}
    for pair in pairs:
        alike.setdefault((*_fails(pair), pair.second), []).append(pair.first)
    return [
        f"{in_sentence(names)} {singular if len(names) == 1 else plural} {baseline}."
        for (singular, plural, baseline), names in alike.items()
    ]


def _notes(rounds: Sequence[Round], against: Sequence[Difference], split: str) -> list[str]:
    notes = _together(_lost_to_bags(rounds, against))
    own = [round_ for round_ in rounds if round_.baseline is None]
    uneven = [note for round_ in own for note in differing(f"The seeds of {round_.name}", round_.runs)]
    notes += uneven or differing("The rounds", [round_.runs[0] for round_ in own])
    notes += uneven_shift_sets([run for round_ in rounds for run in round_.runs])
    if split == "validation":
        notes.append(
            "No test set: these are validation rows, on which each run chose its adapter; expect less on new texts."
        )
    if not _knows_seeds(rounds):
        notes.append("Too few seeds to estimate their variance: another seed may reverse a difference.")
    return notes
