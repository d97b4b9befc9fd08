"""Tests whether one run is better than another. Both are evaluated on the same rows, so the comparison is paired."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest, norm


def paired_bootstrap(
    correct_a: ArrayLike, correct_b: ArrayLike, *, resamples: int = 10_000, seed: int = 0, confidence: float = 0.95
) -> dict[str, float]:
    """Accuracy of ``a`` less accuracy of ``b``, with the percentile bootstrap interval over rows.

    ``correct_a`` and ``correct_b`` [rows]: 1 where the prediction of that row is right, else 0; a mean over seeds is
    welcome too. Returns ``difference``, ``low`` and ``high`` as shares (0.01 is one point).
    Rows are drawn with replacement together, a's and b's at once (Efron & Tibshirani 1993, chapter 13).
    Raises ValueError where the two do not have the same rows.
    """
    a, b = _paired(correct_a, correct_b)
    # Rows of equal difference are exchangeable: to draw how often each value occurs is the same bootstrap, without
    # resamples x rows random numbers.
    values, counts = np.unique(a - b, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(len(a), counts / len(a), size=resamples)
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws @ values / len(a), [tail, 1 - tail])
    return {"difference": float((a - b).mean()), "low": float(low), "high": float(high)}


def mcnemar_exact(correct_a: ArrayLike, correct_b: ArrayLike) -> dict[str, Any]:
    """McNemar's exact test that two classifiers err equally often on the same rows (McNemar 1947).

    ``b`` counts the rows that only the first has right, ``c`` those that only the second has right; ``p_value`` is the
    two-sided binomial probability of a split as uneven as this one (1 where no row differs); ``rows`` counts all.
    Raises ValueError where the two do not have the same rows or hold anything but right and wrong.
    """
    first, second = _paired(correct_a, correct_b)
    if not (np.isin(first, (0, 1)).all() and np.isin(second, (0, 1)).all()):
        raise ValueError("McNemar's test takes right (1) and wrong (0) for each row, no means over seeds")
    b, c = int((first > second).sum()), int((first < second).sum())
    p_value = float(binomtest(b, b + c).pvalue) if b + c else 1.0
    return {"b": b, "c": c, "p_value": p_value, "rows": len(first)}


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values of several tests, corrected so that the chance of any false alarm stays at the level (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(order), 0, -1)
    corrected = np.empty(len(order))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(factors * np.asarray(p_values, dtype=float)[order]))
    return [float(p) for p in corrected]


def rows_needed(b_rate: float, c_rate: float, power: float = 0.8, alpha: float = 0.05) -> int:
    """Test rows with which McNemar's test at level ``alpha`` finds this difference with probability ``power``.

    ``b_rate`` and ``c_rate`` are the shares of rows that only the first, or only the second, has right.
    Connor 1987 (Biometrics 43:207), without continuity correction. Raises ValueError where the rates are equal: no
    number of rows shows a difference that is not there.
    """
    differing, difference = b_rate + c_rate, b_rate - c_rate
    if difference == 0:
        raise ValueError("the rates are equal: no number of rows would show a difference")
    spread = math.sqrt(max(differing - difference**2, 0.0))
    root = norm.isf(alpha / 2) * math.sqrt(differing) + norm.isf(1 - power) * spread
    return math.ceil((root / difference) ** 2)


def what_would_show_it(
    mcnemar: Mapping[str, Any],
    level: float,
    *,
    errors: tuple[float, float] = (0.0, 0.0),
    seeds: float = 1.0,
    power: float = 0.8,
) -> str:
    """How many test rows, and how many seeds of each side, would make a difference significant, in words.

    ``level`` is that of the test; of several tests together it is the level of all, divided by their number.
    ``errors`` are the variances of the difference over rows and over seeds, the latter 0 where it is not known;
    ``seeds`` is how many there were. Where both have to shrink, each gets half of the variance that is allowed.
    """
    difference = abs(mcnemar["b"] - mcnemar["c"]) / mcnemar["rows"]
    if difference == 0:
        return "both are right equally often"
    over_rows, over_seeds = errors
    allowed = (difference / (norm.isf(level / 2) + norm.isf(1 - power))) ** 2
    rows = max(_rows_for_mcnemar(mcnemar, level, power), mcnemar["rows"] + 1)
    if over_seeds == 0:
        return _needed(rows)
    if over_rows + over_seeds <= allowed:
        return "a few more seeds would be needed to show a difference"  # too few to know their own spread well
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
    """``rows_needed``, and at least so many that enough of them differ for an exact test to reach the level at all."""
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
    """A p-value with two figures, as far as these say anything."""
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.2g}"


def _paired(correct_a: ArrayLike, correct_b: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a, b = np.asarray(correct_a, dtype=np.float64), np.asarray(correct_b, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape or not len(a):
        raise ValueError(f"a paired comparison takes the same rows on both sides: {a.shape} and {b.shape}")
    return a, b


def _signed(points: float, digits: int) -> str:
    text = f"{points:+.{digits}f}"
    return text[1:] if float(text) == 0 else text


def _rounded(rows: int) -> int:
    # Two figures: the estimate carries no more.
    return int(float(f"{rows:.2g}"))
