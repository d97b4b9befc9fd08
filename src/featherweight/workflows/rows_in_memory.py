"""Writes rows in memory to a temporary file, for functions that read the data of a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from featherweight.argument_checks import described
from featherweight.data.in_memory import is_by_split, parquet_bytes, require_rows
from featherweight.errors import UserError


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
        try:
            yield str(path), called
        except UserError as error:
            raise UserError(str(error).replace(str(path), called)) from None
