"""Data files: CSV, TSV, JSON, JSON Lines and Parquet, plain or compressed with gzip or zstd."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from featherweight.data.readers.delimited import delimited_tables
from featherweight.data.readers.excel import excel_tables
from featherweight.data.readers.json_tables import json_tables, parts_of
from featherweight.data.readers.kinds import kind_of
from featherweight.data.readers.lines import LINES, line_tables
from featherweight.data.readers.parquet import Wanted, parquet_tables
from featherweight.data.readers.reading import Reading
from featherweight.data.readers.table import Table, whole_table
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
    return json_tables(content, reading, rows, in_lines=kind == "jsonl")


def file_parts(path: Path, origin: str, reading: Reading = AS_IT_IS) -> tuple[str, ...]:
    """The parts of a data set that a file holds; most files hold one table, and no part by name."""
    if not path.is_file():
        return ()
    kind, content = kind_of(Content(path, origin), reading)
    return parts_of(content, reading.encoding) if kind == "json" else ()


def _seekable(content: Content, kind: str) -> str | BinaryIO:
    """What Parquet and Excel are read from: the file itself, or its bytes in memory where they are compressed."""
    if not content.is_packed():
        return str(content.path)
    try:
        with content.open() as file:
            return io.BytesIO(file.read())
    except DAMAGED as error:
        raise UserError(f"{content.origin}: not a readable {kind} file: {error}") from None
