"""Recognises tables that R wrote by ``write.table``: quoted names, blanks between fields, names before the rows."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

from featherweight.data.readers.reading import Reading

SEPARATORS = (" ", ",", ";", "\t")
_BACKSLASHED = '\\"'
_QUOTED = r'"[^"]*"'
_NAMES = ("id", "row", "row.names")


@dataclass(frozen=True)
class TableOfR:
    """The layout of a table of R, and the records at its beginning."""

    separator: str
    backslashes: bool
    row_names: str | None
    """The name for a column of names before the rows, which has no name in the header; None without such a column."""
    sample: tuple[Sequence[str], ...]
    """The first records, the header included; the header has a name for the names of the rows."""


def table_of_r(lines: Sequence[str], cut: bool, reading: Reading) -> TableOfR | None:
    """The layout of a table that begins with ``lines``; None if R would not have written it, or if it is usual CSV.

    In the first line all names are quoted. Either the fields are separated by blanks, or each row begins with a field
    that the first line lacks. ``cut`` says whether the last line may be incomplete.
    """
    first = next((line.rstrip("\r\n") for line in lines if line.strip()), "")
    for separator in (reading.separator,) if reading.separator else SEPARATORS:
        if not re.fullmatch(f"{_QUOTED}(?:{re.escape(separator)}{_QUOTED})*", first):
            continue
        for backslashes in (False, True) if any(_BACKSLASHED in line for line in lines) else (False,):
            records = _records(lines, cut, separator, backslashes)
            width = len(records[0]) if records else 0
            widths = {len(record) for record in records[1:]}
            if widths == {width} and width > 1 and separator == " ":
                return TableOfR(separator, backslashes, None, tuple(records))
            if widths == {width + 1} and _are_names([record[0] for record in records[1:]], separator):
                name = next((name for name in _NAMES if name not in records[0]), "rows")
                return TableOfR(separator, backslashes, name, ([name, *records[0]], *records[1:]))
    return None


def _records(lines: Sequence[str], cut: bool, separator: str, backslashes: bool) -> list[list[str]]:
    """The records in ``lines``; empty if their quoting is broken before the last line."""
    reader = csv.reader(lines, delimiter=separator, strict=True, escapechar="\\" if backslashes else None)
    records = []
    try:
        for record in reader:
            if record:
                records.append(record)
    except csv.Error:
        return records if cut and reader.line_num == len(lines) else []
    return records[:-1] if cut else records


def _are_names(values: Sequence[str], separator: str) -> bool:
    """Whether ``values``, before the fields of rows, are names of rows; with a comma, only numbers are no text."""
    return len(set(values)) == len(values) and (separator == " " or all(map(str.isdecimal, values)))
