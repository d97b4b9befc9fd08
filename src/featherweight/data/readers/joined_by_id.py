"""Finds CSV files that are one table together, one with texts and one with labels, whose rows have common ids."""

from __future__ import annotations

import csv
import re
import shlex
from collections.abc import Sequence
from io import StringIO
from itertools import islice
from pathlib import Path

from featherweight.data.readers.conversion import free_name
from featherweight.errors import in_a_line

_HEAD = 2**16
_ROWS = 200
_SAMPLE = re.compile(r"sample.*|.*submission.*", re.IGNORECASE)
"""Names of files whose labels are only examples."""
_LABEL = re.compile(r"(?:.*[\W_])?(?:labels?|targets?|class(?:es)?|gold|truth|answers?|annotations?|y)(?:[\W_].*)?")
"""Names of files and columns of labels, in lower case."""
_WORDS = 3  # minimum mean number of words of texts
_COMMON = 0.5  # minimum share of the ids that the other file must have, too
_CODE = (
    "import sys, pandas; "
    "texts, labels = (pandas.read_csv(name, dtype=str, keep_default_na=False) for name in sys.argv[1:3]); "
    "texts.merge(labels, on=sys.argv[3]).to_csv(sys.argv[4], index=False)"
)


def labels_by_id(texts: Path) -> str | None:
    """A sentence with the command that joins the file ``texts`` with the labels beside it; None if there are none."""
    for other in _beside(texts):
        if (shared := _shared(texts, other)) and _has_labels(other, shared):
            return f"Its labels seem to be in {in_a_line(other.name)}: {_command(texts, other, shared)}"
    return None


def texts_by_id(labels: Path) -> str | None:
    """A sentence with the command that joins the file ``labels`` with the texts beside it; None if there are none."""
    for other in _beside(labels):
        if (shared := _shared(labels, other)) and _has_texts(other):
            return f"Its texts seem to be in {in_a_line(other.name)}: {_command(other, labels, shared)}"
    return None


def _command(texts: Path, labels: Path, shared: str) -> str:
    """The command that joins two files by the column ``shared``, and trains on the result."""
    into = free_name(texts)
    return f'python -c "{_CODE}" {shlex.join(map(str, (texts, labels, shared, into)))}'


def _beside(path: Path) -> list[Path]:
    """The other CSV files in the folder of a CSV file; empty if the folder cannot be read."""
    try:
        if path.suffix.lower() != ".csv" or not path.is_file():
            return []
        files = sorted(other for other in path.parent.iterdir() if other.suffix.lower() == ".csv" and other.is_file())
    except OSError:
        return []
    return [other for other in files if other != path and not _SAMPLE.fullmatch(other.stem)]


def _rows(path: Path) -> list[list[str]]:
    """The header and the first rows of a CSV file; empty if they cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD + 1)
        text = head[:_HEAD].decode("utf-8-sig", "replace")
        rows = [row for row in islice(csv.reader(StringIO(text, newline="")), _ROWS) if row]
    except (OSError, csv.Error):
        return []
    rows = rows[:-1] if len(head) > _HEAD and len(rows) < _ROWS else rows
    return [row for row in rows if len(row) == len(rows[0])]


def _shared(path: Path, other: Path) -> str | None:
    """The only column that both files have, if its values are ids, many of which both have; else None."""
    tables = _rows(path), _rows(other)
    if not all(len(rows) > 1 for rows in tables):
        return None
    (header, *_), (names, *_) = tables
    both = [name for name in header if name in names]
    if len(both) != 1 or len(header) < 2 or len(names) < 2:
        return None
    ids, others = ([row[rows[0].index(both[0])] for row in rows[1:]] for rows in tables)
    distinct = len({*ids}) == len(ids) and len({*others}) == len(others)
    return both[0] if distinct and len({*ids} & {*others}) >= _COMMON * min(len(ids), len(others)) else None


def _has_labels(path: Path, shared: str) -> bool:
    """Whether the file or one of its columns is called like labels, or all but the ids are 0 and 1 (-1: unknown)."""
    header, *rows = _rows(path)
    others = [place for place, name in enumerate(header) if name != shared]
    called = any(_LABEL.fullmatch(name.casefold()) for name in (path.stem, *(header[place] for place in others)))
    return not _has_texts(path) and (called or all(row[place] in ("0", "1", "-1") for row in rows for place in others))


def _has_texts(path: Path) -> bool:
    """Whether a column has texts of several words."""
    _, *rows = _rows(path)
    return any(_words(column) >= _WORDS for column in zip(*rows, strict=True))


def _words(column: Sequence[str]) -> float:
    return sum(len(value.split()) for value in column) / len(column)
