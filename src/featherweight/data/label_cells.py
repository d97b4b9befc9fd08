"""Reads the cells of a label column, and replaces objects and lists of one label by the labels in them."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from typing import Any

from featherweight.data.flags import blank_is_no
from featherweight.data.readers.table import Table
from featherweight.data.written_lists import labels_of_object
from featherweight.errors import UserError
from featherweight.formatting import listed
from featherweight.hints import option

_NAMES = ("name", "label", "title", "value", "tag", "text")
"""Usual keys for the label in an object such as ``{"id": 18, "name": "Drama"}``; the most certain key comes first."""
_OF_SPACY = "cats"
_CHOICES = "choices"
"""The only key of the objects in which Label Studio exports several labels: ``{"choices": [...]}``."""


def label_values(table: Table, column: str) -> Sequence[Any]:
    """The cells of a label column of ``table``, converted by ``plain_labels``."""
    return plain_labels(table.read(column))


def single_labels(values: Sequence[Any]) -> Sequence[Any]:
    """``values`` of a label column; a list with one label becomes that label, and an empty list becomes None."""
    if not any(isinstance(value, list | tuple) for value in values):
        return values
    return [
        (value[0] if value else None) if isinstance(value, list | tuple) and len(value) < 2 else value
        for value in values
    ]


def row_of_several(values: Sequence[Any]) -> str | None:
    """A clause that names the first row with several labels, and the key to set; None if no row has several."""
    for row, value in enumerate(values, 1):
        if isinstance(value, list | tuple) and len(value) > 1:
            labels = listed(list(map(str, value)), 4)
            return f'row {row}: has {len(value)} labels ({labels}); several labels per text need task = "multi-label"'
    return None


def require_named(table: Table, column: str, cells: Sequence[Any]) -> None:
    """Raise UserError if ``cells``, the result of ``plain_labels``, still contain lists of objects.

    In this case it is unclear which key of the objects holds the label; the message says how to set the key.
    """
    for row, cell in enumerate(cells, 1):
        if isinstance(cell, list | tuple) and cell and isinstance(cell[0], Mapping):
            keys = list(map(str, cell[0]))
            name_one = (
                f"name the key of the label, such as {option('label', [f'{column}.{keys[0]}'])}"
                if keys
                else "correct the data"
            )
            raise UserError(
                f"{table.origin}: row {row}: {column!r} holds objects with the keys {listed(keys)}; {name_one}"
            )


def plain_labels(cells: Sequence[Any]) -> Sequence[Any]:
    """``cells``, with a list of label names instead of each object or list of objects that contains labels.

    Such cells are lists of objects, ``{"choices": [...]}`` (Label Studio), and objects with 0 or 1 for each label, such
    as ``{"cats": {"spam": 1, "ham": 0}}`` (spaCy). They may be written as text, in JSON or in Python's notation. Other
    cells do not change; without such cells, ``cells`` itself is returned.
    """
    if not any(map(_may_wrap, cells)):
        return cells
    opened = [_opened(cell) if isinstance(cell, str) else cell for cell in cells]
    key = _name_key(opened)
    named = [_names(cell, key) for cell in opened]
    # In a column of choices, a text is a single label, even if it contains a separator.
    choices = any(isinstance(cell, Mapping) and cell.keys() == {_CHOICES} for cell in opened)
    return [[cell] if choices and isinstance(cell, str) and cell.strip() else cell for cell in named]


def label_notes(table: Table, columns: Sequence[str]) -> tuple[str, ...]:
    """Notes for the user if the label ``columns`` of ``table`` could be read in more than one way.

    They say that a blank cell means no, or which key of the objects holds the label.
    """
    values = {column: table.read(column) for column in columns}
    if len(columns) > 1:
        note = "a blank cell of a label column means no, because no cell says no"
        return (f"{table.origin}: {note}",) if blank_is_no(values) else ()
    cells = values[columns[0]]
    if not any(map(_may_wrap, cells)):
        return ()
    key = _name_key([_opened(cell) if isinstance(cell, str) else cell for cell in cells])
    note = f"{columns[0]!r} holds lists of objects, of which {key!r} is read as the label"
    return (f"{table.origin}: {note}",) if key else ()


def _may_wrap(cell: Any) -> bool:
    if isinstance(cell, str):
        return cell.lstrip()[:1] in ("[", "{") and "{" in cell
    if isinstance(cell, Mapping):
        return cell.keys() == {_CHOICES} or _flagged(cell) is not None
    return isinstance(cell, list | tuple) and bool(cell) and isinstance(cell[0], Mapping)


def _opened(cell: str) -> Any:
    """The value that the text ``cell`` contains, in JSON or in Python's notation; ``cell`` itself for other texts."""
    if not _may_wrap(cell):
        return cell.strip() and (cell if cell.strip() != "[]" else [])
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(cell.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        return value if _may_wrap(value) else cell
    return cell


def _name_key(cells: Sequence[Any]) -> str | None:
    """The key of the label in the objects of all lists: a usual key, else the only key with text values; else None."""
    objects = [item for cell in cells if isinstance(cell, list | tuple) for item in cell if isinstance(item, Mapping)]
    if not objects:
        return None
    common = [key for key in objects[0] if all(isinstance(item.get(key), str) for item in objects)]
    usual = next((key for key in _NAMES if key in common), None)
    return usual or (common[0] if len(common) == 1 else None)


def _flagged(cell: Mapping[str, Any]) -> list[str] | None:
    inner = cell.get(_OF_SPACY)
    flags = inner if isinstance(inner, Mapping) and len(cell) == 1 else cell
    return labels_of_object(flags) if len(flags) > 1 else None


def _names(cell: Any, key: str | None) -> Any:
    if isinstance(cell, Mapping) and (flagged := _flagged(cell)) is not None:
        return flagged
    if isinstance(cell, Mapping) and cell.keys() == {_CHOICES} and isinstance(cell[_CHOICES], list):
        return cell[_CHOICES]
    if key is None or not _may_wrap(cell) or not all(isinstance(item, Mapping) for item in cell):
        return cell
    return [item[key] for item in cell]
