"""Records such as rows of a spreadsheet as a table: the first one names the columns, or the recipe does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any

from featherweight.data.readers.header import header_of
from featherweight.data.readers.reading import Reading
from featherweight.data.readers.table import Table, pieces_of, plain_text
from featherweight.errors import UserError

_SAMPLED = 200  # records by which a header is told from a row


def record_tables(
    records: Iterator[Sequence[Any]], origin: str, reading: Reading, rows: int, notes: Sequence[str] = ()
) -> Iterator[Table]:
    """A table of ``records`` of one length, ``rows`` at a time; ``notes`` say how they were read.

    Raises UserError where there is no record, and where nobody has named the columns.
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
    """The table of ``rows``, each with a value for every one of ``names``; of columns called alike the first stays."""
    values = zip(*rows, strict=True) if rows else ([] for _ in names)
    columns: dict[str, Sequence[Any]] = {}
    for name, column in zip(names, values, strict=True):
        columns.setdefault(name, list(column))
    return Table(origin, tuple(names), columns.__getitem__, before=before, notes=notes, **more)
