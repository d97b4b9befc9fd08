"""Writes predictions as CSV, JSON Lines or Parquet; after an error there is no incomplete file."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from featherweight.data.readers.parquet import require_pyarrow
from featherweight.errors import UserError
from featherweight.files import disk_refusal, try_lock, written_whole
from featherweight.formatting import QUOTED, safe_columns
from featherweight.hints import flag
from featherweight.inference.pipes import PIPE, write_lines

FORMATS = (".csv", ".jsonl", ".parquet")

Write = Callable[[dict[str, list]], None]
"""Writes the columns of the next rows."""


@contextmanager
def only_writer(out: Path) -> Iterator[None]:
    """Lock the file ``out`` for this process during the context; ``-`` needs no lock.

    Raises UserError if another process has locked it: each would write into the other's unfinished file.
    """
    if str(out) == PIPE:
        yield
        return
    lock, file = out.with_name(f"{out.name}.lock"), None
    try:
        while file is None:
            file = try_lock(lock)
    except BlockingIOError:
        busy = "another process is writing this file; wait until it has ended, or name another file"
        raise UserError(f"{flag('-o', str(out))}: {busy}") from None
    except OSError as error:
        error.filename = str(out)
        raise disk_refusal(error, out) or error from None
    with file:
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


@contextmanager
def whole_file(out: Path, names: Sequence[str], *, safe: bool) -> Iterator[Write]:
    """Yield a function that writes rows, given as {column name: cells}, to the file ``out``.

    The rows go to a temporary file, which is renamed to ``out`` when the context ends without an error. If ``out`` is
    ``-``, JSON Lines go to standard output. ``names`` are all class names. With ``safe`` a spreadsheet does not run
    cells of a CSV as formulas.
    """
    if str(out) == PIPE:
        yield lambda columns: write_lines(columns, sys.stdout)
        return
    writer = {".csv": _csv_writer, ".jsonl": _jsonl_writer, ".parquet": _parquet_writer}[out.suffix]
    try:
        with written_whole(out) as part, writer(part, safe) as write:
            if out.suffix != ".csv":
                yield write
                return

            def write_cells(columns: dict[str, list]) -> None:
                cells = {name: [_cell(value, names) for value in values] for name, values in columns.items()}
                write(safe_columns(cells) if safe else cells)

            yield write_cells
    except OSError as error:
        raise disk_refusal(error, out) or error from None


def _cell(value: Any, names: Sequence[str]) -> Any:
    """``value`` as a cell of a CSV: a list of labels becomes one text, such as a|b; ``names`` are all class names."""
    from featherweight.data.label_lists import cell_of

    return cell_of(value, names) if isinstance(value, list) else value


@dataclass(frozen=True)
class _LineEnds:
    """A text file to which a CSV writer writes lines that end with ``\\r\\n``; they get the line end of the system.

    Before version 3.13, Python quotes a cell with a carriage return only if the line end has one.
    """

    file: IO[str]

    def write(self, line: str) -> None:
        self.file.write(line.removesuffix("\r\n") + os.linesep)


@contextmanager
def _csv_writer(path: Path, quoted: bool) -> Iterator[Write]:
    # Not by pandas, which an installation for an ONNX export lacks.
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(_LineEnds(file), quoting=QUOTED if quoted else csv.QUOTE_MINIMAL, lineterminator="\r\n")

        def write(columns: dict[str, list]) -> None:
            if not file.tell():
                writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))

        yield write


@contextmanager
def _jsonl_writer(path: Path, quoted: bool) -> Iterator[Write]:
    with path.open("w", encoding="utf-8") as file:
        yield lambda columns: write_lines(columns, file)


@contextmanager
def _parquet_writer(path: Path, quoted: bool) -> Iterator[Write]:
    require_pyarrow("-o")
    import pyarrow.parquet as pq

    from featherweight.data.label_lists import arrow_table

    def write(columns: dict[str, list]) -> None:
        table = arrow_table(columns)
        if not opened:
            opened.append(stack.enter_context(pq.ParquetWriter(path, table.schema)))
        opened[0].write_table(table)

    opened: list[Any] = []
    with ExitStack() as stack:
        yield write
