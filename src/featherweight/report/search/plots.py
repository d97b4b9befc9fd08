"""The plots of a search: results in order, importance of keys, accuracy over parameters, and all keys side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from featherweight.recipe.search_space import BACKBONE
from featherweight.report.search.trials import TrialRow, in_order, short_key, short_names, shown_value
from featherweight.report.style import (
    BLUE,
    GRID,
    INK,
    MUTED,
    ORANGE,
    column,
    count_tick,
    percent_tick,
    rows_down,
    shorten,
)
from featherweight.run.figures import Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BEST = 3
"""Number of trials that stand out in the parallel coordinates."""


def draw_history(axes: Axes, rows: Sequence[TrialRow], metric: Metric) -> None:
    """Draw the result of each trial in the order of their numbers, and a line of the best result so far."""
    complete = [row for row in rows if row.value is not None]
    values = [row.value for row in complete if row.value is not None]
    numbers = [row.number for row in complete]
    better = max if metric.higher_is_better else min
    axes.step(numbers, list(accumulate(values, better)), where="post", color=BLUE, alpha=0.5)
    axes.plot(numbers, values, "o", color=BLUE, ms=5, mew=0)
    low = min(values, default=0.0)
    early = [row.number for row in rows if not row.complete]
    axes.plot(early, [low] * len(early), "x", color=MUTED, ms=5, mew=1.2)
    _figure_axis(axes, metric)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set(xlabel="trial", ylabel=metric.name)


def draw_importance(axes: Axes, importance: Mapping[str, float]) -> None:
    """Draw one bar per key: the share of the variance of the results that the key explains."""
    names = sorted(importance, key=lambda key: -importance[key])
    axes.barh(range(len(names)), [importance[name] for name in names], color=BLUE, height=0.62)
    rows_down(axes, [shorten(name, 34) for name in names])
    axes.xaxis.set_major_formatter(percent_tick)
    column(axes, 0.5, "", [f"{importance[name]:.0%}" for name in names])


def draw_frontier(axes: Axes, rows: Sequence[TrialRow], metric: Metric) -> None:
    """Draw the result of each trial over its number of trained parameters, and the Pareto front as a step line.

    The front has each trial that is better than all trials with fewer parameters.
    """
    complete = [row for row in rows if row.value is not None and row.parameters]
    axes.plot([row.parameters for row in complete], [row.value for row in complete], "o", color=BLUE, ms=5, mew=0)
    frontier: list[TrialRow] = []
    for row in sorted(
        in_order(complete, higher_is_better=metric.higher_is_better), key=lambda one: one.parameters or 0
    ):
        if not frontier or _better(row, frontier[-1], metric):
            frontier.append(row)
    if len(frontier) > 1:
        places = [(row.parameters, row.value) for row in frontier]
        axes.step(*zip(*places, strict=True), where="post", color=MUTED, lw=1.2)
    sizes = [row.parameters or 0 for row in complete]
    if max(sizes) > 3 * min(sizes):
        axes.set_xscale("log")
    axes.xaxis.set_major_formatter(count_tick)
    axes.minorticks_off()
    _figure_axis(axes, metric)
    axes.set(xlabel="trained parameters", ylabel=metric.name)


def draw_parallel(axes: Axes, rows: Sequence[TrialRow], metric: Metric) -> None:
    """Draw parallel coordinates: one axis per key, and one line per completed trial; the best trials are coloured."""
    complete = in_order([row for row in rows if row.complete], higher_is_better=metric.higher_is_better)
    keys = list(dict.fromkeys(key for row in complete for key in row.values))
    scales = [_scale([row.values.get(key) for row in complete]) for key in keys]
    results = _scale([row.value for row in complete])
    for place, row in reversed(list(enumerate(complete))):
        heights = [scale[_text(row.values.get(key))] for key, scale in zip(keys, scales, strict=True)]
        best = place < _BEST
        colour = ORANGE if place == 0 else BLUE if best else MUTED
        axes.plot(range(len(keys) + 1), [*heights, results[_text(row.value)]], color=colour, lw=2 if best else 0.8,
                  alpha=1 if best else 0.35)  # fmt: skip
    axes.set_xticks(range(len(keys) + 1), [*map(short_key, keys), metric.name], rotation=18, ha="right")
    axes.set_yticks([])
    axes.grid(False, axis="y")
    axes.grid(True, axis="x")
    axes.spines["left"].set_visible(False)
    for place, key in enumerate(keys):
        _ends(axes, place, key, [row.values.get(key) for row in complete], scales[place])
    shares = [row.value for row in complete if row.value is not None]
    for height, value in ((0.0, min(shares)), (1.0, max(shares))):
        axes.annotate(metric.words(value), (len(keys), height), (4, 0), textcoords="offset points", va="center",
                      color=INK, fontsize=7.5)  # fmt: skip


def _ends(axes: Axes, place: int, key: str, values: Sequence[Any], scale: Mapping[str, float]) -> None:
    """Write the values of ``key`` beside its axis: all if there are at most 6, otherwise the lowest and the highest."""
    short = short_names(str(value) for value in values) if key == BACKBONE else {}
    shown = sorted({_text(value): value for value in values}.items(), key=lambda item: scale[item[0]])
    if len(shown) > 6:
        shown = [shown[0], shown[-1]]
    for text, value in shown:
        label = shorten(short.get(value, shown_value(value)), 16)
        axes.annotate(label, (place, scale[text]), (4, 3), textcoords="offset points", va="bottom", color=INK,
                      fontsize=7.5)  # fmt: skip


def _scale(values: Sequence[Any]) -> dict[str, float]:
    """{repr of a value: its height on the axis, from 0 to 1}.

    Numbers are on a linear scale, or on a logarithmic one if all are positive and the largest is more than 20 times the
    smallest. Other values are sorted as texts and have equal distances.
    """
    distinct = {_text(value): value for value in values}
    numbers = [value for value in distinct.values() if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) == len(distinct) and len(numbers) > 1:
        log = min(numbers) > 0 and max(numbers) / min(numbers) > 20
        height = {text: math.log(value) if log else float(value) for text, value in distinct.items()}
    else:
        height = {text: float(place) for place, text in enumerate(sorted(distinct))}
    low, high = min(height.values()), max(height.values())
    return {text: (value - low) / (high - low) if high > low else 0.5 for text, value in height.items()}


def _text(value: Any) -> str:
    return repr(value)


def _better(row: TrialRow, other: TrialRow, metric: Metric) -> bool:
    assert row.value is not None and other.value is not None
    return row.value > other.value if metric.higher_is_better else row.value < other.value


def _figure_axis(axes: Axes, metric: Metric) -> None:
    if metric.in_percent:
        axes.yaxis.set_major_formatter(percent_tick)
    axes.grid(True, color=GRID)
