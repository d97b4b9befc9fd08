"""Guesses the text and label columns of a table from names and values; raises an error if they are ambiguous."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from featherweight.data.candidate_columns import Columns, best_named, last_word
from featherweight.data.label_guess import LABEL_WORDS, Labels, guess_label
from featherweight.data.nested_columns import nested_label, nested_text, options_of_paths
from featherweight.data.readers.joined_by_id import texts_by_id
from featherweight.data.readers.table import Table, listed_columns, require_column
from featherweight.errors import UserError
from featherweight.formatting import in_sentence, listed
from featherweight.hints import option, to_set

TEXT_WORDS = (
    ("text",),
    ("texts", "sentence", "review", "tweet", "message", "content", "body", "comment", "document", "utterance"),
    ("question", "query", "post", "article", "abstract", "narrative", "phrase", "sms", "email", "description"),
)
"""Usual names of text columns, or the last words of such names; the most certain ones come first."""
_TITLES = frozenset({"title", "headline", "subject", "heading"})
_PAIRS = (
    ("premise", "hypothesis"),
    ("question", "passage"),
    ("question", "context"),
    ("question", "sentence"),
    ("claim", "evidence"),
    ("context", "hypothesis"),
    ("query", "document"),
)
_FEW_WORDS = 1.5  # minimum mean number of words of values that may be texts; a name of a file has one
_MOST_NAMED = 8  # maximum number of label columns that a message lists


@dataclass(frozen=True)
class Guess:
    """The guessed text and label columns, and the reasons for the guesses in words, such as "by its name"."""

    text: tuple[str, ...]
    label: str | tuple[str, ...]
    """The label column; several columns if each label has its own column."""
    text_reason: str
    label_reason: str
    several: bool = False
    """Whether a text may have several labels."""

    @property
    def label_columns(self) -> tuple[str, ...]:
        """The names of the label columns."""
        return (self.label,) if isinstance(self.label, str) else self.label


def guess_columns(
    columns: Columns, text: Sequence[str] = (), label: Sequence[str] = (), *, several: bool | None = None
) -> Guess:
    """Guess the text and label columns among ``columns``. Columns in ``text`` and ``label`` were named by the user.

    ``several`` says whether a text may have several labels: in a column of lists, or in one column per label. If it is
    None, this is guessed from the values.

    Raises UserError if a named column is missing, or if no column or more than one could be the right one. The message
    lists the columns and says which option to use.
    """
    table = columns.table
    remedy = f"Name the label column with {option('label')}"
    named = tuple(require_column(table, name, remedy) for name in label)
    if text:
        remedy = f"Name the text column with {option('text')}"
        texts, text_reason = tuple(require_column(table, name, remedy) for name in text), "as given"
    else:
        texts, text_reason = guess_texts(columns, named)
    if named:
        many = len(named) > 1 or (columns.profile(named[0]).longer if several is None else several)
        labels = Labels(named, "as given", bool(many))
    else:
        labels = guess_label(columns, texts, several)
    label_names = labels.columns if len(labels.columns) > 1 else labels.columns[0]
    return Guess(texts, label_names, text_reason, labels.reason, labels.several)


def guess_texts(columns: Columns, labels: Sequence[str] = ()) -> tuple[tuple[str, ...], str]:
    """The text columns, and how they were found; ``labels`` are the label columns, if they are known."""
    table = columns.table
    usual = _all_of(table, "text") or _all_of(table, "title", "description")
    if usual and not set(usual) & set(labels):
        return usual, "by its name" if len(usual) == 1 else "by their names, joined by a space"
    free = columns.free(labels)
    columns.require_once("text", free, TEXT_WORDS)
    running = [name for name in free if columns.profile(name).is_running_text]
    if running and not best_named(running, TEXT_WORDS[:2]) and (meant := _unlike_texts(columns, free)):
        raise _undecided_texts(columns, [*meant, *running])
    if len(running) == 1:
        if pair := _other_side(columns, running[0], free, labels):
            raise _undecided_texts(columns, pair)
        return (running[0],), "the only column of running text"
    named = best_named(running, TEXT_WORDS)
    if named and {*named} <= {*_pair_among(running)}:
        raise _undecided_texts(columns, running)
    titles = [name for name in running if last_word(name) in _TITLES]
    if len(running) == 2 and len(titles) == 1 and not named:
        named = [name for name in running if name not in titles]
    if len(named) == 1:
        if len(running) == 2 and titles and titles != named:
            return (titles[0], named[0]), "a title and its text, joined by a space"
        return (named[0],), "by its name"
    if running:
        raise _undecided_texts(columns, running)
    return _short_texts(columns, free)


def _all_of(table: Table, *wanted: str) -> tuple[str, ...]:
    found = tuple(name for name in map(table.find, wanted) if name)
    return found if len(found) == len(wanted) else ()


def _short_texts(columns: Columns, free: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """The text column if no column has running text: by its name, or the only one with many different values."""
    table = columns.table
    if lists := next((name for name in free if columns.profile(name).longer and _are_texts(table, name)), None):
        raise UserError(
            f"{table.origin}: {lists!r} holds lists of texts, but a row may have only one text; its columns are: "
            f"{listed_columns(table)}\nWrite a row for each text, in pandas: frame.explode({lists!r})"
        )
    texts = [name for name in free if columns.profile(name).holds_texts]
    many = [name for name in texts if columns.profile(name).values > 1 and not columns.profile(name).may_be_labels]
    named = best_named(texts, TEXT_WORDS)
    if many and not named and (meant := [name for name in _unlike_texts(columns, free) if name not in many]):
        raise _undecided_texts(columns, [*meant, *many])
    if len(named) == 1 or len(many) == 1:
        return ((named[0],), "by its name") if len(named) == 1 else ((many[0],), "the only column of texts")
    if named or many:
        raise _undecided_texts(columns, named or many)
    raise UserError(
        f"{table.origin}: no column seems to hold texts; its columns are: {listed_columns(table)}\n"
        f"{_remedy_without_texts(columns)}"
    )


def _unlike_texts(columns: Columns, free: Sequence[str]) -> list[str]:
    """Columns with a usual name of texts whose values do not look like prose: short ones, or such as lines of a log."""
    found = []
    for name in best_named(free, TEXT_WORDS[:2]):
        profile = columns.profile(name)
        plain = not (profile.is_running_text or profile.may_be_labels or profile.numbers or profile.lists)
        written = profile.words >= _FEW_WORDS and 2 * profile.values > profile.filled >= profile.rows / 2
        found += [name] if plain and written and not profile.objects else []
    return found


def _remedy_without_texts(columns: Columns) -> str:
    if beside := texts_by_id(Path(columns.table.origin)):
        return beside
    text = nested_text(columns, TEXT_WORDS)
    known = any(columns.profile(name).may_be_labels for name in columns.free(()))
    label = None if known else nested_label(columns, LABEL_WORDS)
    what = "columns of texts and labels" if text and label else "text column"
    return f"Name the {what} with {options_of_paths(text, label)}"


def _are_texts(table: Table, name: str) -> bool:
    """Whether the lists in a column are lists of running texts: different ones, of two words or more on average."""
    items = [item for cell in table.read(name) if isinstance(cell, list) for item in cell]
    texts = [item for item in items if isinstance(item, str)]
    words = sum(len(item.split()) for item in texts)
    return len(texts) == len(items) > 0 and words >= 2 * len(items) and 2 * len(set(texts)) > len(items)


def _undecided_texts(columns: Columns, names: Sequence[str]) -> UserError:
    table = columns.table
    if len(names) > 2 and (two := _pair_among(names)):
        options = f"{option('text', two)} {to_set('data.join=pair')}"
        return UserError(
            f"{table.origin}: {listed(names, 12)} could each be the texts; its columns are: {listed_columns(table)}\n"
            f"As a pair: {options}; to read one of them: {option('text', two[:1])}"
        )
    pair = f"; to use them as a pair, add {to_set('data.join=pair')}" if len(names) == 2 else ""
    both = f"; to join them: {option('text', names)}{pair}" if len(names) == 2 else ""
    return UserError(
        f"{table.origin}: {listed(names, 12)} could each be the texts; its columns are: {listed_columns(table)}\n"
        f"Name the right one, such as {option('text', names[:1])}{both}"
    )


def _pair_among(names: Sequence[str]) -> list[str]:
    """The two of several columns whose names say that they are a pair, such as ``sentence1`` and ``sentence2``."""
    called = {name.casefold(): name for name in names}
    numbered = [(f"{name[:-1]}1", f"{name[:-1]}2") for name in called if name.endswith("1")]
    known = [pair for pair in (*numbered, *_PAIRS) if called.keys() >= {*pair}]
    return [called[name] for name in known[0]] if len(known) == 1 else []


def _other_side(columns: Columns, text: str, free: Sequence[str], labels: Sequence[str]) -> list[str]:
    """The two columns of a pair by their names, if one is ``text`` and the other repeats few texts; else empty.

    Some data sets have such hypotheses. A column of single words does not count: it holds classes or file names. The
    result is also empty if no third column may hold the labels, because then the other column of the pair holds them.
    """
    profiles = {name: columns.profile(name) for name in free}
    two = _pair_among([name for name in free if profiles[name].holds_texts and profiles[name].words >= _FEW_WORDS])
    known = {last_word(name) for name in two} <= {*chain(*TEXT_WORDS, *_PAIRS)}
    labelled = labels or any(profiles[name].may_be_labels for name in free if name not in two)
    return two if text in two and known and labelled else []


def columns_in_words(guess: Guess, table: Table) -> str:
    """A note that says which columns were chosen and why, and which are not used."""
    texts = in_sentence([repr(name) for name in guess.text])
    columns = guess.label_columns
    labels = in_sentence([repr(name) for name in columns[:_MOST_NAMED]])
    labels += f" and {len(columns) - _MOST_NAMED} more" if len(columns) > _MOST_NAMED else ""
    others = [name for name in table.names if name not in (*guess.text, *columns)]
    others += [f"two columns called {name!r}" for name in sorted(table.repeated)]
    unused = f"; not used: {listed(others)}" if others else ""
    return f"texts from {texts} ({guess.text_reason}), labels from {labels} ({guess.label_reason}){unused}"
