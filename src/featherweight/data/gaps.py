"""Finds rows without a text or a label, and leaves them out if the recipe's ``data.empty`` says so."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featherweight.data.flags import blank_is_no
from featherweight.data.label_cells import label_values, single_labels
from featherweight.data.label_lists import is_empty_cell
from featherweight.data.labels import NO_NAMES, is_missing, unlikely_names
from featherweight.data.pairs import Text, joined
from featherweight.data.readers.table import Table, is_blank
from featherweight.errors import UserError
from featherweight.formatting import counted, numbered
from featherweight.recipe import DataRecipe

_MINUS_ONE = re.compile(r"-1(?:\.0+)?")
_GAPS = frozenset({*NO_NAMES, "none"})
"""Texts that often mean a missing value; a class with such a name is not missing."""


@dataclass(frozen=True)
class LeftOut:
    """The rows of one source that were left out, numbered from 1."""

    origin: str
    rows: int
    """Number of all rows of the source, including those left out."""
    without_text: tuple[int, ...]
    without_label: tuple[int, ...]
    """Rows without a label that have a text."""

    def in_words(self) -> str:
        """A note that says how many rows were left out and why, with the numbers of the first rows."""
        kinds = {"text": self.without_text, "label": self.without_label}
        parts = [f"{len(rows):,} without a {kind} ({numbered(rows)})" for kind, rows in kinds.items() if rows]
        count = len(self.without_text) + len(self.without_label)
        return f"{self.origin}: {count:,} of {counted(self.rows, 'row')} left out (data.empty): {', '.join(parts)}"

    def as_dict(self) -> dict[str, Any]:
        """The counts and the first rows, in the form of environment.json."""
        found = {"without_text": self.without_text, "without_label": self.without_label}
        counts = {name: {"count": len(rows), "first": list(rows[:20])} for name, rows in found.items()}
        return {"origin": self.origin, "rows": self.rows, **counts}


class Blanks:
    """Counts blank texts, and keeps the numbers of the first ones. They are classified like an empty text."""

    def __init__(self, origin: str = "") -> None:
        self._origin, self._count, self._first = origin, 0, list[int]()

    def add(self, texts: Sequence[Text], before: int = 0) -> None:
        """Count the blank texts in ``texts``; ``before`` is the number of texts that were added earlier."""
        rows = [row for row, text in enumerate(texts, before + 1) if is_blank(joined(text))]
        self._count += len(rows)
        self._first += rows[: 9 - len(self._first)]

    @property
    def note(self) -> str | None:
        """A note with the number of blank texts and the numbers of their rows; None if no text is blank."""
        if not self._count:
            return None
        one, thing = self._count == 1, "row" if self._origin else "text"
        have = f"{self._count:,} {thing}{'' if one else 's'} {'is' if one else 'are'} blank or missing"
        get = f"{'it gets' if one else 'they get'} the label of an empty text"
        return f"{self._origin}{': ' if self._origin else ''}{have} ({numbered(self._first, thing=thing)}); {get}"


def no_label(value: Any, classes: Sequence[str]) -> str | None:
    """``-1`` or ``missing`` if ``value`` stands for a missing label; None if it is a label.

    ``classes`` are the classes of the training data: a class may be called ``-1`` or ``none``.
    """
    if is_missing(value):
        return "missing"
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    text = str(value).strip()
    if _MINUS_ONE.fullmatch(text):
        return None if "-1" in classes else "-1"
    return "missing" if text.casefold() in _GAPS and text not in classes else None


def split_gaps(
    texts: Sequence[Text], labels: Sequence[Any], classes: Sequence[str], origin: str
) -> tuple[NDArray[np.int64], LeftOut | None]:
    """Indices (from 0) of the rows that have a text and a label, and a description of the others; None without others.

    Without ``classes``, None, NaN, empty texts and texts such as ``nan`` (``labels.unlikely_names``) count as missing
    labels. Raises UserError if no row is left.
    """
    blank = {row for row, text in enumerate(texts, 1) if is_blank(joined(text))}
    unlikely = unlikely_names(value.strip() for value in labels if isinstance(value, str))
    bare = {row for row, value in enumerate(labels, 1) if _is_gap(value, classes, unlikely)} - blank
    if not blank and not bare:
        return np.arange(len(texts)), None
    kept = [row - 1 for row in range(1, len(texts) + 1) if row not in blank and row not in bare]
    if not kept:
        raise UserError(
            f"{origin}: no row has both a text and a label, so data.empty = 'drop' would leave no row; "
            "check data.text and data.label"
        )
    return np.array(kept, np.int64), LeftOut(origin, len(texts), tuple(sorted(blank)), tuple(sorted(bare)))


def _is_gap(value: Any, classes: Sequence[str], unlikely: Collection[str]) -> bool:
    if classes:
        return no_label(value, classes) is not None
    return is_missing(value) or (isinstance(value, str) and value.strip() in unlikely)


def label_cells(table: Table, columns: Sequence[str], data: DataRecipe, *, of_rows: bool = False) -> Iterable[Any]:
    """One value per row, from which `no_label` tells whether the label of the row is missing.

    In a single label column, the value is the cell. If each label has a column of its own, the value is the first cell
    of the row in which the label is missing, or the first cell if none is missing. In a column of lists, an empty list
    or text becomes None, which counts as missing; with ``of_rows`` it does not, because a text may have no labels: an
    empty list stays, and every cell of text becomes an empty list.
    """
    if not data.several:
        return single_labels(label_values(table, columns[0]))
    if len(columns) > 1:
        flags = {name: table.read(name) for name in columns}
        rows = zip(*flags.values(), strict=True)
        return (0 for _ in rows) if blank_is_no(flags) else map(_missing_or_first, rows)
    cells = label_values(table, columns[0])
    return (
        ([] if isinstance(cell, str) else cell for cell in cells)
        if of_rows
        else (None if is_empty_cell(cell) else cell for cell in cells)
    )


def _missing_or_first(cells: Sequence[Any]) -> Any:
    """The first of the ``cells`` of a row in which the label is missing; the first cell if none is missing."""
    return next((cell for cell in cells if no_label(cell, ())), cells[0])
