"""Paths to values inside objects and lists, such as ``annotations.0.value`` in the column ``annotations``."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from featherweight.data.readers.columns import stored

_DEEPEST = 6


def column_of(path: str, names: Collection[str]) -> str | None:
    """The longest of the column ``names`` that ``path`` begins with, such as ``data`` for ``data.text``; or None."""
    parts = path.split(".")
    begins = (".".join(parts[:end]) for end in range(len(parts) - 1, 0, -1))
    for begin in begins:
        if begin in names:
            return begin
        alike = [name for name in names if plain_name(name) == plain_name(begin)]
        if len(alike) == 1:
            return alike[0]
    return None


def plain_name(name: str) -> str:
    """The ``name`` of a column in lower case, with each letter and its accents as one character, however written."""
    return unicodedata.normalize("NFC", name).casefold()


def values_at(path: str, column: str, values: Sequence[Any]) -> Sequence[Any]:
    """The part of each value at ``path``, which begins with the name of the ``column``; None if a value lacks it.

    In a list, a number selects an item, and a key applies to every item: ``genres.name`` gives the names of all genres.
    """
    steps = path[len(column) + 1 :].split(".")
    return stored(_inside(value, steps) for value in values)


def paths_in(column: str, value: Any) -> list[str]:
    """The paths to all parts of ``value``, such as ``data.text``; only the name of the column if it has no parts."""
    return list(_paths(column, value, _DEEPEST))


def paths_of(name: str, kind: Any, deepest: int = _DEEPEST) -> list[str]:
    """The paths to all parts of a column of the Arrow type ``kind``; only the column's ``name`` if it has no parts.

    Parts below ``deepest`` levels get no path of their own.
    """
    from pyarrow import types

    if deepest and types.is_struct(kind):
        fields = [kind.field(place) for place in range(kind.num_fields)]
        return [path for one in fields for path in paths_of(f"{name}.{one.name}", one.type, deepest - 1)]
    if deepest and (types.is_list(kind) or types.is_large_list(kind)):
        inside = paths_of(f"{name}.0", kind.value_type, deepest - 1)
        return [name] if inside == [f"{name}.0"] else inside
    return [name]


def _inside(value: Any, steps: Sequence[str]) -> Any:
    for place, step in enumerate(steps):
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list | tuple) and not step.isdecimal():
            return [_inside(item, steps[place:]) for item in value]
        elif isinstance(value, list | tuple) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _paths(path: str, value: Any, deepest: int) -> Iterator[str]:
    if deepest and isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _paths(f"{path}.{key}", inner, deepest - 1)
    elif deepest and isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
        yield from _paths(f"{path}.0", value[0], deepest - 1)
    else:
        yield path
