"""Data without labels, such as the test splits of GLUE and of contests: how it is told, and what is said of it."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable, Sequence
from typing import Any

from featherweight.data.gaps import label_cells, no_label
from featherweight.data.label_spelling import alike
from featherweight.data.labels import DROP
from featherweight.data.readers.table import (
    Table,
    find_label_columns,
    id_column,
    listed_columns,
    plain_text,
    text_columns,
)
from featherweight.data.sources import Rows, from_hub, open_table, rows_of, training_columns
from featherweight.errors import UserError, in_a_line
from featherweight.recipe import DataRecipe

_USUAL_LABELS = frozenset(
    {"label", "labels", "class", "class index", "target", "category", "sentiment", "gold", "gold_label", "y"}
)
_FLAGS = re.compile(r"[-+]?\d+(?:\.\d+)?|true|false|yes|no|[tfyn]", re.IGNORECASE)
"""What many a column holds beside the labels, even where the classes are called so."""
NO_TEST = "leave the test out with --set data.test="
_MOST_VALUES = 1_000
"""Values of a column that are looked at to see whether it may hold the labels."""


def without_labels(table: Table, data: DataRecipe, classes: Sequence[str]) -> str | None:
    """That no row of ``table`` has a label, as a clause such as ``test.csv has no labels (...)``; None where one has.

    ``classes`` are those of the training data: where -1 is one of them, it is a label like any other. Raises UserError
    where there is no text column.
    """
    texts = text_columns(table, data)
    columns = find_label_columns(table, data)
    if columns:
        missing = _without_any(label_cells(table, columns, data), classes)
    else:
        # Empty data is refused for that.
        missing = f"no column {_lacking(table, data)}" if len(table.read(texts[0])) else None
    return missing and f"{table.origin} has no labels ({missing})"


def unlabelled_test(table: Table, data: DataRecipe, classes: Sequence[str]) -> str | None:
    """The same of test rows, which are then left out. Raises UserError where their labels seem to be misnamed.

    Another column that might be the labels, but as well anything else, is named in the clause.
    """
    clause = without_labels(table, data, classes)
    if clause is None or find_label_columns(table, data) or not data.label_name:
        return clause
    like_labels = _columns_like_labels(table, data, classes)
    wanted, editable = in_a_line(repr(data.label_name)), not from_hub(data.test or data.train)
    if likely := next((name for name, is_likely in like_labels.items() if is_likely), None):
        seems = f"{table.origin}: no column {wanted}, but {likely!r} seems to hold the labels"
        remedy = NO_TEST[0].upper() + NO_TEST[1:]
        if editable:
            seems, remedy = f"{seems}; rename it to {wanted} (the recipe's data.label)", f"If it holds none, {NO_TEST}"
        raise UserError(f"{seems}\n{remedy}")
    if like_labels:
        name = in_a_line(repr(next(iter(like_labels))))
        rename = f": if these are the labels, rename it to {wanted}" if editable else ""
        clause = f"{clause.removesuffix(')')}; {name} holds names of classes alone{rename})"
    return clause


def require_all_labelled(table: Table, source: str, data: DataRecipe, classes: Sequence[str], *remedies: str) -> None:
    """Raise UserError where some rows of ``table``, opened of ``source``, have a label and others have none.

    It names the first row without one and how many there are, and says to remove them, where that can be done, or to
    follow one of the ``remedies``. Where the recipe leaves such rows out, nothing is required here.
    """
    columns = find_label_columns(table, data) if data.empty == "error" else ()
    kinds = [no_label(value, classes) for value in label_cells(table, columns, data, of_rows=True)] if columns else []
    without = [row for row, kind in enumerate(kinds, 1) if kind]
    if not without or len(without) == len(kinds):
        return
    told = "the label is missing" if kinds[without[0] - 1] == "missing" else "the label is -1, which means no label"
    how_many = f"{len(without):,} of {len(kinds):,} rows {'has' if len(without) == 1 else 'have'} none"
    todo = ", or ".join(remedies if from_hub(source) else ("remove these rows", *remedies)) or "name a labelled set"
    raise UserError(f"{table.origin}: row {without[0]}: {told} ({how_many})\n{todo[0].upper()}{todo[1:]}")


def left_out(clause: str, source: str) -> str:
    """The note on the test rows of ``source`` that ``clause`` says to have no labels."""
    predict = f"featherweight predict RUN {in_a_line(shlex.quote(source))} -o predictions.csv"
    return f"{clause}: it is left out of the evaluation; classify it with: {predict}"


def read_labelled(
    source: str, data: DataRecipe, split: str, classes: Sequence[str], remedy: str, drop: str = DROP
) -> Rows:
    """The rows of ``source`` as ``read_rows`` gives them.

    Raises UserError likewise, with ``remedy`` for no labels, and how to ``drop`` rows with gaps.
    """
    table = open_table(source, data, split)
    if clause := without_labels(table, data, classes):
        # The label column may just be called otherwise.
        columns = "" if find_label_columns(table, data) else f"Its columns are: {listed_columns(table)}"
        raise UserError("\n".join(filter(None, (f"{clause}; {remedy}", columns))))
    require_all_labelled(table, source, data, classes, drop)
    return rows_of(table, source, data, label_names=classes, drop=drop)


def _lacking(table: Table, data: DataRecipe) -> str:
    """The first label column that ``table`` lacks, for a message."""
    return in_a_line(repr(next(name for name in data.label_columns if table.find(name) is None)))


def _columns_like_labels(table: Table, data: DataRecipe, classes: Sequence[str]) -> dict[str, bool]:
    """Columns that may hold the labels under another name, by their name or values, and whether that is likely."""
    # What stands beside the labels in the training data is no label under another name.
    known = set(map(str.casefold, training_columns(data)))
    others = {*text_columns(table, data), id_column(table)}
    known_classes = set(map(alike, classes))
    found: dict[str, bool] = {}
    for name in table.names:
        values = list(table.read(name)[:_MOST_VALUES])
        if name in others or name.casefold() in known or _without_any(values, classes):
            continue
        texts = [_written(value) for value in values if not no_label(value, classes)]
        of_classes = all(alike(text) in known_classes for text in set(texts))
        if _is_called_like_labels(name, data.label_name) or (of_classes and not all(map(_FLAGS.fullmatch, texts))):
            found[name] = True
        elif of_classes:
            found[name] = False
    return found


def _is_called_like_labels(name: str, wanted: str) -> bool:
    plain, wanted = name.casefold().strip(), wanted.casefold()
    is_part = wanted in re.split(r"[\W_]+", plain)
    return plain in _USUAL_LABELS or is_part or bool(difflib.get_close_matches(wanted, [plain], cutoff=0.75))


def _without_any(values: Iterable[Any], classes: Sequence[str]) -> str | None:
    """How it is told that none of ``values`` is a label; None where one is, or where there are no values."""
    found = set()
    for value in values:
        kind = no_label(value, classes)
        if kind is None:
            return None
        found.add(kind)
    return f"every label is {' or '.join(sorted(found))}" if found else None


def _written(value: Any) -> str:
    """``value`` as the name of its class would be written."""
    return plain_text(value).strip()
