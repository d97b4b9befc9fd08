"""The columns of data that a finished run is used on, where they are called otherwise than in its training data."""

from __future__ import annotations

from collections.abc import Sequence

from featherweight.data.candidate_columns import Columns
from featherweight.data.column_guess import guess_texts
from featherweight.data.label_guess import find_label
from featherweight.data.readers.table import (
    Table,
    find_label_columns,
    listed_columns,
    require_column,
    text_columns,
)
from featherweight.data.source_tables import column_pieces
from featherweight.errors import UserError
from featherweight.recipe import DataRecipe

_LOOKED_AT = 1_000  # rows whose values say what a column holds

_TEXT = "Name the text column with --text COLUMN; without a file, --text is a text to classify"


def with_new_columns(
    data: DataRecipe, source: str, text: Sequence[str] = (), label: str | None = None, *, labelled: bool = False
) -> DataRecipe:
    """The run's ``data`` section with the column names of ``source``.

    The columns are ``text`` and ``label`` if they are given, otherwise those of ``data``. With ``labelled`` a label
    column is needed, too. Raises UserError if a column is missing; the message says which option to use.
    """
    table = next(column_pieces(source, data, split="test", rows=_LOOKED_AT))
    if text:
        if data.join == "pair" and len(text) != 2:
            option = Columns(table).named("text", ("COLUMN", "COLUMN"))
            raise UserError(f"{source}: this run takes pairs, so name two columns: {option}")
        data = data.model_copy(update={"text": tuple(require_column(table, name, _TEXT) for name in text)})
    if label is not None:
        label = require_column(table, label, "Name the label column with --label COLUMN")
        data = data.model_copy(update={"label": label})
    _require_texts(table, data)
    if labelled and label is None and data.label_name and not find_label_columns(table, data):
        if data.several and data.labels and all(table.find(name) for name in data.labels):
            return _with_columns_of_labels(data)
        _require_no_other_labels(table, data)
    return data


def _with_columns_of_labels(data: DataRecipe) -> DataRecipe:
    """``data`` with one column of 0 and 1 per label, which has the label's name."""
    return data.model_copy(update={"label": data.labels, "labels": ()})


def _require_texts(table: Table, data: DataRecipe) -> None:
    try:
        text_columns(table, data)
    except UserError:
        columns = Columns(table)
        wanted = next((name for name in data.text if table.find(name) is None), "text")
        raise _misnamed(table, wanted, "texts", _option_of_texts(columns, data)) from None


def _option_of_texts(columns: Columns, data: DataRecipe) -> str:
    if data.join == "pair":
        return columns.named("text", ("COLUMN", "COLUMN"))
    try:
        return columns.named("text", guess_texts(columns)[0])
    except UserError:
        return columns.named("text")


def _require_no_other_labels(table: Table, data: DataRecipe) -> None:
    """Raise UserError where another column than the run's seems to hold the labels."""
    columns = Columns(table)
    try:
        found = find_label(columns, text_columns(table, data))
        option = columns.named("label", [found[0]]) if found else ""
    except UserError:
        option = columns.named("label")
    if option:
        raise _misnamed(table, data.label_name, "labels", option)


def _misnamed(table: Table, wanted: str, what: str, option: str) -> UserError:
    return UserError(
        f"{table.origin}: no column {wanted!r}, which held the {what} in training; its columns are: "
        f"{listed_columns(table)}\nName the one that holds them: {option}"
    )
