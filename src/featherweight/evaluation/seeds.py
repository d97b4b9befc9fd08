"""A round is one recipe with several seeds: its mean, its spread, and the test that takes all of its seeds at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom, ttest_ind_from_stats
from scipy.stats import t as student

from featherweight.evaluation.metrics import wilson_interval

FEWEST_SEEDS = 3
"""Seeds from which on their spread is taken into a verdict."""


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


def seeds_apart(
    values_a: Sequence[float], values_b: Sequence[float], *, rows: int, fixed: bool = False
) -> float | None:
    """P-value of a t-test that two rounds have the same mean over all seeds there are; None where seeds are too few.

    ``values_a`` and ``values_b`` are accuracies, one a seed, on ``rows`` test rows. Welch's test (1947) where both have
    ``FEWEST_SEEDS`` or more. A single value is taken to spread like the other side's: Student's test of one more
    observation. With ``fixed`` the single value is what every seed gives, as of a baseline without a random start. Two
    values know too little of their own spread to be tested by it. No spread is taken for smaller than the rounding of
    an accuracy to whole rows.
    """
    few, many = sorted((values_a, values_b), key=len)
    if len(many) < FEWEST_SEEDS or 1 < len(few) < FEWEST_SEEDS:
        return None
    means = float(np.mean(few)), float(np.mean(many))
    deviations = [max(spread(values) or 0.0, 1 / (rows * math.sqrt(12))) for values in (few, many)]
    if len(few) > 1:
        sides = means[0], deviations[0], len(few), means[1], deviations[1], len(many)
        return float(ttest_ind_from_stats(*sides, equal_var=False).pvalue)
    error = deviations[1] * math.sqrt(1 / len(many) + (0 if fixed else 1))
    return float(2 * student.sf(abs(means[0] - means[1]) / error, len(many) - 1))


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
