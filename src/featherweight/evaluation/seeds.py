"""Statistics over the seeds of a round: mean, standard deviation, and significance tests that use all seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom
from scipy.stats import t as student

from featherweight.evaluation.metrics import wilson_interval

LEAST_FREEDOM = 2
"""The minimum degrees of freedom (seeds minus rounds) to estimate the variance between seeds."""


def spread(values: Sequence[float]) -> float | None:
    """Sample standard deviation over seeds (with n - 1); None for a single seed."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def mean_interval(correct: ArrayLike) -> list[float]:
    """Wilson's 95% interval [low, high] over test rows for the mean accuracy of ``correct`` [seeds, rows].

    It is the interval for a single run with that accuracy, so it is slightly too wide for a mean. It does not contain
    the variance between seeds, which ``spread`` measures.
    """
    table = np.atleast_2d(np.asarray(correct, dtype=float))
    return wilson_interval(round(float(table.mean(axis=0).sum())), table.shape[1])


def mcnemar_over_seeds(correct_a: ArrayLike, correct_b: ArrayLike) -> dict[str, Any]:
    """McNemar's exact test between two rounds, from arrays [seeds, rows] of correct (1) and wrong (0).

    If the rounds were equally good, the difference of mean correctness in each row could equally have the opposite
    sign. The test is exact over all combinations of signs (Fisher's randomisation test for paired differences); with
    one seed per round it is McNemar's test. ``p_value`` is two-sided. ``b`` and ``c`` are the numbers of rows that only
    the first, or only the second, predicts correctly. With several seeds they are the numbers (not always whole) for
    which the differences of two single runs would have the same sum and the same sum of squares. ``rows`` is the number
    of all rows. Raises ValueError if the rounds have different numbers of rows.
    """
    a, b = (np.atleast_2d(np.asarray(side)).astype(np.int64) for side in (correct_a, correct_b))
    if a.shape[1] != b.shape[1] or not a.shape[1]:
        raise ValueError(f"a paired comparison needs the same rows on both sides: {a.shape} and {b.shape}")
    # The differences of the means, multiplied by both numbers of seeds: whole numbers, so that sums are exact.
    scale, rows = len(a) * len(b), a.shape[1]
    differences = a.sum(axis=0) * len(b) - b.sum(axis=0) * len(a)
    mean, square = float(differences.sum() / scale), float((differences**2).sum() / scale**2)
    counts = {"b": (square + mean) / 2, "c": (square - mean) / 2}
    return {**counts, "p_value": _sign_flips(differences), "rows": rows}


@dataclass(frozen=True)
class SeedSpread:
    """The variance of the accuracy between seeds of the same recipe, pooled over several rounds."""

    variance: float
    """The variance over seeds of the accuracy as a fraction."""
    freedom: int
    """Degrees of freedom: the number of seeds minus the number of rounds."""


def pooled_spread(rounds: Iterable[NDArray[np.bool_]]) -> SeedSpread | None:
    """The variance between seeds, pooled over ``rounds`` (each [seeds, rows]).

    None if there are too few seeds to estimate it (see ``LEAST_FREEDOM``). It is the error term of an analysis of
    variance, which assumes the same variance in all rounds.
    """
    squares, freedom = _within(rounds)
    return None if freedom < LEAST_FREEDOM else SeedSpread(squares / freedom, freedom)


def _within(rounds: Iterable[NDArray[np.bool_]]) -> tuple[float, int]:
    """Sum of the squared deviations of all accuracies from the mean of their round, and its degrees of freedom."""
    accuracies = [table.mean(axis=1) for table in rounds]
    squares = sum(float(((values - values.mean()) ** 2).sum()) for values in accuracies)
    return squares, sum(len(values) - 1 for values in accuracies)


def errors_of_difference(
    correct_a: NDArray[np.bool_], correct_b: NDArray[np.bool_], pooled: SeedSpread | None
) -> tuple[float, float]:
    """The variances of the difference between two accuracies: from the choice of rows, and from the choice of seeds.

    ``correct_a`` and ``correct_b`` are [seeds, rows]. The variance between seeds is the larger of ``pooled`` and that
    of these two rounds. It is at least 1 / (12 rows^2), because an accuracy is a multiple of 1 / rows. Without
    ``pooled`` the second variance is 0.
    """
    rows = correct_a.shape[1]
    differences = correct_a.mean(axis=0) - correct_b.mean(axis=0)
    over_rows = float(differences.var(ddof=1)) / rows if rows > 1 else 0.0
    if pooled is None:
        return over_rows, 0.0
    squares, freedom = _within((correct_a, correct_b))
    variance = max(pooled.variance, squares / freedom if freedom else 0.0, 1 / (12 * rows**2))
    return over_rows, variance * (1 / len(correct_a) + 1 / len(correct_b))


def over_rows_and_seeds(correct_a: NDArray[np.bool_], correct_b: NDArray[np.bool_], pooled: SeedSpread) -> float:
    """Two-sided p-value of a t-test of whether the rounds are equally good.

    The null hypothesis is that their mean accuracies are equal over all rows and seeds that could be drawn. The squared
    standard error is the sum of the variances over rows and over seeds. Its degrees of freedom follow Satterthwaite's
    approximation (1946) if those of ``pooled`` are at least ``2 * LEAST_FREEDOM``. With fewer seeds the approximation
    is too optimistic; then the degrees of freedom of ``pooled`` are used.
    """
    rows = correct_a.shape[1]
    over_rows, over_seeds = errors_of_difference(correct_a, correct_b, pooled)
    error = over_rows + over_seeds
    freedom = float(pooled.freedom)
    if pooled.freedom >= 2 * LEAST_FREEDOM:
        freedom = error**2 / (over_seeds**2 / pooled.freedom + over_rows**2 / max(rows - 1, 1))
    difference = float(correct_a.mean() - correct_b.mean())
    return float(2 * student.sf(abs(difference) / math.sqrt(error), freedom))


def _sign_flips(differences: NDArray[np.int64]) -> float:
    """Probability that the sum of ``differences`` with random signs is at least as far from zero as the observed sum.

    The signed sum is twice the sum of the positive terms, minus the sum of all absolute values. For each absolute value
    the number of positive terms is binomial; the distributions are combined by convolution.
    """
    sizes, counts = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    if not len(sizes):
        return 1.0
    sizes //= math.gcd(*sizes.tolist())
    observed = abs(int(differences.sum())) // math.gcd(*np.abs(differences).tolist())
    chances = np.ones(1)
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        steps = np.zeros(size * count + 1)
        steps[::size] = binom.pmf(np.arange(count + 1), count, 0.5)
        chances = np.convolve(chances, steps)
    distances = np.abs(2 * np.arange(len(chances)) - (len(chances) - 1))
    return min(1.0, float(chances[distances >= observed].sum()))
