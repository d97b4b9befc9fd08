"""The columns of a table with statistics of their values, and functions that match their names with usual names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

from featherweight.data.column_profile import ColumnProfile, profile_of
from featherweight.data.id_column import likely_id_columns
from featherweight.data.readers.table import Table, id_column
from featherweight.errors import UserError, in_a_line
from featherweight.hints import option

_SPLITS = frozenset({"split", "fold", "partition", "subset"})
"""Names of columns that tell which split, such as train or test, a row belongs to."""
_DATES = frozenset({"year", "month", "day", "weekday", "date", "hour", "time", "timestamp"})
_OF_LABEL_STUDIO = frozenset({"annotation_id", "annotator", "created_at", "updated_at", "lead_time"})
"""Columns that Label Studio adds to the tables that it exports (JSON-MIN, CSV, TSV)."""
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_a-zA-Z]+")


class Columns:
    """The columns of ``table`` and their profiles. A column is read only when its profile is needed."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._profiles: dict[str, ColumnProfile] = {}

    def profile(self, name: str) -> ColumnProfile:
        """The profile of a column: statistics of its values."""
        if name not in self._profiles:
            self._profiles[name] = profile_of(self.table.read(name))
        return self._profiles[name]

    def require_once(self, what: str, names: Sequence[str], words: Sequence[Sequence[str]]) -> None:
        """Raise UserError if several columns have the same name, and it matches ``words`` as well as any of ``names``.

        ``what`` is the option that names another column.
        """
        best = best_named([*sorted(self.table.repeated), *names], words)
        if twice := next((name for name in best if name in self.table.repeated), None):
            held = {"text": "texts", "label": "labels"}[what]
            raise UserError(
                f"{self.table.origin}: two columns are called {in_a_line(repr(twice))}, which may hold the {held}\n"
                f"Rename one of them, or name another column with {option(what)}"
            )

    def free(self, texts: Sequence[str]) -> list[str]:
        """Columns that may hold the labels: all except the ``texts`` and columns of ids, dates or splits."""
        return [name for name in self.table.names if name not in texts and name not in self.ids]

    @cached_property
    def ids(self) -> frozenset[str]:
        """Columns that hold ids of the rows, their dates or splits, or information on how they were annotated."""
        named = [id_column(self.table), *likely_id_columns(self.table.names)]
        splits = [name for name in self.table.names if name.casefold() in _SPLITS | _DATES]
        tool = _OF_LABEL_STUDIO if {*self.table.names} >= _OF_LABEL_STUDIO else ()
        return frozenset(name for name in (*named, *splits, *tool) if name)


def best_named(names: Iterable[str], words: Sequence[Sequence[str]]) -> list[str]:
    """Those of the column ``names`` that match ``words`` best; empty if none matches.

    ``words`` are groups of usual names, the most certain group first. A name that equals a usual name is better than a
    name that only ends in one, such as ``review_text``.
    """
    names = list(names)
    called: list[Callable[[str], str]] = [str.casefold, last_word]
    ranked = [[name for name in names if of(name) in tier] for of in called for tier in words]
    return next(filter(None, ranked), [])


def last_word(name: str) -> str:
    """The last word of a column's name, in lower case: ``text`` for ``review_text`` and ``reviewText``."""
    words = _WORD.findall(name)
    return words[-1].casefold() if words else ""
