"""Checks that test, validation and shift rows have the text columns of the training data."""

from __future__ import annotations

import shlex

from featherweight.data.candidate_columns import Columns
from featherweight.data.column_guess import guess_texts
from featherweight.data.readers.table import Table, listed_columns
from featherweight.errors import UserError
from featherweight.recipe import DataRecipe


def require_training_texts(table: Table, data: DataRecipe) -> None:
    """Raise UserError if ``table`` lacks a text column of the training data; the message says which one to rename."""
    lacking = [name for name in data.text if table.find(name) is None]
    if not lacking:
        return
    lacked = lacking[0]
    try:
        found = [name for name in guess_texts(Columns(table))[0] if name not in data.text]
    except UserError:
        found = []
    rename = f"Rename its column {found[0]!r} to {lacked!r}" if len(found) == 1 else f"Rename one of them to {lacked!r}"
    option = f" --text {shlex.quote(found[0])}" if len(found) == 1 else " --text COLUMN"
    raise UserError(
        f"{table.origin}: no column {lacked!r}, which holds the texts in the training data; its columns are: "
        f"{listed_columns(table)}\n{rename}; or train without this file, and then: featherweight evaluate RUN "
        f"--data FILE{option} --label COLUMN"
    )
