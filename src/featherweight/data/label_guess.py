"""Guesses the label columns of a table: one column of classes, one of lists, or a column for each label."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from featherweight.data.candidate_columns import Columns, best_named, last_word
from featherweight.data.label_cells import plain_labels
from featherweight.data.label_lists import SEPARATORS
from featherweight.data.nested_columns import nested_label
from featherweight.data.readers.joined_by_id import labels_by_id
from featherweight.data.readers.table import Table, listed_columns
from featherweight.errors import UserError, in_a_line
from featherweight.formatting import listed
from featherweight.hints import option, to_set

LABEL_WORDS = (
    ("label",),
    ("labels", "target", "class", "gold"),
    ("category", "sentiment", "topic", "intent", "emotion", "stance", "polarity", "genre", "tag"),
    ("categories", "topics", "emotions", "genres", "tags", "cats"),
    ("rating", "stars", "score", "grade", "type", "priority", "queue", "department", "y"),
)
"""Usual names of label columns, or the last words of such names; the most certain ones come first."""
_USUAL = frozenset(chain.from_iterable(LABEL_WORDS))


_LABEL_OF = re.compile(r"[Ll]abels?(?:_|[A-Z])")
_LONGEST_NAME = 80  # maximum number of characters of a label in a list
_SEPARATED = 0.1  # minimum share of cells with a separator for the note that cells may hold several labels
_MOST_FLAGS = 6  # maximum number of binary columns that a message lists as options
_FILLED = 0.1  # minimum share of filled rows of a column whose name counts although its values are no labels
_ENOUGH_FLAGS = 3
"""Minimum number of binary columns that are taken as labels if no other column can be; two may be a coincidence."""


@dataclass(frozen=True)
class Labels:
    """The label columns, and how they were found."""

    columns: tuple[str, ...]
    reason: str
    """How they were found, in words, such as "by its name"."""
    several: bool
    """Whether a text may have several labels."""


def guess_label(columns: Columns, texts: Sequence[str], several: bool | None = None) -> Labels:
    """The label columns; ``texts`` are the text columns.

    ``several`` tells whether a text may have several labels; if it is None, the values tell it. Raises UserError if no
    column seems to hold labels, or if several columns do.
    """
    found = find_labels(columns, texts, several)
    if found is None:
        raise _no_labels(columns)
    return found


def find_labels(columns: Columns, texts: Sequence[str], several: bool | None = None) -> Labels | None:
    """As ``guess_label``, but None if no column seems to hold labels."""
    if not columns.table.label:
        columns.require_once("label", columns.free(texts), LABEL_WORDS)
    if several:
        return _several_labels(columns, texts)
    flags = [] if several is False else _only_flags(columns, texts)
    if flags:
        words = _flags_in_words(columns, flags)
        return Labels(tuple(flags), f"the columns of {words}, so a text may have several", several=True)
    found = find_label(columns, texts, lists=several is not False)
    if found is None:
        return None
    if columns.profile(found[0]).longer and several is None:
        return Labels((found[0],), f"{found[1]}; it holds lists, so a text may have several", several=True)
    if columns.profile(found[0]).longer:
        raise UserError(
            f"{columns.table.origin}: {found[0]!r} holds lists, so a text may have several labels\n"
            f"To train on these, add {to_set('task=multi-label')}; to use another column: {option('label')}"
        )
    return Labels((found[0],), found[1], several=False)


def _several_labels(columns: Columns, texts: Sequence[str]) -> Labels:
    """The label columns if a text may have several labels: one with lists, binary ones, or one with a usual name."""
    free = columns.free(texts)
    lists = [name for name in free if columns.profile(name).lists]
    flags = _of_one_notation([name for name in free if columns.profile(name).notation], columns)
    named = best_named(lists or free, LABEL_WORDS)
    if columns.table.label in lists:
        named = [columns.table.label] if columns.table.label else named
    if len(lists) == 1:
        return Labels((lists[0],), "the only column of lists", several=True)
    if len(flags) > 1 and not lists:
        return Labels(tuple(flags), f"the columns of {_flags_in_words(columns, flags)}", several=True)
    if len(named) == 1:
        return Labels((named[0],), "by its name", several=True)
    raise _undecided_labels(columns, lists) if lists else _no_labels(columns)


def _only_flags(columns: Columns, texts: Sequence[str]) -> list[str]:
    """All binary columns (yes or no), if no other column may hold the labels; else empty.

    The list is also empty if there are fewer than ``_ENOUGH_FLAGS`` such columns.
    """
    free = columns.free(texts)
    flags = _of_one_notation([name for name in free if columns.profile(name).notation], columns)
    possible = [name for name in free if columns.profile(name).may_be_labels or columns.profile(name).lists]
    others = columns.table.label or columns.table.find("label") or best_named(possible, LABEL_WORDS)
    others = others or best_named(_unlike_labels(columns, free)[0], LABEL_WORDS[:4])
    return flags if len(flags) >= _ENOUGH_FLAGS and not others and {*possible} <= {*flags} else []


def _of_one_notation(flags: Sequence[str], columns: Columns) -> list[str]:
    """Those of the binary columns ``flags`` that use the most frequent notation, such as 0 and 1."""
    ways = Counter(columns.profile(name).notation for name in flags)
    most = max(ways, key=ways.__getitem__, default=None)
    return [name for name in flags if columns.profile(name).notation == most]


def _flags_in_words(columns: Columns, flags: Sequence[str]) -> str:
    yes = columns.profile(flags[0]).notation
    return {"1": "0 and 1", "true": "false and true"}.get(yes or "", "yes and no")


def find_label(columns: Columns, texts: Sequence[str], *, lists: bool = True) -> tuple[str, str] | None:
    """The label column, and how it was found; None if no column seems to hold labels.

    With ``lists``, one of lists may be chosen although another column holds classes. Raises UserError if several
    columns do.
    """
    table = columns.table
    exact = table.label or table.find("label")
    if exact and exact not in texts:
        return _answers(columns, exact) or (exact, "by its name")
    free = columns.free(texts)
    possible = [name for name in free if columns.profile(name).may_be_labels]
    named = best_named(possible, LABEL_WORDS)
    several = _called_label(possible)
    _refuse_amounts(columns, free, named or possible)
    if possible and not several and (better := _better_named(columns, free, possible, lists=lists)):
        return better, "by its name"
    if len(named) == 1 and not several:
        return named[0], "by its name"
    if len(possible) == 1:
        return possible[0], "the only column of few different values"
    if twin := _same_classes(table, several or named or possible):
        return twin, "by its values"
    if possible:
        raise _undecided_labels(columns, several or named or possible)
    of_lists = [name for name in free if columns.profile(name).longer and _are_repeated(table, name)]
    if len(of_lists) == 1:
        return of_lists[0], "the only column of lists"
    other = best_named(free, LABEL_WORDS)  # training will refuse its rows, with the reason
    return (other[0], "by its name") if len(other) == 1 else None


def _better_named(columns: Columns, free: Sequence[str], possible: Sequence[str], *, lists: bool) -> str | None:
    """A column whose name says that it holds the labels, although others, the ``possible`` ones, look more like them.

    Raises UserError if it is in doubt whether it does, and no possible column has a usual name.
    """
    repeated, doubtful = _unlike_labels(columns, free)
    repeated = [name for name in repeated if lists or not columns.profile(name).lists]
    named = best_named(possible, LABEL_WORDS)
    best = best_named([*possible, *repeated], LABEL_WORDS[:3] if named else LABEL_WORDS)
    if len(best) == 1 and best[0] in repeated:
        return best[0]
    if not named and (meant := best_named([*repeated, *doubtful], LABEL_WORDS)):
        raise _undecided_labels(columns, [*meant, *possible])
    return None


def _unlike_labels(columns: Columns, free: Sequence[str]) -> tuple[list[str], list[str]]:
    """Columns with a usual name whose values do not look like labels: those of repeated values, and doubtful ones.

    Repeated are labels in lists, and whole numbers, if the name is not one of ratings. Doubtful are other whole
    numbers, and short texts that are too varied for classes, or that many rows lack.
    """
    repeated: list[str] = []
    doubtful: list[str] = []
    for name in free:
        profile, words = columns.profile(name), {name.casefold(), last_word(name)}
        varied = profile.values > 1 and profile.filled >= _FILLED * profile.rows
        if profile.may_be_labels or profile.objects or not words & _USUAL:
            continue
        if profile.lists:
            repeated += [name] if profile.longer and _are_repeated(columns.table, name) else []
        elif varied and profile.numbers and profile.whole:
            classes = 2 * profile.values <= profile.filled >= profile.rows / 2 and not words & {*LABEL_WORDS[4]}
            (repeated if classes else doubtful).append(name)
        elif varied and profile.holds_texts and not profile.is_running_text and profile.characters <= _LONGEST_NAME:
            doubtful.append(name)
    return repeated, doubtful


def _called_label(names: Sequence[str]) -> list[str]:
    """The ``names`` that begin with the word label, such as ``label_sexist`` and ``label_category``, if several do."""
    found = [name for name in names if _LABEL_OF.match(name)]
    return found if len(found) > 1 else []


def _refuse_amounts(columns: Columns, free: Sequence[str], possible: Sequence[str]) -> None:
    """Raise UserError if a column that is called ``target``, ``class`` or the like has amounts, such as 0.166.

    The user probably means this column. To choose another one, of the ``possible`` columns, would go unnoticed.
    """
    amounts = [name for name in free if name.casefold() in LABEL_WORDS[1] and not columns.profile(name).whole]
    amounts = [name for name in amounts if columns.profile(name).numbers and name not in possible]
    if amounts and possible:
        raise UserError(
            f"{columns.table.origin}: {amounts[0]!r} holds amounts, but labels are classes: replace them by classes, "
            f"such as low and high\nTo train another column: {option('label', possible[:1])}"
        )


def _answers(columns: Columns, label: str) -> tuple[str, str] | None:
    """Prodigy's column ``answer``, if each text was accepted or rejected for the same single label; else None."""
    profile = columns.profile(label)
    if not columns.table.gaps or "answer" not in columns.table.names or profile.values > 1 or profile.lists:
        return None
    return ("answer", f"every row has the same {label!r}") if columns.profile("answer").values > 1 else None


def _are_repeated(table: Table, name: str) -> bool:
    """Whether each item in the lists of a column occurs at least twice on average, as labels do, unlike words."""
    cells = plain_labels(table.read(name))
    items = [str(item) for cell in cells if isinstance(cell, list | tuple) for item in cell]
    return 2 * len(set(items)) <= len(items) and max(map(len, items), default=0) <= _LONGEST_NAME


def _same_classes(table: Table, names: Sequence[str]) -> str | None:
    """The column of class names, if all columns ``names`` hold the same classes, such as class numbers and names.

    None if the columns hold different classes.
    """
    if len(names) < 2:
        return None
    columns = [list(map(str, table.read(name))) for name in names]
    ways = len(set(zip(*columns, strict=True)))
    if any(len(set(column)) != ways for column in columns):
        return None
    return next((name for name, column in zip(names, columns, strict=True) if not _numbered(column)), names[0])


def separated_labels(values: Sequence[Any], columns: Columns) -> str | None:
    """A note that a cell seems to contain several labels, such as ``Drama|Comedy``; None if no cell does."""
    cells = [value.strip() for value in values if isinstance(value, str) and value.strip()]
    for separator in (*SEPARATORS, "#"):
        several = {cell for cell in cells if separator in cell}
        parts = {part.strip() for cell in {*cells} for part in cell.split(separator)}
        often = sum(cell in several for cell in cells) >= _SEPARATED * len(cells) > 0
        if often and len(parts) < len({*cells}) and "" not in parts:
            example = in_a_line(repr(min(several)))
            more = () if separator in SEPARATORS else (f'data.label_separator="{separator}"',)
            options = to_set("task=multi-label", *more)
            return f"a label such as {example} may be several labels; if so, add {options}"
    return None


def _numbered(values: Iterable[str]) -> bool:
    return all(value.strip().lstrip("-").replace(".", "", 1).isdecimal() for value in values)


def _no_labels(columns: Columns) -> UserError:
    table = columns.table
    inside = [path for path in table.paths if last_word(path) in LABEL_WORDS[0]]
    inside = inside or [path for path in (nested_label(columns, LABEL_WORDS),) if path]
    missing = f"{table.origin}: no column seems to hold the labels; its columns are: {listed_columns(table)}"
    classify = "to classify texts without labels: `featherweight predict RUN FILE -o labels.csv`"
    if table.remedy:
        return UserError(f"{missing}; {classify}\n{table.remedy}")
    named = option("label", inside[:1] or ["COLUMN"])
    name = f"Name the label column with {named}; {classify}"
    return UserError(f"{missing}\n{labels_by_id(Path(table.origin)) or name}")


def _undecided_labels(columns: Columns, names: Sequence[str]) -> UserError:
    table = columns.table
    binary = [name for name in names if columns.profile(name).notation]
    flags = _of_one_notation(binary, columns)
    words = f"hold only {_flags_in_words(columns, flags)}" if flags else ""
    more = "" if len(flags) <= _MOST_FLAGS else f", and so on (all: {to_set('task=multi-label')})"
    all_flags = f"{option('label', flags[:_MOST_FLAGS])}{more}" if flags else ""
    if len(flags) > 1 and len(binary) == len(names):
        return UserError(
            f"{table.origin}: {listed(flags, 12)} {words}, so a text may have several labels\n"
            f"To train on all of them: {all_flags}; to train on one: {option('label', flags[:1])}"
        )
    several = f"; to train on {listed(flags, 4)}, which {words}: {all_flags}" if len(flags) >= _ENOUGH_FLAGS else ""
    return UserError(
        f"{table.origin}: {listed(names, 12)} could each be the labels; its columns are: {listed_columns(table)}\n"
        f"Name the right one, such as {option('label', names[:1])}{several}"
    )
