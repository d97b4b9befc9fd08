"""Finds the text and label columns of new data for a finished run, even if the training data names them differently."""

from __future__ import annotations

from collections.abc import Sequence

from featherweight.argument_checks import list_of
from featherweight.data.candidate_columns import Columns
from featherweight.data.column_guess import guess_texts
from featherweight.data.label_guess import find_label
from featherweight.data.readers.reading import USUAL_TEXTS
from featherweight.data.readers.table import (
    Table,
    find_label_columns,
    listed_columns,
    require_column,
    text_columns,
)
from featherweight.data.source_tables import column_pieces
from featherweight.errors import UserError
from featherweight.formatting import in_sentence, listed
from featherweight.hints import as_given, flag, for_command_line, option
from featherweight.recipe import DataRecipe, Recipe

_MOST_NAMED = 12  # maximum number of labels that a message lists
_LOOKED_AT = 1_000  # number of rows that are read to see what a column holds

_KEYS = ("encoding", "separator", "columns", "format")
"""Keys of the recipe that say how a file is read, and may be other ones for new data."""


def with_new_columns(
    data: DataRecipe,
    source: str,
    text: Sequence[str] = (),
    label: Sequence[str] = (),
    *,
    labelled: bool = False,
    classes: Sequence[str] = (),
    split: str = "test",
) -> DataRecipe:
    """The run's ``data`` section with the column names of ``source``.

    The text columns are ``text`` and the label columns ``label``; if these are empty, the names in ``data`` are used.
    Several label columns are put into the order of ``classes``, the classes of the run. With ``labelled``, label
    columns must exist. ``split`` is the part that is read of a ``source`` with several parts. Raises UserError if a
    column is missing; the message says which option to use.
    """
    table = next(column_pieces(source, data, split=split, rows=_LOOKED_AT))
    if text:
        if data.join == "pair" and len(text) != 2:
            raise UserError(
                f"{source}: this run takes pairs, so {_pair_to_name(Columns(table), text, data.label_columns)}"
            )
        without = "; without a file, --text is a text to classify" if for_command_line() else ""
        remedy = f"Name the text column with {option('text')}{without}"
        data = data.model_copy(update={"text": tuple(require_column(table, name, remedy) for name in text)})
    if label:
        remedy = f"Name the label column with {option('label')}"
        named = tuple(require_column(table, name, remedy) for name in label)
        ordered = named if len(named) == 1 else columns_of_classes(named, data, source, classes)
        labels = data.labels if len(named) == 1 else ()
        data = data.model_copy(update={"label": ordered if len(ordered) > 1 else ordered[0], "labels": labels})
    _require_texts(table, data)
    if labelled and not label and not find_label_columns(table, data):
        names = data.labels or tuple(classes)
        if data.several and names and all(table.find(name) for name in names):
            return _with_columns_of_labels(data, names)
        _require_no_other_labels(table, data)
    return data


def read_as(data: DataRecipe, overrides: Sequence[str]) -> DataRecipe:
    """The run's ``data`` section with ``overrides`` that say how a file is read, such as ``data.encoding=cp1251``.

    Raises UserError if an override is wrong, or is of another key.
    """
    allowed = [f"data.{key}" for key in _KEYS]
    keys = [override.partition("=")[0].strip() for override in list_of(overrides, "overrides=...", "texts")]
    if other := next((key for key in keys if key not in allowed), None):
        raise UserError(
            f"{as_given(other)}: with a finished run only {in_sentence(allowed)} can be set, to read new data"
        )
    given = Recipe.parse({"data": {"train": data.train}}, "new data", overrides).data
    return data.model_copy(update={key: getattr(given, key) for key in _KEYS if f"data.{key}" in keys})


def columns_of_classes(named: Sequence[str], data: DataRecipe, source: str, classes: Sequence[str]) -> tuple[str, ...]:
    """The label columns ``named`` (with 0 or 1 for each row), one per class, sorted in the order of ``classes``.

    Columns and classes are matched by name (upper and lower case do not matter), or by position if no name matches.
    Raises UserError if the run has one label per text, if the number of columns is wrong, or if only some names match.
    """
    if not data.several:
        raise UserError(f"{source}: each text has one label in this run, so name one column: {option('label')}")
    by_name = {name.casefold(): name for name in named}
    found = [by_name.get(name.casefold()) for name in classes]
    if len(by_name) != len(classes) or (any(found) and None in found):
        raise UserError(
            f"{source}: {flag('--label')} names {listed(named)}, but the labels of the run are "
            f"{listed(classes, _MOST_NAMED)}\nName one column per label with {flag('--label')}: "
            "columns with the labels' names, or all in the order of the labels"
        )
    return tuple(name or named[place] for place, name in enumerate(found))


def _with_columns_of_labels(data: DataRecipe, names: tuple[str, ...]) -> DataRecipe:
    """``data`` with one binary column per label as its label columns; ``names`` are the labels and their columns."""
    return data.model_copy(update={"label": names, "labels": ()})


def _require_texts(table: Table, data: DataRecipe) -> None:
    table.require_once(*(data.text or USUAL_TEXTS[:1]))
    try:
        text_columns(table, data)
    except UserError:
        columns = Columns(table)
        wanted = next((name for name in data.text if table.find(name) is None), "text")
        if data.join == "pair":
            remedy = f"This run takes pairs: {_pair_to_name(columns, data.text, data.label_columns)}"
        else:
            remedy = f"Name the column with the texts: {_option_of_texts(columns)}"
            if len(table.names) == 1 and not table.repeated:
                remedy += f"; if this is a text and no name, write {wanted} as the first line of the file"
        raise _misnamed(table, wanted, "texts", remedy) from None


def _option_of_texts(columns: Columns) -> str:
    try:
        return option("text", guess_texts(columns)[0])
    except UserError:
        return option("text")


def _pair_to_name(columns: Columns, wanted: Sequence[str], labels: Sequence[str]) -> str:
    """What to do, with the option that names two columns of texts: the first two of ``wanted``, if the table has them.

    A missing one is replaced by another column that looks like texts, but not by a column of ``labels``.
    """
    of_labels = {columns.table.find(name) for name in labels if name not in wanted}
    names = [name for name in columns.table.names if name not in of_labels]
    if len(names) < 2:
        return "add the column of the second text to the file"
    places = [columns.table.find(name) for name in wanted[:2]] + [None] * (2 - len(wanted))
    found = [name for name in places if name is not None]
    free = [name for name in columns.free(found) if name in names and columns.profile(name).holds_texts]
    texts = [name for name in free if columns.profile(name).is_running_text] or free
    likely = [*texts, *(name for name in names if name not in (*texts, *found))]
    missing = 2 - len(found)
    others = iter(sorted(likely[:missing], key=names.index))
    pair = [name or next(others) for name in places]
    such_as = "" if len(texts) == missing or len(names) == 2 else ", such as"
    return f"name the columns of the two texts{such_as}: {option('text', pair)}"


def _require_no_other_labels(table: Table, data: DataRecipe) -> None:
    """Raise UserError if columns that have other names than in the run seem to hold the labels."""
    if option := _option_of_labels(Columns(table), data):
        missing = next(name for name in data.label_columns if table.find(name) is None)
        raise _misnamed(table, missing, "labels", f"Name the column with the labels: {option}")


def _option_of_labels(columns: Columns, data: DataRecipe) -> str:
    """The option that names the columns that seem to hold the labels; "" if none do.

    If the run has one column per label, these are as many binary columns, or else one column of lists.
    """
    texts = text_columns(columns.table, data)
    if not data.label_name:
        flags = [name for name in columns.free(texts) if columns.profile(name).notation]
        if len(flags) == len(data.label_columns):
            return f"{option('label', flags)} (in this order: {listed(data.label_columns, _MOST_NAMED)})"
    try:
        found = find_label(columns, texts)
    except UserError:  # several columns may hold them
        return option("label")
    # One column of yes and no cannot hold the labels of a run that has a column per label.
    if found and (data.label_name or columns.profile(found[0]).notation is None):
        return option("label", [found[0]])
    return ""


def _misnamed(table: Table, wanted: str, what: str, remedy: str) -> UserError:
    return UserError(
        f"{table.origin}: no column {wanted!r}, which held the {what} in training; its columns are: "
        f"{listed_columns(table)}\n{remedy}"
    )
