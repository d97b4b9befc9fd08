"""Parquet files as tables, as a whole or in pieces."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, BinaryIO, cast

from featherweight.data.readers.columns import CHUNK, stored
from featherweight.data.readers.features import classes_of
from featherweight.data.readers.nested import paths_of
from featherweight.data.readers.numbers import without_decimals
from featherweight.data.readers.table import Table
from featherweight.errors import UserError, first_line
from featherweight.hints import to_install

_BUFFER = 2**20  # number of bytes of a column that are read at a time


Wanted = Callable[[Table], Sequence[str]]
"""Returns the names of those columns of a table that will be used."""


def parquet_tables(
    source: str | BinaryIO, origin: str, rows: int | None = None, wanted: Wanted | None = None
) -> Iterator[Table]:
    """The table in a Parquet file (a path or bytes). By default it is one table, which reads each column on access.

    With ``rows`` it is yielded in tables of at most ``rows`` rows, and only the ``wanted`` columns are read. Raises
    UserError if the file is damaged or not a Parquet file.
    """
    require_pyarrow(origin)
    import pyarrow

    file = _opened(source, origin)
    names, classes = tuple(file.schema_arrow.names), _classes(file.schema_arrow.metadata)
    paths = tuple(path for one in file.schema_arrow for path in paths_of(one.name, one.type))
    more: dict[str, Any] = {"classes": classes, "paths": paths}
    # A path is opened again for each column: a data set of a thousand files must not keep all of them open.
    whole = Table(origin, names, partial(_column, source if isinstance(source, str) else file, origin), **more)
    if rows is None:
        yield whole
        return
    columns = list(dict.fromkeys(map(whole.column, wanted(whole)))) if wanted else list(names)
    before = 0
    try:
        for batch in file.iter_batches(rows, columns=columns):
            yield Table(origin, names, partial(_values, batch, origin), before=before, **more)
            before += len(batch)
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(
            f"{origin}: row {before + 1}, or one shortly after it, cannot be read: {first_line(error)}\n"
            "The file may be damaged: write it again"
        ) from None
    if not before:
        yield whole


def require_pyarrow(origin: str) -> None:
    """Raise UserError if pyarrow is not installed.

    It may be missing on a machine with only those packages that an ONNX export needs to run.
    """
    try:
        import pyarrow.parquet  # noqa: F401 (only to see whether it is there)
    except ImportError:
        raise UserError(
            f"{origin}: Parquet files need pyarrow: {to_install('pyarrow')}; or use CSV or JSON Lines"
        ) from None


def _opened(source: str | BinaryIO, origin: str) -> Any:
    import pyarrow
    import pyarrow.parquet

    try:
        # Without these settings, pyarrow would load all bytes of a row group at once.
        return pyarrow.parquet.ParquetFile(source, pre_buffer=False, buffer_size=_BUFFER)
    except pyarrow.ArrowException as error:
        raise UserError(f"{origin}: not a readable Parquet file: {first_line(error)}; write it again") from None


def _column(source: Any, origin: str, name: str) -> Sequence[Any]:
    import pyarrow

    file = _opened(source, origin) if isinstance(source, str) else source
    try:
        return stored(
            value for batch in file.iter_batches(CHUNK, columns=[name]) for value in plain_values(batch.column(name))
        )
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{origin}: column {name!r} cannot be read: {first_line(error)}; write the file again"
        ) from None


def _values(batch: Any, origin: str, name: str) -> list[Any]:
    try:
        return plain_values(batch.column(name))
    except UnicodeDecodeError as error:
        raise UserError(
            f"{origin}: column {name!r} cannot be read: {first_line(error)}; write the file again"
        ) from None


def plain_values(column: Any) -> list[Any]:
    """The values of an Arrow array: decimals as numbers, and bytes as texts if all of them are UTF-8.

    Databases write whole numbers as decimals, and older programs write texts without saying that they are texts.
    """
    from pyarrow import types

    values = cast(list[Any], column.to_pylist())
    if "decimal" in str(column.type):  # of the column, or of what is in its lists and objects
        return [without_decimals(value) for value in values]
    if types.is_binary(column.type) or types.is_large_binary(column.type):
        try:
            return [None if value is None else value.decode() for value in values]
        except UnicodeDecodeError:
            return values
    return values


def _classes(metadata: dict[bytes, bytes] | None) -> dict[str, tuple[str, ...]]:
    """Class names by column, from the metadata that `datasets` wrote; empty if there are none."""
    try:
        return classes_of(json.loads((metadata or {})[b"huggingface"])["info"]["features"])
    except (KeyError, TypeError, ValueError):
        return {}
