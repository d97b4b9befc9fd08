"""The plots of a comparison of rounds (configurations that are each trained with several seeds).

They show the accuracy of each round and seed, the differences between rounds, accuracy over trained parameters, and
accuracy on shift sets (test sets from other distributions).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from featherweight.evaluation.comparison import Comparison
from featherweight.evaluation.differences import Difference
from featherweight.evaluation.round import Round
from featherweight.evaluation.significance import p_digits
from featherweight.report.comparison.tables import accuracy, percent
from featherweight.report.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    column,
    count_tick,
    legend_above,
    percent_tick,
    rows_down,
    shorten,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = (BLUE, ORANGE, GREEN, PURPLE)
DASHES = ("-", (0, (4, 2)), (0, (1, 1.5)))
"""Line styles of the first four rounds, of the next four, and of the others."""
MARKS = "oDs^vP*X"
"""Markers of the shift sets."""
LABEL_GAP = 0.078
"""Minimum distance between two labels, as a fraction of the height of the plot."""


def colour_of(comparison: Comparison, round_: Round) -> str:
    """The colour of a round in all plots; baselines are grey."""
    return MUTED if round_.baseline is not None else COLOURS[comparison.own.index(round_) % len(COLOURS)]


def draw_rounds(axes: Axes, comparison: Comparison) -> None:
    """Draw the mean accuracy of each round, its 95% confidence interval as a line, and each seed as a ring."""
    for row, round_ in enumerate(comparison.rounds):
        colour = colour_of(comparison, round_)
        axes.plot(round_.interval, [row, row], color=colour, lw=3.2, alpha=0.4)
        mean = {"ls": "", "marker": "o", "ms": 7, "mew": 0}
        if len(round_.runs) > 1:
            seeds = round_.figures["accuracy"]
            axes.plot(seeds, [row] * len(seeds), "o", color=colour, ms=5, mfc="none", mew=1.1)
            mean = {"ls": "", "marker": "|", "ms": 13, "mew": 2.2}
        axes.plot(round_.mean("accuracy"), row, color=colour, **mean)
    rows_down(axes, [shorten(round_.name, 34) for round_ in comparison.rounds])
    axes.xaxis.set_major_formatter(percent_tick)
    _few_ticks(axes)
    column(
        axes,
        1.05,
        f"{comparison.metric.name} %",
        [accuracy(comparison, round_) for round_ in comparison.rounds],
        strong=True,
    )


def draw_differences(axes: Axes, pairs: Sequence[Difference]) -> None:
    """Draw the difference in accuracy of each pair of rounds, in percentage points, with its 95% interval.

    Blue: the difference is significant. Orange: it is significant between these runs, but runs with other seeds may not
    differ. Grey: it is not significant.
    """
    colours = {"significant": BLUE, "these_runs_only": ORANGE, "not_significant": MUTED}
    axes.axvline(0, color=INK, lw=1)
    for row, pair in enumerate(pairs):
        colour = colours[pair.verdict]
        axes.plot([100 * pair.low, 100 * pair.high], [row, row], color=colour, lw=3.2, alpha=0.45)
        axes.plot(100 * pair.difference, row, "o", color=colour, ms=6.5, mew=0)
    rows_down(axes, [f"{shorten(pair.first, 22)} over {shorten(pair.second, 28)}" for pair in pairs])
    _few_ticks(axes)
    axes.xaxis.set_major_formatter(lambda points, _: f"{points:+g}" if points else "0")
    axes.set_xlabel("points of subset accuracy" if any(pair.micro_f1 for pair in pairs) else "points of accuracy")
    column(axes, 0.62, "points", [f"{100 * pair.difference:+.2f}" for pair in pairs], strong=True)
    greater = [max(pair.corrected, pair.seeds_p_value or 0.0) for pair in pairs]
    column(axes, 1.25, "p", ["<0.0001" if p < 1e-4 else p_digits(p) for p in greater])


def draw_frontier(axes: Axes, comparison: Comparison) -> None:
    """Draw the accuracy of each round over its number of trained parameters.

    A step line shows the best accuracy up to each number of parameters. TF-IDF baselines are horizontal lines.
    """
    points = [round_ for round_ in comparison.rounds if round_.parameters and not round_.is_tfidf]
    bags = [round_ for round_ in comparison.rounds if round_.is_tfidf]
    for round_ in points:
        colour = colour_of(comparison, round_)
        axes.plot([round_.parameters] * 2, round_.interval, color=colour, lw=2.6, alpha=0.35)
        axes.plot(round_.parameters, round_.mean("accuracy"), "o", color=colour, ms=7, mew=0)
    for round_ in bags:
        axes.axhline(round_.mean("accuracy") or 0.0, color=MUTED, lw=1, dashes=(4, 3))
    sizes = [round_.parameters or 0 for round_ in points]
    if len(points) > 1:
        _staircase(axes, points)
    if sizes and max(sizes) > 3 * min(sizes):
        axes.set_xscale("log")
    axes.margins(x=0.08, y=0.08)
    axes.xaxis.set_major_formatter(count_tick)
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(percent_tick)
    axes.set(xlabel="trained parameters", ylabel=comparison.metric.name)
    _labels_beside(axes, comparison, [*points, *bags])


def draw_shift(axes: Axes, comparison: Comparison, numbers: Mapping[str, str] | None = None) -> None:
    """Draw the accuracy of each round on the test set and on every shift set; lines show the range over the seeds.

    ``numbers`` maps each name that no installed font can draw to the text that is drawn instead.
    """
    keys = {comparison.split: "accuracy"} | {name: f"shift: {name}" for name in comparison.shift_sets}
    for place, (name, key) in enumerate(keys.items()):
        colour = [INK, ORANGE, GREEN, PURPLE, BLUE][place % 5]
        present = [(row, round_) for row, round_ in enumerate(comparison.rounds) if round_.mean(key) is not None]
        for row, round_ in present:
            values = [value for value in round_.figures[key] if value is not None]
            axes.plot([min(values), max(values)], [row, row], color=colour, lw=2.6, alpha=0.35)
        means, rows = [round_.mean(key) for _, round_ in present], [row for row, _ in present]
        axes.plot(
            means,
            rows,
            MARKS[place % len(MARKS)],
            color=colour,
            ms=6,
            mew=0,
            label=shorten((numbers or {}).get(name, name), 24),
        )
    rows_down(axes, [shorten(round_.name, 34) for round_ in comparison.rounds])
    axes.xaxis.set_major_formatter(percent_tick)
    _few_ticks(axes)
    legend_above(axes, columns=3)


def _staircase(axes: Axes, points: Sequence[Round]) -> None:
    """Draw a step line: the best accuracy that any of ``points`` reaches with at most so many trained parameters."""
    ordered = sorted(points, key=lambda round_: (round_.parameters or 0, -(round_.mean("accuracy") or 0.0)))
    best = np.maximum.accumulate([round_.mean("accuracy") or 0.0 for round_ in ordered])
    axes.step([round_.parameters for round_ in ordered], best, where="post", color=MUTED, lw=1.2, alpha=0.7, zorder=0)


def _labels_beside(axes: Axes, comparison: Comparison, rounds: Sequence[Round]) -> None:
    """Write the names of ``rounds`` to the right of the axes, without overlap, each with a line to its point."""
    low, high = axes.get_ylim()
    ordered = sorted(rounds, key=lambda round_: round_.mean("accuracy") or 0.0)
    heights = [((round_.mean("accuracy") or 0.0) - low) / (high - low) for round_ in ordered]
    for round_, height in zip(ordered, pushed_apart(heights), strict=True):
        value, bag = round_.mean("accuracy") or 0.0, round_.is_tfidf
        point, frame = (
            ((1.0, value), axes.get_yaxis_transform()) if bag else ((round_.parameters, value), axes.transData)
        )
        axes.annotate(
            f"{shorten(round_.name, 30)}  {percent(comparison, value)}", point, (1.06, height), xycoords=frame,
            textcoords="axes fraction", va="center", color=INK, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour_of(comparison, round_), "lw": 0.7, "alpha": 0.6,
                        "shrinkA": 2, "shrinkB": 0 if bag else 5, "relpos": (0, 0.5)},
        )  # fmt: skip


def pushed_apart(heights: Sequence[float]) -> list[float]:
    """``heights`` (ascending), moved as little as possible so that neighbours are at least ``LABEL_GAP`` apart."""
    placed: list[list[float]] = []  # clusters of neighbours that touch
    for height in heights:
        placed.append([height])
        while len(placed) > 1 and _bottom(placed[-1]) < _bottom(placed[-2]) + LABEL_GAP * len(placed[-2]):
            placed[-2:] = [placed[-2] + placed[-1]]
    return [_bottom(cluster) + LABEL_GAP * place for cluster in placed for place in range(len(cluster))]


def _bottom(cluster: Sequence[float]) -> float:
    return sum(cluster) / len(cluster) - LABEL_GAP * (len(cluster) - 1) / 2


def _few_ticks(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(5))
