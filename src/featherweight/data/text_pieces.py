"""Reads the texts of a data source in pieces, with their ids and without labels; the source may exceed memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from featherweight.data.id_column import Find
from featherweight.data.pairs import joined
from featherweight.data.readers.columns import stored
from featherweight.data.readers.table import Table, id_column, is_blank, text_columns
from featherweight.data.source_tables import open_tables
from featherweight.data.sources import Rows, cleaned_texts, ids_of
from featherweight.errors import UserError
from featherweight.recipe import DataRecipe


def text_pieces(source: str, data: DataRecipe, *, split: str, rows: int, find_ids: Find = id_column) -> Iterator[Rows]:
    """Yield the texts of ``source`` with their ids, but without labels; each ``Rows`` has at most ``rows`` rows.

    The data may be larger than memory. Blank texts become empty ones. ``find_ids`` returns the id column. Raises
    UserError as ``read_rows`` does, when the iteration reaches the row; messages count rows from the start of the data.
    """
    begun: tuple[tuple[str, ...], str | None] | None = None
    wanted = partial(_read_for_prediction, data=data, find_ids=find_ids)
    for table in open_tables(source, data, split, rows, wanted):
        columns = text_columns(table, data), find_ids(table)
        begun = begun or columns
        if columns != begun:
            more = _other_columns((*columns[0], columns[1]), (*begun[0], begun[1]), table.before)
            raise UserError(f"{table.origin}: row {table.before + 1:,}, or one shortly after it, {more}")
        texts = cleaned_texts(table, columns[0], data, drop=None)
        if data.join == "text":
            texts = stored("" if is_blank(text) else text for text in map(joined, texts))
        yield Rows(texts, None, data.labels, table.origin, ids_of(table, columns[1]), notes=table.notes)


def _other_columns(now: Sequence[str | None], then: Sequence[str | None], before: int) -> str:
    """How the used columns of a row differ from those of the ``before`` rows ahead of it, for a message."""
    if more := [name for name in now if name and name not in then]:
        return f"has a column {more[0]!r}, but the {before:,} rows before it do not; add it to all rows"
    lost = next(name for name in then if name and name not in now)
    return f"has no column {lost!r}, but the {before:,} rows before it do; add it to all rows, or remove it from them"


def _read_for_prediction(table: Table, data: DataRecipe, find_ids: Find) -> list[str]:
    identity = find_ids(table)
    return [*dict.fromkeys((*text_columns(table, data), *([identity] if identity else [])))]
