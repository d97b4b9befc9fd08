"""A table of raw columns, and functions that find its columns of texts, labels and ids."""

from __future__ import annotations

import difflib
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice, repeat
from pathlib import Path
from typing import Any

from featherweight.data.readers.columns import CHUNK, ColumnBuilder, stored
from featherweight.data.readers.joined_by_id import labels_by_id
from featherweight.data.readers.nested import column_of, paths_in, plain_name, values_at
from featherweight.data.readers.reading import USUAL_TEXTS
from featherweight.errors import UserError
from featherweight.formatting import listed
from featherweight.hints import option
from featherweight.recipe import DataRecipe


@dataclass(frozen=True)
class Table:
    """Columns of one split. A column is read when it is accessed."""

    origin: str
    """Name of the table in messages, such as ``train.csv.gz``."""
    names: tuple[str, ...]
    """Column names in the order of the data; columns without a name, or with a repeated name, are left out."""
    read: Callable[[str], Sequence[Any]]
    """Returns the values of a column, or at a path such as ``meta.0.topic``; missing values are None."""
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Class names by column, for columns of integers whose class names are part of the data."""
    label: str | None = None
    """The label column, if the file format determines it."""
    text: str | None = None
    """The text column, if the file format determines it."""
    gaps: bool = False
    """Whether rows without a label belong to the format: rows that nobody has annotated yet, or that were rejected."""
    before: int = 0
    """Number of rows of the data before this piece, so that messages can count from the start of the data."""
    notes: tuple[str, ...] = ()
    """Notes for the user on how the data was read."""
    remedy: str | None = None
    """Advice for a missing column, for file formats without column names."""
    paths: tuple[str, ...] = ()
    """The names with paths into nested columns (of objects, or of lists of objects); empty if no column is nested."""
    repeated: frozenset[str] = field(init=False, default=frozenset())
    """Names that occur more than once."""

    def __post_init__(self) -> None:
        counts = Counter(self.names)
        repeated = frozenset(name for name, count in counts.items() if count > 1 and name)
        object.__setattr__(self, "repeated", repeated)
        left_out = (*repeated, "")
        paths = (path for path in self.paths if not any(f"{path}.".startswith(f"{name}.") for name in left_out))
        object.__setattr__(self, "paths", tuple(paths))
        object.__setattr__(self, "names", tuple(name for name in counts if name and name not in repeated))
        object.__setattr__(self, "read", partial(_read, self.read, self.names))

    def require_once(self, *names: str) -> None:
        """Raise UserError if one of ``names`` is the name of more than one column, in upper or lower case."""
        wanted = {*map(str.casefold, names)}
        if twice := next((name for name in sorted(self.repeated) if name.casefold() in wanted), None):
            raise UserError(f"{self.origin}: two columns are called {twice!r}; rename one")

    def find(self, wanted: str) -> str | None:
        """The column called ``wanted``, or the only one with the same name in other upper or lower case; else None.

        ``wanted`` may be a path into a column. Raises UserError if several columns have that name.
        """
        if wanted in self.names:
            return wanted
        self.require_once(wanted)
        alike = [name for name in self.names if plain_name(name) == plain_name(wanted)]
        if alike:
            return alike[0] if len(alike) == 1 else None
        column = column_of(wanted, self.names)
        return column and f"{column}{wanted[len(column) :]}"

    def column(self, name: str) -> str:
        """The column called ``name``, or the one in which the path ``name`` begins: ``meta`` for ``meta.topic``."""
        return name if name in self.names else column_of(name, self.names) or name


def _read(read: Callable[[str], Sequence[Any]], names: Sequence[str], name: str) -> Sequence[Any]:
    if name in names or (column := column_of(name, names)) is None:
        return read(name)
    return values_at(name, column, read(column))


def table_of(origin: str, columns: Mapping[str, Sequence[Any]], **more: Any) -> Table:
    """A table of columns that are already in memory."""
    return Table(origin, tuple(columns), columns.__getitem__, **more)


def whole_table(pieces: Iterable[Table]) -> Table:
    """All pieces of a table as one table. A column that only later pieces have is None in the earlier rows."""
    columns: dict[str, ColumnBuilder] = {}
    notes: dict[str, None] = {}
    piece: Table | None = None
    paths: tuple[str, ...] = ()
    for piece in pieces:
        paths = paths or piece.paths
        notes.update(dict.fromkeys(piece.notes))
        for name in piece.names:
            if name not in columns:
                columns[name] = ColumnBuilder()
                columns[name].extend(repeat(None, piece.before))
            columns[name].extend(piece.read(name))
    assert piece is not None  # an empty table is one piece without rows
    finished = {name: column.finish() for name, column in columns.items()}
    repeated = tuple(name for name in piece.repeated for _ in range(2))
    more: dict[str, Any] = {"notes": tuple(notes), "remedy": piece.remedy, "paths": paths, "gaps": piece.gaps}
    more.update(label=piece.label, text=piece.text)
    return Table(piece.origin, (*finished, *repeated), finished.__getitem__, piece.classes, **more)


def pieces_of(rows: Iterable[Any], size: int) -> Iterator[tuple[int, list[Any]]]:
    """Yield (number of earlier rows, list of at most ``size`` rows); (0, []) if there are no rows."""
    left, before = iter(rows), 0
    while (piece := list(islice(left, size))) or not before:
        yield before, piece
        before += len(piece)
        if len(piece) < size:
            return


def text_columns(table: Table, data: DataRecipe) -> tuple[str, ...]:
    """The text columns of the recipe; by default ``text``, or else ``title`` and ``description``.

    If the recipe's only column is missing, the text column that the file format determines, as in a file of one text
    per line, is returned instead. Raises UserError if one is missing; the message suggests the column with the most
    similar name.
    """
    if table.text and len(data.text) == 1 and table.find(data.text[0]) is None:
        return (table.text,)
    if data.text:
        return tuple(_require(table, name, "data.text") for name in data.text)
    for wanted in (USUAL_TEXTS[:1], USUAL_TEXTS[1:]):
        found = [table.find(name) for name in wanted]
        if None not in found:
            return tuple(name for name in found if name is not None)
    return (_require(table, "text", "data.text"),)


def label_columns(table: Table, data: DataRecipe) -> tuple[str, ...]:
    """The label columns. Raises UserError if one is missing; the message suggests the column with the nearest name."""
    # A text column must not be suggested as the label column, however similar its name is.
    return find_label_columns(table, data) or tuple(
        _require(table, name, "data.label", besides=data.text or USUAL_TEXTS) for name in data.label_columns
    )


def find_label_columns(table: Table, data: DataRecipe) -> tuple[str, ...]:
    """The label columns of the recipe: one column, or, if a multi-label task has a column for each label, several.

    If the recipe's only column is missing, the label column that the file format determines, such as ``label`` in an
    export of Prodigy, is returned instead. Empty if a column is missing and there is no such replacement.
    """
    found = [table.find(name) for name in data.label_columns]
    if None not in found:
        return tuple(name for name in found if name is not None)
    return () if table.label is None or len(found) > 1 else (table.label,)


def id_column(table: Table) -> str | None:
    """The first of the columns ``ID``, ``Id`` and ``id`` that exists; None if there is none, or if there are two."""
    exact = next((name for name in ("ID", "Id", "id") if name in table.names), None)
    return exact or (None if "id" in map(str.casefold, table.repeated) else table.find("ID"))


def joined_texts(table: Table, columns: Sequence[str]) -> Sequence[str]:
    """The text of every row: the texts of its ``columns``, joined by a space. Empty texts are skipped.

    Raises UserError for values that are not texts and for texts that are not valid Unicode.
    """
    parts = [_texts(table, column) for column in columns]
    if len(parts) == 1:
        return parts[0]
    return stored(" ".join(filter(None, map(str.strip, row))) for row in zip(*parts, strict=True))


def plain_text(value: Any) -> str:
    """A value as a text. A float that is a whole number is written without the point.

    Integers become floats such as 1.0 if their column has gaps.
    """
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def is_blank(text: str) -> bool:
    """Whether ``text`` has no visible characters, but only spaces, control characters and invisible marks."""
    if not text or text.isspace():
        return True
    return not text.isprintable() and all(unicodedata.category(character) in _INVISIBLE for character in text)


# Not "Co" and "Cn": icons for private use, and characters newer than Python's Unicode tables, can be seen.
_INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"}


def _require(table: Table, wanted: str, key: str, besides: Sequence[str] = ()) -> str:
    def remedy(names: Sequence[str] = ("COLUMN",)) -> str:
        return f"Name the right one with {option(key.removeprefix('data.'), names)}, or in the recipe as {key}"

    beside = labels_by_id(Path(table.origin)) if key == "data.label" and table.find(wanted) is None else None
    return require_column(table, wanted, beside or remedy(), besides, suggested=remedy)


def require_column(
    table: Table,
    wanted: str,
    remedy: str,
    besides: Sequence[str] = (),
    *,
    suggested: Callable[[Sequence[str]], str] = lambda names: "",
) -> str:
    """The column called ``wanted``.

    Raises UserError with the ``remedy`` if there is none. The message suggests the column with the most similar name;
    columns in ``besides`` are never suggested. Then the remedy is what ``suggested`` returns for it: by default
    nothing, because the user has just named a column in the same way.
    """
    found = table.find(wanted)
    if found is not None:
        return found
    alike = [name for name in table.names if plain_name(name) == plain_name(wanted)]
    if alike:
        raise UserError(f"{table.origin}: {listed(alike)} could each be the column {wanted!r}\n{remedy}")
    others = [name for name in table.names if name.casefold() not in map(str.casefold, besides)]
    inside = [path for path in table.paths if path.casefold().endswith(f".{wanted.casefold()}")]
    near = inside[:1] or difflib.get_close_matches(wanted, others, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? Its columns are" if near else "its columns are"
    columns = listed_columns(table)
    if near:
        remedy = suggested(near)
    lines = (f"{table.origin}: no column {wanted!r}; {hint}: {columns}", table.remedy or remedy)
    raise UserError("\n".join(filter(None, lines)))


def listed_columns(table: Table) -> str:
    """The names of the first twelve columns, for a message, and those that several columns have."""
    names = listed(table.paths or table.names, 12)
    twice = f"several called {listed([repr(name) for name in sorted(table.repeated)], 4)} (rename them)"
    return ", and ".join(filter(None, [names, twice if table.repeated else ""]))


def _texts(table: Table, column: str) -> Sequence[str]:
    values = table.read(column)
    if not all(type(value) is str for value in values):
        values = stored(
            _as_text(value, table.origin, row, column) for row, value in enumerate(values, table.before + 1)
        )
    require_unicode(values, table, column)
    return values


def require_unicode(values: Sequence[str], table: Table, column: str) -> None:
    """Raise UserError, with the row, if a text of a column is not valid Unicode (which is possible in JSON)."""
    try:
        for start in range(0, len(values), CHUNK):
            "".join(values[start : start + CHUNK]).encode()
    except UnicodeEncodeError:
        row = next(row for row, value in enumerate(values, table.before + 1) if not is_unicode(value))
        raise UserError(
            f"{table.origin}: row {row}: {column!r} holds a lone surrogate, which is no valid Unicode; correct the file"
        ) from None


def _as_text(value: Any, origin: str, row: int, column: str) -> str:
    if isinstance(value, str):
        return str(value)
    if value is None or value != value:  # a missing value; pandas writes it as NaN
        return ""
    if isinstance(value, (int, float)):
        return str(value)
    inside = next((path for path in paths_in(column, value) if path != column), None)
    part = f"; use a part of it, such as data.text = {inside!r}" if inside else ""
    if isinstance(value, list) and value and all(isinstance(word, str) for word in value):
        part = f"; join its words first, in pandas: frame[{column!r}].str.join(' ')"
    if isinstance(value, bytes):
        raise UserError(f"{origin}: row {row}: {column!r} holds bytes that are not UTF-8; write the column as text")
    raise UserError(f"{origin}: row {row}: {column!r} holds a {type(value).__name__}, not a text{part}")


def is_unicode(text: str) -> bool:
    """Whether ``text`` is valid Unicode; a text from JSON or a shell may contain a lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
