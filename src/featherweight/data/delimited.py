"""CSV and TSV, with a header or as AG News was published: `class,title,description` without one."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from featherweight.data.labels import AG_NEWS
from featherweight.data.tables import Table, table_in_memory
from featherweight.errors import UserError

_AG_HEADER = ("class index", "title", "description")


def read_delimited(lines: TextIO, origin: str, *, tabs: bool = False) -> Table:
    """The table in an open CSV or TSV text (opened with ``newline=""``); ``origin`` names it in messages.

    Fields are separated by tabs, or by commas; by semicolons or tabs where the first line of a CSV has no comma.
    Raises UserError that names the line where quoting is broken or the number of fields changes.
    """
    content = lines.read()
    delimiter = "\t" if tabs else _delimiter(content[: content.find("\n") + 1] or content)
    try:
        rows = list(_records(content, origin, delimiter, csv.QUOTE_MINIMAL))
    except UserError:
        if not tabs:
            raise
        # In a TSV a quotation mark is often just a character of the text.
        rows = list(_records(content, origin, delimiter, csv.QUOTE_NONE))
    if not rows:
        raise UserError(f"{origin}: the file is empty")
    first = [field.strip() for field in rows[0]]
    if len(first) == 3 and first[0] in ("1", "2", "3", "4"):
        return _ag_news(rows, ("class", "title", "description"), origin)
    if tuple(field.casefold() for field in first) == _AG_HEADER:
        return _ag_news(rows[1:], first, origin)
    return _with_columns(origin, first, rows[1:])


def _delimiter(first_line: str) -> str:
    return next((mark for mark in (",", ";", "\t") if mark in first_line), ",")


def _records(content: str, origin: str, delimiter: str, quoting: Any) -> Iterator[list[str]]:
    csv.field_size_limit(sys.maxsize)  # a long text is no error
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, quoting=quoting, strict=True)
    width, line = 0, 1
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise UserError(
                f"{origin}: line {line}: broken quoting ({error}); write a quote inside a quoted field twice"
            ) from None
        width = width or len(fields)
        if fields and len(fields) != width:
            raise UserError(
                f"{origin}: line {line}: {_count(len(fields))}, but the first line has {width}\n"
                f"Put fields that contain {delimiter!r} in double quotes"
            )
        if fields:
            yield fields
        line = reader.line_num + 1


def _count(fields: int) -> str:
    return "1 field" if fields == 1 else f"{fields} fields"


def _with_columns(origin: str, names: Sequence[str], rows: Sequence[list[str]], **more: Any) -> Table:
    if len(set(names)) < len(names):
        return Table(origin, tuple(names), lambda name: [])  # refused there, by name
    values = zip(*rows, strict=True) if rows else ([] for _ in names)
    return table_in_memory(origin, {name: list(column) for name, column in zip(names, values, strict=True)}, **more)


def _ag_news(rows: Sequence[list[str]], names: Sequence[str], origin: str) -> Table:
    """The published files number the classes from 1; everything else here numbers them from 0."""
    numbers = {str(number): number - 1 for number in range(1, len(AG_NEWS) + 1)}
    for place, row in enumerate(rows, 1):
        if row[0].strip() not in numbers:
            raise UserError(
                f"{origin}: row {place}: class {row[0]!r}; an AG News file has the classes 1 to {len(AG_NEWS)}"
            )
    coded: list[Any] = [[numbers[row[0].strip()], *row[1:]] for row in rows]
    return _with_columns(origin, names, coded, classes={names[0]: AG_NEWS}, label=names[0])
