"""How figures look on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from featherweight.inference.classifier import Prediction

_MOST_CHARACTERS = 32  # of a text in a table
_MOST_CLASSES = 6  # whose probabilities stand side by side on a terminal


def evaluation_lines(evaluation: dict[str, Any]) -> list[str]:
    """One line a judged set: accuracy with its interval, macro-F1, log loss, calibration error."""
    sets: dict[str, Any] = {name: evaluation[name] for name in ("validation", "test") if name in evaluation}
    sets |= {f"shift: {name}": figures for name, figures in evaluation.get("shift", {}).items()}
    return [f"{name:<12} {figures_line(figures)}" for name, figures in sets.items()]


def figures_line(figures: dict[str, Any]) -> str:
    """One set's headline figures in one line."""
    low, high = figures["accuracy_interval"]
    return (
        f"accuracy {figures['accuracy']:.2%} (95% interval {low:.2%} to {high:.2%}, {figures['rows']:,} rows), "
        f"macro-F1 {figures['macro_f1']:.4f}, log loss {figures['log_loss_scaled']:.4f}, "
        f"calibration error {figures['calibration_error_scaled']:.4f}"
    )


def prediction_table(texts: Sequence[str], predictions: Sequence[Prediction]) -> Table:
    """A line a text: its beginning, the label, and the probabilities, of the likeliest classes where there are many."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("text")  # the only one that a narrow terminal may break
    table.add_column("label", no_wrap=True)
    classes = list(predictions[0].probabilities)
    many = len(classes) > _MOST_CLASSES
    for name in ["likeliest"] + [""] * 2 if many else classes:
        table.add_column(name, justify="left" if many else "right", no_wrap=True)
    for text, prediction in zip(texts, predictions, strict=True):
        shares = sorted(prediction.probabilities.items(), key=lambda pair: -pair[1])[:3]
        shown = [f"{name} {share:.4f}" for name, share in shares]
        cells = shown if many else [f"{share:.4f}" for share in prediction.probabilities.values()]
        table.add_row(_beginning(text), prediction.label, *cells)
    return table


def _beginning(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 3] + "..."


def per_class_table(figures: dict[str, Any]) -> Table:
    """Precision, recall, F1 and support of each class."""
    from rich.table import Table

    table = Table("class", "precision", "recall", "F1", "support", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in figures["per_class"]:
        shown = (f"{row[key]:.4f}" for key in ("precision", "recall", "f1"))
        table.add_row(str(row["label"]), *shown, f"{row['support']:,}")
    return table
