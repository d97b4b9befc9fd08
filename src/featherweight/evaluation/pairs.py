"""Every pair of rounds: the difference, its interval, its tests, and what they amount to in words."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from featherweight.evaluation.compare import (
    difference_in_words,
    holm,
    p_in_words,
    paired_bootstrap,
    what_would_show_it,
)
from featherweight.evaluation.seeds import mcnemar_over_seeds, seeds_apart

ALPHA = 0.05
Pair = tuple[str, str]
Verdict = Literal["shown", "seeds", "none"]
Correct = Mapping[str, NDArray[np.bool_]]
"""Right (True) or wrong of each round by its name, [seeds, rows]; the same rows in all."""


@dataclass(frozen=True)
class Difference:
    """Mean accuracy of ``first`` less that of ``second``, as shares (0.01 is one point)."""

    first: str
    second: str
    difference: float
    low: float
    high: float
    """95% interval: paired bootstrap over rows, of each row's mean over the seeds."""
    p_value: float
    """McNemar's exact test, over all seeds."""
    seeds_p_value: float | None
    """T-test over the seeds' accuracies; None where seeds are too few."""
    corrected: float
    """The greater of the two after Holm's correction for all the pairs that were compared together."""
    verdict: Verdict
    """``shown``; ``seeds``: shown for these runs, but within what seeds make; ``none``: not shown."""
    words: str

    @property
    def won(self) -> bool:
        """Whether ``first`` is shown to be better."""
        return self.verdict == "shown" and self.difference > 0


def compare_pairs(pairs: Sequence[Pair], correct: Correct, fixed: Collection[str] = ()) -> list[Difference]:
    """The differences of all ``pairs`` of names in ``correct``, corrected together.

    A difference counts as shown where McNemar's test finds it among the rows and, with three seeds or more, a t-test
    finds it among the seeds as well: rows alone would take the luck of a seed for a better recipe. Both have to find
    it, so their greater p-value is that of the pair (Berger 1982), and Holm's correction is made of these. ``fixed``
    names what would be the same with every seed.
    """
    rows = [mcnemar_over_seeds(correct[first], correct[second]) for first, second in pairs]
    seeds = [_seeds_apart(pair, correct, fixed) for pair in pairs]
    among_rows = holm([test["p_value"] for test in rows])
    corrected = holm([max(test["p_value"], p or 0.0) for test, p in zip(rows, seeds, strict=True)])
    found = []
    for pair, test, seeds_p, row_p, p_value in zip(pairs, rows, seeds, among_rows, corrected, strict=True):
        verdict: Verdict = "shown" if p_value < ALPHA else "seeds" if row_p < ALPHA else "none"
        bootstrap = paired_bootstrap(*(correct[name].mean(axis=0) for name in pair))
        figures = difference_in_words(*pair, bootstrap)
        if verdict == "none":
            doubt = seeds_p is not None and seeds_p >= ALPHA
            words = f"no difference shown; {what_would_show_it(test, ALPHA / len(pairs), seeds=doubt)}"
        else:
            tests = _tests_in_words(test["p_value"], seeds_p, p_value if len(pairs) > 1 else None)
            words = f"{_verdict_in_words(pair, bootstrap['difference'], verdict, seeds_p)} ({tests})"
        apart = (bootstrap["difference"], bootstrap["low"], bootstrap["high"])
        found.append(Difference(*pair, *apart, test["p_value"], seeds_p, p_value, verdict, f"{figures}: {words}."))
    return found


def _seeds_apart(pair: Pair, correct: Correct, fixed: Collection[str]) -> float | None:
    first, second = (correct[name] for name in pair)
    accuracies = (first.mean(axis=1).tolist(), second.mean(axis=1).tolist())
    return seeds_apart(*accuracies, rows=first.shape[1], fixed=any(name in fixed for name in pair))


def _tests_in_words(rows_p: float, seeds_p: float | None, corrected: float | None) -> str:
    told = [f"McNemar's exact test: {p_in_words(rows_p)}"]
    told += [] if seeds_p is None else [f"t-test over seeds: {p_in_words(seeds_p)}"]
    return "; ".join([*told, *([] if corrected is None else [f"corrected: {p_in_words(corrected)}"])])


def _verdict_in_words(pair: Pair, difference: float, verdict: Verdict, seeds_p: float | None) -> str:
    better = pair[0] if difference > 0 else pair[1]
    if verdict == "seeds":
        return "these runs differ, but so do their seeds: no difference of the recipes shown"
    # Too few seeds say nothing of the recipe.
    return f"{better} is better" if seeds_p is not None else f"{better} is better in these runs"
