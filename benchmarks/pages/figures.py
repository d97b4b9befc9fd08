"""Figures of results in words and tables of Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table without the columns that are empty everywhere; figures stand on the right."""
    kept = [place for place in range(len(head)) if place == 0 or any(row[place] for row in rows)]
    lines = [[head[place] for place in kept], ["---", *["---:"] * (len(kept) - 1)]]
    lines += [[row[place].replace("|", "\\|") for place in kept] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def spread(figures: dict[str, Any] | None, unit: str = "", digits: int | None = None) -> str:
    """Median with least and greatest in brackets, where there were several runs; empty where there was none."""
    if not figures:
        return ""
    places = (0 if figures["median"] >= 100 else 1) if digits is None else digits
    text = f"{figures['median']:,.{places}f}{unit}"
    if figures["runs"] > 1:
        text += f" ({figures['low']:,.{places}f}–{figures['high']:,.{places}f})"
    return text


def gigabytes(figures: dict[str, Any], aim: float | None = None) -> str:
    """Peak memory in GB: the device's where one was used, else the process's; with the bytes aimed at."""
    peak = figures.get("device_memory_bytes") or figures.get("peak_memory_bytes")
    aimed = f" (aimed at {aim / 1e9:g})" if aim else ""
    return f"{peak['median'] / 1e9:.2f} GB{aimed}" if peak else ""


def percent(figures: dict[str, Any] | None) -> dict[str, Any] | None:
    """A spread of shares as one of percentages."""
    return figures and {key: value if key == "runs" else 100 * value for key, value in figures.items()}


def billions(figures: dict[str, Any] | None) -> dict[str, Any] | None:
    """A spread in billions, for rates in GFLOP/s."""
    return figures and {key: value if key == "runs" else value / 1e9 for key, value in figures.items()}
