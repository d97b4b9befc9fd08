"""Recognises data without labels, such as the test splits of GLUE and of contests, and makes messages about it."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from featherweight.data.gaps import label_cells, no_label
from featherweight.data.label_cells import plain_labels, single_labels
from featherweight.data.label_spelling import alike
from featherweight.data.labels import drop_remedy
from featherweight.data.part_columns import require_training_texts
from featherweight.data.readers.joined_by_id import labels_by_id
from featherweight.data.readers.table import (
    Table,
    find_label_columns,
    id_column,
    listed_columns,
    plain_text,
    text_columns,
)
from featherweight.data.source_tables import from_hub, open_table
from featherweight.data.sources import Rows, rows_of, training_columns
from featherweight.errors import UserError, in_a_line
from featherweight.hints import to_set
from featherweight.recipe import DataRecipe

_USUAL_LABELS = frozenset(
    {"label", "labels", "class", "class index", "target", "category", "sentiment", "gold", "gold_label", "y"}
)
_FLAGS = re.compile(r"[-+]?\d+(?:\.\d+)?|true|false|yes|no|[tfyn]", re.IGNORECASE)
"""Values that are no evidence for a label column: many other columns contain them too."""
_MOST_VALUES = 1_000
"""Maximum number of values that are checked to see whether a column may contain the labels."""


def no_test_remedy() -> str:
    """The end of error messages about test rows that may be left out."""
    return f"leave the test out with {to_set('data.test=')}"


def without_labels(table: Table, data: DataRecipe, classes: Sequence[str]) -> str | None:
    """The clause ``test.csv has no labels (...)`` if no row of ``table`` has a label; None if some row has a label.

    ``classes`` are those of the training data: if -1 is one of them, it counts as a label. Raises UserError if there is
    no text column.
    """
    texts = text_columns(table, data)
    columns = find_label_columns(table, data)
    if columns:
        missing = _without_any(label_cells(table, columns, data), classes)
    else:
        # Empty data is refused elsewhere, with its own message.
        missing = f"no column {_lacking(table, data)}" if len(table.read(texts[0])) else None
    return missing and f"{table.origin} has no labels ({missing})"


def unlabelled_test(table: Table, data: DataRecipe, classes: Sequence[str]) -> str | None:
    """A clause such as "test.csv has no labels (...)" if test rows have no labels; None if they have labels.

    Raises UserError if a column with another name is likely to be the labels. A column that may be the labels, but is
    not likely to, is mentioned in the clause.
    """
    clause = without_labels(table, data, classes)
    if clause is None or find_label_columns(table, data) or not data.label_name:
        return clause
    like_labels = _columns_like_labels(table, data, classes)
    wanted, editable = in_a_line(repr(data.label_name)), not from_hub(data.test or data.train)
    if likely := next((name for name, is_likely in like_labels.items() if is_likely), None):
        seems = f"{table.origin}: no column {wanted}, but {likely!r} seems to hold the labels"
        remedy = no_test_remedy()[0].upper() + no_test_remedy()[1:]
        if editable:
            seems = f"{seems}; rename it to {wanted} (the recipe's data.label)"
            remedy = f"If it has no labels, {no_test_remedy()}"
        raise UserError(f"{seems}\n{remedy}")
    if like_labels:
        name = in_a_line(repr(next(iter(like_labels))))
        rename = f": if these are the labels, rename it to {wanted}" if editable else ""
        clause = f"{clause.removesuffix(')')}; {name} contains only names of classes{rename})"
    return clause


def require_all_labelled(table: Table, source: str, data: DataRecipe, classes: Sequence[str], *remedies: str) -> None:
    """Raise UserError if some rows of ``table``, read from ``source``, have a label and others have none.

    The message names the first row without a label and the number of such rows. It says to remove them (unless the data
    is on the hub), or to do what ``remedies`` say. With ``data.empty = "drop"`` there is no error.
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
    """A note that the test rows of ``source`` are left out; ``clause`` says that they have no labels."""
    predict = f"featherweight predict RUN {in_a_line(shlex.quote(source))} -o predictions.csv"
    beside = labels_by_id(Path(source))
    return f"{clause}: it is left out of the evaluation; classify it with: {predict}{f'. {beside}' if beside else ''}"


def read_labelled(
    source: str, data: DataRecipe, split: str, classes: Sequence[str], remedy: str, drop: str = ""
) -> Rows:
    """The labelled rows of ``source``.

    Raises UserError if they cannot be read or have no labels; the message ends with ``remedy``, or with ``drop``, by
    default ``labels.drop_remedy``, for rows with gaps.
    """
    table = open_table(source, data, split)
    require_training_texts(table, data)
    if clause := without_labels(table, data, classes):
        # Perhaps the label column only has another name, so list the columns.
        columns = "" if find_label_columns(table, data) else f"Its columns are: {listed_columns(table)}"
        raise UserError("\n".join(filter(None, (f"{clause}; {remedy}", columns))))
    require_all_labelled(table, source, data, classes, drop or drop_remedy())
    return rows_of(table, source, data, label_names=classes, drop=drop)


def _lacking(table: Table, data: DataRecipe) -> str:
    """The name of the first label column that ``table`` lacks, quoted for a message."""
    return in_a_line(repr(next(name for name in data.label_columns if table.find(name) is None)))


def _columns_like_labels(table: Table, data: DataRecipe, classes: Sequence[str]) -> dict[str, bool]:
    """Columns that may be the labels under another name, as a dictionary from column name to bool.

    True means likely, by its name or its values; False means only possible: every value is a class such as 0 or 1.
    """
    # Another column of the training data cannot be the labels under another name.
    known = set(map(str.casefold, training_columns(data)))
    others = {*text_columns(table, data), id_column(table)}
    known_classes = set(map(alike, classes))
    found: dict[str, bool] = {}
    for name in table.names:
        values = list(single_labels(plain_labels(table.read(name)[:_MOST_VALUES])))
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
    """A clause that says why no value is a label; None if at least one value is a label, or if there are no values."""
    found = set()
    for value in values:
        kind = no_label(value, classes)
        if kind is None:
            return None
        found.add(kind)
    return f"every label is {' or '.join(sorted(found))}" if found else None


def _written(value: Any) -> str:
    """``value`` as text that can be compared with class names, without leading and trailing spaces."""
    return plain_text(value).strip()
