"""Pictures of the results in the house's style, one or two a result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from featherweight.report.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    column,
    drawing,
    legend_above,
    new_figure,
    percent_tick,
    rows_down,
    save_png,
    title_above,
)

Record = dict[str, Any]
US = "featherweight"
HUES = {"trainer": ORANGE, "tuned": PURPLE, "setfit": GREEN, "full": MUTED, US: BLUE}


def draw(record: Record, folder: Path) -> list[Path]:
    """All pictures of one result; returns their paths, none where nothing was measured."""
    with drawing():
        if record["benchmark"] in ("train", "gpu-train"):
            return [*_speeds(record, folder), *_accuracies(record, folder)]
        kinds = {"predict": _speeds, "gpu-predict": _speeds, "limit": _shares, "scale": _growth, "startup": _starts}
        return kinds[record["benchmark"]](record, folder) if record["benchmark"] in kinds else []


def _speeds(record: Record, folder: Path) -> list[Path]:
    """Samples a second as bars, with the ratio beside them and the spread as a line on them."""
    shown = {name: figures for name, figures in record["summary"].items() if figures.get("samples_per_second")}
    if not shown:
        return []
    figure = new_figure(6.6, 0.7 + 0.36 * len(shown))
    axes = figure.add_subplot()
    speeds = [figures["samples_per_second"] for figures in shown.values()]
    medians = [speed["median"] for speed in speeds]
    axes.barh(range(len(shown)), medians, height=0.56, color=[BLUE if name == US else MUTED for name in shown], lw=0)
    axes.hlines(range(len(shown)), [s["low"] for s in speeds], [s["high"] for s in speeds], color=INK, lw=1)
    rows_down(axes, [record["contestants"][name]["label"] for name in shown])
    axes.set_xlim(0, 1.05 * max(speed["high"] for speed in speeds))
    column(axes, 0.65, "samples/s", [f"{median:,.1f}" for median in medians], strong=True, hue=INK)
    ratios = [figures.get("times_faster") for figures in shown.values()]
    if any(ratios):
        column(axes, 1.75, "Featherweight is", [f"{ratio['median']:.1f}×" if ratio else "" for ratio in ratios])
    job = "Prediction" if "predict" in record["benchmark"] else "Training"
    where = " on a GPU" if record["benchmark"].startswith("gpu") else ""
    title_above(axes, f"{job}{where}, {record['settings']['backbone']}")
    return [save_png(figure, folder / f"speed-{record['name']}.png")]


def _accuracies(record: Record, folder: Path) -> list[Path]:
    """Validation accuracy over seconds of training, a line a run."""
    runs = [run for run in record["runs"] if len(run.get("evaluations", [])) > 1]
    if not runs:
        return []
    figure = new_figure(6.6, 3.2)
    axes = figure.add_subplot()
    labelled: set[str] = set()
    for run in runs:
        name, points = run["contestant"], run["evaluations"]
        label = None if name in labelled else record["contestants"][name]["label"]
        labelled.add(name)
        xs, ys = [point["seconds"] for point in points], [point["accuracy"] for point in points]
        axes.plot(xs, ys, color=HUES.get(name, INK), label=label, alpha=0.85, lw=1.4)
    axes.axhline(record["settings"]["target_accuracy"], color=MUTED, lw=0.8, ls=(0, (4, 3)))
    _logarithmic(axes, "x")
    axes.yaxis.set_major_formatter(percent_tick)
    axes.set_xlabel("seconds of training, evaluations left out")
    legend_above(axes, columns=3)
    title_above(axes, f"Validation accuracy, {record['settings']['backbone']}")
    return [save_png(figure, folder / f"speed-{record['name']}-accuracy.png")]


def _shares(record: Record, folder: Path) -> list[Path]:
    """The share of the peak as bars, and where the time of a step goes."""
    jobs = [job for job in ("training", "prediction") if record["summary"][job]["share"]]
    if not jobs:
        return []
    profile = record.get("profile") if isinstance(record.get("profile"), list) else []
    found = (profile or [])[:8]
    figure = new_figure(6.6, 1.3 + 0.3 * (len(jobs) + len(found)))
    heights = [len(jobs), len(found)] if found else [1]
    parts = figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    shares = [record["summary"][job]["share"] for job in jobs]
    _bars(parts[0], jobs, [share["median"] for share in shares], BLUE)
    parts[0].hlines(range(len(jobs)), [s["low"] for s in shares], [s["high"] for s in shares], color=INK, lw=1)
    parts[0].set_xlim(0, 1)
    title_above(parts[0], f"Share of the matrix-product peak, {record['settings']['backbone']}")
    if found:
        names = [row["operation"].removeprefix("aten::") for row in found]
        _bars(parts[1], names, [row["share"] for row in found], ORANGE)
        title_above(parts[1], "Where a training step's time goes")
    return [save_png(figure, folder / f"speed-{record['name']}.png")]


def _bars(axes: Any, names: Sequence[str], shares: Sequence[float], hue: str) -> None:
    axes.barh(range(len(names)), shares, height=0.56, color=hue, lw=0)
    rows_down(axes, list(names))
    axes.xaxis.set_major_formatter(percent_tick)
    column(axes, 0.5, "", [f"{share:.0%}" for share in shares], strong=True)


def _growth(record: Record, folder: Path) -> list[Path]:
    """Time and memory over each axis, both scales logarithmic."""
    measured = {
        axis: [point for point in figures["points"] if point["samples_per_second"]]
        for axis, figures in record["summary"].items()
    }
    measured = {axis: points for axis, points in measured.items() if points}
    if not measured:
        return []
    figure = new_figure(2.9 * len(measured) + 0.6, 4.4)
    panels = figure.subplots(2, len(measured), squeeze=False)
    for place, (axis, points) in enumerate(measured.items()):
        sizes = [point["size"] for point in points]
        training = [1000 / point["samples_per_second"]["median"] for point in points]
        setup = [point["setup_seconds"]["median"] for point in points]
        memory = [point["peak_memory_bytes"]["median"] / 1e9 for point in points]
        top, below = panels[0][place], panels[1][place]
        top.plot(sizes, training, "o-", color=BLUE, label="training on 1,000 rows")
        top.plot(sizes, setup, "o-", color=ORANGE, label="before the first step")
        below.plot(sizes, memory, "o-", color=GREEN)
        _label_sizes(top, below, sizes, axis)
    panels[0][0].set_ylabel("seconds")
    panels[1][0].set_ylabel("peak memory, GB")
    legend_above(panels[0][0], columns=1)
    return [save_png(figure, folder / f"speed-{record['name']}.png")]


def _label_sizes(top: Any, below: Any, sizes: Sequence[int], axis: str) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    _logarithmic(top, "y")
    for axes in (top, below):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(list(sizes)))
        axes.xaxis.set_major_formatter(FixedFormatter([_short_count(size) for size in sizes]))
        axes.xaxis.set_minor_locator(NullLocator())
    below.set_ylim(0, 1.1 * below.dataLim.ymax)
    names = {"rows": "training rows", "length": "tokens of a text", "prediction": "rows of a file that is predicted"}
    below.set_xlabel(names.get(axis, axis))


def _logarithmic(axes: Any, direction: str) -> None:
    """A logarithmic axis with plain numbers on it: 0.5, 1, 2, 5, 10."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    (axes.set_xscale if direction == "x" else axes.set_yscale)("log")
    side = axes.xaxis if direction == "x" else axes.yaxis
    side.set_major_locator(LogLocator(subs=(1, 2, 5)))
    side.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    side.set_minor_locator(NullLocator())


def _starts(record: Record, folder: Path) -> list[Path]:
    """Seconds of each command as bars."""
    shown = {name: figures for name, figures in record["summary"].items() if figures["seconds"]}
    if not shown:
        return []
    figure = new_figure(6.6, 0.7 + 0.32 * len(shown))
    axes = figure.add_subplot()
    medians = [figures["seconds"]["median"] for figures in shown.values()]
    axes.barh(range(len(shown)), medians, height=0.56, color=BLUE, lw=0)
    rows_down(axes, [record["contestants"][name]["label"] for name in shown])
    column(axes, 0.65, "seconds", [f"{median:.2f}" for median in medians], strong=True, hue=INK)
    title_above(axes, "From the start of the process")
    return [save_png(figure, folder / f"speed-{record['name']}.png")]


def _short_count(size: int) -> str:
    for unit, word in ((1_000_000, "M"), (1_000, "k")):
        if size >= unit and size % unit == 0:
            return f"{size // unit}{word}"
    return str(size)
