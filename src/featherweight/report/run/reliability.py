"""The plot of the reliability diagram: are predictions with a probability of 90% correct in nine of ten cases?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from featherweight.report.style import BLUE, GRID, MUTED, ORANGE, legend_above, percent_tick

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEWEST_ROWS = 5
"""Bins with fewer rows are drawn as faint dots without a line, because their accuracy is mostly chance."""


def error_by_chance(bins: list[dict[str, Any]]) -> float:
    """The expected calibration error of probabilities that are right, on as many answers as ``bins`` have.

    In a bin of n answers the number of right ones is then binomial. Its mean absolute deviation from n p is
    2 v C(n, v) p^v (1 - p)^(n - v + 1) with v = floor(n p) + 1 (de Moivre; Diaconis & Zabell 1991).
    """
    filled = [b for b in bins if b["rows"]]
    return sum(_mean_deviation(b["rows"], b["confidence"]) for b in filled) / sum(b["rows"] for b in filled)


def _mean_deviation(n: int, p: float) -> float:
    v = math.floor(n * p) + 1
    if not 0 < p < 1 or v > n:
        return 0.0
    ways = math.lgamma(n + 1) - math.lgamma(v + 1) - math.lgamma(n - v + 1)  # logarithms: n may be thousands
    return 2 * v * math.exp(ways + v * math.log(p) + (n - v + 1) * math.log1p(-p))


def draw_reliability(axes: Axes, figures: dict[str, Any], *, square: bool = True) -> None:
    """Draw the accuracy of each bin over its confidence, before and after temperature scaling.

    The area of a dot is the number of rows in its bin; vertical lines are 95% intervals.
    """
    from matplotlib.ticker import MultipleLocator

    axes.plot([0, 1], [0, 1], color=MUTED, lw=1, dashes=(4, 3))
    _bins(axes, figures["reliability"], ORANGE, f"before: error {figures['calibration_error']:.1%}")
    temperature = figures.get("temperature", 1.0)
    if figures.get("reliability_scaled") and temperature != 1.0:
        error = figures["calibration_error_scaled"]
        _bins(axes, figures["reliability_scaled"], BLUE, f"after (T = {temperature:.2f}): error {error:.1%}")
    axes.set(
        xlim=(0, 1.02), ylim=(0, 1.02), aspect="equal" if square else "auto", xlabel="confidence", ylabel="accuracy"
    )
    if "task" in figures:
        axes.set(xlabel="probability of a label", ylabel="share of texts with it")
    axes.grid(True, color=GRID)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MultipleLocator(0.2))
        axis.set_major_formatter(percent_tick)
    legend_above(axes, columns=1)


def _bins(axes: Axes, bins: list[dict[str, Any]], colour: str, label: str) -> None:
    filled = [b for b in bins if b["rows"]]
    rows = np.array([b["rows"] for b in filled])
    confidence = [b["confidence"] for b in filled]
    accuracy = [b["accuracy"] for b in filled]
    solid = [b for b in filled if b["rows"] >= FEWEST_ROWS]
    for b in solid:
        if b.get("interval"):
            axes.plot([b["confidence"]] * 2, b["interval"], color=colour, lw=1.2, alpha=0.35, solid_capstyle="butt")
    axes.plot([b["confidence"] for b in solid], [b["accuracy"] for b in solid], color=colour, lw=1.2, alpha=0.7)
    sizes = 14 + 130 * rows / rows.sum()
    alphas = np.where(rows >= FEWEST_ROWS, 0.95, 0.4)
    axes.scatter(confidence, accuracy, s=sizes, color=colour, alpha=alphas, lw=0, zorder=3)
    axes.plot([], [], "o", color=colour, ms=5, mew=0, label=label)
