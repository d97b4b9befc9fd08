"""Groups finished runs into rounds (one recipe, several seeds) and compares the rounds; reads only run folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featherweight.argument_checks import list_of
from featherweight.evaluation.compared_rows import Judged, judged_rows, repeated_texts
from featherweight.evaluation.comparison_notes import not_better, notes_on
from featherweight.evaluation.differences import Correct, Difference, Found, compare_pairs
from featherweight.evaluation.round import Round
from featherweight.evaluation.run_groups import (
    SHIFT,
    common_split,
    figures_of,
    groups_of,
    names_of,
    require_each_once,
)
from featherweight.evaluation.seeds import pooled_spread
from featherweight.run.figures import ACCURACY, METRICS, SEVERAL_LABELS, Metric
from featherweight.run.folder import Run, refuse_adapter, refuse_export


@dataclass(frozen=True, eq=False)
class Comparison:
    """A comparison of rounds on the same rows: all pairs of rounds, and every round against every baseline."""

    split: str
    """The split whose rows are compared: ``test``, or ``validation`` if no run has a test set."""
    rows: int
    rounds: list[Round]
    """The rounds without baselines, then the baselines."""
    differences: list[Difference]
    """The difference of each pair of rounds: the later round minus the earlier one."""
    against_baselines: list[Difference]
    """The difference of each round and each baseline: the round minus the baseline."""
    notes: list[str]
    """Notes for the reader, one sentence each."""

    @property
    def several(self) -> bool:
        """Whether a text may have several labels."""
        return self.rounds[0].found is not None

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics that are compared; they depend on whether a text may have several labels."""
        return SEVERAL_LABELS if self.several else METRICS

    @property
    def metric(self) -> Metric:
        """The metric by which rounds are ranked and tested: the share of rows that are predicted correctly."""
        return next(metric for metric in self.metrics if metric.key == ACCURACY.key)

    @property
    def own(self) -> list[Round]:
        """The rounds that are no baseline (TF-IDF, linear probe, full fine-tuning), in their order."""
        return [round_ for round_ in self.rounds if round_.baseline is None]

    @property
    def baselines(self) -> list[Round]:
        """The rounds that are baselines."""
        return [round_ for round_ in self.rounds if round_.baseline is not None]

    @property
    def baseline_notes(self) -> list[str]:
        """Sentences on how the baselines were trained."""
        return [note for round_ in self.baselines for note in round_.runs[0].environment.get("notes", [])]

    @property
    def not_better_than_tfidf(self) -> list[Difference]:
        """The pairs of a round and a TF-IDF baseline where the round is not significantly better."""
        return _not_better_than_tfidf(self.rounds, self.against_baselines)

    @property
    def has_seed_variance(self) -> bool:
        """Whether the variance between seeds can be estimated: there are at least two more runs than rounds."""
        return pooled_spread(round_.correct for round_ in self.rounds) is not None

    @property
    def shift_sets(self) -> list[str]:
        """Names of the shift sets (test sets from another distribution) that at least one round was evaluated on."""
        names = (key.removeprefix(SHIFT) for round_ in self.rounds for key in round_.figures if key.startswith(SHIFT))
        return list(dict.fromkeys(names))

    def shift_rows(self, name: str) -> int:
        """Number of rows of the shift set ``name``."""
        shifted = (run.evaluation.get("shift") or {} for round_ in self.rounds for run in round_.runs)
        return next(int(sets[name]["rows"]) for sets in shifted if name in sets)


def compare_runs(folders: Sequence[str | Path]) -> Comparison:
    """Compare finished runs; runs whose recipes differ only in ``seed`` and ``training.order_seed`` form one round.

    Raises UserError if a folder is not a finished run or is given twice, or if the runs were evaluated on different
    rows.
    """
    runs = [Run(folder) for folder in list_of(folders, "compare_runs(...)", "run folders", item_types=Run)]
    for run in runs:
        refuse_export(run.folder)
        refuse_adapter(run.folder)
    require_each_once(runs)
    split = common_split(runs)
    judged = judged_rows(runs, split)
    groups = groups_of(runs)
    rounds = [
        _round(name, members, [judged[run.folder] for run in members], figures_of(members, split))
        for name, members in zip(names_of(groups), groups, strict=True)
    ]
    rounds.sort(key=lambda round_: round_.baseline is not None)  # keeps the order otherwise
    own = [round_.name for round_ in rounds if round_.baseline is None]
    right = {round_.name: round_.correct for round_ in rounds}
    found = {round_.name: round_.found for round_ in rounds if round_.found is not None}
    pairs = [(later, first) for index, later in enumerate(own) for first in own[:index]]
    texts = repeated_texts(judged[runs[0].folder].text_keys)
    differences = compare_pairs(pairs, right, found, texts)
    against = _against_baselines(rounds, right, found, texts)
    notes = notes_on(rounds, _not_better_than_tfidf(rounds, against), split, texts)
    return Comparison(split, rounds[0].correct.shape[1], rounds, differences, against, notes)


def _round(name: str, members: Sequence[Run], judged: Sequence[Judged], figures: Any) -> Round:
    correct = np.stack([each.correct for each in judged])
    found = [each.found for each in judged if each.found is not None]
    _ = members[0].weight  # a missing file is said before anything is printed
    return Round(name, tuple(members), correct, np.stack(found) if found else None, figures)


def _against_baselines(
    rounds: Sequence[Round], right: Correct, found: Found, texts: NDArray[np.int64] | None
) -> list[Difference]:
    """The difference in mean accuracy of each round from each baseline, with its significance.

    ``right`` and ``found`` are ``Round.correct`` and ``Round.found`` by the names of the rounds, ``texts`` the numbers
    of the rows' texts if some are equal. If a round is not significantly better than a TF-IDF baseline,
    ``Difference.words`` begins with a sentence that says so.
    """
    own = [round_.name for round_ in rounds if round_.baseline is None]
    named = [(name, round_.name) for round_ in rounds if round_.baseline is not None for name in own]
    pairs = compare_pairs(named, right, found, texts)
    words = {pair: f"{not_better(pair)}. {pair.words}" for pair in _not_better_than_tfidf(rounds, pairs)}
    return [replace(pair, words=words.get(pair, pair.words)) for pair in pairs]


def _not_better_than_tfidf(rounds: Sequence[Round], pairs: Sequence[Difference]) -> list[Difference]:
    tfidf = {round_.name for round_ in rounds if round_.is_tfidf}
    return [pair for pair in pairs if pair.second in tfidf and not pair.won]
