"""Reads the sample submission of a contest: its header, its ids in their order, and the values in its columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from featherweight.data.id_column import id_text
from featherweight.data.label_column import written
from featherweight.data.readers.files import file_tables
from featherweight.data.readers.table import Table, is_unicode
from featherweight.errors import UserError, in_a_line
from featherweight.hints import flag

_ROWS = 20_000  # number of rows that are read at a time


@dataclass(frozen=True)
class Sample:
    """The content of a sample submission."""

    origin: str
    names: tuple[str, ...]
    id_column: str
    places: dict[str, int]
    """The ids in their order, each with its index from 0."""
    values: dict[str, dict[str, int]]
    """For each other column, its distinct values as texts, each with the number of its first row, from 1."""

    @property
    def other_columns(self) -> tuple[str, ...]:
        """All columns except the ids, in their order."""
        return tuple(self.values)

    @property
    def first_row_number(self) -> int | None:
        """The first id if the ids are consecutive whole numbers; else None."""
        ids = iter(self.places)
        first = next(ids)
        if not first.isdecimal() or not first.isascii() or str(int(first)) != first:
            return None
        counted = all(name == str(number) for number, name in enumerate(ids, int(first) + 1))
        return int(first) if counted else None


def read_sample(path: str | Path, find_id_column: Callable[[Sequence[str]], str]) -> Sample:
    """Read a sample submission; ``find_id_column`` chooses the id column from its column names.

    Raises UserError if the file does not exist, has no rows or only one column, or an id is missing or repeated.
    """
    origin = in_a_line(str(path))
    if not Path(path).exists():
        raise UserError(f"{flag('--like', origin)}: no such file; pass the sample submission of the contest")
    if Path(path).is_dir():
        raise UserError(f"{flag('--like', origin)}: is a folder; pass the file of the sample submission")
    found: Sample | None = None
    for table in file_tables(Path(path), origin, _ROWS):
        table.require_once(*table.repeated)
        if not table.names:
            raise UserError(f"{origin}: its columns have no names; pass the sample submission of the contest")
        found = found or _begin(table, origin, find_id_column(table.names))
        _require_columns(found, table)
        _add_ids(found, table)
        for name, seen in found.values.items():
            for row, value in enumerate(table.read(name), table.before + 1):
                seen.setdefault(written(value), row)
    assert found is not None  # an empty file gives one table without rows
    if not found.places:
        raise UserError(f"{origin}: has a header but no rows; pass a sample submission with one row per id")
    return found


def _begin(table: Table, origin: str, identity: str) -> Sample:
    others = [name for name in table.names if name != identity]
    if not is_unicode("".join(table.names)):
        raise UserError(f"{origin}: the name of a column is not valid Unicode (a lone surrogate); fix the file")
    if not others:
        raise UserError(
            f"{origin}: has only the column {in_a_line(identity)!r}; pass a sample submission with ids and labels"
        )
    return Sample(origin, table.names, identity, {}, {name: {} for name in others})


def _require_columns(sample: Sample, table: Table) -> None:
    if table.names != sample.names:  # a later JSON object may have another key
        other = next(name for name in table.names if name not in sample.names)
        row = f"row {table.before + 1:,} (or one of the next rows)"
        raise UserError(f"{sample.origin}: {row} has an extra column {other!r} that the first rows lack; fix the file")


def _add_ids(sample: Sample, table: Table) -> None:
    for row, value in enumerate(table.read(sample.id_column), table.before + 1):
        name = id_text(value)
        if not name:
            raise UserError(f"{sample.origin}: row {row}: the id is missing; correct the sample")
        if (first := sample.places.setdefault(name, row - 1)) != row - 1:
            raise UserError(
                f"{sample.origin}: row {row}: has the same id {in_a_line(name)!r} as row {first + 1}; "
                "correct the sample"
            )
