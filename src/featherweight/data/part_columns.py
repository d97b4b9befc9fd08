"""Checks that test, validation and shift rows have the text columns of the training data."""

from __future__ import annotations

import shlex

from featherweight.data.candidate_columns import Columns
from featherweight.data.column_guess import guess_texts
from featherweight.data.readers.table import Table, listed_columns
from featherweight.errors import UserError, in_a_line
from featherweight.recipe import DataRecipe


def require_training_texts(table: Table, data: DataRecipe) -> None:
    """Raise UserError if ``table`` lacks a text column of the training data; the message says which one to rename."""
    missing = next((name for name in data.text if table.find(name) is None), None)
    if missing is None:
        return
    try:
        found = [name for name in guess_texts(Columns(table))[0] if name not in data.text]
    except UserError:
        found = []
    only = found[0] if len(found) == 1 else None
    renamed = "one of them" if only is None else f"its column {only!r}"
    text = shlex.quote(in_a_line(only or "COLUMN"))
    raise UserError(
        f"{table.origin}: no column {missing!r}, which holds the texts in the training data; its columns are: "
        f"{listed_columns(table)}\nRename {renamed} to {missing!r}; or train without this file, and then: "
        f"featherweight evaluate RUN --data FILE --text {text} --label COLUMN"
    )
