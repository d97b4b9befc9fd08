"""Finds the id column of a table by its name, and by its values if the name is not sufficient."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from featherweight.data.readers.table import (
    Table,
    find_label_columns,
    id_column,
    plain_text,
    require_column,
    text_columns,
)
from featherweight.errors import UserError, in_a_line
from featherweight.hints import option
from featherweight.recipe import DataRecipe

ROW = "row"
"""The value of the option --id that means row numbers instead of ids, unless a column has this name."""

Find = Callable[[Table], str | None]
"""Returns the id column of a table; None if it has none."""

_CAPITAL = re.compile(r"[a-z0-9]I[dD]")
_SEPARATED = re.compile(r".*[\s_.\-]id", re.IGNORECASE)
_WORD = re.compile(r"[A-Z]?[a-z]+$|[A-Z]+$")
_NO_IDS = frozenset(
    """
    acid aid amid android arid asteroid avid avoid bid braid candid covid cuboid did druid fluid forbid grid hid humid
    hybrid invalid kid laid langid lid liquid lipid livid lucid maid mid orchid paid placid plaid prepaid pyramid raid
    rapid repaid rid rigid said sid solid squid steroid stupid thyroid underpaid unpaid valid vivid void
    """.split()  # noqa: SIM905 (a long list is easier to read as a text)
)
"""Words that end in ``id`` but do not mean an id; ``langid`` is the language."""
_TAILS = ("paid", "valid", "hybrid", "covid", "android")
"""Endings of longer names that do not mean an id either, such as ``amountpaid``."""
_LABEL_WORDS = frozenset({
    "category", "class", "department", "emotion", "genre", "gold", "grade", "intent", "label", "labels", "polarity",
    "priority", "queue", "rating", "score", "sentiment", "stance", "tag", "target", "topic", "type"
})  # fmt: skip
"""Last words before ``id`` in the names of columns that number the classes, not the rows, such as ``label_id``."""
_LONGEST = 64
# Ranks of names: textID or tweet_id; tweetid, which counts only if its values look like ids; any other name.
_CLEAR, _LOWER_CASE, _NO_ID = range(3)


@dataclass(frozen=True)
class IdColumn:
    """The id column of a data set, and how it was chosen."""

    name: str | None
    """None if the rows have no ids."""
    guessed: bool = False
    """Whether the column was chosen by the end of its name, such as ``_id``, which may be wrong."""
    others: tuple[str, ...] = ()
    """Other columns that could be the id column as well."""


def named_ids(column: str | None) -> Find:
    """A function that finds the id column ``column`` of a table.

    If ``column`` is ``row``, there is no id column; if it is None, the column is called ``ID``, ``Id`` or ``id``. The
    function raises UserError if two columns have such a name.
    """
    return _usual if column is None else partial(_named, wanted=column)


def _usual(table: Table) -> str | None:
    if (found := id_column(table)) is None:
        table.require_once("id")
    return found


def _named(table: Table, wanted: str) -> str | None:
    found = table.find(wanted)
    return found if found or wanted == ROW else require_column(table, wanted, f"Name the id column with {option('id')}")


def choose_id_column(pieces: Callable[[Sequence[str]], Iterator[Table]], data: DataRecipe) -> IdColumn:
    """The id column of the data. Each call of ``pieces`` reads the given columns from the start, some rows at a time.

    A column ``ID``, ``Id`` or ``id`` is chosen without a look at its values. Otherwise it is the first column whose
    name ends like that of an id and in which no value is missing or repeated. Raises UserError if there are columns
    with such names, but each has a missing or repeated value.
    """
    first = next(pieces(()))
    if (exact := _usual(first)) is not None:
        return IdColumn(exact)
    taken = {*text_columns(first, data), *find_label_columns(first, data)}
    candidates = likely_id_columns(first.names, taken, data.label_name)
    if not candidates:
        return IdColumn(None)
    faults = _faults(pieces(candidates), candidates)
    sound = [name for name in candidates if name not in faults]
    if sound:
        return IdColumn(sound[0], guessed=True, others=tuple(sound[1:]))
    if fault := next(filter(None, faults.values()), None):
        raise UserError(
            f"{first.origin}: {fault}, so it cannot be the id column\n"
            f"Name the id column with {option('id')}, or use row numbers from 0 with {option('id', [ROW])}"
        )
    return IdColumn(None)


def likely_id_columns(names: Iterable[str], taken: Iterable[str | None] = (), label: str = "") -> list[str]:
    """Columns whose name ends like that of an id, the clearest first: ``*Id``, ``*ID`` or ``*_id``, then ``tweetid``.

    Columns ``taken`` for another purpose are left out, and also English words such as ``paid`` and ``valid``, and ids
    of classes: ``label_id``, ``topicId``, or the name of the ``label`` column before ``id``.
    """
    ranked = [(_rank(name), place, name) for place, name in enumerate(names) if name not in {*taken}]
    return [name for rank, _, name in sorted(ranked) if rank < _NO_ID and not _numbers_classes(name, label)]


def _rank(name: str) -> int:
    """Whether a column with this ``name`` contains ids: ``_CLEAR`` yes, ``_LOWER_CASE`` perhaps, ``_NO_ID`` no."""
    if _CAPITAL.fullmatch(name[-3:]) or _SEPARATED.fullmatch(name):
        return _CLEAR
    return _LOWER_CASE if _ends_in_lower_case(name) else _NO_ID


def _numbers_classes(name: str, label: str) -> bool:
    stem = re.sub(r"[\s_.\-]+$", "", name[:-2])
    word = _WORD.search(stem)
    of_label = bool(stem) and stem.casefold() == label.casefold()
    return of_label or (word is not None and word[0].casefold() in _LABEL_WORDS)


def _ends_in_lower_case(name: str) -> bool:
    word = _WORD.search(name)
    if word is None or not word[0].casefold().endswith("id") or len(word[0]) < 3:
        return False
    last = word[0].casefold()
    return last not in _NO_IDS and not last.endswith(_TAILS)


def _faults(pieces: Iterable[Table], candidates: Sequence[str]) -> dict[str, str]:
    """Why each refused candidate cannot be the id column, such as ``column 'Id' has no value in row 3``, by its name.

    The reason is empty if the values do not look like ids at all: a message about them would not help. Candidates that
    can be the id column are left out. All ids are kept in memory during the check.
    """
    seen: dict[str, dict[Any, int]] = {name: {} for name in candidates}
    faults: dict[str, str] = {}
    for table in pieces:
        for name in seen:
            if name not in faults and (fault := _fault(table, name, seen[name])) is not None:
                faults[name] = fault
                seen[name].clear()
        if len(faults) == len(seen):
            break
    return faults


def _fault(table: Table, name: str, seen: dict[Any, int]) -> str | None:
    for row, value in enumerate(table.read(name), table.before + 1):
        text = id_text(value)
        if _rank(name) == _LOWER_CASE and text and not _is_token(text):
            return ""
        if not text:
            return f"column {name!r} has no value in row {row}"
        if (first := seen.setdefault(text, row)) != row:
            return f"column {name!r} has {in_a_line(text[:_LONGEST])!r} in row {first} and in row {row}"
    return None


def _is_token(text: str) -> bool:
    """Whether the value ``text`` can be an id: it is short, has no white space, and is not a number with decimals."""
    return len(text) <= _LONGEST and not any(map(str.isspace, text)) and not re.fullmatch(r"[+-]?\d*[.,]\d+", text)


def id_text(value: Any) -> str:
    """An id as a text; empty if the id is missing."""
    if value is None or value != value:
        return ""
    return plain_text(value)
