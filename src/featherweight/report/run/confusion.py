"""The plot of the confusion matrix, for two to about a hundred classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featherweight.formatting import percentage
from featherweight.report.style import BLUE, GRID, INK, MUTED, ON_COLOUR, ORANGE, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_NUMBERED = 20
"""Maximum number of classes for which every cell shows its count."""
MOST_NAMED_SMALL = 6
"""Maximum number of classes for which a small matrix shows names and counts."""
MOST_NAMED = 110
"""Maximum number of classes for which every row has its name; with more, the names would be too small to read."""


def cell_inches(classes: int) -> float:
    """Side length in inches of one cell, so that its content is readable."""
    return min(1.15, max(0.42, 2.9 / classes)) if classes <= MOST_NUMBERED else 0.15


def matrix_inches(classes: int) -> tuple[float, float]:
    """Width and height in inches of a figure for the matrix and its names."""
    side = min(cell_inches(classes) * classes, 24)
    return side + 1.9, side + 1.7


def draw_confusion(axes: Axes, figures: dict[str, Any], *, small: bool = False) -> None:
    """Draw the confusion matrix: rows are true classes, columns are predicted classes.

    The intensity of a cell is its fraction of the row. Correct predictions are blue. Errors are orange, with the square
    root of the fraction, so that even 1% is visible. ``small`` is for a matrix of a few square inches, which has names
    and counts only if there are few classes.
    """
    counts = np.asarray(figures["confusion_matrix"])
    labels = [row["label"] for row in figures["per_class"]]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    _cells(axes, counts, shares)
    few = len(labels) <= (MOST_NAMED_SMALL if small else MOST_NUMBERED)
    if few:
        _numbers(axes, counts, shares)
    axes.set(xlim=(-0.5, len(labels) - 0.5), ylim=(len(labels) - 0.5, -0.5), aspect="equal")
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    named = len(labels) <= (MOST_NAMED_SMALL if small else MOST_NAMED)
    if named:
        _name_axes(axes, [shorten(label, 13) for label in labels] if small else labels)
    else:
        axes.set(xticks=[], yticks=[])
    axes.set(xlabel="predicted" if named else f"predicted, {len(labels)} classes", ylabel="true")
    if len(labels) > MOST_NUMBERED:
        axes.hlines(range(len(labels)), -0.5, len(labels) - 0.5, color=GRID, lw=0.4, zorder=0)
        axes.vlines(range(len(labels)), -0.5, len(labels) - 0.5, color=GRID, lw=0.4, zorder=0)


def most_confused(figures: dict[str, Any], count: int = 8) -> list[dict[str, Any]]:
    """The ``count`` most frequent pairs of true and wrongly predicted class, one dictionary each.

    Its keys are ``label`` (the true class), ``predicted``, the number of ``rows``, and their ``share`` of all rows with
    this label.
    """
    counts = np.array(figures["confusion_matrix"])
    supports = counts.sum(axis=1)
    np.fill_diagonal(counts, 0)
    labels = [row["label"] for row in figures["per_class"]]
    order = np.argsort(-counts, axis=None, kind="stable")[:count]
    cells = (np.unravel_index(place, counts.shape) for place in order)
    return [
        {"label": labels[i], "predicted": labels[j], "rows": int(counts[i, j]), "share": counts[i, j] / supports[i]}
        for i, j in cells
        if counts[i, j]
    ]


def _cells(axes: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
    from matplotlib.collections import PatchCollection
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Rectangle

    gap = 0.03 if len(counts) <= MOST_NUMBERED else 0.06
    squares, colours = [], []
    for i, j in np.ndindex(counts.shape):
        if not counts[i, j] and len(counts) > MOST_NUMBERED and i != j:
            continue  # thousands of empty squares would show nothing and make the file large
        squares.append(Rectangle((j - 0.5 + gap, i - 0.5 + gap), 1 - 2 * gap, 1 - 2 * gap))
        colours.append(_colour(i == j, float(shares[i, j]), bool(counts[i, j]), to_rgb))
    axes.add_collection(PatchCollection(squares, facecolors=colours, edgecolors="none", linewidths=0))


def _colour(right: bool, share: float, filled: bool, to_rgb: Any) -> tuple[float, ...]:
    if not filled:
        return (*to_rgb(MUTED), 0.07)
    return (*to_rgb(BLUE), 0.1 + 0.9 * share) if right else (*to_rgb(ORANGE), 0.1 + 0.85 * share**0.5)


def _numbers(axes: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
    few = len(counts) <= 6
    longest = len(f"{counts.max():,}")
    size = 9.0 if few else min(7.5, 34 / max(longest, 4))
    for i, j in np.ndindex(counts.shape):
        strong = shares[i, j] > 0.72 and i == j
        colour = ON_COLOUR if strong else (INK if counts[i, j] else MUTED)
        style = {"ha": "center", "va": "center", "color": colour}
        if not few:
            axes.text(j, i, f"{counts[i, j]:,}", size=size, alpha=1 if counts[i, j] else 0.6, **style)
            continue
        weight = "bold" if i == j else "normal"
        axes.annotate(
            f"{counts[i, j]:,}", (j, i), (0, 5), textcoords="offset points", size=size, weight=weight, **style
        )
        axes.annotate(percentage(float(shares[i, j]), 1), (j, i), (0, -7), textcoords="offset points", size=7, **style)


def _name_axes(axes: Axes, labels: list[str]) -> None:
    many = len(labels) > MOST_NUMBERED
    size = 6.2 if many else 8.5
    short = [shorten(label, 30 if many else 22) for label in labels]
    axes.set_yticks(range(len(labels)), short, size=size, color=INK)
    cell = cell_inches(len(labels)) * 72
    if max(map(len, short)) * size * 0.62 < cell:
        axes.set_xticks(range(len(labels)), short, size=size, color=INK)
    elif many:
        axes.set_xticks(range(len(labels)), short, size=size, color=INK, rotation=90)
    else:
        axes.set_xticks(range(len(labels)), short, size=size, color=INK)
        for tick in axes.get_xticklabels():
            tick.set(rotation=40, ha="right", rotation_mode="anchor")
