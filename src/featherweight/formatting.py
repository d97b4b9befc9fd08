"""How numbers, sizes, lists and cells look, wherever they are shown."""

from __future__ import annotations

import csv
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from featherweight.errors import in_a_line

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""First characters that make a spreadsheet compute a cell, after OWASP's page on CSV injection."""
QUOTED: Final = csv.QUOTE_NONNUMERIC
"""Texts in quotes: where a spreadsheet takes another character for the separator, no cell begins within a text."""


def safe_cell(value: Any) -> Any:
    """``value``; a text that begins like a formula gets an apostrophe before it, which spreadsheets do not show."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def safe_columns(columns: Mapping[str, list]) -> dict[str, list]:
    """The columns with safe names and cells; numbers stay numbers."""
    return {safe_cell(name): list(map(safe_cell, values)) for name, values in columns.items()}


def size_in_words(size: int) -> str:
    """A number of bytes as people say it: ``1.9 GB``, ``14.2 MB``, ``3 kB``."""
    for unit, name in ((10**9, "GB"), (10**6, "MB")):
        if size >= unit:
            return f"{size / unit:,.1f} {name}"
    return f"{-(-size // 1000)} kB"


def age_in_words(used: float) -> str:
    """How long ago ``used`` (seconds since 1970) was: ``3 days ago``."""
    seconds = max(0.0, time.time() - used)
    for unit, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= unit:
            count = int(seconds // unit)
            return f"{count:,} {name}{'s' if count > 1 else ''} ago"
    return "just now"


def listed(names: Sequence[str], most: int = 8) -> str:
    """The first ``most`` names, printable and on one line, with ", ..." where there are more."""
    return in_a_line(", ".join(names[:most])) + (", ..." if len(names) > most else "")


def numbered(numbers: Sequence[int], most: int = 8, thing: str = "row") -> str:
    """Numbers of rows, or of another ``thing``, in a sentence, such as ``row 5`` or ``rows 5, 8, ...``."""
    return f"{thing}{'' if len(numbers) == 1 else 's'} {listed([f'{number}' for number in numbers[: most + 1]], most)}"


def decimals(rows: int) -> int:
    """Decimals of a share in percent that ``rows`` rows can tell apart."""
    return 1 if rows < 2000 else 2


def percent(share: float, rows: int) -> str:
    """A share as percent, with as many decimals as ``rows`` can tell apart."""
    return f"{share:.{decimals(rows)}%}"


def duration(seconds: float) -> str:
    """Seconds in the unit that a person would use."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def rounded_size(count: Any) -> str:
    """Bytes in the unit that a person would use."""
    value = float(count)
    for unit in ("B", "KB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def in_sentence(names: Sequence[str]) -> str:
    """Names as in a sentence, such as ``r1, r2 and r3``."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
