"""Bar charts and dot plots with one row per class, per component of the adapter, or per evaluated set."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from featherweight.formatting import percentage
from featherweight.report.style import BLUE, GREEN, INK, MUTED, ORANGE, PURPLE, column, percent_tick, rows_down, shorten
from featherweight.run.figures import class_figure, metrics_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_CLASSES = 30
"""Maximum number of classes shown as bars. Of more classes, those with the lowest F1 are shown; the table has all."""
NONE = "–"
"""For an undefined value, such as the recall of a class without rows."""
KIND_COLOURS = {"lora": BLUE, "head": ORANGE, "bias": GREEN, "dora": PURPLE}


def shown_classes(figures: dict[str, Any], most: int = MOST_CLASSES) -> list[dict[str, Any]]:
    """The entries of ``figures["per_class"]`` to show as bars; ``figures`` are the metrics of one evaluated set.

    Up to ``most`` classes are all shown, in their order. If there are more, only those with the lowest F1 are shown;
    those whose F1 is undefined come last.
    """
    rows = figures["per_class"]
    return rows if len(rows) <= most else sorted(rows, key=lambda row: (_undefined(row, "f1"), row["f1"]))[:most]


def _undefined(row: dict[str, Any], key: str) -> bool:
    return class_figure(row, key) is None


def draw_per_class(axes: Axes, figures: dict[str, Any], *, most: int = MOST_CLASSES, letters: int = 28) -> None:
    """Draw one row per class: F1 as a bar with its 95% interval as a line, precision and recall as marks, and numbers.

    At most ``most`` classes are shown, and their names are shortened to ``letters`` characters.
    """
    rows = shown_classes(figures, most)
    places = np.arange(len(rows))
    axes.barh(places, [row["f1"] for row in rows], height=0.56, color=BLUE, alpha=0.35, lw=0)
    for height, row in enumerate(rows):
        if interval := row.get("f1_interval"):  # runs of earlier versions have none
            axes.plot(interval, [height, height], color=BLUE, lw=1.1, solid_capstyle="butt")
    axes.plot(_drawn(rows, "precision"), places - 0.1, "|", color=INK, ms=9, mew=1.6)
    axes.plot(_drawn(rows, "recall"), places + 0.1, "o", color=ORANGE, ms=4.2, mew=0)
    rows_down(axes, [shorten(row["label"], letters) for row in rows])
    axes.set_xlim(0, 1.015)
    if len(rows) < len(figures["per_class"]):
        classes = "labels" if "task" in figures else "classes"
        axes.set_xlabel(f"the {len(rows)} of {len(figures['per_class'])} {classes} with the lowest F1")
    axes.xaxis.set_major_formatter(percent_tick)
    # The coloured headings replace a legend.
    for place, key, heading, hue in (
        (0.5, "f1", "▬ F1", BLUE),
        (1.02, "precision", "| prec.", INK),
        (1.57, "recall", "• recall", ORANGE),
    ):
        cells = [NONE if _undefined(row, key) else percentage(row[key], 1).removesuffix("%") for row in rows]
        column(axes, place, heading, cells, strong=key == "f1", hue=hue)
    column(axes, 2.05, "rows", [f"{row['support']:,}" for row in rows])


def _drawn(rows: list[dict[str, Any]], key: str) -> list[float]:
    """The precision or recall (``key``) of each class to draw: NaN, which is not drawn, if it is undefined."""
    return [math.nan if _undefined(row, key) else row[key] for row in rows]


def draw_weigh_in(axes: Axes, weigh: dict[str, Any], *, two_lines: bool = True) -> None:
    """Draw the number of trained parameters per component as stacked bars, their total, and the budget as a line.

    ``weigh`` is the content of weigh.json; a component is, for example, the head, or LoRA matrices of one rank.
    ``two_lines`` breaks long names after the first comma; otherwise they stay on one line in smaller type.
    """
    parts, total, budget = weigh["components"], weigh["total"], weigh.get("budget")
    counts, names = [part["parameters"] for part in parts], [*(part["name"] for part in parts), "total"]
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]) if counts else np.zeros(0)
    colours = [KIND_COLOURS.get(part["kind"], MUTED) for part in parts]
    axes.barh(range(len(parts)), counts, left=starts, height=0.56, color=colours, edgecolor=colours, lw=0.8)
    axes.barh(len(parts), total, height=0.56, color=MUTED, lw=0)
    rows_down(axes, component_names(weigh) if two_lines else [shorten(name, 42) for name in names])
    if not two_lines:
        axes.tick_params(axis="y", labelsize=7.5)
    axes.get_yticklabels()[-1].set_weight("bold")
    axes.set_xlim(0, max(budget or 0, total) * 1.006)
    if budget:
        _budget_line(axes, budget, total)
    _count_axis(axes)
    column(axes, 0.8, "", [*(f"{count:,}" for count in counts), f"{total:,}"])
    axes.texts[-1].set_weight("bold")


def _budget_line(axes: Axes, budget: int, total: int) -> None:
    axes.axvline(budget, color=INK, lw=1.4)
    axes.annotate(
        f"budget {budget:,}, {budget - total:,} left", (budget, 1), (0, 4),
        xycoords=("data", "axes fraction"), textcoords="offset points", ha="right", va="bottom", color=INK, gid="above",
    )  # fmt: skip


def component_names(weigh: dict[str, Any]) -> list[str]:
    """The row labels for ``draw_weigh_in``: component names, long ones broken after the first comma, and "total"."""
    pairs = [part["name"].split(", ", 1 if len(part["name"]) > 24 else 0) for part in weigh["components"]]
    return [*("\n".join(shorten(line, 28) for line in pair) for pair in pairs), "total"]


def draw_shift(axes: Axes, sets: dict[str, dict[str, Any]]) -> None:
    """Draw the accuracy of each set with its 95% interval; the first set is in-domain, the others are shift sets.

    If a text may have several labels, micro-F1 is drawn instead.
    """
    from matplotlib.ticker import MaxNLocator

    metric = metrics_of(next(iter(sets.values())))[0]
    interval = f"{metric.key}_interval"
    for row, (_, figures) in enumerate(sets.items()):
        low, high = figures[interval]
        colour = ORANGE if row else BLUE
        axes.plot([low, high], [row, row], color=colour, lw=3.2, alpha=0.45)
        axes.plot(figures[metric.key], row, "o", color=colour, ms=7, mew=0)
    rows_down(axes, [shorten(name, 30) for name in sets])
    lowest = min(figures[interval][0] for figures in sets.values())
    axes.set_xlim(max(0, lowest - 0.05), 1.002)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(percent_tick)
    column(axes, 0.62, metric.name, [percentage(figures[metric.key], 1) for figures in sets.values()], strong=True)
    column(axes, 1.25, "rows", [f"{figures['rows']:,}" for figures in sets.values()])


def _count_axis(axes: Axes) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
