"""All plots of a run: one figure per subject, and a summary figure with the most important ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from featherweight.report.run.bars import component_names, draw_per_class, draw_shift, draw_weigh_in, shown_classes
from featherweight.report.run.confusion import draw_confusion, matrix_inches
from featherweight.report.run.contents import Contents, read_contents
from featherweight.report.run.curves import draw_accuracy, draw_learning_rate, draw_loss
from featherweight.report.run.reliability import draw_reliability
from featherweight.report.run.summary import draw_summary
from featherweight.report.style import drawing, new_figure, save_png, single_plot, title_above

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLES = {
    "loss": "Loss",
    "accuracy": "Accuracy",
    "learning_rate": "Learning rate",
    "confusion_matrix": "Confusion matrix",
    "per_class": "Per class",
    "reliability": "Reliability",
    "weigh_in": "Weigh-in",
    "shift": "Shift",
}


def draw_plots(run_folder: str | Path) -> list[Path]:
    """Write the PNG files in ``run_folder``/plots and return their paths.

    These are curves, learning_rate, confusion_matrix, per_class, reliability, weigh_in, shift and summary; a plot is
    left out if the run has no data for it. Raises UserError if ``run_folder`` is not a run or a file is damaged.
    """
    run = read_contents(Path(run_folder)).with_drawable_names()
    folder = run.folder / "plots"
    with drawing():
        subjects = available(run)
        curves = [subjects.pop(key) for key in ("loss", "accuracy") if key in subjects]
        figures = {name: draw() for name, draw in subjects.items()}
        for name, figure in figures.items():
            title_above(figure.axes[0], title_of(run, name))
        if curves:
            figures = {"curves": _side_by_side(run), **figures}
        if curves or run.evaluated or run.weigh:
            figures["summary"] = draw_summary(run)
        return [save_png(figure, folder / f"{name}.png") for name, figure in figures.items()]


def available(run: Contents) -> dict[str, Callable[[], Figure]]:
    """{plot name: function that returns its figure} for each plot with data; call it inside ``with drawing():``."""
    makers: dict[str, Callable[[], Figure]] = {}
    if run.has_curves:
        makers["loss"] = lambda: single_plot(4.9, 3.1, lambda axes: draw_loss(axes, run))
        makers["accuracy"] = lambda: single_plot(4.9, 3.1, lambda axes: draw_accuracy(axes, run))
    if len(run.steps["step"]):
        makers["learning_rate"] = lambda: single_plot(4.9, 2.3, lambda axes: draw_learning_rate(axes, run))
    if run.evaluated:
        figures = run.evaluated[1]
        if not run.several:
            makers["confusion_matrix"] = lambda: single_plot(
                *matrix_inches(len(figures["per_class"])), lambda axes: draw_confusion(axes, figures)
            )
        rows = shown_classes(figures)
        makers["per_class"] = lambda: _rows([row["label"] for row in rows], lambda axes: draw_per_class(axes, figures))
        makers["reliability"] = lambda: single_plot(4.4, 4.3, lambda axes: draw_reliability(axes, figures))
    if run.weigh.get("components"):
        names = component_names(run.weigh)
        makers["weigh_in"] = lambda: _rows(names, lambda axes: draw_weigh_in(axes, run.weigh), 0.36)
    if run.shift and run.evaluated:
        sets = {run.evaluated[0]: run.evaluated[1], **run.shift}
        makers["shift"] = lambda: _rows(list(sets), lambda axes: draw_shift(axes, sets))
    return makers


def title_of(run: Contents, name: str) -> str:
    """The title of the plot ``name``, such as "Weigh-in" for ``weigh_in``, the plot of the trained parameters."""
    own = {"accuracy": run.score.title, "per_class": "Per label" if run.several else TITLES["per_class"]}
    return own.get(name, TITLES[name])


def _rows(names: list[str], draw: Callable[[Axes], None], row_height: float = 0.26) -> Figure:
    """A figure that ``draw`` fills, high enough for one row per name; short names make it narrow, to fit on phones."""
    letters = min(30, max((len(line) for name in names for line in name.split("\n")), default=0))
    return single_plot(4.4 + max(0.0, 0.062 * (letters - 10)), 0.85 + row_height * len(names), draw)


def _side_by_side(run: Contents) -> Figure:
    figure = new_figure(9.8, 3.4)
    for axes, draw, name in zip(figure.subplots(1, 2), (draw_loss, draw_accuracy), ("loss", "accuracy"), strict=True):
        draw(axes, run)
        title_above(axes, title_of(run, name))
    return figure
