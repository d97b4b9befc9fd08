"""Pictures of the results in the house's style, one or two a result."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from featherweight.report import style
from featherweight.report.style import BLUE, GREEN, INK, MUTED, ORANGE, PURPLE, column, new_figure, title_above

Record = dict[str, Any]
US = "featherweight"
HUES = {"trainer": ORANGE, "tuned": PURPLE, "setfit": GREEN, "full": MUTED, US: BLUE}
_AXES = {"rows": "training rows", "length": "tokens of a text", "prediction": "rows of a file that is predicted"}


def draw(record: Record, folder: Path) -> list[Path]:
    """All pictures of one result; returns their paths, none where nothing was measured."""
    with style.drawing():
        kind = record["benchmark"].removeprefix("gpu-")
        figures = {"": _PICTURES[kind](record) if kind in _PICTURES else None}
        figures["-accuracy"] = _accuracies(record) if kind == "train" else None
        name = f"speed-{record['machine_folder']}-{record['name']}"
        return [style.save_png(figure, folder / f"{name}{more}.png") for more, figure in figures.items() if figure]


def _bars(axes: Any, names: Sequence[str], spreads: Sequence[Any], hue: Any) -> None:
    """Medians as bars, with the spread as a line on them."""
    places = range(len(names))
    axes.barh(places, [one["median"] for one in spreads], height=0.56, color=hue, lw=0)
    axes.hlines(places, [one["low"] for one in spreads], [one["high"] for one in spreads], color=INK, lw=1)
    style.rows_down(axes, list(names))


def _competitors(record: Record, figure: str, unit: str, title: str, row_inches: float = 0.36, digits: int = 1) -> Any:
    """Each competitor's figure as a bar, with its number beside it, and how many times faster Featherweight is."""
    shown = {name: one for name, one in record["summary"].items() if one.get(figure)}
    if not shown:
        return None
    drawn = new_figure(6.6, 0.7 + row_inches * len(shown))
    axes = drawn.add_subplot()
    spreads = [one[figure] for one in shown.values()]
    hues = BLUE if US not in record["summary"] else [BLUE if name == US else MUTED for name in shown]
    _bars(axes, [record["contestants"][name]["label"] for name in shown], spreads, hues)
    column(axes, 0.65, unit, [f"{one['median']:,.{digits}f}" for one in spreads], strong=True, hue=INK)
    ratios = [one.get("times_faster") for one in shown.values()]
    if any(ratios):
        column(axes, 1.75, "Featherweight is", [f"{ratio['median']:.1f}×" if ratio else "" for ratio in ratios])
    title_above(axes, title)
    return drawn


def _speeds(record: Record) -> Any:
    """Samples a second."""
    job = "Prediction" if "predict" in record["benchmark"] else "Training"
    where = " on a GPU" if record["benchmark"].startswith("gpu") else ""
    figure = _competitors(record, "samples_per_second", "samples/s", f"{job}{where}, {record['settings']['backbone']}")
    if figure:
        figure.axes[0].set_xlim(0, 1.05 * figure.axes[0].dataLim.xmax)
    return figure


def _accuracies(record: Record) -> Any:
    """Validation accuracy over seconds of training, a line a run."""
    runs = [run for run in record["runs"] if len(run.get("evaluations", [])) > 1]
    if not runs:
        return None
    figure = new_figure(6.6, 3.2)
    axes = figure.add_subplot()
    labels = {name: record["contestants"][name]["label"] for name in record["contestants"]}
    for run in runs:
        name, points = run["contestant"], run["evaluations"]
        xs, ys = [point["seconds"] for point in points], [point["accuracy"] for point in points]
        axes.plot(xs, ys, color=HUES.get(name, INK), label=labels.pop(name, None), alpha=0.85, lw=1.4)
    axes.axhline(record["settings"]["target_accuracy"], color=MUTED, lw=0.8, ls=(0, (4, 3)))
    _logarithmic(axes, "x")
    axes.yaxis.set_major_formatter(style.percent_tick)
    axes.set_xlabel("seconds of training, evaluations left out")
    style.legend_above(axes, columns=3)
    title_above(axes, f"Validation accuracy, {record['settings']['backbone']}")
    return figure


def _shares(record: Record) -> Any:
    """The share of the peak as bars, and where the time of a step goes."""
    shares = {job: record["summary"][job]["share"] for job in ("training", "prediction")}
    shares = {job: share for job, share in shares.items() if share}
    if not shares:
        return None
    profile = record["profile"][:8] if isinstance(record.get("profile"), list) else []
    steps = {row["operation"].removeprefix("aten::"): dict.fromkeys(("median", "low", "high"), row["share"])
             for row in profile}  # fmt: skip
    peak = f"Share of the matrix-product peak, {record['settings']['backbone']}"
    blocks = [(peak, shares, BLUE), ("Where a training step's time goes", steps, ORANGE)][: 2 if steps else 1]
    figure = new_figure(6.6, 1.3 + 0.3 * (len(shares) + len(steps)))
    parts = figure.subplots(len(blocks), 1, height_ratios=[len(rows) for _, rows, _ in blocks], squeeze=False)[:, 0]
    for axes, (title, rows, hue) in zip(parts, blocks, strict=True):
        _bars(axes, list(rows), list(rows.values()), hue)
        axes.xaxis.set_major_formatter(style.percent_tick)
        column(axes, 0.5, "", [f"{one['median']:.0%}" for one in rows.values()], strong=True)
        title_above(axes, title)
    parts[0].set_xlim(0, 1)
    return figure


def _growth(record: Record) -> Any:
    """Time and memory over each axis, both scales logarithmic."""
    points = {axis: [point for point in figures["points"] if point["samples_per_second"]]
              for axis, figures in record["summary"].items()}  # fmt: skip
    points = {axis: measured for axis, measured in points.items() if measured}
    if not points:
        return None
    figure = new_figure(2.9 * len(points) + 0.6, 4.4)
    panels = figure.subplots(2, len(points), squeeze=False)
    for (top, below), (axis, measured) in zip(panels.T, points.items(), strict=True):
        sizes = [point["size"] for point in measured]
        seconds = {"training on 1,000 rows": [1000 / point["samples_per_second"]["median"] for point in measured],
                   "before the first step": [point["setup_seconds"]["median"] for point in measured]}  # fmt: skip
        for (label, values), hue in zip(seconds.items(), (BLUE, ORANGE), strict=True):
            top.plot(sizes, values, "o-", color=hue, label=label)
        below.plot(sizes, [point["peak_memory_bytes"]["median"] / 1e9 for point in measured], "o-", color=GREEN)
        _logarithmic(top, "y")
        for axes in (top, below):
            axes.set_xscale("log")
            axes.set_xticks(sizes, [re.sub("000$", "k", str(size)).replace("000k", "M") for size in sizes])
            axes.minorticks_off()
        below.set_ylim(0, 1.1 * below.dataLim.ymax)
        below.set_xlabel(_AXES.get(axis, axis))
    panels[0][0].set_ylabel("seconds")
    panels[1][0].set_ylabel("peak memory, GB")
    style.legend_above(panels[0][0], columns=1)
    return figure


def _logarithmic(axes: Any, direction: str) -> None:
    """A logarithmic axis with plain numbers on it: 0.5, 1, 2, 5, 10."""
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set(**{f"{direction}scale": "log"})
    side = getattr(axes, f"{direction}axis")
    side.set_major_locator(LogLocator(subs=(1, 2, 5)))
    side.set_major_formatter("{x:g}")
    side.set_minor_locator(NullLocator())


_PICTURES: dict[str, Callable[[Record], Any]] = {
    "train": _speeds, "predict": _speeds, "limit": _shares, "scale": _growth,
    "startup": partial(_competitors, figure="seconds", unit="seconds", title="From the start of the process",
                       row_inches=0.32, digits=2),
}  # fmt: skip
