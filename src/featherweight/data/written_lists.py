"""Parses lists of labels stored as text, such as ``["a", "b"]``, ``['a' 'b']`` (NumPy), ``<a><b>`` or ``{a,b}``."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from typing import Any

_ITEM = re.compile(r"""\s*(?:("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|([^,"'\[\]]+?))\s*(?:,|$)""")
_WITHOUT_COMMAS = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[-+]?\d+\.?)(?:\s+|$)""")
"""An item of an array in the notation of NumPy, which `Dataset.to_csv` uses: a text in quotes, or a number."""
_NUMBER = r"[-+]?\d+"
_OTHERS = re.compile(
    rf"""\{{[^{{}}:]*\}}|c?\(\s*(?:["'].*["']|{_NUMBER}(?:\s*,\s*{_NUMBER})*)?\s*,?\s*\)|set\(\)|character\(0\)""",
    re.DOTALL,
)
"""A set of Python or an array of PostgreSQL (``{a,b}``), a tuple, or a vector of R (``c("a", "b")``)."""
_EMPTY = frozenset({"[]", "{}", "()", "c()", "set()", "character(0)"})
_TAGS = re.compile(r"(?:<[^<>\s]+>)+")
"""A list of labels in the notation of Stack Exchange, such as ``<a><b>``."""


def is_written_list(text: str) -> bool:
    """Whether ``text``, without outer spaces, looks like a list by its brackets; the list may be invalid."""
    return (text.startswith("[") and text.endswith("]")) or any(kind.fullmatch(text) for kind in (_TAGS, _OTHERS))


def is_empty_list(text: str) -> bool:
    """Whether ``text``, without outer spaces, is an empty list in one of the notations."""
    return text in _EMPTY


def written_list(text: str) -> list[Any] | None:
    """The items of the list that ``text`` contains; None if the notation is not known."""
    if text.startswith("<"):
        return text[1:-1].split("><")
    if is_empty_list(text):
        return []
    text = text.removeprefix("c")
    try:
        found = json.loads(text)
        if isinstance(found, list):
            return found
    except (ValueError, RecursionError):
        pass
    inside = text[1:-1].strip()
    for pattern in (_WITHOUT_COMMAS, _ITEM):
        items, place = [], 0
        while place < len(inside) and (match := pattern.match(inside, place)):
            items.append(_unquoted(match[1]) if match[1] else match[2])
            place = match.end()
        if place >= len(inside):
            return items
    return None


def labels_of_object(cell: Mapping[str, Any]) -> list[str] | None:
    """The labels with the value 1 or true in an object such as {"a": 1, "b": 0} (spaCy's ``cats``); else None."""
    if not cell or not all(isinstance(value, int | float) and value in (0, 1) for value in cell.values()):
        return None
    return [name for name, value in cell.items() if value]


def _unquoted(item: str) -> str:
    if item[0] not in "\"'":
        return item.rstrip(".")
    try:
        return str(ast.literal_eval(item))
    except (SyntaxError, ValueError):
        return item[1:-1]
