"""How figures look on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def plain_console(*, soft_wrap: bool = False) -> Console:
    """A console that prints paths and labels as they are: ``[b]`` is no mark-up and ``:x:`` no picture in them."""
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False, soft_wrap=soft_wrap)


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
