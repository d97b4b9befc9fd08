"""A contest's sample submission: its header, its ids in their order, and the values in its columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from featherweight.data.id_column import id_text
from featherweight.data.label_column import written
from featherweight.data.readers.files import file_tables
from featherweight.data.readers.table import Table, is_unicode
from featherweight.errors import UserError, in_a_line

_ROWS = 20_000  # that are parsed at a time


@dataclass(frozen=True)
class Sample:
    """What stands in a sample submission."""

    origin: str
    names: tuple[str, ...]
    id_column: str
    places: dict[str, int]
    """Ids in their order, each with its place, from 0."""
    values: dict[str, dict[str, int]]
    """Different values of each other column, as texts, each with the first row that has it, from 1."""

    @property
    def other_columns(self) -> tuple[str, ...]:
        """The columns beside the ids, in their order."""
        return tuple(self.values)

    @property
    def first_row_number(self) -> int | None:
        """The first id, where the ids are whole numbers that count the rows; None where they are not."""
        ids = iter(self.places)
        first = next(ids)
        if not first.isdecimal() or not first.isascii() or str(int(first)) != first:
            return None
        counted = all(name == str(number) for number, name in enumerate(ids, int(first) + 1))
        return int(first) if counted else None


def read_sample(path: str | Path, find_id_column: Callable[[Sequence[str]], str]) -> Sample:
    """Read a sample submission; ``find_id_column`` picks the id column of its names.

    Raises UserError where there is no such file, it has no rows or a single column, or an id is missing or repeated.
    """
    origin = in_a_line(str(path))
    if not Path(path).exists():
        raise UserError(f"--like {origin}: no such file; name the contest's sample submission")
    if Path(path).is_dir():
        raise UserError(f"--like {origin}: is a folder; name the contest's sample submission in it")
    found: Sample | None = None
    for table in file_tables(Path(path), origin, _ROWS):
        table.require_once(*table.repeated)
        found = found or _begin(table, origin, find_id_column(table.names))
        _require_columns(found, table)
        _add_ids(found, table)
        for name, seen in found.values.items():
            for row, value in enumerate(table.read(name), table.before + 1):
                seen.setdefault(written(value), row)
    assert found is not None  # an empty table is one piece without rows
    if not found.places:
        raise UserError(f"{origin}: has a header and no rows; a sample submission has a row for every id")
    return found


def _begin(table: Table, origin: str, identity: str) -> Sample:
    others = [name for name in table.names if name != identity]
    if not is_unicode("".join(table.names)):
        raise UserError(f"{origin}: the name of a column holds half a character (a lone surrogate); mend the file")
    if not others:
        raise UserError(
            f"{origin}: has the single column {in_a_line(identity)!r}; a sample submission has ids and labels"
        )
    return Sample(origin, table.names, identity, {}, {name: {} for name in others})


def _require_columns(sample: Sample, table: Table) -> None:
    if table.names != sample.names:  # a JSON object may bring along another key
        other = next(name for name in table.names if name not in sample.names)
        raise UserError(f"{sample.origin}: row {table.before + 1:,} or one soon after it has a column {other!r}")


def _add_ids(sample: Sample, table: Table) -> None:
    for row, value in enumerate(table.read(sample.id_column), table.before + 1):
        name = id_text(value)
        if not name:
            raise UserError(f"{sample.origin}: row {row}: the id is missing")
        if (place := sample.places.setdefault(name, row - 1)) != row - 1:
            raise UserError(f"{sample.origin}: row {row}: the id {in_a_line(name)!r} is that of row {place + 1}")
