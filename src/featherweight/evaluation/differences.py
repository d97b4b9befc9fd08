"""Every pair of rounds: the difference, its interval, its tests, and what they amount to in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from featherweight.evaluation.seeds import (
    SeedSpread,
    errors_of_difference,
    mcnemar_over_seeds,
    over_rows_and_seeds,
    pooled_spread,
)
from featherweight.evaluation.significance import (
    difference_in_words,
    holm,
    p_in_words,
    paired_bootstrap,
    what_would_show_it,
)

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
    """McNemar's exact test, over all seeds: do these runs differ on more than chance's share of the rows?"""
    corrected: float
    """The same after Holm's correction for all the pairs that were compared together."""
    seeds_p_value: float | None
    """T-test over rows and seeds, after the same correction: do the recipes differ? None where seeds are too few."""
    verdict: Verdict
    """``shown``: significant; ``seeds``: for these runs, but not with other seeds; ``none``: not significant."""
    words: str

    @property
    def won(self) -> bool:
        """Whether ``first`` is significantly better."""
        return self.verdict == "shown" and self.difference > 0


@dataclass(frozen=True)
class _Tests:
    rows: dict[str, Any]
    """McNemar's, as ``mcnemar_over_seeds`` gives it."""
    corrected: float
    seeds: float | None
    """Corrected as well."""

    @property
    def verdict(self) -> Verdict:
        if self.corrected >= ALPHA:
            return "none"
        return "shown" if self.seeds is None or self.seeds < ALPHA else "seeds"


def compare_pairs(pairs: Sequence[Pair], correct: Correct) -> list[Difference]:
    """The differences of all ``pairs`` of names in ``correct``, each test corrected for all of them.

    A difference is significant where McNemar's test finds it among the rows and, with seeds enough, a t-test finds it
    among rows and seeds together: by the rows alone, one lucky seed would pass for a better recipe. The variance of the
    seeds is estimated from all rounds in ``correct``.
    """
    pooled = pooled_spread(correct.values())
    rows = [mcnemar_over_seeds(correct[first], correct[second]) for first, second in pairs]
    corrected = holm([test["p_value"] for test in rows])
    seeds: list[float | None] = [None] * len(pairs)
    if pooled:
        seeds[:] = holm([over_rows_and_seeds(correct[first], correct[second], pooled) for first, second in pairs])
    tests = [_Tests(*results) for results in zip(rows, corrected, seeds, strict=True)]
    return [_difference(pair, correct, test, pooled, len(pairs)) for pair, test in zip(pairs, tests, strict=True)]


def _difference(pair: Pair, correct: Correct, tests: _Tests, pooled: SeedSpread | None, count: int) -> Difference:
    first, second = (correct[name] for name in pair)
    bootstrap = paired_bootstrap(first.mean(axis=0), second.mean(axis=0))
    errors = errors_of_difference(first, second, pooled)
    seeds = 2 / (1 / len(first) + 1 / len(second))
    what = what_would_show_it(tests.rows, ALPHA / count, errors=errors, seeds=seeds)
    better = pair[0] if bootstrap["difference"] > 0 else pair[1]
    words = {
        "none": f"not significantly different; {what}",
        "seeds": f"these runs differ, but other seeds may not: the recipes are not significantly different; {what}",
        # Too few seeds say nothing of the recipe.
        "shown": f"{better} is better" if tests.seeds is not None else f"{better} is better in these runs",
    }[tests.verdict]
    # The interval of one pair may leave out zero where the tests, corrected for all pairs, find no difference.
    told = bootstrap["low"] > 0 or bootstrap["high"] < 0 or tests.verdict != "none"
    return Difference(
        *pair,
        bootstrap["difference"],
        bootstrap["low"],
        bootstrap["high"],
        tests.rows["p_value"],
        tests.corrected,
        tests.seeds,
        tests.verdict,
        f"{difference_in_words(*pair, bootstrap)}: {words}{f' ({_in_words(tests, count)})' if told else ''}.",
    )


def _in_words(tests: _Tests, count: int) -> str:
    corrected = ", corrected" if count > 1 else ""
    told = f"McNemar's exact test{corrected}: {p_in_words(tests.corrected)}"
    return told if tests.seeds is None else f"{told}; over rows and seeds: {p_in_words(tests.seeds)}"
