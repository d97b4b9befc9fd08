"""Reads several labels per text from one column: of lists, of texts such as ``a|b``, or of objects."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from featherweight.data.flags import notation_of
from featherweight.data.label_spelling import alike, numbers_for_booleans
from featherweight.data.labels import code_labels, drop_remedy, is_missing, renumbered
from featherweight.data.written_lists import is_empty_list, is_written_list, labels_of_object, written_list
from featherweight.errors import UserError, in_a_line
from featherweight.formatting import listed
from featherweight.hints import option, to_set

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

SEPARATORS = ("|", ";", ",")
"""Possible separators of labels in a text if the recipe sets none; the first one that occurs is used."""
_MARKS = (*SEPARATORS, "#", " ")
"""Separators that messages propose if the names of classes seem to be several labels."""


def code_label_lists(
    cells: Sequence[Any], origin: str, *, separator: str | None = None, names: Sequence[str] | None = None, **more: Any
) -> tuple[NDArray[np.int8], tuple[str, ...]]:
    """The labels of all rows as a matrix of 0 and 1 (int8 [rows, labels]), and the names of the labels.

    A cell is a list of labels, a text with labels separated by ``separator``, a list written as text, an object with 0
    or 1 for each label, or a single label; an empty list or text means no labels. If all lists contain only 0 and 1 and
    have the same length, each position is one label. ``names`` are the labels if they are known; ``names`` and ``more``
    are arguments of ``labels.code_labels``. Raises UserError, naming the row, for a missing or unknown label, and if
    the cells only say yes or no.
    """
    import numpy as np

    if not len(cells):
        raise UserError(f"{origin}: the data set is empty; it needs at least one row")
    split = _splitter(cells, separator, names)
    rows = [_items(cell, origin, row, split) for row, cell in enumerate(cells, 1)]
    known = names or more.get("carried")
    if _are_vectors(rows):
        return _from_vectors(rows, origin, known)
    if not (more.get("numbered") or more.get("carried")):  # where 0 and 1 are the numbers of classes
        _require_no_answers(cells, origin, names or ())
    places = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    flat = [item for row in rows for item in row]
    if not flat:
        raise UserError(f"{origin}: no row has a label, so there is nothing to learn; check data.label")
    try:
        numbers, classes = code_labels(flat, origin, names=names, of_lists=True, **more)
    except UserError as error:
        raise renumbered(error, places) from None
    table = np.zeros((len(rows), len(classes)), np.int8)
    table[places, numbers] = 1
    return table, classes


def is_empty_cell(cell: Any) -> bool:
    """Whether a cell of a column of lists contains no label."""
    if isinstance(cell, str):
        return not cell.strip() or is_empty_list(cell.strip())
    return is_missing(cell) if not isinstance(cell, list | tuple) else not cell


def separator_of(cells: Sequence[Any], separator: str | None, names: Sequence[str] | None) -> str | None:
    """The separator of labels in cells of text: ``separator``, or the first of ``SEPARATORS`` that occurs.

    If the ``names`` are known, it is the first one that gives only these names, of ``SEPARATORS``, ``#`` and a blank.
    None if no cell has a separator.
    """
    known = {*(names or ())}
    texts = {cell.strip() for cell in cells if isinstance(cell, str)} - known
    written = {text for text in texts if not is_written_list(text)}
    marks = (separator, *_MARKS) if separator is not None else _MARKS
    found = [mark for mark in marks if any(mark in text for text in written)]
    fitting = next((mark for mark in found if all({*_parts(text, mark)} <= known for text in written)), None)
    if fitting is not None or separator is not None:
        return fitting or (separator if texts else None)
    return next((mark for mark in found if mark in SEPARATORS), None)


def separator_note(column: str, separator: str | None, names: Sequence[str], *, several: bool) -> str | None:
    """A note if the ``separator`` in ``column`` was guessed, or if each of ``names`` seems to contain several labels.

    ``several`` says whether the task allows several labels per text.
    """
    if separator:
        return f"{column!r} is read as labels separated by {separator!r} (data.label_separator)"
    found = several_in_one(names, several=several)
    return f"{column!r}: {found[0]} is read as one label; if it is several: {found[1]}" if found else None


def several_in_one(names: Sequence[str], *, several: bool) -> tuple[str, str] | None:
    """A class name that seems to be several labels (in quotes, for a message), and the options that split such names.

    None if there is no such name. ``several`` says whether the task allows several labels per text.
    """
    mark = next((mark for mark in _MARKS if _are_joined_by(names, mark)), None)
    if mark is None:
        return None
    example = in_a_line(repr(next(name for name in names if len(_parts(name, mark)) > 1)[:60]))
    task = () if several else ("task=multi-label",)
    return example, to_set(*task, f'data.label_separator="{mark}"')


def _are_joined_by(names: Sequence[str], mark: str) -> bool:
    """Whether names of classes seem to be several labels with the separator ``mark`` between them.

    Either the parts of all names with the mark are classes, too, or at least half of the names have it, and they have
    few parts, and at most one part in twenty occurs only once. A part has letters or digits.
    """
    parts = {name: _parts(name, mark) for name in names}
    joined = [found for found in parts.values() if len(found) > 1]
    if not joined or not all(any(map(str.isalnum, part)) for found in joined for part in found):
        return False
    if all(part in parts for found in joined for part in found):
        return True
    counts = Counter(part for found in parts.values() for part in found)
    few = 2 * len(counts) <= len(names) and 20 * list(counts.values()).count(1) <= counts.total()
    return 2 * len(joined) >= len(names) and few


def cell_of(labels: Sequence[str], names: Sequence[str], separator: str | None = None) -> str:
    """The labels of a row as one text that can be read again: ``a|b``, or a list.

    ``names`` are all existing labels. The parts are separated by ``separator``, or by the first of ``SEPARATORS``, that
    is in none of them. It is a list if there is no such separator, or if a name begins like a list.
    """
    lists = any(name.startswith(("[", "<", "{", '("', "('", "c(")) for name in names)
    mark = None if lists else next((one for one in _marks(separator) if not any(one in name for name in names)), None)
    return json.dumps(list(labels), ensure_ascii=False) if mark is None else mark.join(labels)


def _marks(separator: str | None) -> tuple[str, ...]:
    """The possible separators of labels in a text: that of the recipe, if there is one, and SEPARATORS."""
    return SEPARATORS if separator is None else (separator, *SEPARATORS)


def labels_of_cell(cell: str, names: Collection[str], separator: str | None = None) -> frozenset[str] | None:
    """The labels in one ``cell`` of text, such as ``cell_of`` writes it; None if it contains others than ``names``.

    They may be separated by ``separator`` or by one of ``SEPARATORS``. An apostrophe in front of the first label, by
    which a spreadsheet does not read the cell as a formula, does not count unless it is part of a name.
    """
    for text in dict.fromkeys((cell.strip(), cell.strip().removeprefix("'"))):
        if text in names:
            return frozenset([text])
        lists = [written_list(text) or []] if is_written_list(text) else []
        for found in (*lists, *(_parts(text, mark) for mark in _marks(separator))):
            if (labels := frozenset(map(str, found))) <= frozenset(names) and (labels or is_empty_cell(text)):
                return labels
    return None


def arrow_table(columns: Mapping[str, Any]) -> pa.Table:
    """The columns as an Arrow table; columns of label lists have the Arrow type list of strings."""
    import pyarrow as pa

    # If all lists are empty, Arrow cannot infer that they are lists of texts.
    lists = {name for name, values in columns.items() if len(values) and isinstance(values[0], list)}
    return pa.table({name: pa.array(x, pa.list_(pa.string())) if name in lists else x for name, x in columns.items()})


def _splitter(cells: Sequence[Any], separator: str | None, names: Sequence[str] | None) -> Any:
    """A function that returns the labels of one cell as a list."""
    mark, known = separator_of(cells, separator, names), {*(names or ())}

    def split(text: str) -> list[str]:
        return [text] if mark is None or text in known else _parts(text, mark)

    return split


def _parts(text: str, mark: str) -> list[str]:
    return [part for part in map(str.strip, text.split(mark)) if part]


def _items(cell: Any, origin: str, row: int, split: Any) -> list[Any]:
    if isinstance(cell, list | tuple):
        return list(cell)
    if isinstance(cell, str):
        text = cell.strip()
        if not is_written_list(text):
            return split(text) if text else []
        items = written_list(text)
        if items is None:
            shown = in_a_line(text[:60])
            raise UserError(f'{origin}: row {row}: {shown!r} is no list of labels; write it as ["a", "b"] or a|b')
        return items
    if is_missing(cell):
        raise UserError(
            f"{origin}: row {row}: the labels are missing; write an empty list for a text without labels\n"
            f"Or {drop_remedy()}"
        )
    if isinstance(cell, Mapping):
        if (found := labels_of_object(cell)) is not None:
            return found
        raise UserError(
            f"{origin}: row {row}: the labels are an object with the keys {listed(list(map(str, cell)))}; give each "
            "label a column, or write a list of labels"
        )
    return [cell]


def _require_no_answers(cells: Sequence[Any], origin: str, known: Sequence[str]) -> None:
    """Raise UserError if each cell says yes or no, such as 1 or 0, and neither is one of the ``known`` labels.

    Such a column tells whether a text has one label. Read as labels, 0 and 1 would be two that exclude each other.
    """
    if any(isinstance(cell, list | tuple | Mapping) and cell for cell in cells):
        return
    found = sorted({str(cell).strip() for cell in cells if not is_empty_cell(cell)})
    if len(found) != 2 or notation_of(found, gaps=False) is None:
        return
    spelled = {alike(name).casefold() for name in known} | {*numbers_for_booleans(known)}
    if any(alike(text).casefold() in spelled for text in found):
        return
    columns = option("label", [*known][:2] or ["A", "B"])
    two = "" if known else f"; or, if these are the two classes of the texts, use {to_set('task=single-label')}"
    raise UserError(
        f"{origin}: its label column has only {found[0]} and {found[1]}, which tells whether a text has one label\n"
        f"Name a column for each label, such as {columns}{two}"
    )


def _are_vectors(rows: Sequence[list[Any]]) -> bool:
    """Whether the lists are vectors of 0 and 1 with one position per label.

    Such lists have the same length, and at least one of them contains 0 or 1 twice; a list of labels, such as
    ``[0, 1]`` for the labels 0 and 1, contains each label once.
    """
    length = len(rows[0])
    if length < 2 or not all(len(row) == length for row in rows):
        return False
    if not all(isinstance(item, int | float) and item in (0, 1) for row in rows for item in row):
        return False
    return any(len({*row}) < length for row in rows)


def _from_vectors(
    rows: Sequence[list[Any]], origin: str, names: Sequence[str] | None
) -> tuple[NDArray[np.int8], tuple[str, ...]]:
    import numpy as np

    length = len(rows[0])
    if names and len(names) != length:
        raise UserError(
            f"{origin}: row 1: the list has {length} numbers, but there are {len(names)} labels; "
            "write 0 or 1 for each label"
        )
    return np.array(rows, np.int8), tuple(names or map(str, range(length)))
