"""A round is one recipe with several seeds: its mean, its spread, and the test that takes all of its seeds at once."""

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
"""Seeds beyond the first of their round, over all rounds, from which on their spread is known well enough for use."""


def spread(values: Sequence[float]) -> float | None:
    """Standard deviation over seeds (of a sample: divided by n - 1); None of a single seed, which knows of none."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def mean_interval(correct: ArrayLike) -> list[float]:
    """Wilson's 95% interval [low, high] over test rows for the mean accuracy of ``correct`` [seeds, rows].

    It is the interval of one run of that accuracy: somewhat too wide for a mean, and never too narrow at 100%. How far
    other seeds would lie is not in it; ``spread`` says that.
    """
    table = np.atleast_2d(np.asarray(correct, dtype=float))
    return wilson_interval(round(float(table.mean(axis=0).sum())), table.shape[1])


def mcnemar_over_seeds(correct_a: ArrayLike, correct_b: ArrayLike) -> dict[str, Any]:
    """McNemar's exact test between two rounds, from [seeds, rows] of right (1) and wrong (0) on the same rows.

    Were the rounds equally good, each row's difference of mean correctness could as well have the other sign. The test
    is exact over all these signs (Fisher's randomisation of a paired difference); with one seed on both sides it is
    McNemar's test itself. ``p_value`` is two-sided; ``b`` and ``c`` are the counts of rows that only the first, or only
    the second, has right, and with several seeds the counts that would give the same mean and variance; ``rows``
    counts all. Raises ValueError where the two do not have the same rows.
    """
    a, b = (np.atleast_2d(np.asarray(side)).astype(np.int64) for side in (correct_a, correct_b))
    if a.shape[1] != b.shape[1] or not a.shape[1]:
        raise ValueError(f"a paired comparison takes the same rows on both sides: {a.shape} and {b.shape}")
    # Whole numbers, so that equal sums are equal: the difference of the means times both numbers of seeds.
    scale, rows = len(a) * len(b), a.shape[1]
    differences = a.sum(axis=0) * len(b) - b.sum(axis=0) * len(a)
    mean, square = float(differences.sum() / scale), float((differences**2).sum() / scale**2)
    counts = {"b": (square + mean) / 2, "c": (square - mean) / 2}
    return {**counts, "p_value": _sign_flips(differences), "rows": rows}


@dataclass(frozen=True)
class SeedSpread:
    """How far the accuracies of one recipe's seeds lie apart, pooled over several rounds."""

    variance: float
    """Of an accuracy as a share, over seeds."""
    freedom: int
    """Degrees of freedom: seeds less rounds."""


def pooled_spread(rounds: Iterable[NDArray[np.bool_]]) -> SeedSpread | None:
    """The spread of seeds within rounds of [seeds, rows], all taken to spread alike; None where seeds are too few.

    It is the error term of an analysis of variance. Below ``LEAST_FREEDOM`` it would say nothing.
    """
    squares, freedom = _within(rounds)
    return None if freedom < LEAST_FREEDOM else SeedSpread(squares / freedom, freedom)


def _within(rounds: Iterable[NDArray[np.bool_]]) -> tuple[float, int]:
    """Squared distances of all accuracies from the mean of their round, summed, and their degrees of freedom."""
    accuracies = [table.mean(axis=1) for table in rounds]
    squares = sum(float(((values - values.mean()) ** 2).sum()) for values in accuracies)
    return squares, sum(len(values) - 1 for values in accuracies)


def errors_of_difference(
    correct_a: NDArray[np.bool_], correct_b: NDArray[np.bool_], pooled: SeedSpread | None
) -> tuple[float, float]:
    """Variance of the difference of two rounds' accuracies that the choice of rows, and of seeds, makes.

    ``correct_a`` and ``correct_b`` are [seeds, rows]. The seeds spread as ``pooled`` says, or as these two rounds do
    where that is more, and never by less than the rounding of an accuracy to whole rows.
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
    """P-value of a t-test that two rounds are equally good, on other rows and with other seeds; two-sided.

    The error is made of the variance over rows and that over seeds; its degrees of freedom are Satterthwaite's (1946),
    or the seeds' own where these are few: then the approximation promises too much.
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
    """Probability that a sum of the absolute ``differences`` with random signs lies as far from zero as theirs.

    The sum with signs is twice the sum of those with a plus, less the sum of all; the sums of those with a plus are
    binomial for each absolute value, and are joined by convolution.
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
