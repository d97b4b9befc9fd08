"""Finds label columns with numbers, such as ``label1`` to ``label3``, which hold several labels of one text."""

from __future__ import annotations

from itertools import zip_longest

from featherweight.data.flags import notation_of
from featherweight.data.label_spelling import label_text
from featherweight.data.labels import is_missing
from featherweight.data.readers.table import Table
from featherweight.errors import in_a_line
from featherweight.formatting import listed
from featherweight.hints import to_set

_DIGITS = "0123456789"


def numbered_columns_note(table: Table, column: str) -> str | None:
    """A note if other columns of ``table`` hold further labels of the texts whose first label is in ``column``.

    They differ from it only in the number at the end of the name, and hold no other classes. None if there are none, if
    their labels are the same in all rows, or if the columns only say yes or no.
    """
    stem = column.rstrip(_DIGITS)
    numbered = [name for name in table.names if name != column and name.rstrip(_DIGITS) == stem]
    if not stem or not numbered:
        return None
    first = _labels(table, column)
    others = {name: _labels(table, name) for name in numbered}
    others = {name: labels for name, labels in others.items() if {*filter(None, labels)} <= {*first} and any(labels)}
    if not others or notation_of({*filter(None, first)}, gaps=False):
        return None
    rows = [list(dict.fromkeys(filter(None, labels))) for labels in zip_longest(first, *others.values())]
    most = max(map(len, rows))
    if most < 2:
        return None
    hold = "holds" if len(others) == 1 else "hold"
    example = next("|".join(labels) for labels in rows if len(labels) == most)
    return (
        f"{listed(list(others), 6)} {hold} classes of {in_a_line(repr(column))}, too. "
        "If a text may have several labels, "
        f"write them into one column, such as {in_a_line(example)}, and add {to_set('task=multi-label')}"
    )


def _labels(table: Table, column: str) -> list[str]:
    """The labels in the cells of ``column``; an empty text where one is missing."""
    return ["" if is_missing(cell) else label_text(cell) for cell in table.read(column)]
