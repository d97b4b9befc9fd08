"""Opens a data file of any supported kind, plain or compressed, as a table."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from featherweight.data.readers.delimited import delimited_tables
from featherweight.data.readers.excel import excel_parts, excel_tables
from featherweight.data.readers.json_tables import json_tables, parts_of
from featherweight.data.readers.kinds import kind_of
from featherweight.data.readers.lines import LINES, line_tables
from featherweight.data.readers.parquet import Wanted, parquet_tables
from featherweight.data.readers.reading import Reading
from featherweight.data.readers.table import Table, whole_table
from featherweight.data.readers.unpacking import DAMAGED, Content
from featherweight.errors import UserError

AS_IT_IS = Reading(any_header=True)
"""Settings for a table whose first line is always its header, whatever the columns are called."""
_PIECE = 10_000  # rows that are parsed at a time


def file_tables(
    path: Path, origin: str, rows: int | None = None, wanted: Wanted | None = None, reading: Reading = AS_IT_IS
) -> Iterator[Table]:
    """The table in a data file; ``origin`` is the name of the file in messages.

    By default it is one table. With ``rows`` it is yielded in tables of at most ``rows`` rows, so that the file can be
    larger than memory; then only the ``wanted`` columns of a Parquet file are read. A JSON array and a compressed
    Parquet file are always loaded as a whole. Raises UserError for an unknown kind of file, for bytes that cannot be
    read as text and for anything malformed; the message names the line or the row.
    """
    if not path.is_file():
        raise UserError(f"{origin}: is a pipe or a device, but data is read more than once; save its rows as a file")
    try:
        kind, content = kind_of(Content(path, origin), reading)
        if kind == "parquet":
            yield from parquet_tables(_seekable(content, "Parquet"), origin, rows, wanted)
        else:
            pieces = _pieces(kind, content, reading, rows or _PIECE)
            yield from pieces if rows else [whole_table(pieces)]
    except OSError as error:
        # An OSError without a number comes from the unpacking library, not from the system.
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
    """The names of the parts (such as ``train``) in a file; empty for most files, which hold a single table."""
    if not path.is_file():
        return ()
    kind, content = kind_of(Content(path, origin), reading)
    if kind == "xlsx":
        return excel_parts(_seekable(content, "Excel"), origin)
    return parts_of(content, reading.encoding) if kind == "json" else ()


def _seekable(content: Content, kind: str) -> str | BinaryIO:
    """The source for the Parquet and Excel readers: the path, or the unpacked bytes if the file is compressed."""
    if not content.is_packed():
        return str(content.path)
    try:
        with content.open() as file:
            return io.BytesIO(file.read())
    except DAMAGED as error:
        raise UserError(f"{content.origin}: not a readable {kind} file: {error}; get the file again") from None
