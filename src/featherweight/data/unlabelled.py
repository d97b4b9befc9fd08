"""Data without labels, such as the test splits of GLUE and of contests: how it is told, and what is said of it."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Sequence
from typing import Any

from featherweight.data.labels import is_missing
from featherweight.data.readers.table import (
    Table,
    find_label_column,
    id_column,
    listed_columns,
    plain_text,
    text_columns,
)
from featherweight.data.sources import Rows, open_table, rows_of, training_columns
from featherweight.errors import UserError, in_a_line
from featherweight.recipe import DataRecipe

_MINUS_ONE = re.compile(r"-1(?:\.0+)?")
_GAPS = frozenset({"nan", "none", "null", "na", "n/a", "<na>", "?"})
"""Texts that often stand for a missing value; one that is a class is none of them."""
_USUAL_LABELS = frozenset(
    {"label", "labels", "class", "class index", "target", "category", "sentiment", "gold", "gold_label", "y"}
)
_MOST_VALUES = 1_000
"""Values of a column that are looked at to see whether it may hold the labels."""


def without_labels(table: Table, data: DataRecipe, classes: Sequence[str]) -> str | None:
    """That no row of ``table`` has a label, as a clause such as ``test.csv has no labels (...)``; None where one has.

    ``classes`` are those of the training data: where -1 is one of them, it is a label like any other. Raises UserError
    where there is no text column.
    """
    texts = text_columns(table, data)
    column = find_label_column(table, data)
    if column is not None:
        missing = _without_any(table.read(column), classes)
    else:
        # Empty data is refused for that.
        missing = f"no column {in_a_line(repr(data.label))}" if len(table.read(texts[0])) else None
    return missing and f"{table.origin} has no labels ({missing})"


def unlabelled_test(table: Table, data: DataRecipe, classes: Sequence[str]) -> str | None:
    """The same of test rows, which are then left out. Raises UserError where their labels seem to be misnamed."""
    clause = without_labels(table, data, classes)
    if clause and find_label_column(table, data) is None:
        _require_no_misnamed_labels(table, data, classes)
    return clause


def left_out(clause: str, source: str) -> str:
    """The note on the test rows of ``source`` that ``clause`` says to have no labels."""
    predict = f"featherweight predict RUN {in_a_line(shlex.quote(source))} -o predictions.csv"
    return f"{clause}: it is left out of the evaluation; classify it with: {predict}"


def read_labelled(source: str, data: DataRecipe, split: str, classes: Sequence[str], remedy: str) -> Rows:
    """The rows of ``source`` as ``read_rows`` gives them. Raises UserError likewise, with ``remedy`` for no labels."""
    table = open_table(source, data, split)
    if clause := without_labels(table, data, classes):
        # The label column may just be called otherwise.
        columns = "" if find_label_column(table, data) else f"Its columns are: {listed_columns(table)}"
        raise UserError("\n".join(filter(None, (f"{clause}; {remedy}", columns))))
    return rows_of(table, source, data, label_names=classes)


def _require_no_misnamed_labels(table: Table, data: DataRecipe, classes: Sequence[str]) -> None:
    # What stands beside the labels in the training data is no label under another name.
    known = set(map(str.casefold, training_columns(data)))
    others = {*text_columns(table, data), id_column(table)}
    for name in table.names:
        if name in others or name.casefold() in known or not _may_hold_labels(table, name, data.label, classes):
            continue
        raise UserError(
            f"{table.origin}: no column {data.label!r}, but {name!r} seems to hold the labels; rename it to "
            f"{data.label!r} (the recipe's data.label)\nIf it holds none, take it out, or set data.test to an empty "
            "text for no test"
        )


def _without_any(values: Sequence[Any], classes: Sequence[str]) -> str | None:
    """How it is told that none of ``values`` is a label; None where one is, or where there are no values."""
    found = set()
    for value in values:
        kind = _no_label(value, classes)
        if kind is None:
            return None
        found.add(kind)
    return f"every label is {' or '.join(sorted(found))}" if found else None


def _no_label(value: Any, classes: Sequence[str]) -> str | None:
    """``-1`` or ``missing`` for a value that is no label, None for any other."""
    if is_missing(value):
        return "missing"
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    text = str(value).strip()
    if _MINUS_ONE.fullmatch(text):
        return None if "-1" in classes else "-1"
    return "missing" if text.casefold() in _GAPS and text not in classes else None


def _may_hold_labels(table: Table, name: str, wanted: str, classes: Sequence[str]) -> bool:
    """Whether the column ``name`` is likely to be the one that is called ``wanted`` elsewhere, by name or values."""
    values = list(table.read(name)[:_MOST_VALUES])
    if _without_any(values, classes):
        return False
    plain, wanted = name.casefold().strip(), wanted.casefold()
    if plain in _USUAL_LABELS or wanted in plain or difflib.get_close_matches(wanted, [plain], cutoff=0.75):
        return True
    return all(_no_label(value, classes) or _written(value) in classes for value in values)


def _written(value: Any) -> str:
    """``value`` as the name of its class would be written."""
    return str(value).lower() if isinstance(value, bool) else plain_text(value).strip()
