"""Leaves out the training rows that the CSV file ``data.drop`` lists.

The command ``featherweight noise`` writes such a file: it lists the rows whose labels are probably wrong.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from featherweight.data.label_lists import labels_of_cell
from featherweight.data.pairs import joined
from featherweight.data.sources import Rows
from featherweight.errors import UserError
from featherweight.files import expanded
from featherweight.formatting import counted, safe_cell

TEXT, LABEL = "text", "label"
"""The columns of the file that identify a row."""


def without_dropped(rows: Rows, drop: str | None) -> tuple[Rows, list[str]]:
    """``rows`` without the rows that the CSV file ``drop`` lists, and a note that says how many were left out.

    A row is dropped if its text and its label are in the file, or all of its labels if it may have several; their order
    and their separator do not matter. The rows that are left keep their positions in the data, ``places``; positions in
    ``rows`` if these have none. Raises UserError if the file cannot be read, lacks the columns ``text`` and ``label``,
    or lists none of the rows.
    """
    if drop is None:
        return rows, []
    listed = _listed(expanded(drop), drop)
    assert rows.labels is not None
    names = rows.label_names
    keys: set[tuple[str, Any]] = _with_label_sets(listed, rows) if rows.several else {*listed}
    own = map(_trimmed if rows.several else safe_cell, rows.names_of(rows.labels))
    kept = [
        place
        for place, (text, labels) in enumerate(zip(rows.texts, own, strict=True))
        if (safe_cell(joined(text)), labels) not in keys
    ]
    if not listed:
        raise UserError(f"data.drop: {drop} lists no rows; leave data.drop out")
    if len(kept) == len(rows):
        raise UserError(
            f"data.drop: none of the {len(listed):,} rows in {drop} is a training row\n"
            "The file was made for other data, or the data was changed; write it again with `featherweight noise`"
        )
    left = replace(rows.take(np.array(kept, np.int64)), places=rows.positions[kept])
    if missing := next((name for name, count in zip(names, left.counts, strict=True) if not count), None):
        raise UserError(f"data.drop: {drop} leaves no training row with the label {missing!r}; remove lines from it")
    are = "is" if len(rows) - len(kept) == 1 else "are"
    of_rows = f"{len(rows) - len(kept):,} of {counted(len(rows), 'training row')}"
    return left, [f"data.drop: {of_rows} {are} in {drop} and {are} left out"]


def _with_label_sets(listed: Collection[tuple[str, str]], rows: Rows) -> set[tuple[str, Any]]:
    """The lines of the file with sets of labels in place of cells; None for a cell with an unknown label."""
    names, column = _trimmed(rows.label_names), rows.label_column
    separator = column.separator if column else None
    return {(text, labels_of_cell(cell, names, separator)) for text, cell in listed}


def _trimmed(names: Iterable[str]) -> frozenset[str]:
    """The names without outer blanks, which names of columns may have."""
    return frozenset(map(str.strip, names))


def _listed(path: Path, drop: str) -> set[tuple[str, str]]:
    csv.field_size_limit(sys.maxsize)  # by default the csv module refuses long texts
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if missing := [name for name in (TEXT, LABEL) if name not in (reader.fieldnames or ())]:
                raise UserError(f"data.drop: {drop} has no column {missing[0]!r}; it needs {TEXT!r} and {LABEL!r}")
            return {(row[TEXT] or "", row[LABEL] or "") for row in reader}
    except FileNotFoundError:
        raise UserError(f"data.drop: {drop}: no such file; the command `featherweight noise` writes one") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"data.drop: {drop}: cannot be read as a CSV file: {error}; write it again with `featherweight noise`"
        ) from None
