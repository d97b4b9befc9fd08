"""CSV that a spreadsheet may open: no text in it begins like a formula."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from typing import Any, Final

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
