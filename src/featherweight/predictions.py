"""Predictions for a whole file, piece by piece, written as CSV, JSONL, Parquet or a contest's submission."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featherweight.data.spreadsheets import QUOTED, safe_columns
from featherweight.errors import UserError
from featherweight.model.peft_folder import is_peft_folder, read_peft_folder
from featherweight.run import Run, disk_refusal, put_in_place

if TYPE_CHECKING:
    import numpy as np

    from featherweight.classifier import Prediction
    from featherweight.data.sources import Rows
    from featherweight.recipe import DataRecipe

FORMATS = (".csv", ".jsonl", ".parquet")
PIECE = 20_000
"""Rows that are in memory at once: enough that texts of one length fill whole batches, and a few megabytes."""

Write = Callable[[dict[str, list]], None]
"""Takes the columns of the next rows."""


def predict_file(
    run: str | Path,
    source: str,
    out: str | Path,
    *,
    kaggle: bool = False,
    replace: bool = False,
    safe: bool = False,
    labels: Sequence[str] = (),
    follow: Callable[[int, int], None] | None = None,
) -> int:
    """Classify every text of ``source`` and write ``out``, whole or not at all; returns the number of rows.

    Columns: the text's id or row number, the label, the calibrated probability of each class; with ``kaggle`` exactly
    ``ID,Label`` with label numbers. With ``safe`` no text in a CSV begins like a formula, for spreadsheets. ``run`` may
    be a folder that PEFT saved, whose classes ``labels`` name.

    The data may be larger than memory: it is read twice, piece by piece, the first time to find what is wrong with it
    before anything is classified. ``follow`` is told the rows done and the rows in all. Raises UserError on a wrong
    ending, an existing file, or texts that cannot be read.
    """
    out = Path(out)
    _check_target(out, kaggle, replace)
    _check_safe(out, kaggle, safe)
    data = _data_of(run, labels)

    from featherweight.classifier import Classifier
    from featherweight.data.sources import text_pieces

    pieces = text_pieces(source, data, split="test", rows=PIECE)
    total = sum(len(piece) for piece in (_with_sound_ids(pieces) if kaggle else pieces))
    classifier, done = Classifier.load(run, labels=labels), 0
    with _whole_file(out, quoted=safe) as write:
        for piece in text_pieces(source, data, split="test", rows=PIECE):
            counted = _counted(follow, done, total) if follow else None
            probabilities = classifier.probabilities(piece.texts, advance=counted)
            ids = list(piece.ids) if piece.ids else [str(row) for row in range(done, done + len(piece))]
            names = classifier.labels
            found = _submission(ids, probabilities) if kaggle else _columns(piece, ids, probabilities, names)
            write(safe_columns(found) if safe else found)
            done += len(piece)
    return done


def _with_sound_ids(pieces: Iterator[Rows]) -> Iterator[Rows]:
    """The pieces as they are. Raises UserError on an id that is missing or there twice: a contest takes neither."""
    rows: dict[str, int] = {}
    for piece in pieces:
        for row, name in enumerate(piece.ids or (), len(rows) + 1):
            if not name:
                raise UserError(
                    f"{piece.origin}: row {row}: the id is missing; a contest takes no prediction without one"
                )
            if (first := rows.setdefault(name, row)) != row:
                raise UserError(
                    f"{piece.origin}: row {row}: the id {name!r} is that of row {first}; a contest takes each once"
                )
        yield piece


def predict_texts(run: str | Path, texts: Sequence[str], *, labels: Sequence[str] = ()) -> list[Prediction]:
    """Label and calibrated probabilities of each text, taken as it is. Raises UserError as ``predict_file`` does."""
    _data_of(run, labels)

    from featherweight.classifier import Classifier

    return Classifier.load(run, labels=labels).predict(texts)


def _data_of(run: str | Path, labels: Sequence[str]) -> DataRecipe:
    return read_peft_folder(run, labels).data if is_peft_folder(run) else Run(run).recipe.data


def _counted(follow: Callable[[int, int], None], done: int, total: int) -> Callable[[int], None]:
    """Adds up the rows of a piece, with ``done`` before it, for ``follow``."""

    def advance(rows: int) -> None:
        nonlocal done
        done += rows
        follow(done, total)

    return advance


def _submission(ids: list[str], probabilities: np.ndarray) -> dict[str, list]:
    return {"ID": ids, "Label": probabilities.argmax(1).tolist()}


def _columns(piece: Rows, ids: list[str], probabilities: np.ndarray, labels: Sequence[str]) -> dict[str, list]:
    best = [labels[choice] for choice in probabilities.argmax(1)]
    columns = {"row" if piece.ids is None else "id": ids, "label": best}
    return columns | {f"p_{name}": probabilities[:, place].tolist() for place, name in enumerate(labels)}


def _check_target(out: Path, kaggle: bool, replace: bool) -> None:
    if out.suffix not in FORMATS:
        raise UserError(f"-o {out}: the ending says the format; use one of {', '.join(FORMATS)}")
    if kaggle and out.suffix != ".csv":
        raise UserError(f"-o {out}: a submission is a CSV file; name it .csv")
    if out.exists() and not replace:
        raise UserError(f"-o {out}: exists; name a new file, or replace it by --force")
    if not out.parent.is_dir():
        raise UserError(f"-o {out}: the folder {out.parent} does not exist")


def _check_safe(out: Path, kaggle: bool, safe: bool) -> None:
    if safe and kaggle:
        raise UserError("--safe-csv and --kaggle exclude each other: a contest wants its IDs as they are")
    if safe and out.suffix != ".csv":
        raise UserError(f"--safe-csv: {out} is no CSV file; leave the option out, or name a .csv file")


@contextmanager
def _whole_file(out: Path, *, quoted: bool) -> Iterator[Write]:
    """Takes columns, writes them beside ``out``, and gives the file its name at the end; none is left of a failure."""
    part = out.with_name(out.name + ".part")
    writer = {".csv": _csv_writer, ".jsonl": _jsonl_writer, ".parquet": _parquet_writer}[out.suffix]
    try:
        with writer(part, quoted) as write:
            yield write
        put_in_place(part, out)
    except OSError as error:
        raise disk_refusal(error, out) or error from None
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _csv_writer(path: Path, quoted: bool) -> Iterator[Write]:
    import pandas as pd

    quoting = QUOTED if quoted else csv.QUOTE_MINIMAL

    with path.open("w", encoding="utf-8", newline="") as file:
        yield lambda columns: pd.DataFrame(columns).to_csv(file, index=False, header=not file.tell(), quoting=quoting)


@contextmanager
def _jsonl_writer(path: Path, quoted: bool) -> Iterator[Write]:
    def write(columns: dict[str, list]) -> None:
        for values in zip(*columns.values(), strict=True):
            file.write(json.dumps(dict(zip(columns, values, strict=True)), ensure_ascii=False) + "\n")

    with path.open("w", encoding="utf-8") as file:
        yield write


@contextmanager
def _parquet_writer(path: Path, quoted: bool) -> Iterator[Write]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def write(columns: dict[str, list]) -> None:
        table = pa.table(columns)
        if not opened:
            opened.append(stack.enter_context(pq.ParquetWriter(path, table.schema)))
        opened[0].write_table(table)

    opened: list[Any] = []
    with ExitStack() as stack:
        yield write
