"""Records, such as the rows of a spreadsheet, as a table; the column names are in the first one or in the recipe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any

from featherweight.data.readers.header import header_of
from featherweight.data.readers.reading import Reading
from featherweight.data.readers.table import Table, pieces_of, plain_text
from featherweight.errors import UserError

_SAMPLED = 200  # number of records that are examined to decide whether the first one is a header


def record_tables(
    records: Iterator[Sequence[Any]], origin: str, reading: Reading, rows: int, notes: Sequence[str] = ()
) -> Iterator[Table]:
    """A table of ``records``, which have the same length, ``rows`` rows at a time; ``notes`` are passed on to it.

    Raises UserError if there are no records, or if neither the first record nor the recipe has names for the columns.
    """
    sample = list(islice(records, _SAMPLED))
    if not sample:
        raise UserError(f"{origin}: the file has no rows")
    first, *others = [["" if value is None else plain_text(value) for value in record] for record in sample]
    header = header_of(first, others, reading, origin)
    told = tuple(f"{origin}: {note}" for note in (*notes, *filter(None, [header.note])))
    for before, piece in pieces_of(chain(sample[header.in_first_row :], records), rows):
        yield column_table(origin, header.names, piece, before, told)


def column_table(
    origin: str, names: Sequence[str], rows: Sequence[Sequence[Any]], before: int, notes: tuple[str, ...], **more: Any
) -> Table:
    """A table of ``rows`` with the columns ``names``; if several columns have the same name, the first one is kept.

    ``before`` is the number of rows of the data before these, and ``more`` are other fields of `Table`.
    """
    values = zip(*rows, strict=True) if rows else ([] for _ in names)
    columns: dict[str, Sequence[Any]] = {}
    for name, column in zip(names, values, strict=True):
        columns.setdefault(name, list(column))
    return Table(origin, tuple(names), columns.__getitem__, before=before, notes=notes, **more)
