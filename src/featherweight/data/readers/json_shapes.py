"""Finds the rows in a file that is a single JSON object.

The object may have a list of rows under a key, one entry per column, one entry per row, or one entry per split.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from featherweight.data.readers.conversion import free_name
from featherweight.data.readers.parts import parts_named
from featherweight.data.readers.reading import Reading
from featherweight.data.readers.unpacking import Content
from featherweight.errors import UserError, in_a_line
from featherweight.formatting import listed

_ROWS = ("data", "rows", "records", "items", "examples", "documents", "results", "instances", "samples")
"""Usual keys of the rows, which decide if an object has several lists."""
_OF_DATA_SETS = frozenset({"id", "title", "description"})
"""Names that an object beside its rows may have, too; it is no row itself."""
_DEEPEST = 4
_FEW_ROWS = 5
"""Minimum number of objects with the same keys that are rows, each under its id, although lists are in them."""


@dataclass(frozen=True)
class Found:
    """The rows that were found in a JSON object. Each row is an object or a list of values."""

    rows: Sequence[Any]
    note: str | None = None
    """A note that says under which key the rows were found; None if there was no other possibility."""
    part: str | None = None
    """The key of the part (such as ``train``) that the rows belong to, if the object has parts."""


def rows_in(value: Mapping[str, Any], reading: Reading, content: Content) -> Found:
    """The rows of a JSON file that is a single object; an object without any rows is itself the only row.

    Raises UserError if several lists could be the rows, or if the part ``reading.split`` is missing.
    """
    if _is_row(value, reading):
        return Found([value])
    if parts := json_parts(value):
        return _of_part(value, parts, reading, content)
    if found := _by_text_or_label(value, reading):
        return found
    if (rows := _by_column_or_row(value, reading, content)) is not None:
        return Found(rows)
    found = _under_a_key(value, reading, content)
    empty = None if found else next((key for key in value if key.casefold() in _ROWS and value[key] == []), None)
    if empty is not None:
        raise UserError(f"{content.origin}: the file has no rows: the list under its key {empty!r} is empty; add some")
    return found or Found([value])


def json_parts(value: Mapping[str, Any]) -> dict[str, str]:
    """The key of each part in an object, such as {"validation": "dev"}; empty if the object has no parts."""
    found = parts_named(value)
    return found if all(isinstance(value[key], list | dict) for key in found.values()) else {}


def _is_row(value: Mapping[str, Any], reading: Reading) -> bool:
    """Whether an object is a single row: a known column name (such as "text") has a value that is no list or object."""
    named = {key.casefold() for key, inner in value.items() if not isinstance(inner, list | dict)} & {*reading.known}
    return bool(named) and not (named <= _OF_DATA_SETS and _has_rows(value, reading))


def _has_rows(value: Mapping[str, Any], reading: Reading) -> bool:
    """Whether an object has parts such as ``train``, or a list of rows: with known names, or of five or more."""
    lists = [rows for _, rows in _lists(value, ())]
    known = replace(reading, known=tuple({*reading.known} - _OF_DATA_SETS))
    return bool(json_parts(value)) or any(len(rows) >= _FEW_ROWS or _has_names(rows, known) for rows in lists)


def _of_part(value: Mapping[str, Any], parts: Mapping[str, str], reading: Reading, content: Content) -> Found:
    key = parts.get(reading.split)
    if key is None and len(parts) == 1:
        key = next(iter(parts.values()))
    if key is None:
        raise UserError(
            f"{content.origin}: no part {reading.split!r}; it has {listed(list(parts))}: "
            "rename a key of the JSON object, or add one"
        )
    inner = value[key]
    if _is_empty(inner):
        others = ", or leave the key out" if key != parts.get("train") else ""
        raise UserError(f"{content.origin}: its part {in_a_line(repr(key))} has no rows; add some{others}")
    found = rows_in(inner, reading, content) if isinstance(inner, dict) else Found(inner)
    return Found(found.rows, found.note, key)


def _is_empty(value: Any, deepest: int = _DEEPEST) -> bool:
    """Whether there is no value in a list or an object, such as ``[]`` or ``{"text": []}``."""
    if not deepest or not isinstance(value, list | dict):
        return False
    return all(_is_empty(inner, deepest - 1) for inner in (value.values() if isinstance(value, dict) else value))


def _by_column_or_row(value: Mapping[str, Any], reading: Reading, content: Content) -> list[Any] | None:
    """The rows of an object that ``DataFrame.to_json()`` or ``to_dict()`` wrote; None for any other object.

    Raises UserError if two columns have the same name: the rows could keep only one of them.
    """
    columns, data = value.get("columns"), value.get("data")
    if isinstance(columns, list) and isinstance(data, list) and all(isinstance(row, list) for row in data):
        names = list(map(str, columns))
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise UserError(f"{content.origin}: two columns are called {in_a_line(repr(twice))}; rename one")
        return [dict(zip(names, row, strict=False)) if len(row) == len(names) else row for row in data]
    inner = list(value.values())
    if inner and all(isinstance(one, dict) for one in inner):
        outside = _has_columns_outside(value, reading)
        if outside is None:
            return None
        places = dict.fromkeys(place for column in inner for place in column) if outside else {}
        return [{name: one.get(place) for name, one in value.items()} for place in places] if outside else inner
    if len(inner) > 1 and all(isinstance(one, list) and len(one) == len(inner[0]) for one in inner):
        if any(isinstance(one, dict) for column in inner for one in column[:1]):
            return None
        return [dict(zip(value, row, strict=True)) for row in zip(*inner, strict=True)]
    return None


def _by_text_or_label(value: Mapping[str, Any], reading: Reading) -> Found | None:
    """The rows of an object such as {text: label, ...} or {label: [texts], ...}; None for any other object."""
    inner = list(value.values())
    if any(key.casefold() in reading.known for key in value) or len(inner) < 2:
        return None
    if all(isinstance(one, list) and one and all(isinstance(text, str) for text in one) for one in inner):
        if len(set(map(len, inner))) == 1:  # these may be columns
            return None
        rows = [{"text": text, "label": label} for label, texts in value.items() for text in texts]
        return Found(rows, "its keys are read as the labels of the texts in their lists")
    are_labels = all(isinstance(one, str | int) for one in inner) and 1 < len(set(inner)) <= len(inner) / 3
    are_texts = sum(" " in key.strip() for key in value) > len(inner) / 2
    if are_labels and are_texts:
        rows = [{"text": text, "label": label} for text, label in value.items()]
        return Found(rows, "its keys are read as the texts, and their values as the labels")
    return None


def _has_columns_outside(value: Mapping[str, Mapping[str, Any]], reading: Reading) -> bool | None:
    """For an object of objects: True if the outer keys are column names, False if the inner keys are; else None."""
    inside = dict.fromkeys(key for one in value.values() for key in one)
    for keys, answer in ((value, True), (inside, False)):
        if any(key.casefold() in reading.known for key in keys):
            return answer
    same_keys = len(inside) > 1 and all(one.keys() == inside.keys() for one in value.values())
    lists = any(isinstance(cell, list) for one in value.values() for cell in one.values())
    if same_keys and lists and len(value) >= _FEW_ROWS:
        return False  # rows with lists in them, each under its id
    if _lists(value, ()):
        return None  # the rows are lists deeper inside
    for keys, answer in ((inside, True), (value, False)):
        if all(key.isdecimal() for key in keys):
            return answer
    return len(value) <= len(inside)


def _under_a_key(value: Mapping[str, Any], reading: Reading, content: Content) -> Found | None:
    """The list of rows, at whatever depth of an object it is; None if the object has no list of rows.

    Raises UserError if several lists could be the rows.
    """
    found = dict(_lists(value, ()))
    chosen = next(iter(found), None)
    if len(found) > 1:
        named = [path for path, rows in found.items() if _has_names(rows, reading)]
        usual = [path for path in found if path[-1].casefold() in _ROWS]
        others = replace(reading, known=tuple({*reading.known} - {"id"}))  # a list of the classes may have ids, too
        surely = [path for path in named if _has_names(found[path], others)]
        chosen = next((paths[0] for paths in (surely, usual, named) if len(paths) == 1), None)
        if chosen is None:
            keys = listed([".".join(path) for path in found])
            raise UserError(
                f"{content.origin}: several keys may hold the rows: {keys}; save the rows as a file, for example:\n"
                f"  {_saving(next(iter(found)), content)}"
            )
    if chosen is None:
        return None
    return Found(found[chosen], f"its rows are those under the key {in_a_line(repr('.'.join(chosen)))}")


def _saving(path: Sequence[str], content: Content) -> str:
    """The command that saves the list under the keys ``path`` as a file."""
    rows = "json.load(open(sys.argv[1]))" + "".join(f"[{json.dumps(key)}]" for key in path)
    code = f'import json, sys; json.dump({rows}, open(sys.argv[2], "w"))'
    return shlex.join(["python", "-c", code, str(content.path), str(free_name(content.path, ".json"))])


def _lists(value: Mapping[str, Any], path: tuple[str, ...]) -> list[tuple[tuple[str, ...], list[Any]]]:
    """All lists of objects or of lists inside an object, as (keys that lead to the list, list)."""
    found: list[tuple[tuple[str, ...], list[Any]]] = []
    for key, inner in value.items():
        if isinstance(inner, list) and inner and all(isinstance(one, dict | list) for one in inner):
            found.append(((*path, key), inner))
        elif isinstance(inner, dict) and len(path) < _DEEPEST:
            found += _lists(inner, (*path, key))
    return found


def _has_names(rows: Sequence[Any], reading: Reading) -> bool:
    first = rows[0]
    return isinstance(first, dict) and any(key.casefold() in reading.known for key in first)
