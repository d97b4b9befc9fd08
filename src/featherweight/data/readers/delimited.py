"""Text tables such as CSV and TSV, with or without a header, and the published files of AG News.

Files of AG News have the columns class, title and description.
"""

from __future__ import annotations

import csv
import re
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, TextIO

from featherweight.data.ag_news import AG_NEWS
from featherweight.data.readers.dialect import Dialect, dialect_of, settings
from featherweight.data.readers.header import Header, header_of
from featherweight.data.readers.long_separators import with_units
from featherweight.data.readers.reading import Reading
from featherweight.data.readers.records import column_table
from featherweight.data.readers.table import Table, pieces_of
from featherweight.data.readers.text_encoding import FileText, head_text, is_empty_line, noted, open_text, without_nul
from featherweight.data.readers.titles import (
    below_titles,
    explanations_below,
    note_on,
    note_on_explanations,
    titles_above,
)
from featherweight.data.readers.unpacking import Content
from featherweight.errors import UserError
from featherweight.formatting import listed

_AG_HEADER = ("class index", "title", "description")
_RULE = re.compile(r"\s*:?-{2,}:?\s*|\s*")
_AG_COLUMNS = ("class", "title", "description")


def delimited_tables(content: Content, reading: Reading, rows: int, *, tabs: bool) -> Iterator[Table]:
    """The table in a text file, ``rows`` rows at a time; with ``tabs`` a tab is the expected separator.

    Raises UserError if quoting is broken or the number of fields changes (the message names the line), or if neither
    the file nor the recipe has names for the columns.
    """
    dialect, quoted = dialect_and_quoting(content, reading, tabs=tabs)
    with open_text(content, reading.encoding, guess=True) as text:
        yield from _tables(text, content.origin, dialect, quoted, reading, rows, tabs)


def dialect_and_quoting(content: Content, reading: Reading, *, tabs: bool) -> tuple[Dialect, bool]:
    """The dialect of the table in a text file, and whether its quotation marks enclose fields."""
    head, cut = head_text(content, reading.encoding)
    dialect = below_titles(dialect_of(head, cut, reading, tabs=tabs), head, cut, reading, tabs=tabs)
    return dialect, dialect.quoted or _is_quoted(content, reading, dialect)


def _tables(
    text: FileText, origin: str, dialect: Dialect, quoted: bool, reading: Reading, rows: int, tabs: bool
) -> Iterator[Table]:
    first, records, sample, titles = _below_titles(
        _records(text.lines, origin, dialect, quoted), dialect, reading, origin
    )
    explained = 0 if reading.columns or reading.any_header else explanations_below(sample)
    records, sample = islice(records, explained, None), sample[explained:]
    header, make = _header(first, sample, reading, origin, dialect.between)
    again = _HeaderAgain(first)
    records = again.left_out(records) if header.in_first_row else chain([first], records)
    above = (*dialect.titles, *titles)
    left_out = note_on(above) if above else None
    below = note_on_explanations(explained) if explained else None
    notes = [*dialect.notes("\t" if tabs else ","), *filter(None, [left_out, below, header.note])]
    for before, piece in pieces_of(records, rows):
        told = (*text.notes, *notes, *again.notes)
        yield make(origin, header.names, piece, before, tuple(f"{origin}: {note}" for note in told))


class _HeaderAgain:
    """Leaves out records that repeat the header, as in files that were put one after the other."""

    def __init__(self, header: Sequence[str]) -> None:
        self._header = header
        self.notes: tuple[str, ...] = ()

    def left_out(self, records: Iterable[list[str]]) -> Iterator[list[str]]:
        """The ``records`` that do not repeat the header; if one does, ``notes`` has a note.

        In a table of one column, a record that looks like the header may be a text.
        """
        first, last, others = self._header[0], self._header[-1], list(self._header[1:])
        for record in records:
            if (
                others
                and record[-1] == last
                and record[1:] == others
                and record[0].lstrip("\ufeff").strip('"') == first
            ):
                self.notes = ("lines that repeat its header were left out",)
            else:
                yield record


def _below_titles(
    records: Iterator[list[str]], dialect: Dialect, reading: Reading, origin: str
) -> tuple[list[str], Iterator[list[str]], Sequence[Sequence[str]], list[str]]:
    """Skip the titles; returns (first record, iterator over later records, sample of the later records, titles).

    Titles are lines above the header, such as ``Tickets of May``. From the sample, callers find out whether the first
    record is a header. In a Markdown table, the line of dashes below the header is skipped, too. Raises UserError if
    there are no records or no header is found.
    """
    first = next(records, None)
    if first is None:
        raise UserError(f"{origin}: the file is empty")
    sample, titles = list(dialect.sample), titles_above(dialect.sample, reading)
    while titles and sum(map(bool, map(str.strip, first))) < 2:
        first, sample = next(records, first), sample[1:]
        if not sample:  # the lines are quoted in another way than those of the sample
            raise UserError(
                f"{origin}: no line with the names of the columns was found; delete the lines above it, "
                f"such as {listed(titles)}"
            )
    if dialect.separator == "|" and sample[1:] and all(map(_RULE.fullmatch, sample[1])):
        next(records, None)
        del sample[1]
    return first, records, sample[1:], titles


def _header(
    first: Sequence[str], sample: Sequence[Sequence[str]], reading: Reading, origin: str, between: str
) -> tuple[Header, Any]:
    """The header of the table, and the function (``_ag_news`` or ``column_table``) that makes a table from its rows."""
    names = tuple(field.strip() for field in first)
    if tuple(name.casefold() for name in names) == _AG_HEADER:
        return Header(names, True), _ag_news
    if _is_ag_news(names, sample, reading):
        return Header(_AG_COLUMNS, False), _ag_news
    return header_of(first, sample, reading, origin, between), column_table


def _is_ag_news(first: Sequence[str], sample: Sequence[Sequence[str]], reading: Reading) -> bool:
    """Whether rows without a header come from a file of AG News.

    All four classes must occur, because many other data sets have numbered classes and two columns of text, too.
    """
    if len(first) != 3 or reading.any_header or any(name.casefold() in reading.known for name in first):
        return False
    classes = {first[0], *(row[0].strip() for row in sample)}
    recognised = reading.format == "auto" and not reading.columns and classes == {"1", "2", "3", "4"}
    return recognised or reading.format == "ag_news"


def _is_quoted(content: Content, reading: Reading, dialect: Dialect) -> bool:
    """Whether quotation marks enclose fields; in many files, such as tab-separated ones, they are just characters.

    They are if all rows have the same fields with quoting only. If they have without it, too, a field of several lines
    shows two unrelated marks: one begins a text, and one ends another text some rows below.
    """

    def several_lines(quoted: bool) -> bool | None:
        """Whether a field has several lines; None if the rows cannot be read."""
        found = False
        with open_text(content, reading.encoding, guess=True) as text:
            try:
                for record in _records(text.lines, content.origin, dialect, quoted):
                    found = found or (len(record) > 1 and any("\n" in field for field in record))
            except UserError:
                return None
        return found

    joined = several_lines(quoted=True)
    if joined is None:
        return False
    return not joined or several_lines(quoted=False) is None


def _records(text: TextIO, origin: str, dialect: Dialect, quoted: bool) -> Iterator[list[str]]:
    """The records of a table. Below a header of one column, an empty line is a record, too: that of an empty text."""
    csv.field_size_limit(sys.maxsize)  # by default the csv module refuses long texts
    lines: Iterator[str] = islice(without_nul(text, origin), dialect.skipped, None)
    if mark := dialect.long:
        lines = (with_units(line, mark) for line in lines)
    latest: deque[str] = deque(maxlen=2)
    reader = csv.reader(noted(_without_null(lines, dialect.separator), latest), **settings(dialect, quoted))
    width, line = 0, 1 + dialect.skipped
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise UserError(
                f"{origin}: line {line}: broken quoting ({error}); inside a quoted field, write each quote twice"
            ) from None
        if dialect.row_names and not width:
            fields.insert(0, dialect.row_names)
        width = width or len(fields)
        if len(fields) > width > 1 and not any(map(str.strip, fields[width:])):
            del fields[width:]  # some programs end each row, but not the header, with separators
        if fields and len(fields) != width:
            remedy = _remedy(len(fields), width, line, dialect, quoted)
            raise UserError(f"{origin}: line {line}: {_count(len(fields))}, but the first line has {width}\n{remedy}")
        if fields or (width == 1 and is_empty_line(latest)):
            yield fields or [""]
        line = reader.line_num + 1 + dialect.skipped


def _remedy(fields: int, width: int, line: int, dialect: Dialect, quoted: bool) -> str:
    """What to do about a line that has another number of ``fields`` than the first one, which has ``width``."""
    if fields == 1 < width:
        return "If the line is no row, such as a total, delete it; else it lacks fields, or they are cut"
    if fields < width:
        how = f"add a {dialect.between!r} for each"
        if quoted and dialect == Dialect(dialect.separator, agreement=dialect.agreement):  # as Python's csv reads
            mark = "" if dialect.separator == "," else f", delimiter={dialect.separator!r}"
            rows = f"filter(None, csv.reader(open(sys.argv[1], newline=''){mark}))"
            filled = f"csv.writer(sys.stdout{mark}).writerows(row + [''] * ({width} - len(row)) for row in {rows})"
            how = f'python -c "import csv, sys; {filled}" FILE > NEW'
        return f"If a line break in a text cuts the line, put the text in double quotes; if fields are left out: {how}"
    remedy = f"Put fields that contain {dialect.between!r} in double quotes"
    if fields == width + 1 and line == 2 + dialect.skipped:
        name = f"sed '1s/^/id{dialect.separator}/' FILE > NEW"
        remedy += f"; or, if each row has a name before its fields, as in files of R, name that column: {name}"
    if width == 1:
        remedy += f"; or, if the lines above it are a title, remove them: tail -n +{line} FILE > NEW"
    return remedy


def _without_null(lines: Iterator[str], separator: str) -> Iterator[str]:
    r"""The ``lines`` with empty fields for ``\N``, which MySQL, Hive and PostgreSQL write for a missing value."""
    mark = re.escape(separator)
    null = re.compile(rf'(?:(?<={mark})|^)("?)\\N\1(?=[{mark}\r\n]|$)')
    return (null.sub("", line) if r"\N" in line else line for line in lines)


def _count(fields: int) -> str:
    return "1 field" if fields == 1 else f"{fields} fields"


def _ag_news(origin: str, names: Sequence[str], rows: list[Any], before: int, notes: tuple[str, ...]) -> Table:
    """The rows of AG News as a table, with classes numbered from 0; in the published files they start at 1."""
    numbers = {str(number): number - 1 for number in range(1, len(AG_NEWS) + 1)}
    for place, row in enumerate(rows, before + 1):
        if row[0].strip() not in numbers:
            raise UserError(
                f"{origin}: row {place}: class {row[0]!r}; an AG News file has the classes 1 to {len(AG_NEWS)}\n"
                'If it is another data set, name its columns: data.columns = ["label", "title", "description"]'
            )
    coded = [[numbers[row[0].strip()], *row[1:]] for row in rows]
    return column_table(origin, names, coded, before, notes, classes={names[0]: AG_NEWS}, label=names[0])
