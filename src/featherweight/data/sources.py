"""Reads the texts and labels of a data source, cleans the texts, and checks both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featherweight.data.ag_news import AG_NEWS
from featherweight.data.cleaning import clean_texts
from featherweight.data.flags import code_label_columns
from featherweight.data.gaps import LeftOut, label_cells, split_gaps
from featherweight.data.id_column import id_text
from featherweight.data.label_cells import label_notes, label_values, require_named, row_of_several, single_labels
from featherweight.data.label_column import LabelColumn, describe_label_column
from featherweight.data.label_lists import code_label_lists, separator_of
from featherweight.data.labels import code_labels, drop_remedy, renumbered
from featherweight.data.pairs import Text, joined, same_kind
from featherweight.data.readers.columns import stored, taken
from featherweight.data.readers.table import (
    Table,
    find_label_columns,
    id_column,
    is_blank,
    joined_texts,
    label_columns,
    require_unicode,
    text_columns,
)
from featherweight.data.source_tables import BUILT_IN, open_table, open_tables
from featherweight.errors import UserError
from featherweight.recipe import DataRecipe


@dataclass(frozen=True, eq=False)
class Rows:
    """The texts of one part of the data, with their labels if these are known."""

    texts: Sequence[Text]
    """In memory or in a file; with ``data.join = "pair"``, each is a tuple of two texts."""
    labels: NDArray[np.integer[Any]] | None
    """Class numbers, one per text; or 0 and 1 [texts, classes] if a text may have several labels."""
    label_names: tuple[str, ...]
    """Names of the classes in the order of their numbers; empty if they are unknown."""
    origin: str
    """The name of these rows in messages, such as ``train.csv.gz``."""
    ids: Sequence[str] | None = None
    """Values of the id column; None if the data has none."""
    label_column: LabelColumn | None = None
    """Name and spelling of the label column; None if no labels were read, or if each label has its own column."""
    notes: tuple[str, ...] = ()
    """Notes for the user on how the data was read."""
    places: NDArray[np.int64] | None = None
    """Position of each row in the data, from 0; only set if rows were left out, and not kept by ``take``."""
    left_out: LeftOut | None = None
    """The rows that were left out; None if there are none, and not kept by ``take``."""

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def positions(self) -> NDArray[np.int64]:
        """Position of each row in the data, from 0, [rows]; rows that were left out are counted, too.

        Validation rows that were split off the training rows are counted among themselves instead.
        """
        return np.arange(len(self)) if self.places is None else self.places

    @property
    def several(self) -> bool:
        """Whether a text may have several labels."""
        return self.labels is not None and self.labels.ndim > 1

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of rows of each class, [classes]."""
        assert self.labels is not None
        if self.several:
            return self.labels.sum(axis=0, dtype=np.int64)
        return np.bincount(self.labels, minlength=len(self.label_names))

    def names_of(self, labels: NDArray[np.integer[Any]]) -> list[Any]:
        """The class names for ``labels``: a string per row, or a list of strings if a text may have several labels."""
        if labels.ndim > 1:
            return [[self.label_names[label] for label in np.flatnonzero(row).tolist()] for row in labels]
        return [self.label_names[label] for label in labels.tolist()]

    def take(self, places: NDArray[np.int64]) -> Rows:
        """The rows at ``places`` (0-based), in that order."""
        return Rows(
            taken(self.texts, places.tolist()),
            None if self.labels is None else self.labels[places],
            self.label_names,
            self.origin,
            None if self.ids is None else taken(self.ids, places.tolist()),
            self.label_column,
            self.notes,
        )


def read_rows(
    source: str,
    data: DataRecipe,
    *,
    split: str = "train",
    labelled: bool = True,
    label_names: Sequence[str] | None = None,
) -> Rows:
    """All rows of ``source``: a built-in name, a file, a folder saved by `datasets`, or a data set on the hub.

    The recipe determines columns and cleaning. ``label_names`` are the classes, if they are known already; with
    ``labelled=False`` no label column is needed or read. Raises UserError, naming row and column, for empty texts
    (unless ``data.empty`` leaves such rows out), unknown labels and anything that cannot be read, and HubUnreachable.
    """
    return rows_of(open_table(source, data, split), source, data, labelled=labelled, label_names=label_names)


def rows_of(
    table: Table,
    source: str,
    data: DataRecipe,
    *,
    labelled: bool = True,
    label_names: Sequence[str] | None = None,
    drop: str | None = "",
) -> Rows:
    """The rows of ``table``, read from ``source``. With ``data.empty = "drop"``, incomplete rows are left out.

    Raises UserError as ``read_rows`` does. A message about a missing text or label ends with ``drop``, which says how
    to leave such rows out; by default ``labels.drop_remedy``. If it is None, empty texts are allowed.
    """
    dropping = labelled and data.empty == "drop"
    texts = cleaned_texts(table, text_columns(table, data), data, None if dropping else drop, labelled=labelled)
    if dropping:
        return _without_gaps(table, texts, source, data, label_names)
    ids = ids_of(table, id_column(table))
    if not labelled:
        return Rows(texts, None, tuple(label_names or data.labels), table.origin, ids, notes=table.notes)
    labels, names, column = read_labels(table, source, data, label_names)
    notes = (*table.notes, *label_notes(table, label_columns(table, data)))
    return Rows(texts, labels, names, table.origin, ids, column, notes)


def _without_gaps(
    table: Table, texts: Sequence[Text], source: str, data: DataRecipe, label_names: Sequence[str] | None
) -> Rows:
    """The rows of ``table`` that have a text and a label; the result also describes the rows that were left out."""
    columns = label_columns(table, data)
    kept, left_out = without_gaps(table, texts, source, data, label_names)
    places = kept.tolist()
    rest = replace(table, read=lambda name: taken(table.read(name), places))
    try:
        labels, names, column = read_labels(rest, source, data, label_names)
    except UserError as error:
        raise renumbered(error, kept) from None
    ids = ids_of(rest, id_column(rest))
    found = (kept, left_out) if left_out else (None, None)
    return Rows(
        taken(texts, places),
        labels,
        names,
        table.origin,
        ids,
        column,
        (*table.notes, *label_notes(rest, columns)),
        *found,
    )


def complete_rows(table: Table, source: str, data: DataRecipe) -> list[int]:
    """Indices (from 0) of the rows of ``table`` that ``data.empty = "drop"`` keeps: those with a text and a label.

    Raises UserError if there are none.
    """
    return without_gaps(table, cleaned_texts(table, text_columns(table, data), data, None), source, data)[0].tolist()


def without_gaps(
    table: Table, texts: Sequence[Text], source: str, data: DataRecipe, label_names: Sequence[str] | None = None
) -> tuple[NDArray[np.int64], LeftOut | None]:
    """Indices (from 0) of the rows with a text and a label, and a description of the others; None without others.

    ``texts`` are those of ``table``, which was read from ``source``. ``label_names`` are the classes, if they are known
    from other rows. Raises UserError if the label column is missing, or if no row is left.
    """
    columns = label_columns(table, data)
    known = label_names or _known_names(source, data) or table.classes.get(columns[0]) or ()
    cells = list(label_cells(table, columns, data, of_rows=True))
    return split_gaps(texts, cells, known or columns[1:], table.origin)


def training_columns(data: DataRecipe) -> list[str]:
    """Names of all columns of the training data except the label columns; only its first rows are read."""
    table = next(open_tables(data.train, data, "train", 1_000))
    labels = find_label_columns(table, data)
    return [name for name in table.names if name not in labels]


def training_label_names(data: DataRecipe) -> tuple[str, ...]:
    """The class names of the training data.

    The texts are read only with ``data.empty = "drop"``: then a class whose rows all lack a text does not count.
    """
    table = open_table(data.train, data, "train")
    if carried := table.classes.get(label_columns(table, data)[0]):
        return carried
    if data.empty == "drop":  # a class does not count if none of its rows has a text
        return rows_of(table, data.train, data).label_names
    return read_labels(table, data.train, data, None)[1]


def raw_texts(table: Table, columns: Sequence[str], data: DataRecipe) -> Sequence[Text]:
    """The text (or pair of texts) of every row, not cleaned. Raises UserError as ``joined_texts`` does."""
    if data.join == "pair":
        return same_kind([joined_texts(table, [column]) for column in columns])
    return joined_texts(table, columns)


def cleaned_texts(
    table: Table, columns: Sequence[str], data: DataRecipe, drop: str | None, *, labelled: bool = False
) -> Sequence[Text]:
    """The cleaned texts of ``table``, made of its ``columns``.

    Raises UserError if there are no rows, or if a text is empty; the message ends with ``drop``, which says how to
    leave such rows out. If ``drop`` is None, empty texts are allowed.
    """
    texts = raw_texts(table, columns, data)
    if not texts:
        raise UserError(f"{table.origin}: the data set is empty; it needs at least one row")
    cleaned = clean_texts(texts, data.clean)
    for tried, when in ((texts, ""), (cleaned, " after cleaning")) if drop is not None else ():
        if empty := [row for row, text in enumerate(tried, 1) if is_blank(joined(text))]:
            if labelled:
                label_columns(table, data)  # a missing column is the first thing to mend
            more = f" (and in {len(empty) - 1:,} more rows)" if len(empty) > 1 else ""
            raise UserError(
                f"{table.origin}: row {empty[0]}: the text is empty{when}{more}\nFill it in, or {drop or drop_remedy()}"
            )
    return cleaned


def read_labels(
    table: Table,
    source: str,
    data: DataRecipe,
    label_names: Sequence[str] | None,
) -> tuple[NDArray[np.integer[Any]], tuple[str, ...], LabelColumn | None]:
    """The labels of the rows of ``table``, the names of the classes, and how the label column spells them.

    Raises UserError if a label is missing or unknown.
    """
    names = label_names or _known_names(source, data)
    columns = label_columns(table, data)
    if len(columns) > 1:
        table_of_labels = code_label_columns({name: table.read(name) for name in columns}, table.origin)
        return table_of_labels, data.label_columns, None
    own = source in (data.train, data.validation, data.test)
    values = label_values(table, columns[0])
    require_named(table, columns[0], values)
    known: dict[str, Any] = {
        "carried": table.classes.get(columns[0]),
        "names": names,
        "numbered": bool(data.labels),
        "rename": bool(data.labels) and own,
    }
    if data.several:
        found, classes = code_label_lists(values, table.origin, separator=data.label_separator, **known)
        separator = separator_of(values, data.label_separator, names)
        return found, classes, LabelColumn(columns[0], classes, separator)
    values = single_labels(values)
    if several := row_of_several(values):
        raise UserError(f"{table.origin}: {several}")
    numbers, classes = code_labels(values, table.origin, **known)
    return numbers, classes, describe_label_column(columns[0], values, numbers, classes)


def _known_names(source: str, data: DataRecipe) -> tuple[str, ...]:
    return data.labels or (AG_NEWS if source in BUILT_IN else ())


def ids_of(table: Table, column: str | None) -> Sequence[str] | None:
    """The ids in ``column`` as texts; None without an id column. Raises UserError if one is not valid Unicode."""
    if column is None:
        return None
    ids = stored(map(id_text, table.read(column)))
    require_unicode(ids, table, column)
    return ids
