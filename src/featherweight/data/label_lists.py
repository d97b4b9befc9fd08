"""Several labels a text: from lists, from texts such as ``a|b``, or from columns of 0 and 1."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from featherweight.data.labels import DROP, code_labels, is_missing
from featherweight.errors import UserError, in_a_line
from featherweight.formatting import listed

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

SEPARATORS = ("|", ";", ",")
"""What may stand between labels in a text, where a recipe does not say it; the first that occurs does."""
_ITEM = re.compile(r"""\s*(?:("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|([^,"'\[\]]+?))\s*(?:,|$)""")
_FLAGS: dict[Any, int] = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1}
_ROW = re.compile(r"(?<=: row )\d+")


def code_label_lists(
    cells: Sequence[Any], origin: str, *, separator: str | None = None, names: Sequence[str] | None = None, **more: Any
) -> tuple[NDArray[np.int8], tuple[str, ...]]:
    """For each row (0 or 1, int8 [rows, labels]) whether it has a label, and the names of the labels.

    A cell is a list of labels, a text with labels between ``separator``, a list written as text, or a single label; an
    empty list or text is a row without labels. Lists of 0 and 1 that all have the same length have a place for each
    label. ``names`` are the labels where they are known; they and ``more`` are those of ``labels.code_labels``.
    Raises UserError that names the row of a missing or unknown label.
    """
    import numpy as np

    if not len(cells):
        raise UserError(f"{origin}: the data set is empty; it needs at least one row")
    split = _splitter(cells, separator, names)
    rows = [_items(cell, origin, row, split) for row, cell in enumerate(cells, 1)]
    known = names or more.get("carried")
    if _are_vectors(rows):
        return _from_vectors(rows, origin, known)
    places = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    flat = [item for row in rows for item in row]
    if not flat:
        raise UserError(f"{origin}: no row has a label; there is nothing to learn")
    try:
        numbers, classes = code_labels(flat, origin, names=names, **more)
    except UserError as error:
        raise UserError(_with_row(str(error), places)) from None
    table = np.zeros((len(rows), len(classes)), np.int8)
    table[places, numbers] = 1
    return table, classes


def code_label_columns(columns: Mapping[str, Sequence[Any]], origin: str) -> NDArray[np.int8]:
    """The same table from a column a label, whose cells are 0 or 1, false or true.

    Raises UserError that names row and column of anything else.
    """
    import numpy as np

    table = np.stack([_flags(name, values, origin) for name, values in columns.items()], axis=1)
    if not len(table):
        raise UserError(f"{origin}: the data set is empty; it needs at least one row")
    return table


def is_empty_cell(cell: Any) -> bool:
    """Whether a cell of a column of lists holds no label."""
    if isinstance(cell, str):
        return cell.strip() in ("", "[]")
    return is_missing(cell) if not isinstance(cell, list | tuple) else not cell


def separator_of(cells: Sequence[Any], separator: str | None, names: Sequence[str] | None) -> str | None:
    """What stands between labels in cells of text: ``separator``, or the first of ``SEPARATORS`` that occurs.

    Where the ``names`` are known it is the first that leaves nothing but these. None where no cell has any.
    """
    texts = {cell.strip() for cell in cells if isinstance(cell, str)} - {*(names or ())}
    if separator is not None:
        return separator if texts else None
    texts = {text for text in texts if not _is_list(text)}
    found = [mark for mark in SEPARATORS if any(mark in text for text in texts)]
    known = {*(names or ())}
    fitting = (mark for mark in found if all({*_parts(text, mark)} <= known for text in texts))
    return next(fitting, found[0] if found else None)


def cell_of(labels: Sequence[str], names: Sequence[str]) -> str:
    """The labels of a row as one text, which is read again as they are: ``a|b``, or a list where a name has a ``|``.

    ``names`` are all labels that there are.
    """
    mark = next((mark for mark in SEPARATORS if not any(mark in name for name in names)), None)
    return json.dumps(list(labels), ensure_ascii=False) if mark is None else mark.join(labels)


def arrow_table(columns: Mapping[str, Any]) -> pa.Table:
    """The columns as an Arrow table; lists of labels have the type of lists of texts."""
    import pyarrow as pa

    # Of lists that are all empty, Arrow would not know that they hold texts.
    lists = {name for name, values in columns.items() if len(values) and isinstance(values[0], list)}
    return pa.table({name: pa.array(x, pa.list_(pa.string())) if name in lists else x for name, x in columns.items()})


def _splitter(cells: Sequence[Any], separator: str | None, names: Sequence[str] | None) -> Any:
    """Makes the list of a text's labels."""
    mark, known = separator_of(cells, separator, names), {*(names or ())}

    def split(text: str) -> list[str]:
        return [text] if mark is None or text in known else _parts(text, mark)

    return split


def _parts(text: str, mark: str) -> list[str]:
    return [part for part in map(str.strip, text.split(mark)) if part]


def _is_list(text: str) -> bool:
    return text.startswith("[") and text.endswith("]")


def _items(cell: Any, origin: str, row: int, split: Any) -> list[Any]:
    if isinstance(cell, list | tuple):
        return list(cell)
    if isinstance(cell, str):
        text = cell.strip()
        return _written_list(text, origin, row) if _is_list(text) else split(text) if text else []
    if is_missing(cell):
        raise UserError(
            f"{origin}: row {row}: the labels are missing; write an empty list for a text without any\nOr {DROP}"
        )
    if isinstance(cell, Mapping):
        raise UserError(
            f"{origin}: row {row}: the labels are a table ({listed(list(map(str, cell)))}); give each label a column, "
            "or write a list"
        )
    return [cell]


def _written_list(text: str, origin: str, row: int) -> list[Any]:
    """The items of a list that was written as text, by JSON or as Python prints it."""
    try:
        found = json.loads(text)
        if isinstance(found, list):
            return found
    except (ValueError, RecursionError):
        pass
    inside, items, place = text[1:-1].strip(), [], 0
    while place < len(inside):
        match = _ITEM.match(inside, place)
        if match is None:
            shown = in_a_line(text[:60])
            raise UserError(f'{origin}: row {row}: {shown!r} is no list of labels; write it as ["a", "b"] or a|b')
        items.append(_unquoted(match[1]) if match[1] else match[2])
        place = match.end()
    return items


def _unquoted(quoted: str) -> str:
    try:
        return str(ast.literal_eval(quoted))
    except (SyntaxError, ValueError):
        return quoted[1:-1]


def _are_vectors(rows: Sequence[list[Any]]) -> bool:
    """Whether each list has a place for every label: 0 and 1 alone, and more of them than two different labels."""
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
        raise UserError(f"{origin}: row 1: {length} numbers 0 or 1, but there are {len(names)} labels; name each")
    return np.array(rows, np.int8), tuple(names or map(str, range(length)))


def _flags(name: str, values: Sequence[Any], origin: str) -> NDArray[np.int8]:
    import numpy as np

    known = {value: _flag(value) for value in {*values} if value == value}
    try:
        return np.array([known[value] for value in values], np.int8)
    except (KeyError, TypeError):  # a missing value, or one that is neither 0 nor 1
        pass
    row, value = next((row, value) for row, value in enumerate(values, 1) if known.get(value) is None)
    what = "is missing" if is_missing(value) else f"is {in_a_line(repr(value)[:60])}"
    meaning = ", which means no label: remove the row" if _flag_text(value) in ("-1", "-1.0") else "; write 0 or 1"
    raise UserError(f"{origin}: row {row}: {in_a_line(name)!r} {what}{meaning}")


def _flag(value: Any) -> int | None:
    return _FLAGS.get(_flag_text(value))


def _flag_text(value: Any) -> str:
    return str(value).strip().lower()


def _with_row(message: str, places: NDArray[np.int64]) -> str:
    """A message on the n-th of all labels, as one on the row that has it."""
    return _ROW.sub(lambda number: str(int(places[int(number[0]) - 1]) + 1), message, count=1)
