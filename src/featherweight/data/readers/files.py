"""Data files: CSV, TSV, JSON, JSON Lines and Parquet, plain or compressed with gzip or zstd."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from featherweight.data.readers.delimited import delimited_tables
from featherweight.data.readers.excel import excel_tables
from featherweight.data.readers.kinds import kind_of
from featherweight.data.readers.lines import LINES, line_tables
from featherweight.data.readers.parquet import Wanted, parquet_tables
from featherweight.data.readers.reading import Reading
from featherweight.data.readers.table import Table, pieces_of, table_of, whole_table
from featherweight.data.readers.text_encoding import open_text
from featherweight.data.readers.unpacking import DAMAGED, Content
from featherweight.errors import UserError

AS_IT_IS = Reading(any_header=True)
"""Reads a table whose first line is its header, whatever the columns are called."""
_PIECE = 10_000  # rows that are parsed at a time


def file_tables(
    path: Path, origin: str, rows: int | None = None, wanted: Wanted | None = None, reading: Reading = AS_IT_IS
) -> Iterator[Table]:
    """The table in a data file, its kind told by the name's ending; ``origin`` names it in messages.

    All in one, or at most ``rows`` rows at a time, so that a file larger than memory can be read; of a Parquet file
    only the columns that are ``wanted`` then. A JSON array, and a Parquet file that is compressed once more, is in
    memory as a whole nevertheless. Raises UserError, with line or row, for an unknown kind, for bytes that cannot be
    read as text and for anything malformed.
    """
    if not path.is_file():
        raise UserError(f"{origin}: is a pipe or a device; save its rows as a file, which is read more than once")
    try:
        kind, content = kind_of(Content(path, origin), reading)
        if kind == "parquet":
            yield from parquet_tables(_seekable(content, "Parquet"), origin, rows, wanted)
        else:
            pieces = _pieces(kind, content, reading, rows or _PIECE)
            yield from pieces if rows else [whole_table(pieces)]
    except OSError as error:
        # What has no number is not the system's but the unpacking library's.
        damage = f"cannot be read: {error.strerror}" if error.errno else f"damaged: {error or 'cannot be unpacked'}"
        raise UserError(f"{origin}: {damage}") from None


def _pieces(kind: str, content: Content, reading: Reading, rows: int) -> Iterator[Table]:
    if kind in ("csv", "tsv"):
        return delimited_tables(content, reading, rows, tabs=kind == "tsv")
    if kind in LINES:
        return line_tables(content, kind, reading, rows)
    if kind == "xlsx":
        return excel_tables(_seekable(content, "Excel"), content.origin, reading, rows)
    return _object_file(content, kind, reading, rows)


def _seekable(content: Content, kind: str) -> str | BinaryIO:
    """What Parquet and Excel are read from: the file itself, or its bytes in memory where they are compressed."""
    if not content.is_packed():
        return str(content.path)
    try:
        with content.open() as file:
            return io.BytesIO(file.read())
    except DAMAGED as error:
        raise UserError(f"{content.origin}: not a readable {kind} file: {error}") from None


def _object_file(content: Content, kind: str, reading: Reading, rows: int) -> Iterator[Table]:
    with open_text(content, reading.encoding, guess=False) as text:
        yield from _object_tables(_objects(text.lines, content.origin, kind), content.origin, rows)


def _objects(text: TextIO, origin: str, kind: str) -> Iterable[Any]:
    """The values in an open JSON or JSON Lines text."""
    # JSON Lines ends a line with \n alone; other separators may stand inside its strings.
    lines = enumerate(iter(text.readline, ""), 1)
    number, first = next(((number, line) for number, line in lines if line.strip()), (1, ""))
    if kind == "json" and first.lstrip().startswith("["):
        return _parse("\n" * (number - 1) + first + text.read(), origin)
    # Many a ".json" file holds one object a line.
    filled = ((number, line) for number, line in chain([(number, first)], lines) if line.strip())
    return (_parse(line.rstrip("\r\n"), origin, number) for number, line in filled)


def _parse(content: str, origin: str, line: int | None = None) -> Any:
    where = f"line {line}: " if line else ""
    try:
        return json.loads(content, object_pairs_hook=_each_key_once)
    except json.JSONDecodeError as error:
        where = f"line {line or error.lineno}: broken JSON at column {error.colno}"
        raise UserError(f"{origin}: {where}: {error.msg}") from None
    except RecursionError:
        raise UserError(f"{origin}: {where}broken JSON: lists or objects are nested too deeply") from None
    except UserError as error:
        raise UserError(f"{origin}: {where}{error}") from None
    except ValueError:
        raise UserError(f"{origin}: {where}holds a number of thousands of digits; write it as a text") from None


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise UserError(f"an object has the key {twice!r} twice; keep one of them")
    return values


def _object_tables(objects: Iterable[Any], origin: str, rows: int) -> Iterator[Table]:
    names: dict[str, None] = {}  # of this piece and of all before it: an object may leave out what it lacks
    for before, piece in pieces_of(objects, rows):
        if not piece:
            raise UserError(f"{origin}: the file has no rows")
        for number, row in enumerate(piece, before + 1):
            if not isinstance(row, dict):
                raise UserError(f'{origin}: row {number}: not a JSON object such as {{"text": ..., "label": ...}}')
            names.update(dict.fromkeys(row))
        yield table_of(origin, {name: [row.get(name) for row in piece] for name in names}, before=before)
