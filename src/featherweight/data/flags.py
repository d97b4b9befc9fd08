"""Reads labels from binary columns, one per label: 0 and 1, true and false, yes and no, or a cross and a blank."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from featherweight.data.labels import is_missing
from featherweight.errors import UserError, in_a_line

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NOTATIONS = (("0", "1"), ("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t"), ("nein", "ja"), ("off", "on"))
"""Pairs of values for no and yes, in lower case."""
_CROSSES = ("x", "✓", "✔", "✗", "☑", "☒")
"""Values for yes in columns where no is always a blank cell."""
_FLAGS: dict[str, int] = {
    **{text: value for notation in NOTATIONS for value, text in enumerate(notation)},
    **dict.fromkeys(_CROSSES, 1),
    "0.0": 0,
    "1.0": 1,
}
_WITH_BLANK = "marked"
_NOTATION_OF = {
    **{text: notation[1] for notation in NOTATIONS for text in notation},
    **dict.fromkeys(_CROSSES, _WITH_BLANK),
    "0.0": "1",
    "1.0": "1",
}


def notation_of(values: Collection[str], *, gaps: bool) -> str | None:
    """The value for yes in a column of yes and no, such as ``1``, ``true`` or ``yes``; None for any other column.

    ``values`` are the different values of the column; ``gaps`` says whether it has blank cells. One of the
    two values is enough: a column that contains nothing but ``1`` is a column of yes and no, too.
    """
    found = {_NOTATION_OF.get(value.strip().casefold()) for value in values}
    notation = found.pop() if len(found) == 1 else None
    return None if notation == _WITH_BLANK and not gaps else notation


def code_label_columns(columns: Mapping[str, Sequence[Any]], origin: str) -> NDArray[np.int8]:
    """The labels of all rows as a matrix of 0 and 1 (int8 [rows, labels]), from one binary column per label.

    The cells are 0 and 1, false and true, yes and no, or another pair of ``NOTATIONS``. A blank cell means
    "no" unless any of the columns writes "no" in another way, such as 0. Raises UserError, naming row and column, for
    any other value.
    """
    import numpy as np

    blank = blank_is_no(columns)
    table = np.stack([_flags(name, values, origin, blank) for name, values in columns.items()], axis=1)
    if not len(table):
        raise UserError(f"{origin}: the data set is empty; it needs at least one row")
    return table


def blank_is_no(columns: Mapping[str, Sequence[Any]]) -> bool:
    """Whether a blank cell means no: some cells are blank, all others say yes, and none says no."""
    found: set[int | None] = set()
    for values in columns.values():
        try:
            found |= {None if is_missing(value) else _FLAGS.get(_flag_text(value), -1) for value in {*values}}
        except TypeError:  # a cell that is a list or an object
            return False
    return found == {None, 1}


def _flags(name: str, values: Sequence[Any], origin: str, blank_is_no: bool) -> NDArray[np.int8]:
    import numpy as np

    try:
        known = {value: _flag(value, blank_is_no) for value in {*values} if value == value}
        return np.array([known[value] if value == value else _of_blank(blank_is_no) for value in values], np.int8)
    except (KeyError, TypeError):  # a missing value, or one that says neither yes nor no, such as a list
        pass
    row, value = next((row, value) for row, value in enumerate(values, 1) if _flag(value, blank_is_no) is None)
    what = "is missing" if is_missing(value) else f"is {in_a_line(repr(value)[:60])}"
    meaning = ", which means no label: remove the row" if _flag_text(value) in ("-1", "-1.0") else "; write 0 or 1"
    raise UserError(f"{origin}: row {row}: {in_a_line(name)!r} {what}{meaning}")


def _flag(value: Any, blank_is_no: bool) -> int | None:
    text = "" if is_missing(value) else _flag_text(value)
    # A cross among other values is probably a slip.
    if text in _CROSSES:
        return 1 if blank_is_no else None
    return _FLAGS.get(text) if text else _of_blank(blank_is_no)


def _of_blank(blank_is_no: bool) -> int | None:
    return 0 if blank_is_no else None


def _flag_text(value: Any) -> str:
    return str(value).strip().casefold()
