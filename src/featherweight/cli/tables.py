"""Formats metrics and predictions as lines and tables for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from featherweight.errors import in_a_line
from featherweight.formatting import counted
from featherweight.run.doubts import doubts, remedies
from featherweight.run.figures import class_figure, metrics_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table

    from featherweight.data.pairs import Text
    from featherweight.inference.classifier import Prediction

_MOST_CHARACTERS = 32  # of a text in a table
_WIDTH = 77  # characters of a table with all intervals, and short names of classes
_WIDTH_OF_SEVERAL = 99  # the same with several labels per text
_MOST_CLASSES = 6  # with more classes, only the three most probable ones are shown


def evaluation_lines(evaluation: dict[str, Any], recipe: Mapping[str, Any] | None = None) -> list[str]:
    """One line with all metrics for each evaluated set, then the reasons to doubt the result of the main set.

    The main set is the test set, or the validation set if there is no test set. ``recipe`` has the sections of the
    run's recipe; the advice for a better result depends on them.
    """
    sets: dict[str, Any] = {name: evaluation[name] for name in ("validation", "test") if name in evaluation}
    first = next(reversed(sets.items()), None)
    sets |= {f"shift: {name}": figures for name, figures in evaluation.get("shift", {}).items()}
    lines = [f"{name:<12} {figures_line(figures)}" for name, figures in sets.items()]
    return lines + (doubt_lines(*first, recipe or {}) if first else [])


def doubt_lines(name: str, figures: dict[str, Any], recipe: Mapping[str, Any]) -> list[str]:
    """Two lines: the reasons to doubt the result of the set ``name``, and what to try. Empty if there are none."""
    found = doubts(figures)
    return [f"warning: {name}: {', and '.join(found)}", f"  {remedies(figures, recipe)}"] if found else []


def figures_line(figures: dict[str, Any]) -> str:
    """The metrics of one set in one line; the first metric is followed by its confidence interval."""
    metrics = metrics_of(figures)
    low, high = map(metrics[0].words, figures[f"{metrics[0].key}_interval"])
    beside = {metrics[0]: f" (95% interval {low} to {high}, {counted(figures['rows'], 'row')})"}
    values = {metric: metric.value(figures) for metric in metrics}
    return ", ".join(
        f"{metric.name} {metric.words(value)}{beside.get(metric, '')}"
        for metric, value in values.items()
        if value is not None
    )


def prediction_table(texts: Sequence[Text], predictions: Sequence[Prediction]) -> Table:
    """A table with one row per text: the start of the text, its label, and the probabilities of the classes.

    With many classes only the most probable ones are shown. A dash stands for a text without labels.
    """
    from rich.table import Table

    from featherweight.data.pairs import shown

    table = Table(box=None, pad_edge=False)
    table.add_column("text", min_width=12, overflow="fold")  # a narrow terminal breaks names and texts, never numbers
    table.add_column("label", overflow="fold")
    classes = list(predictions[0].probabilities)
    many = len(classes) > _MOST_CLASSES
    for name in ["likeliest"] + [""] * 2 if many else map(in_a_line, classes):
        table.add_column(name, justify="left" if many else "right", min_width=6, overflow="fold")
    for text, prediction in zip(texts, predictions, strict=True):
        shares = sorted(prediction.probabilities.items(), key=lambda pair: -pair[1])[:3]
        likeliest = [f"{in_a_line(name)} {share:.4f}" for name, share in shares]
        cells = likeliest if many else [f"{share:.4f}" for share in prediction.probabilities.values()]
        table.add_row(_beginning(shown(text)), in_a_line(prediction.label) or "–", *cells)
    return table


def _beginning(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 3] + "..."


def per_class_table(figures: dict[str, Any], width: int | None = None) -> Table:
    """A table with precision, recall and F1 of each class, each with its 95% interval, and support.

    A dash stands for an undefined value, such as the recall of a class without rows. With several labels per text the
    table also has their average precision and threshold. In a terminal that has too few columns (``width``) for that,
    only F1 has an interval.
    """
    from rich.table import Table

    several = "task" in figures
    table = Table("label" if several else "class", box=None, pad_edge=False)
    beside = ("average\nprecision", "threshold") if several else ()
    shown = {"precision": "precision", "recall": "recall", "f1": "F1"}
    narrow = width is not None and width < (_WIDTH_OF_SEVERAL if several else _WIDTH)
    with_interval = ("f1",) if narrow else tuple(shown)
    headers = [header for key, name in shown.items() for header in (name, "95%")[: 1 + (key in with_interval)]]
    for name in (*headers, *beside, "support"):
        # Numbers are not cut: names of classes are folded in their place.
        table.add_column(name, justify="right", style="dim" if name == "95%" else "", no_wrap=True)
    for row in figures["per_class"]:
        cells = []
        for key in shown:
            figure = class_figure(row, key)
            cells += ["–" if figure is None else f"{figure:.4f}"]
            if key in with_interval:
                interval = row.get(f"{key}_interval")  # runs of earlier versions have none
                cells += ["{:.2f}-{:.2f}".format(*interval) if interval else ""]
        if several:
            precision = row["average_precision"]
            cells += ["" if precision is None else f"{precision:.4f}", f"{row['threshold']:.3f}"]
        table.add_row(in_a_line(str(row["label"])), *cells, f"{row['support']:,}")
    return table
