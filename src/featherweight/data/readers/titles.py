"""Finds the titles above the header of a text table, such as ``Tickets of May``, which are left out."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from featherweight.data.readers.dialect import Dialect, dialect_of
from featherweight.data.readers.header import is_header
from featherweight.data.readers.reading import Reading
from featherweight.formatting import listed

MOST_TITLES = 4  # maximum number of rows or lines above the header
_MOST_EXPLANATIONS = 2
_OPEN_ANSWER = "Open-Ended Response"
_AGREEING = 0.9  # minimum share of the rows below titles that have one width


def titles_above(records: Sequence[Sequence[str]], reading: Reading) -> list[str]:
    """The titles in the first ``records``, which stand above the header; empty if the first record is the header.

    A title is alone in its record: ``Tickets of May,,``. The record after the titles must look like a header.
    """
    filled = [[field.strip() for field in record if field.strip()] for record in records[: MOST_TITLES + 1]]
    count = next((place for place, fields in enumerate(filled) if len(fields) > 1), 0)
    titles = [fields[0] for fields in filled[:count] if fields]
    if reading.columns or reading.any_header or not titles or not records[0][0].strip():
        return []
    if any(title.casefold() in reading.known for title in titles):
        return []
    return titles if _is_header(records[count:], reading) else []


def explanations_below(records: Sequence[Sequence[Any]]) -> int:
    """Number of rows that explain the columns, at the beginning of ``records``, the rows below the header.

    Surveys are exported with such rows: Qualtrics writes the questions and an ``ImportId`` for each column, and
    SurveyMonkey the kinds of answers.
    """
    for place, record in enumerate(records[:_MOST_EXPLANATIONS]):
        if any(str(cell).replace(" ", "").startswith('{"ImportId":') for cell in record):
            return place + 1
    answers = [str(cell).strip() for cell in records[0] if cell] if records else []
    return int(_OPEN_ANSWER in answers and not answers[0].isdecimal())


def note_on_explanations(count: int) -> str:
    """A note for the user that ``count`` rows below the header were left out."""
    if count == 1:
        return "the row below its header, which explains the columns, was left out"
    return f"{count} rows below its header, which explain the columns, were left out"


def note_on(titles: Sequence[str]) -> str:
    """A note for the user that ``titles`` were left out."""
    return f"what stands above its header was left out: {listed(titles)}"


def below_titles(dialect: Dialect, head: str, cut: bool, reading: Reading, *, tabs: bool) -> Dialect:
    """The dialect of the table below the title lines; ``dialect`` unchanged if there are no titles.

    ``dialect`` was detected from all lines of ``head``, the beginning of the file. Titles are only searched for if most
    records have another number of fields than the first line, because such a file cannot be read without skipping them.
    """
    if dialect.agreement >= 0.5 or dialect.skipped or reading.columns or reading.any_header:
        return dialect
    lines = list(io.StringIO(head, newline=""))
    for count in range(1, min(MOST_TITLES + 1, len(lines))):
        titles = [line.strip() for line in lines[:count]]
        if not titles[0] or any('"' in title or title.casefold() in reading.known for title in titles):
            return dialect
        found = dialect_of("".join(lines[count:]), cut, reading, tabs=tabs)
        if lines[count].strip() and found.agreement >= _AGREEING and _is_header(found.sample, reading):
            return replace(found, titles=tuple(filter(None, titles)), above=count)
    return dialect


def _is_header(records: Sequence[Sequence[str]], reading: Reading) -> bool:
    """Whether the first record is a header: it has a known column name, or ``is_header`` finds it unlike the rows.

    At least one row must follow it.
    """
    first, others = (records[0], records[1:]) if records else ((), ())
    rows = [row for row in others if len(row) == len(first)]
    known = any(name.strip().casefold() in reading.known for name in first)
    return bool(rows) and (known or is_header(first, rows))
