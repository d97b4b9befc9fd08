"""Converts texts in memory, such as lists, columns and arrays, to a list of plain strings."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from os import PathLike, fspath
from typing import Any

from featherweight.argument_checks import column_of, described, is_iterable, is_table, is_unordered, items_of, name_of
from featherweight.data.pairs import Pair, Text
from featherweight.data.readers.kinds import looks_like_file
from featherweight.data.readers.shards import files_like
from featherweight.data.readers.table import is_blank
from featherweight.errors import UserError, in_a_line
from featherweight.files import expanded
from featherweight.formatting import shortened
from featherweight.hints import for_command_line
from featherweight.recipe import DataRecipe

_SHOWN = 80  # maximum number of characters of a text in a message
_MISSING = ("MaskedConstant", "NAType", "NaTType")
"""Types of NumPy and pandas whose only value means a missing value."""


def inputs_of(given: Iterable[Any], data: DataRecipe, call: str) -> list[Text]:
    """The inputs for a classifier trained on ``data``: the texts or pairs of ``given`` as a list.

    Raises UserError as ``texts_of`` and ``pairs_of`` do.
    """
    if data.join == "pair":
        return [*pairs_of(given, data.text, call)]
    return [*texts_of(given, call)]


def pairs_of(given: Iterable[Any], columns: Sequence[str], call: str) -> list[Pair]:
    """The pairs as a list, one for each item of ``given``, in the same order.

    An item is a tuple or list of two texts, or a dict with the two ``columns``; a table needs these columns.
    A missing or blank text becomes an empty text. Raises UserError as ``texts_of`` does.
    """
    first, second = columns
    takes = f"{name_of(call)} takes pairs of {first} and {second}"
    example = f"write {call.replace('...', f'[({first}, {second})]')}"
    if is_table(given) and not isinstance(given, Mapping):
        table: Any = given
        names = table.columns if not hasattr(type(table), "column_names") else table.column_names
        if missing := [name for name in columns if name not in list(names)]:
            raise UserError(f"{takes}; {described(given)} without a column {missing[0]!r} was given")
        given = zip(items_of(table[first]), items_of(table[second]), strict=True)
    elif isinstance(given, str | bytes | Mapping | PathLike) or is_unordered(given) or not is_iterable(given):
        raise UserError(f"{takes}, not {described(given)}; {example}")
    return [_pair(item, columns, number, call, takes) for number, item in enumerate(items_of(given), 1)]


def _pair(item: Any, columns: Sequence[str], number: int, call: str, takes: str) -> Pair:
    if isinstance(item, Mapping):
        if missing := [name for name in columns if name not in item]:
            raise UserError(f"{takes}; item {number} has no {missing[0]!r}")
        item = [item[name] for name in columns]
    elif isinstance(item, str) or not is_iterable(item):
        example = call.replace("...", f"[({columns[0]}, {columns[1]})]")
        raise UserError(f"{takes}; item {number} is {described(item)}; write {example}")
    sides = items_of(item)
    if len(sides) != 2:
        raise UserError(f"{takes}; item {number} has {len(sides)} texts, not two")
    first, second = (_text(side, number, call) for side in sides)
    return first, second


def texts_of(given: Iterable[str], call: str) -> list[str]:
    """The texts as a list, one for each item of ``given``, in the same order.

    ``given`` may be any ordered collection: a list, a tuple, a pandas Series, a one-dimensional array, an Arrow array,
    a column of a Dataset, an iterator, a view of a dict. ``call`` is the user's code for the message, such as
    ``predict(...)``. A missing (None, NaN) or blank text becomes an empty text. Raises UserError, with what to write
    instead, for other objects, and for the first item that is not a text or contains a lone surrogate.
    """
    _require_sequence(given, call)
    return [_text(item, number, call) for number, item in enumerate(items_of(given), 1)]


def require_source(given: Any, name: str) -> str:
    """``given``, the path or name of data, as a string.

    Raises UserError for data in memory; the message says what to write instead.
    """
    if isinstance(given, str):
        return given
    if isinstance(given, PathLike) and isinstance(path := fspath(given), str):
        return path
    texts, note = column_of(given) if is_table(given) else ("texts", "")
    instead = f"; for texts in memory write Classifier.load(run).predict({texts}){note}" if is_iterable(given) else ""
    raise UserError(f"{name} takes the path of a file or the name of a data set, not {described(given)}{instead}")


def require_no_text(source: str) -> None:
    """Raise UserError if ``source`` is a text to classify and not the name of data: it has blanks, and is no file.

    Names of data sets on the hub have no blanks.
    """
    if len(source.split()) < 2 or looks_like_file(source):
        return
    try:
        found = expanded(source).exists() or bool(files_like(source))
    except OSError:  # too long for a name
        found = False
    if found:
        return
    text, name = shortened(source, _SHOWN), in_a_line(shortened(source, _SHOWN))
    instead = f"--text {shlex.quote(in_a_line(text))}" if text == source else '--text "..."'
    if not for_command_line():
        instead = "Classifier.load(run).predict([text])"
    raise UserError(f"{name}: no such file; to classify this text: {instead}")


def _require_sequence(given: Any, call: str) -> None:
    takes = f"{name_of(call)} takes a list of texts"

    def refusal(what: str, instead: str, note: str = "") -> UserError:
        return UserError(f"{takes}, not {what}; write {call.replace('...', instead)}{note}")

    if isinstance(given, str):
        raise refusal("one string", "[text]")
    if isinstance(given, bytes | bytearray | memoryview):
        raise refusal("bytes", '[text.decode("utf-8")]')
    if isinstance(given, PathLike):
        raise UserError(f"{takes}, not a path; write predict_file(run, {str(given)!r}, 'labels.csv')")
    if is_table(given):
        raise refusal(described(given), *column_of(given))
    if isinstance(given, Mapping):
        raise refusal(described(given), 'rows["text"]' if "text" in given else "list(texts.values())")
    if is_unordered(given):
        raise refusal("a set, which has no order", "sorted(texts)")
    dimensions = getattr(given, "ndim", 1)
    if dimensions == 0:
        raise refusal("an array without dimensions", "[text]")
    if dimensions != 1:
        raise refusal(f"an array of {dimensions} dimensions", "array[:, 0]" if dimensions == 2 else "array.ravel()")
    if not is_iterable(given):
        raise UserError(f"{takes}, not {described(given)}")


def _text(item: Any, number: int, call: str) -> str:
    if item is None or type(item).__name__ in _MISSING or (isinstance(item, Real) and item != item):
        return ""
    if not isinstance(item, str):
        raise UserError(f"text {number} {_what_is_wrong(item, call)}")
    try:
        item.isascii() or item.encode()
    except UnicodeEncodeError:
        raise UserError(f"text {number} holds a lone surrogate, which is no valid Unicode; correct it") from None
    return "" if is_blank(item) else str.__str__(item)  # turns a subclass, such as NumPy's, into a plain string


def _what_is_wrong(item: Any, call: str) -> str:
    if isinstance(item, bytes):
        return 'is bytes; decode it first, such as text.decode("utf-8")'
    if isinstance(item, Mapping):
        texts = '[row["text"] for row in rows]'
        return f"is {described(item)}; write {call.replace('...', texts)}"
    return f"is not a text, but {described(item)}; give one string for each text"
