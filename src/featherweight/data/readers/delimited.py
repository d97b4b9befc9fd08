"""CSV and TSV, with a header or as AG News was published: `class,title,description` without one."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, TextIO

from featherweight.data.ag_news import AG_NEWS
from featherweight.data.readers.table import Table, pieces_of, table_of
from featherweight.errors import UserError

_AG_HEADER = ("class index", "title", "description")


def delimited_tables(
    lines: TextIO, origin: str, *, tabs: bool = False, quoted: bool = True, rows: int
) -> Iterator[Table]:
    """The table in an open CSV or TSV text (opened with ``newline=""``), ``rows`` at a time.

    Fields are separated by tabs, or by commas; by semicolons or tabs where the first line of a CSV has no comma.
    ``quoted`` says whether quotation marks may enclose a field. ``origin`` names the text in messages.
    Raises UserError that names the line where quoting is broken or the number of fields changes.
    """
    records = _records(lines, origin, tabs, csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)
    first = next(records, None)
    if first is None:
        raise UserError(f"{origin}: the file is empty")
    names = [field.strip() for field in first]
    if len(names) == 3 and names[0] in ("1", "2", "3", "4"):
        names, make = ["class", "title", "description"], _ag_news
        records = chain([first], records)
    else:
        make = _ag_news if tuple(field.casefold() for field in names) == _AG_HEADER else _with_columns
    for before, piece in pieces_of(records, rows):
        yield make(origin, names, piece, before)


def is_quoted(lines: TextIO, origin: str) -> bool:
    """Whether quotation marks in a TSV text enclose fields; often one is just a character of the text."""
    try:
        for _ in _records(lines, origin, True, csv.QUOTE_MINIMAL):
            pass
    except UserError:
        return False
    return True


def _delimiter(first_line: str) -> str:
    return next((mark for mark in (",", ";", "\t") if mark in first_line), ",")


def _records(text: TextIO, origin: str, tabs: bool, quoting: Any) -> Iterator[list[str]]:
    csv.field_size_limit(sys.maxsize)  # a long text is no error
    lines = _without_nul(text, origin)
    first = next(lines, "")
    delimiter = "\t" if tabs else _delimiter(first)
    reader = csv.reader(chain([first], lines), delimiter=delimiter, quoting=quoting, strict=True)
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


def _without_nul(text: TextIO, origin: str) -> Iterator[str]:
    for number, line in enumerate(text, 1):
        if "\0" in line:
            raise UserError(f"{origin}: line {number} holds a NUL byte; the file is damaged, or not saved as UTF-8")
        yield line


def _count(fields: int) -> str:
    return "1 field" if fields == 1 else f"{fields} fields"


def _with_columns(origin: str, names: Sequence[str], rows: list[Any], before: int, **more: Any) -> Table:
    if len(set(names)) < len(names):
        return Table(origin, tuple(names), lambda name: [])  # refused there, by name
    values = zip(*rows, strict=True) if rows else ([] for _ in names)
    columns = {name: list(column) for name, column in zip(names, values, strict=True)}
    return table_of(origin, columns, before=before, **more)


def _ag_news(origin: str, names: Sequence[str], rows: list[Any], before: int) -> Table:
    """The published files number the classes from 1; everything else here numbers them from 0."""
    numbers = {str(number): number - 1 for number in range(1, len(AG_NEWS) + 1)}
    for place, row in enumerate(rows, before + 1):
        if row[0].strip() not in numbers:
            raise UserError(
                f"{origin}: row {place}: class {row[0]!r}; an AG News file has the classes 1 to {len(AG_NEWS)}"
            )
    coded = [[numbers[row[0].strip()], *row[1:]] for row in rows]
    return _with_columns(origin, names, coded, before, classes={names[0]: AG_NEWS}, label=names[0])
