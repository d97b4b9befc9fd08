"""Pairs of rounds: the difference in mean accuracy, its interval, its significance tests, and the result in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from featherweight.evaluation.multi_label import RESAMPLES, micro_f1_of, micro_f1_samples
from featherweight.evaluation.seeds import (
    SeedSpread,
    errors_of_difference,
    mcnemar_over_seeds,
    over_rows_and_seeds,
    pooled_spread,
)
from featherweight.evaluation.significance import (
    ALPHA,
    difference_in_words,
    holm,
    p_in_words,
    paired_bootstrap,
    sample_size_needed,
)

Pair = tuple[str, str]
Verdict = Literal["significant", "these_runs_only", "not_significant"]
Correct = Mapping[str, NDArray[np.bool_]]
"""For each round by its name: whether each prediction is correct, [seeds, rows]. All rounds have the same rows."""
Found = Mapping[str, NDArray[np.int64]]
"""For each round by its name: the counts behind micro-F1, [seeds, rows, 2]. Empty with one label a text."""


@dataclass(frozen=True)
class Difference:
    """The mean accuracy of ``first`` minus the mean accuracy of ``second``, as a fraction (0.01 is one point)."""

    first: str
    second: str
    difference: float
    low: float
    high: float
    """``low`` and ``high`` are the 95% interval: a paired bootstrap over rows, with each row's mean over the seeds."""
    p_value: float
    """P-value of McNemar's exact test over all seeds: do these runs differ on more rows than chance explains?"""
    corrected: float
    """``p_value`` after Holm's correction for all pairs that were compared together."""
    seeds_p_value: float | None
    """P-value of a t-test over rows and seeds, with Holm's correction: do the recipes differ?

    None if there are too few seeds."""
    verdict: Verdict
    """``significant``; ``these_runs_only``: the runs differ, but other seeds may not; or ``not_significant``."""
    words: str
    """The difference and the verdict as a sentence."""
    micro_f1: tuple[float, float, float] | None = None
    """The difference of micro-F1 and its 95% interval by paired bootstrap, with several labels a text."""

    @property
    def won(self) -> bool:
        """Whether ``first`` is significantly better."""
        return self.verdict == "significant" and self.difference > 0


@dataclass(frozen=True)
class _Tests:
    rows: dict[str, Any]
    """The result of ``mcnemar_over_seeds``."""
    corrected: float
    """Its p-value after Holm's correction."""
    seeds: float | None
    """The p-value over rows and seeds after Holm's correction; None if there are too few seeds."""

    @property
    def verdict(self) -> Verdict:
        if self.corrected >= ALPHA:
            return "not_significant"
        return "significant" if self.seeds is None or self.seeds < ALPHA else "these_runs_only"


def compare_pairs(
    pairs: Sequence[Pair], correct: Correct, found: Found | None = None, texts: NDArray[np.int64] | None = None
) -> list[Difference]:
    """The difference in mean accuracy of each of ``pairs``; p-values are corrected for the number of pairs.

    A pair is two names of rounds. ``correct`` says whether each prediction of a round is correct, [seeds, rows].
    A difference is significant if McNemar's test over the rows is significant and, unless there are too few seeds
    (see ``pooled_spread``), a t-test over rows and seeds is significant too. With the first test alone, one lucky seed
    could look like a better recipe. The variance between seeds is estimated from all rounds in ``correct``. If a text
    may have several labels, ``found`` has the counts behind micro-F1, [seeds, rows, 2]; then each result also has the
    difference of micro-F1, which is not tested.

    ``texts`` has the number of each row's text, [rows], if some rows have the same text. Such rows are predicted alike,
    so they are one unit in the tests and in the bootstrap: as several units they would make chance look significant.
    """
    rows = [_rows_test(correct[first], correct[second], texts) for first, second in pairs]
    if texts is not None:
        correct = {name: _shares_of_texts(table, texts) for name, table in correct.items()}
        found = {name: _by_text(table, texts) for name, table in (found or {}).items()}
    pooled = pooled_spread(correct.values())
    corrected = holm([test["p_value"] for test in rows])
    seeds: list[float | None] = [None] * len(pairs)
    if pooled:
        seeds[:] = holm([over_rows_and_seeds(correct[first], correct[second], pooled) for first, second in pairs])
    tests = [_Tests(*results) for results in zip(rows, corrected, seeds, strict=True)]
    thing = "test rows" if texts is None else "different test texts"
    differences = [
        _difference(pair, correct, test, pooled, len(pairs), thing) for pair, test in zip(pairs, tests, strict=True)
    ]
    return [_with_micro_f1(difference, found) for difference in differences] if found else differences


def _by_text(table: NDArray[Any], texts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The sums of ``table`` [seeds, rows, ...] over the rows with the same text, [seeds, texts, ...]."""
    sums = np.zeros((len(table), int(texts.max()) + 1, *table.shape[2:]), np.int64)
    for sums_of_seed, of_seed in zip(sums, table, strict=True):
        np.add.at(sums_of_seed, texts, of_seed)
    return sums


def _shares_of_texts(table: NDArray[np.bool_], texts: NDArray[np.int64]) -> NDArray[Any]:
    """``table`` [seeds, rows] by text, [seeds, texts], scaled so that the mean over the texts is the accuracy."""
    sums = _by_text(table, texts)
    return sums * (sums.shape[1] / table.shape[1])


def _rows_test(first: NDArray[np.bool_], second: NDArray[np.bool_], texts: NDArray[np.int64] | None) -> dict[str, Any]:
    """The result of ``mcnemar_over_seeds``; if rows have the same text, with the texts as its rows."""
    if texts is None:
        return mcnemar_over_seeds(first, second)
    test = mcnemar_over_seeds(_by_text(first, texts), _by_text(second, texts))
    # b + c is a sum of squares, b - c a sum: here of numbers of rows, and below of their shares of a mean text.
    rows_of_a_text = first.shape[1] / test["rows"]
    squares, sums = (test["b"] + test["c"]) / rows_of_a_text**2, (test["b"] - test["c"]) / rows_of_a_text
    return {**test, "b": (squares + sums) / 2, "c": (squares - sums) / 2}


def _with_micro_f1(difference: Difference, found: Found) -> Difference:
    first, second = found[difference.first], found[difference.second]
    beside = micro_f1_difference(first, second)
    points = [f"{100 * value:+.{digits}f}" for value, digits in zip(beside, (2, 1, 1), strict=True)]
    words = f" Micro-F1: {points[0]} points, 95% {points[1]} to {points[2]}."
    return replace(difference, words=difference.words + words, micro_f1=beside)


def micro_f1_difference(first: NDArray[np.int64], second: NDArray[np.int64]) -> tuple[float, float, float]:
    """Mean micro-F1 of ``first`` minus that of ``second``, with its 95% interval by paired bootstrap over rows.

    Both are results of ``multi_label.hits_and_marks``, [seeds, rows, 2], for the same rows. Each bootstrap sample has
    the same rows for all seeds.
    """
    sides = [*first, *second]
    samples = micro_f1_samples(sides, RESAMPLES, seed=0)
    whole = np.array([micro_f1_of(side) for side in sides])
    low, high = np.quantile(samples[: len(first)].mean(axis=0) - samples[len(first) :].mean(axis=0), [0.025, 0.975])
    return float(whole[: len(first)].mean() - whole[len(first) :].mean()), float(low), float(high)


def _difference(
    pair: Pair, correct: Correct, tests: _Tests, pooled: SeedSpread | None, count: int, thing: str
) -> Difference:
    first, second = (correct[name] for name in pair)
    bootstrap = paired_bootstrap(first.mean(axis=0), second.mean(axis=0))
    errors = errors_of_difference(first, second, pooled)
    seeds = 2 / (1 / len(first) + 1 / len(second))
    needed = sample_size_needed(tests.rows, ALPHA / count, errors=errors, seeds=seeds).replace("test rows", thing)
    better = pair[0] if bootstrap["difference"] > 0 else pair[1]
    words = {
        "not_significant": f"not significantly different; {needed}",
        "these_runs_only": (
            f"these runs differ, but other seeds may not: the recipes are not significantly different; {needed}"
        ),
        # Without the test over seeds the result is about the runs, not about the recipes.
        "significant": f"{better} is better" if tests.seeds is not None else f"{better} is better in these runs",
    }[tests.verdict]
    # The interval of one pair may exclude zero although the tests, corrected for all pairs, are not significant.
    show_tests = bootstrap["low"] > 0 or bootstrap["high"] < 0 or tests.verdict != "not_significant"
    return Difference(
        *pair,
        bootstrap["difference"],
        bootstrap["low"],
        bootstrap["high"],
        tests.rows["p_value"],
        tests.corrected,
        tests.seeds,
        tests.verdict,
        f"{difference_in_words(*pair, bootstrap)}: {words}{f' ({_in_words(tests, count)})' if show_tests else ''}.",
    )


def _in_words(tests: _Tests, count: int) -> str:
    corrected = ", corrected" if count > 1 else ""
    mcnemar = f"McNemar's exact test{corrected}: {p_in_words(tests.corrected)}"
    return mcnemar if tests.seeds is None else f"{mcnemar}; over rows and seeds: {p_in_words(tests.seeds)}"
