"""The summary of a run as one wide figure with a fixed layout, for a README or a slide."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from featherweight.report.run import headline
from featherweight.report.run.bars import draw_per_class, draw_weigh_in, shown_classes
from featherweight.report.run.confusion import draw_confusion
from featherweight.report.run.contents import Contents
from featherweight.report.run.curves import draw_accuracy, draw_loss
from featherweight.report.run.reliability import draw_reliability
from featherweight.report.style import INK, MUTED, ORANGE, shorten, title_above

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 13.0, 8.0
MOST_CLASSES = 6
"""Maximum number of classes shown as bars; if there are more, those with the lowest F1 are shown."""
MOST_LABELS = 19
"""Labels shown as bars if a text may have several: then there is no confusion matrix above the bars."""
MOST_COMPONENTS = 5
"""Maximum number of components whose names fit on two lines each."""

Place = tuple[float, float, float, float]
"""Left, bottom, width and height of a plot, in inches."""


def draw_summary(run: Contents) -> Figure:
    """The figure with headline, curves, trained parameters, reliability diagram and confusion matrix.

    A plot without data is replaced by the words "not in this run".
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, HEIGHT))
    _headline(figure, run)
    figures = run.evaluated[1] if run.evaluated else {}
    _panel(figure, "Loss", (0.55, 3.7, 3.6, 2.1), run.has_curves and (lambda axes: draw_loss(axes, run)))
    _panel(figure, run.score.title, (4.95, 3.7, 3.6, 2.1), run.has_curves and (lambda axes: draw_accuracy(axes, run)))
    components = run.weigh.get("components", ())
    few = len(components) <= MOST_COMPONENTS
    place = (1.75, 0.3, 3.1, 2.35) if few else (2.5, 0.3, 2.35, 2.35)
    _panel(figure, "Weigh-in", place, components and (lambda axes: draw_weigh_in(axes, run.weigh, two_lines=few)))
    place = (6.4, 0.45, 2.15, 2.05)
    _panel(figure, "Reliability", place, figures and (lambda axes: draw_reliability(axes, figures, square=False)))
    place = (9.9, 3.05, 3.0, 3.0)
    top, most = (5.8, MOST_LABELS) if run.several else (2.03, MOST_CLASSES)
    if not run.several:
        _panel(figure, "Confusion matrix", place, figures and (lambda axes: draw_confusion(axes, figures, small=True)))
    if figures:
        height = 0.28 * len(shown_classes(figures, most))
        place = (9.9, top - height, 1.25, height)
        title = "Per label" if run.several else "Per class"
        _panel(figure, title, place, lambda axes: draw_per_class(axes, figures, most=most, letters=13))
    return figure


def _panel(figure: Figure, title: str, place: Place, draw: Callable[[Axes], None] | object) -> None:
    left, bottom, width, height = place
    axes = figure.add_axes((left / WIDTH, bottom / HEIGHT, width / WIDTH, height / HEIGHT))
    if callable(draw):
        draw(axes)
    else:
        axes.set_axis_off()
        axes.text(0, 1, "not in this run", color=MUTED, va="top", transform=axes.transAxes)
    title_above(axes, title)


def _headline(figure: Figure, run: Contents) -> None:
    def line(x: float, y: float, text: str, size: float, color: str, weight: str = "normal") -> None:
        figure.text(x / WIDTH, y / HEIGHT, text, size=size, color=color, weight=weight, va="baseline")

    doubt = headline.in_doubt(run)
    up = 0.1 if doubt else 0.0  # room for a line below the result
    line(0.1, 7.72 + up, f"Featherweight   {shorten(run.name, 60)}", 9, MUTED)
    line(0.1, 7.3 + up, headline.result(run), 19, INK, "bold")
    if doubt:
        line(0.1, 7.17, f"but {doubt}", 10, ORANGE, "bold")
    facts = headline.facts(run)
    for place, fact in enumerate(facts):
        x = 0.1 + place * min(2.6, WIDTH / len(facts))
        line(x, 6.98, fact.name, 8, MUTED)
        line(x, 6.75, shorten(fact.value, 28), 11.5, INK, "bold")
        line(x, 6.56, shorten(fact.note, 40), 8, MUTED)
