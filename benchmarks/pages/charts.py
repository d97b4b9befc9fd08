"""Pictures of the results in the house's style, one or two a result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    new_figure,  # fmt: skip
    percent_tick,
    rows_down,
    save_png,
    title_above,
)

Record = dict[str, Any]
US = "featherweight"
HUES = {"trainer": ORANGE, "tuned": PURPLE, "setfit": GREEN, "full": MUTED, US: BLUE}
_AXES = {"rows": "training rows", "length": "tokens of a text", "prediction": "rows of a file that is predicted"}


def draw(record: Record, folder: Path) -> list[Path]:
    """All pictures of one result; returns their paths, none where nothing was measured."""
    with drawing():
        kind = record["benchmark"].removeprefix("gpu-")
        figures = {"": _PICTURES[kind](record) if kind in _PICTURES else None}
        figures["-accuracy"] = _accuracies(record) if kind == "train" else None
        name = f"speed-{record['machine_folder']}-{record['name']}"
        return [save_png(figure, folder / f"{name}{more}.png") for more, figure in figures.items() if figure]


def _bars(axes: Any, names: Sequence[str], spreads: Sequence[Any], hue: Any) -> None:
    """Medians as bars, with the spread as a line on them."""
    places = range(len(names))
    axes.barh(places, [one["median"] for one in spreads], height=0.56, color=hue, lw=0)
    axes.hlines(places, [one["low"] for one in spreads], [one["high"] for one in spreads], color=INK, lw=1)
    rows_down(axes, list(names))


def _speeds(record: Record) -> Any:
    """Samples a second as bars, with the ratio beside them."""
    shown = {name: figures for name, figures in record["summary"].items() if figures.get("samples_per_second")}
    if not shown:
        return None
    figure = new_figure(6.6, 0.7 + 0.36 * len(shown))
    axes = figure.add_subplot()
    speeds = [figures["samples_per_second"] for figures in shown.values()]
    labels = [record["contestants"][name]["label"] for name in shown]
    _bars(axes, labels, speeds, [BLUE if name == US else MUTED for name in shown])
    axes.set_xlim(0, 1.05 * max(speed["high"] for speed in speeds))
    column(axes, 0.65, "samples/s", [f"{speed['median']:,.1f}" for speed in speeds], strong=True, hue=INK)
    ratios = [figures.get("times_faster") for figures in shown.values()]
    if any(ratios):
        column(axes, 1.75, "Featherweight is", [f"{ratio['median']:.1f}×" if ratio else "" for ratio in ratios])
    job = "Prediction" if "predict" in record["benchmark"] else "Training"
    where = " on a GPU" if record["benchmark"].startswith("gpu") else ""
    title_above(axes, f"{job}{where}, {record['settings']['backbone']}")
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
    axes.yaxis.set_major_formatter(percent_tick)
    axes.set_xlabel("seconds of training, evaluations left out")
    legend_above(axes, columns=3)
    title_above(axes, f"Validation accuracy, {record['settings']['backbone']}")
    return figure


def _shares(record: Record) -> Any:
    """The share of the peak as bars, and where the time of a step goes."""
    shares = {job: record["summary"][job]["share"] for job in ("training", "prediction")}
    shares = {job: share for job, share in shares.items() if share}
    if not shares:
        return None
    profile = record.get("profile")
    steps = [dict.fromkeys(("median", "low", "high"), row["share"]) | row for row in profile[:8]] \
        if isinstance(profile, list) else []  # fmt: skip
    figure = new_figure(6.6, 1.3 + 0.3 * (len(shares) + len(steps)))
    heights = [len(shares), len(steps)] if steps else [1]
    parts = figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    names = [row["operation"].removeprefix("aten::") for row in steps]
    blocks = [(list(shares), list(shares.values()), BLUE), (names, steps, ORANGE)]
    titles = [
        f"Share of the matrix-product peak, {record['settings']['backbone']}",
        "Where a training step's time goes",
    ]
    for axes, (rows, spreads, hue), title in zip(parts, blocks, titles, strict=False):
        _bars(axes, rows, spreads, hue)
        axes.xaxis.set_major_formatter(percent_tick)
        column(axes, 0.5, "", [f"{one['median']:.0%}" for one in spreads], strong=True)
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
        training = [1000 / point["samples_per_second"]["median"] for point in measured]
        setup = [point["setup_seconds"]["median"] for point in measured]
        top.plot(sizes, training, "o-", color=BLUE, label="training on 1,000 rows")
        top.plot(sizes, setup, "o-", color=ORANGE, label="before the first step")
        below.plot(sizes, [point["peak_memory_bytes"]["median"] / 1e9 for point in measured], "o-", color=GREEN)
        _label_sizes(top, below, sizes, axis)
    panels[0][0].set_ylabel("seconds")
    panels[1][0].set_ylabel("peak memory, GB")
    legend_above(panels[0][0], columns=1)
    return figure


def _label_sizes(top: Any, below: Any, sizes: Sequence[int], axis: str) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    _logarithmic(top, "y")
    for axes in (top, below):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(list(sizes)))
        axes.xaxis.set_major_formatter(FixedFormatter([_short_count(size) for size in sizes]))
        axes.xaxis.set_minor_locator(NullLocator())
    below.set_ylim(0, 1.1 * below.dataLim.ymax)
    below.set_xlabel(_AXES.get(axis, axis))


def _logarithmic(axes: Any, direction: str) -> None:
    """A logarithmic axis with plain numbers on it: 0.5, 1, 2, 5, 10."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    (axes.set_xscale if direction == "x" else axes.set_yscale)("log")
    side = axes.xaxis if direction == "x" else axes.yaxis
    side.set_major_locator(LogLocator(subs=(1, 2, 5)))
    side.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    side.set_minor_locator(NullLocator())


def _starts(record: Record) -> Any:
    """Seconds of each command as bars."""
    shown = {name: figures["seconds"] for name, figures in record["summary"].items() if figures["seconds"]}
    if not shown:
        return None
    figure = new_figure(6.6, 0.7 + 0.32 * len(shown))
    axes = figure.add_subplot()
    _bars(axes, [record["contestants"][name]["label"] for name in shown], list(shown.values()), BLUE)
    column(axes, 0.65, "seconds", [f"{seconds['median']:.2f}" for seconds in shown.values()], strong=True, hue=INK)
    title_above(axes, "From the start of the process")
    return figure


def _short_count(size: int) -> str:
    for unit, word in ((1_000_000, "M"), (1_000, "k")):
        if size >= unit and size % unit == 0:
            return f"{size // unit}{word}"
    return str(size)


_PICTURES: dict[str, Callable[[Record], Any]] = {
    "train": _speeds, "predict": _speeds, "limit": _shares, "scale": _growth, "startup": _starts,
}  # fmt: skip
