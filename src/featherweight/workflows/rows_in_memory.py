"""Rows in memory for functions that read files: written to a temporary file, and named in errors as they were given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from featherweight.argument_checks import described
from featherweight.data.in_memory import is_by_split, parquet_bytes, require_rows
from featherweight.errors import DiskError, UserError


@contextmanager
def as_file(rows: Any, name: str) -> Iterator[tuple[str, str]]:
    """The path of a file with ``rows``, and what to call it in messages, such as "a pandas DataFrame".

    A path is returned as it is. Other ``rows`` are written to a Parquet file, which is removed at the end of the
    context; an error that names this file names the rows instead. ``name`` is the name of the called function, for
    messages. Raises UserError if ``rows`` are neither a path nor rows with named columns.
    """
    if isinstance(rows, str | Path):
        yield str(rows), str(rows)
        return
    if isinstance(rows, list | tuple):
        require_rows(rows, name)
    if is_by_split(rows):
        parts = ", ".join(map(str, rows))
        raise UserError(f"{name}: the data is divided into parts: {parts}; pass one, such as data['test']")
    data, called = parquet_bytes(rows, name), described(rows)
    with TemporaryDirectory(prefix="featherweight-") as folder:
        path = Path(folder) / "rows.parquet"
        path.write_bytes(data)
        with rows_named({str(path): called}):
            yield str(path), called


@contextmanager
def rows_named(names: Mapping[str, str]) -> Iterator[None]:
    """Replace paths of rows in memory by ``names`` in the message of a UserError: the caller gave rows, and no file.

    ``names`` has a name by path. The message of a DiskError does not change: there the path is what matters.
    """
    try:
        yield
    except DiskError:
        raise
    except UserError as error:
        message = str(error)
        for path, name in names.items():
            message = message.replace(path, name)
        if message == str(error):
            raise
        raise UserError(message) from None
