"""Guesses the text and label columns of a table from names and values; raises an error if they are ambiguous."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from featherweight.data.column_profile import ColumnProfile, profile_of
from featherweight.data.id_column import likely_id_columns
from featherweight.data.readers.table import Table, id_column, listed_columns, require_column
from featherweight.errors import UserError, in_a_line
from featherweight.formatting import in_sentence, listed

LABEL_WORDS = (
    ("label",),
    ("labels", "target", "class", "gold"),
    ("category", "sentiment", "topic", "intent", "emotion", "stance", "polarity", "genre", "tag"),
    ("categories", "topics", "emotions", "genres", "tags", "cats"),
    ("rating", "stars", "score", "grade", "type", "priority", "queue", "department", "y"),
)
"""Usual names of label columns, or the last words of such names; the most certain ones come first."""
TEXT_WORDS = (
    ("text",),
    ("texts", "sentence", "review", "tweet", "message", "content", "body", "comment", "document", "utterance"),
    ("question", "query", "post", "article", "abstract", "narrative", "phrase", "sms", "email", "description"),
)
"""Usual names of text columns, in the same way."""
_TITLES = frozenset({"title", "headline", "subject", "heading"})
_SPLITS = frozenset({"split", "fold", "partition", "subset"})
"""Names of columns that say to which part of the data a row belongs."""
_MOST_NAMED = 8  # maximum number of label columns that a message lists
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_a-zA-Z]+")


@dataclass(frozen=True)
class Guess:
    """The text and label columns, and for each the reason in words, such as "by its name"."""

    text: tuple[str, ...]
    label: str | tuple[str, ...]
    """Several columns if each label has its own column."""
    text_reason: str
    label_reason: str


class Columns:
    """The columns of ``table`` and their profiles. A column is read when its profile is needed.

    Messages name options of the command line, or, with ``in_python``, arguments of functions.
    """

    def __init__(self, table: Table, *, in_python: bool = False) -> None:
        self.table = table
        self._in_python = in_python
        self._profiles: dict[str, ColumnProfile] = {}

    def profile(self, name: str) -> ColumnProfile:
        """The profile of a column: statistics of its values."""
        if name not in self._profiles:
            self._profiles[name] = profile_of(self.table.read(name))
        return self._profiles[name]

    def named(self, what: str, names: Sequence[str] = ("COLUMN",)) -> str:
        """The option that sets the columns of ``what``: ``--text 'a b'``, or in Python ``text="a b"``."""
        if self._in_python:
            return f"{what}={json.dumps(names if len(names) > 1 else names[0], ensure_ascii=False)}"
        return " ".join(f"--{what} {shlex.quote(in_a_line(name))}" for name in names)

    def set(self, override: str) -> str:
        """The option that sets a key of the recipe: ``--set task=multi-label``, or in Python ``overrides=[...]``."""
        return f'overrides=["{override}"]' if self._in_python else f"--set {override}"

    def free(self, texts: Sequence[str]) -> list[str]:
        """Columns that may hold the labels: all except ``texts``, the text columns, and columns of ids or splits."""
        return [name for name in self.table.names if name not in texts and name not in self.ids]

    @cached_property
    def ids(self) -> frozenset[str]:
        """Columns that hold the id of a row, or the name of the split that it belongs to."""
        named = [id_column(self.table), *likely_id_columns(self.table.names)]
        splits = [name for name in self.table.names if name.casefold() in _SPLITS]
        return frozenset(name for name in (*named, *splits) if name)


def guess_columns(
    columns: Columns, text: Sequence[str] = (), label: Sequence[str] = (), *, several: bool = False
) -> Guess:
    """The text and label columns among ``columns``. ``text`` and ``label`` are given by the user and not guessed.

    With ``several``, a text may have several labels: in a column of lists, or in one column per label.

    Raises UserError if a given column is missing, and if several columns or none could be meant. The message lists the
    columns and says which option to use.
    """
    table = columns.table
    remedy = f"Name the label column with {columns.named('label')}"
    labels, label_reason = tuple(require_column(table, name, remedy) for name in label), "as given"
    if text:
        remedy = f"Name the text column with {columns.named('text')}"
        texts, text_reason = tuple(require_column(table, name, remedy) for name in text), "as given"
    else:
        texts, text_reason = guess_texts(columns, labels)
    if not labels:
        labels, label_reason = (guess_labels if several else guess_label)(columns, texts)
    return Guess(texts, labels if len(labels) > 1 else labels[0], text_reason, label_reason)


def guess_texts(columns: Columns, labels: Sequence[str] = ()) -> tuple[tuple[str, ...], str]:
    """The text columns, and how they were found; ``labels`` are the label columns, if they are known."""
    table = columns.table
    usual = _all_of(table, "text") or _all_of(table, "title", "description")
    if usual and not set(usual) & set(labels):
        return usual, "by its name" if len(usual) == 1 else "by their names, joined by a space"
    free = columns.free(labels)
    running = [name for name in free if columns.profile(name).is_running_text]
    if len(running) == 1:
        return (running[0],), "the only column of running text"
    named = best_named(running, TEXT_WORDS)
    if len(named) == 1:
        titles = [name for name in running if last_word(name) in _TITLES]
        if len(running) == 2 and titles and titles != named:
            return (titles[0], named[0]), "a title and its text, joined by a space"
        return (named[0],), "by its name"
    if running:
        raise _undecided_texts(columns, running)
    return _short_texts(columns, free)


def guess_label(columns: Columns, texts: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """The label column, and how it was found; ``texts`` are the text columns."""
    found = find_label(columns, texts)
    if found is None:
        raise _no_labels(columns)
    if columns.profile(found[0]).lists:
        raise UserError(
            f"{columns.table.origin}: {found[0]!r} holds lists, so a text may have several labels\n"
            f"To train these, add {columns.set('task=multi-label')}; to train another column: {columns.named('label')}"
        )
    return (found[0],), found[1]


def guess_labels(columns: Columns, texts: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """The label columns for several labels per text, and how they were found.

    They are a column of lists, all columns of 0 and 1, or a column with a usual name.
    """
    free = columns.free(texts)
    lists = [name for name in free if columns.profile(name).lists]
    flags = _of_one_notation([name for name in free if columns.profile(name).flags], columns)
    named = best_named(lists or free, LABEL_WORDS)
    if len(lists) == 1:
        return (lists[0],), "the only column of lists"
    if len(flags) > 1 and not lists:
        return tuple(flags), "the columns of 0 and 1"
    if len(named) == 1:
        return (named[0],), "by its name"
    raise _undecided_labels(columns, lists) if lists else _no_labels(columns)


def _of_one_notation(flags: Sequence[str], columns: Columns) -> list[str]:
    """Those of ``flags`` that hold 0 and 1, or those that hold true and false, whichever are more."""
    numbers = [name for name in flags if columns.profile(name).numbers]
    words = [name for name in flags if name not in numbers]
    return numbers if len(numbers) >= len(words) else words


def find_label(columns: Columns, texts: Sequence[str]) -> tuple[str, str] | None:
    """The label column, and how it was found; None if no column seems to hold labels.

    Raises UserError if several columns do.
    """
    table = columns.table
    exact = table.find("label") or table.label
    if exact and exact not in texts:
        return exact, "by its name"
    free = columns.free(texts)
    possible = [name for name in free if columns.profile(name).may_be_labels]
    named = best_named(possible, LABEL_WORDS)
    if len(named) == 1:
        return named[0], "by its name"
    if len(possible) == 1:
        return possible[0], "the only column of few different values"
    if twin := _same_classes(table, named or possible):
        return twin, "by its values"
    if possible:
        raise _undecided_labels(columns, named or possible)
    other = best_named(free, LABEL_WORDS)  # training will refuse its rows, with the reason
    return (other[0], "by its name") if len(other) == 1 else None


def best_named(names: Iterable[str], words: Sequence[Sequence[str]]) -> list[str]:
    """The ``names`` that match best, an equal name before one that ends with the word; empty if none matches.

    ``words`` are groups of words, the most certain group first.
    """
    names = list(names)
    called: list[Callable[[str], str]] = [str.casefold, last_word]
    ranked = [[name for name in names if of(name) in tier] for of in called for tier in words]
    return next(filter(None, ranked), [])


def last_word(name: str) -> str:
    """The last word of a column's name, in lower case: ``text`` for ``review_text`` and ``reviewText``."""
    words = _WORD.findall(name)
    return words[-1].casefold() if words else ""


def _all_of(table: Table, *wanted: str) -> tuple[str, ...]:
    found = tuple(name for name in map(table.find, wanted) if name)
    return found if len(found) == len(wanted) else ()


def _short_texts(columns: Columns, free: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """The text column if no column has running text: by its name, or the only one with many different values."""
    table = columns.table
    texts = [name for name in free if columns.profile(name).holds_texts]
    many = [name for name in texts if not columns.profile(name).may_be_labels]
    named = best_named(texts, TEXT_WORDS)
    if len(named) == 1 or len(many) == 1:
        return ((named[0],), "by its name") if len(named) == 1 else ((many[0],), "the only column of texts")
    if named or many:
        raise _undecided_texts(columns, named or many)
    raise UserError(
        f"{table.origin}: no column seems to hold texts; its columns are: {listed_columns(table)}\n"
        f"Name it with {columns.named('text')}"
    )


def _same_classes(table: Table, names: Sequence[str]) -> str | None:
    """The column to use if all columns ``names`` mean the same classes, such as class numbers and class names.

    None if they do not.
    """
    if len(names) < 2:
        return None
    columns = [list(map(str, table.read(name))) for name in names]
    ways = len(set(zip(*columns, strict=True)))
    if any(len(set(column)) != ways for column in columns):
        return None
    return next((name for name, column in zip(names, columns, strict=True) if not _numbered(column)), names[0])


def _numbered(values: Iterable[str]) -> bool:
    return all(value.strip().lstrip("-").replace(".", "", 1).isdecimal() for value in values)


def _undecided_texts(columns: Columns, names: Sequence[str]) -> UserError:
    table = columns.table
    pair = f"; to use them as a pair, add {columns.set('data.join=pair')}" if len(names) == 2 else ""
    both = f"; to join them: {columns.named('text', names)}{pair}" if len(names) == 2 else ""
    return UserError(
        f"{table.origin}: {listed(names, 12)} could each be the texts; its columns are: {listed_columns(table)}\n"
        f"Name the right one, such as {columns.named('text', names[:1])}{both}"
    )


def _no_labels(columns: Columns) -> UserError:
    table = columns.table
    return UserError(
        f"{table.origin}: no column seems to hold the labels; its columns are: {listed_columns(table)}\n"
        f"Name it with {columns.named('label')}; to classify texts without labels: `featherweight predict RUN FILE`"
    )


def _undecided_labels(columns: Columns, names: Sequence[str]) -> UserError:
    table = columns.table
    flags = [name for name in names if columns.profile(name).flags]
    if len(flags) > 1 and len(flags) == len(names):
        return UserError(
            f"{table.origin}: {listed(flags, 12)} hold only 0 and 1, so a text may have several labels\n"
            f"To train these, add {columns.set('task=multi-label')}; to train one: {columns.named('label', flags[:1])}"
        )
    return UserError(
        f"{table.origin}: {listed(names, 12)} could each be the labels; its columns are: {listed_columns(table)}\n"
        f"Name the right one, such as {columns.named('label', names[:1])}"
    )


def columns_in_words(guess: Guess, table: Table) -> str:
    """One sentence that says which columns were chosen and why, and which are not used."""
    texts = in_sentence([repr(name) for name in guess.text])
    columns = (guess.label,) if isinstance(guess.label, str) else guess.label
    labels = in_sentence([repr(name) for name in columns[:_MOST_NAMED]])
    labels += f" and {len(columns) - _MOST_NAMED} more" if len(columns) > _MOST_NAMED else ""
    others = [name for name in table.names if name not in (*guess.text, *columns)]
    unused = f"; not used: {listed(others)}" if others else ""
    return f"texts from {texts} ({guess.text_reason}), labels from {labels} ({guess.label_reason}){unused}"
