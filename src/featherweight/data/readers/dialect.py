"""Detects the dialect of a text table from its first lines: separator, quoting, and lines before the header."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Any

from featherweight.data.readers.header import is_header
from featherweight.data.readers.long_separators import UNIT, long_separator, with_units
from featherweight.data.readers.reading import Reading
from featherweight.data.readers.tables_of_r import table_of_r

SEPARATORS = (",", ";", "\t", "|")
_RARE = ("^", "~", "\x01", "\x1f")
"""Separators of some databases and mainframes, which are tried if each line has one."""
_OFTEN_UNQUOTED = ("\t", UNIT)
_SEP_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
"""A first line such as ``sep=;``, which tells Excel the separator."""


@dataclass(frozen=True)
class Dialect:
    """The separator and quoting of a text table, and the lines before its first record."""

    separator: str = ","
    blanks: bool = False
    """Whether spaces after a separator are skipped, so that a quotation mark may follow them."""
    backslashes: bool = False
    """Whether a quotation mark inside a quoted field has a backslash before it; usually it is written twice."""
    quote: str = '"'
    """The quotation mark around fields."""
    comments: int = 0
    """Comment lines at the beginning."""
    sep_line: bool = False
    """Whether the text begins with Excel's line ``sep=;``."""
    agreement: float = 0.0
    """Share of the first records that have as many fields as the first one; 0 if the first one has only one field."""
    sample: tuple[Sequence[str], ...] = field(default=(), compare=False)
    """The first records, the header included."""
    titles: tuple[str, ...] = ()
    """The lines above the header that are titles, such as ``Tickets of May``."""
    above: int = 0
    """Number of lines that the titles take, blank ones included."""
    long: str | None = None
    """The separator if it has several characters; then ``separator`` is what replaces it (see ``with_units``)."""
    row_names: str | None = None
    """The name for the first column, if each row has a field before those of the first line, as R writes them."""

    @property
    def quoted(self) -> bool:
        """Whether quotation marks are sure to enclose fields; with some separators, they often are just characters."""
        return self.separator not in _OFTEN_UNQUOTED

    @property
    def between(self) -> str:
        """The characters between two fields."""
        return self.long or self.separator

    @property
    def skipped(self) -> int:
        """Number of lines before the first record."""
        return self.comments + self.sep_line + self.above

    def notes(self, usual: str) -> tuple[str, ...]:
        """Notes for the user on a separator other than the ``usual`` separator, and on skipped comment lines."""
        found = []
        if self.between != usual:
            name = {"\t": "a tab", " ": "a blank"}.get(self.between, repr(self.between))
            found.append(f"its fields are separated by {name}")
        if self.row_names:
            found.append(f"each row has a name before its fields, as R writes it: the column {self.row_names!r}")
        if self.backslashes:
            found.append("a quotation mark inside a field has a backslash before it")
        if self.quote != '"':
            found.append(f"the quotation mark around its fields is {self.quote}")
        if self.comments:
            lines = "a comment line (#)" if self.comments == 1 else f"{self.comments} comment lines (#)"
            found.append(f"{lines} at the start of the file {'was' if self.comments == 1 else 'were'} skipped")
        return tuple(found)


def dialect_of(head: str, cut: bool, reading: Reading, *, tabs: bool) -> Dialect:
    """The dialect of a table that begins with ``head``; ``cut`` says whether the file goes on after it.

    With ``tabs`` a tab is the expected separator.
    """
    lines = list(io.StringIO(head, newline=""))
    if of_r := table_of_r(lines, cut, reading):
        found = Dialect(of_r.separator, backslashes=of_r.backslashes, row_names=of_r.row_names)
        return replace(found, agreement=1.0, sample=of_r.sample)
    found = _with_one_character(head, cut, reading, tabs=tabs)
    if reading.separator or found.sep_line:
        return found
    rows = lines[found.comments : -1 if cut else None]
    mark = long_separator(rows, found.separator, found.agreement, len(reading.columns))
    if mark is None:
        return found
    of_units = _with_one_character(with_units(head, mark), cut, replace(reading, separator=UNIT), tabs=tabs)
    return replace(of_units, long=mark)


def _with_one_character(head: str, cut: bool, reading: Reading, *, tabs: bool) -> Dialect:
    """The dialect with a separator of one character.

    With the right separator, most records have as many fields as the first record. (`csv.Sniffer` only counts
    characters, which often fails with texts.)
    """
    lines = list(io.StringIO(head, newline=""))
    mark = _SEP_LINE.fullmatch(lines[0]) if lines else None
    body = lines[1:] if mark else lines
    comments = list(takewhile(lambda line: line.startswith("#"), body))
    rest = body[len(comments) :]
    chosen = reading.separator or (mark[1] if mark else None)
    usual = "\t" if tabs else ","
    candidates = [chosen] if chosen else sorted(SEPARATORS, key=lambda separator: separator != usual)
    separator = max(candidates, key=lambda candidate: _agreement(rest, cut, candidate))
    if not chosen and _agreement(rest, cut, separator) < 1 and (whole := rest[:-1] if cut else rest):
        rare = (mark for mark in _RARE if all(mark in line for line in whole) and _agreement(rest, cut, mark) == 1)
        separator = next(rare, separator)
    if not chosen and _agreement(rest, cut, separator) == 0:
        separator = usual
    while comments and (not rest or _is_record(comments[-1], rest, cut, separator, reading)):
        rest = [comments.pop(), *rest]
    body = body[len(comments) :]
    blanks = _quotes_after_blanks(body, cut, separator)
    sample, broken = _parsed(body, cut, separator, blanks)
    agreement, backslashes = _agreement(body, cut, separator), False
    if separator in _OFTEN_UNQUOTED and _of_one_width(sample, broken) < agreement:
        # Its quotation marks enclose no fields.
        sample, broken = _parsed(body, cut, separator, blanks, quoted=False)
    if broken and '\\"' in head:
        others, broken = _parsed(body, cut, separator, blanks, backslashes=True)
        if backslashes := not broken and _of_one_width(others, broken) > agreement:
            sample, agreement = others, _of_one_width(others, broken) if len(others[0]) > 1 else 0.0
    quote = '"'
    if f"{separator}'" in head and (of_double := _of_one_width(sample, broken)) < 1:
        others, broken = _parsed(body, cut, separator, blanks, quote="'")
        if _of_one_width(others, broken) > of_double:
            sample, quote, backslashes = others, "'", False
    return Dialect(separator, blanks, backslashes, quote, len(comments), bool(mark), agreement, tuple(sample))


def settings(dialect: Dialect, quoted: bool) -> dict[str, Any]:
    """The arguments of `csv.reader` for a dialect; ``quoted`` says whether quotation marks may enclose a field."""
    quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    escape = {"escapechar": "\\"} if dialect.backslashes else {}
    return {
        "delimiter": dialect.separator,
        "quotechar": dialect.quote,
        "skipinitialspace": dialect.blanks,
        "quoting": quoting,
        "strict": True,
        **escape,
    }


def _agreement(lines: Sequence[str], cut: bool, separator: str) -> float:
    """Share of the records that have as many fields as the first; 0 if the first one has only one field."""
    best = 0.0
    quotings = (True, False) if separator in _OFTEN_UNQUOTED else (True,)
    for blanks, quoted in ((False, quotings[0]), (True, True), (False, quotings[-1])):
        records, broken = _parsed(lines, cut, separator, blanks, quoted)
        if records and len(records[0]) > 1:
            best = max(best, sum(len(record) == len(records[0]) for record in records) / (len(records) + broken))
        if best == 1:
            return best
    if separator != "\t" and any(f"{separator}'" in line for line in lines):
        records, broken = _parsed(lines, cut, separator, False, quote="'")
        best = max(best, _of_one_width(records, broken) if records and len(records[0]) > 1 else 0.0)
    return best


def _quotes_after_blanks(lines: Sequence[str], cut: bool, separator: str) -> bool:
    """Whether quoted fields have a space before their opening quotation mark."""
    if not re.search(f'{re.escape(separator)} +"', "".join(lines)):
        return False
    plain, skipping = (_parsed(lines, cut, separator, blanks) for blanks in (False, True))
    return _of_one_width(*skipping) >= _of_one_width(*plain)


def _of_one_width(records: Sequence[Sequence[str]], broken: bool) -> float:
    return sum(len(record) == len(records[0]) for record in records) / (len(records) + broken) if records else 0.0


def _parsed(
    lines: Sequence[str],
    cut: bool,
    separator: str,
    blanks: bool,
    quoted: bool = True,
    *,
    backslashes: bool = False,
    quote: str = '"',
) -> tuple[list[list[str]], bool]:
    """The records in ``lines``, and whether their quoting is broken.

    With ``cut``, the last record is left out, because the file goes on and this record may be incomplete. The other
    arguments are settings of the dialect (see `Dialect`), except ``quoted``: whether quotation marks enclose fields.
    """
    csv.field_size_limit(sys.maxsize)
    reader = csv.reader(lines, **settings(Dialect(separator, blanks, backslashes, quote), quoted))
    records: list[list[str]] = []
    try:
        for record in reader:
            if record:
                records.append(record)
    except csv.Error:
        return records, not (cut and reader.line_num == len(lines))
    return records[:-1] if cut else records, False


def _is_record(comment: str, rest: Sequence[str], cut: bool, separator: str, reading: Reading) -> bool:
    """Whether ``comment``, a line that begins with #, is a header or a row of the table, not a comment.

    It is if it has as many fields as the first line of the ``rest`` below the comments, which is not the header. If a
    blank follows the #, a first line that looks like a header is one. A line of one field is only taken for a row if
    the recipe has names for the columns.
    """
    fields, after = (next(csv.reader([text], delimiter=separator), []) for text in (comment, rest[0]))
    if any(field.strip().casefold() in reading.known for field in after):
        return False
    known = any(field.lstrip("# ").rstrip().casefold() in reading.known for field in fields)
    if comment[1:2].isspace() and not known and not reading.columns:
        records, _ = _parsed(rest, cut, separator, blanks=False)
        if records and is_header(records[0], [record for record in records[1:] if len(record) == len(records[0])]):
            return False
    return len(fields) == len(after) and (len(fields) > 1 or bool(reading.columns))
