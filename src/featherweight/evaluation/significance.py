"""Significance tests for two runs. Both are evaluated on the same rows, so the tests are paired."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest, norm

ALPHA = 0.05
"""The level below which a p-value is significant."""


def paired_bootstrap(
    correct_a: ArrayLike, correct_b: ArrayLike, *, resamples: int = 10_000, seed: int = 0, confidence: float = 0.95
) -> dict[str, float]:
    """The accuracy of ``a`` minus the accuracy of ``b``, with the percentile bootstrap interval over rows.

    ``correct_a`` and ``correct_b`` [rows] are 1 for a correct prediction, else 0; means over seeds are possible too.
    Returns ``difference``, ``low`` and ``high`` as fractions (0.01 is one point). Each row is sampled, with
    replacement, for a and b together (Efron & Tibshirani 1993, chapter 13). Raises ValueError if the two have different
    numbers of rows.
    """
    a, b = _paired(correct_a, correct_b)
    # Rows with the same difference are exchangeable. So it is enough to sample how often each difference occurs, which
    # needs far fewer random numbers than one per row and resample.
    values, counts = np.unique(a - b, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(len(a), counts / len(a), size=resamples)
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws @ values / len(a), [tail, 1 - tail])
    return {"difference": float((a - b).mean()), "low": float(low), "high": float(high)}


def mcnemar_exact(correct_a: ArrayLike, correct_b: ArrayLike) -> dict[str, Any]:
    """McNemar's exact test that two classifiers are wrong equally often on the same rows (McNemar 1947).

    ``b`` is the number of rows that only the first predicts correctly, ``c`` the number that only the second does.
    ``p_value`` is the two-sided binomial probability of a split at least as uneven (1 if no row differs). ``rows`` is
    the number of all rows. Raises ValueError if the two have different numbers of rows, or values other than 0 and 1.
    """
    first, second = _paired(correct_a, correct_b)
    if not (np.isin(first, (0, 1)).all() and np.isin(second, (0, 1)).all()):
        raise ValueError("McNemar's test needs correct (1) or wrong (0) for each row, not means over seeds")
    b, c = int((first > second).sum()), int((first < second).sum())
    p_value = float(binomtest(b, b + c).pvalue) if b + c else 1.0
    return {"b": b, "c": c, "p_value": p_value, "rows": len(first)}


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values of several tests, corrected by Holm's method (1979).

    If tests with a corrected p-value below 0.05 are called significant, the probability that any of them is a false
    positive is at most 5%.
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(order), 0, -1)
    corrected = np.empty(len(order))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(factors * np.asarray(p_values, dtype=float)[order]))
    return [float(p) for p in corrected]


def rows_needed(b_rate: float, c_rate: float, power: float = 0.8, alpha: float = 0.05) -> int:
    """Number of test rows so that McNemar's test at level ``alpha`` is significant with probability ``power``.

    ``b_rate`` and ``c_rate`` are the fractions of rows that only the first, or only the second, predicts correctly.
    The formula is Connor's (1987, Biometrics 43:207), without continuity correction. Raises ValueError if the rates are
    equal, because then no number of rows is enough.
    """
    differing, difference = b_rate + c_rate, b_rate - c_rate
    if difference == 0:
        raise ValueError("b_rate and c_rate are equal: no number of rows would make the difference significant")
    spread = math.sqrt(max(differing - difference**2, 0.0))
    root = norm.isf(alpha / 2) * math.sqrt(differing) + norm.isf(1 - power) * spread
    return math.ceil((root / difference) ** 2)


def sample_size_needed(
    mcnemar: Mapping[str, Any],
    level: float,
    *,
    errors: tuple[float, float] = (0.0, 0.0),
    seeds: float = 1.0,
    power: float = 0.8,
) -> str:
    """A clause that tells how many test rows and seeds per round would make a difference significant.

    ``level`` is the level of this test; for several tests it is the overall level divided by their number. ``errors``
    are the variances of the difference over rows and over seeds; the variance over seeds is 0 if it is unknown.
    ``seeds`` is the number of seeds so far. The allowed variance is the largest sum of both with which the test finds
    this difference with probability ``power``. If both are larger than half of it, the clause names the rows and the
    seeds that reduce each of them to this half.
    """
    difference = abs(mcnemar["b"] - mcnemar["c"]) / mcnemar["rows"]
    if difference == 0:
        return "both are correct equally often"
    over_rows, over_seeds = errors
    allowed = (difference / (norm.isf(level / 2) + norm.isf(1 - power))) ** 2
    rows = max(_rows_for_mcnemar(mcnemar, level, power), mcnemar["rows"] + 1)
    if over_seeds == 0:
        return _needed(rows)
    if over_rows + over_seeds <= allowed:
        return "a few more seeds would be needed to show a difference"  # too few to estimate their variance well
    if over_rows <= allowed / 2:
        return _needed(None, seeds * over_seeds / (allowed - over_rows))
    left_to_rows = allowed - min(over_seeds, allowed / 2)
    rows = max(rows, math.ceil(mcnemar["rows"] * over_rows / left_to_rows))
    return _needed(rows, 2 * seeds * over_seeds / allowed if over_seeds > allowed / 2 else None)


def _needed(rows: int | None, seeds: float | None = None) -> str:
    what = [f"{_rounded(rows):,} test rows"] if rows else []
    what += [f"{_rounded(math.ceil(seeds)):,} seeds of each"] if seeds else []
    return f"about {' and '.join(what)} would be needed to show a difference"


def _rows_for_mcnemar(mcnemar: Mapping[str, Any], level: float, power: float) -> int:
    """The number of test rows that McNemar's test needs to find this difference with the probability ``power``.

    It is the result of ``rows_needed``, or more if the exact test cannot reach ``level`` with so few rows.
    """
    shares = mcnemar["b"] / mcnemar["rows"], mcnemar["c"] / mcnemar["rows"]
    differing = 1 + math.ceil(math.log2(1 / level))
    return max(rows_needed(*shares, power=power, alpha=level), math.ceil(differing / sum(shares)))


def difference_in_words(name_a: str, name_b: str, bootstrap: Mapping[str, float]) -> str:
    """The difference in points with its 95% interval, such as ``R4 over R3: +0.18 points, 95% -0.2 to +0.6``."""
    points = {key: 100 * bootstrap[key] for key in ("difference", "low", "high")}
    return (
        f"{name_a} over {name_b}: {_signed(points['difference'], 2)} points, "
        f"95% {_signed(points['low'], 1)} to {_signed(points['high'], 1)}"
    )


def p_in_words(p: float) -> str:
    """A p-value as text, such as ``p = 0.031``."""
    return "p < 0.0001" if p < 0.0001 else f"p = {p_digits(p)}"


def p_digits(p: float) -> str:
    """A p-value with two significant digits, or with more if rounding would move it to the other side of 0.05."""
    texts = (f"{p:.{digits}g}" for digits in range(2, 18))
    return next(text for text in texts if (float(text) < ALPHA) == (p < ALPHA))


def _paired(correct_a: ArrayLike, correct_b: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a, b = np.asarray(correct_a, dtype=np.float64), np.asarray(correct_b, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape or not len(a):
        raise ValueError(f"a paired comparison needs the same rows on both sides: {a.shape} and {b.shape}")
    return a, b


def _signed(points: float, digits: int) -> str:
    text = f"{points:+.{digits}f}"
    return text[1:] if float(text) == 0 else text


def _rounded(rows: int) -> int:
    # The estimate is not more precise than two significant digits.
    return int(float(f"{rows:.2g}"))
