"""Tables of Markdown, and the figures in them: what the templates call beside the macros of ``figures.md``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_PADDING_OF_A_LONG_RUN = 0.1


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table without the columns that are empty everywhere; figures stand on the right."""
    shown = [place for place in range(len(head)) if place == 0 or any(row[place] for row in rows)]
    lines = [[head[place] for place in shown], ["---", *["---:"] * (len(shown) - 1)]]
    lines += [[row[place].replace("|", "\\|") for place in shown] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def spread(figures: dict[str, Any] | None, unit: str = "", digits: int | None = None, scale: float = 1) -> str:
    """Median with least and greatest in brackets, where there were several runs; empty where there was none."""
    if not figures:
        return ""
    median, low, high = (scale * figures[key] for key in ("median", "low", "high"))
    places = digits
    if places is None:
        places = 0 if median >= 100 else 1
    text = f"{median:,.{places}f}{unit}"
    return f"{text} ({low:,.{places}f}–{high:,.{places}f})" if figures["runs"] > 1 else text


def did_not_run(label: str, figures: dict[str, Any], columns: int) -> list[str]:
    """The row of a competitor without figures, with the reason."""
    return [label, f"did not run: {figures['failed']}", *[""] * (columns - 2)]


def is_of_a_weak_peer(record: dict[str, Any]) -> bool:
    """Whether the tuned Trainer of a training's result padded more than it would on all rows of the data."""
    padding = record["summary"].get("tuned", {}).get("padding_share")
    return bool(padding) and padding["median"] > _PADDING_OF_A_LONG_RUN
