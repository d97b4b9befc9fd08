"""Checks the ids of a submission, and writes its rows in the order of the sample submission, if there is one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from featherweight.data.id_column import ROW, Find, IdColumn, choose_id_column, likely_id_columns, named_ids
from featherweight.data.readers.table import USUAL_TEXTS
from featherweight.data.source_tables import column_pieces
from featherweight.data.sources import Rows
from featherweight.errors import UserError, in_a_line
from featherweight.hints import flag, option
from featherweight.inference.submission.choices import Choices
from featherweight.inference.submission.layout import Layout, notes_on_values, usual_layout
from featherweight.inference.submission.matching import layout_like
from featherweight.inference.submission.sample import Sample, read_sample
from featherweight.inference.submission.several_labels import layout_like_several, usual_layout_of_several
from featherweight.inference.submission.trained_labels import TrainedLabels

if TYPE_CHECKING:
    from featherweight.data.readers.table import Table
    from featherweight.recipe import DataRecipe


Write = Callable[[dict[str, list]], None]
"""A function that writes the columns of the next rows."""


@dataclass
class Submission:
    """The layout of a submission. With a sample submission it also stores the predictions until all are computed."""

    layout: Layout
    find_ids: Find
    notes: list[str]
    """Notes for the user, one line each."""
    sample: Sample | None = None
    first_row_number: int = 0
    """The id of the first row, if the data has no id column."""
    _records: np.ndarray | None = field(default=None, repr=False)

    def ids(self, piece: Rows, before: int) -> list[str]:
        """The ids of the rows in ``piece``; row numbers as texts if there is no id column.

        ``before`` is the number of rows in all earlier pieces.
        """
        if piece.ids is not None:
            return list(piece.ids)
        first = self.first_row_number + before
        return [str(number) for number in range(first, first + len(piece))]

    def checked(self, pieces: Iterator[Rows]) -> Iterator[Rows]:
        """Yield each of ``pieces`` (blocks of rows, in order) unchanged after its ids are checked.

        Raises UserError if an id is missing or repeated, or occurs only in the data or only in the sample submission.
        """
        rows: dict[str, int] = {}
        origin, before = "", 0
        for piece in pieces:
            origin = piece.origin
            if piece.ids is not None:
                _require_sound_ids(piece, rows)
            if self.sample is not None:
                _require_ids_of_sample(piece.origin, self.ids(piece, before), before, self.sample)
            before += len(piece)
            yield piece
        if self.sample is not None and before < len(self.sample.places):
            known = rows or {str(self.first_row_number + row) for row in range(before)}
            missing, index = next((name, index) for name, index in self.sample.places.items() if name not in known)
            raise _unknown_id(self.sample.origin, index + 1, missing, origin, known)

    def add(self, piece: Rows, before: int, probabilities: np.ndarray, write: Write) -> None:
        """Write the predictions for the rows in ``piece``; ``before`` is the number of rows in all earlier pieces.

        If there is a sample submission, they are only stored; ``finish`` then writes them in the order of the sample.
        """
        ids, records = self.ids(piece, before), self.layout.record(probabilities)
        if self.sample is None:
            write(self.layout.table(ids, records))
            return
        if self._records is None:
            self._records = np.zeros((len(self.sample.places), *records.shape[1:]), records.dtype)
        self._records[[self.sample.places[name] for name in ids]] = records

    def finish(self, rows: int, write: Write) -> None:
        """Write the predictions that ``add`` stored, in the order of the sample and ``rows`` rows at a time.

        Without a sample submission nothing is left to write.
        """
        if self.sample is None or self._records is None:
            return
        ids = [*self.sample.places]
        for start in range(0, len(ids), rows):
            write(self.layout.table(ids[start : start + rows], self._records[start : start + rows]))


def plan_submission(
    run: str | Path, source: str, data: DataRecipe, choices: Choices, trained: TrainedLabels, rows: int
) -> Submission:
    """Choose the id column and the layout of a submission for the test data ``source``, before anything is predicted.

    ``rows`` is the number of rows to read at a time. Raises UserError if the id column does not exist or is unclear,
    or the sample submission does not match the classes.
    """
    if choices.like is not None:
        return _like(choices.like, choices, trained, source, data, rows)
    chosen, find_ids = _id_column(source, data, choices.id_column, rows)
    asked = choices.label_name, choices.as_numbers, choices.as_probabilities
    notes = _notes_on_ids(source, chosen, choices.id_column)
    if trained.several:
        layout, more = usual_layout_of_several(trained, chosen.name, *asked)
        return Submission(layout, find_ids, [*notes, *more])
    layout = usual_layout(trained, chosen.name, *asked)
    for name, number in layout.shares.items():
        notes.append(
            f"column {in_a_line(name)!r} contains the probability of class {in_a_line(trained.written[number])!r}"
        )
    if choices.as_numbers is None:
        notes += notes_on_values(trained, layout, f" ({flag('--as-names')} writes the names)")
    return Submission(layout, find_ids, notes)


def _like(
    like: str | Path, choices: Choices, trained: TrainedLabels, source: str, data: DataRecipe, rows: int
) -> Submission:
    wanted = choices.id_column
    first = next(column_pieces(source, data, split="test", rows=rows))
    sample = read_sample(like, partial(_sample_ids, table=first, data=data, wanted=wanted))
    layout_of = layout_like_several if trained.several else layout_like
    layout, notes = layout_of(sample, trained, choices.as_probabilities)
    if not trained.several:
        notes += notes_on_values(trained, layout)
    if wanted is None and sample.id_column in first.names:
        return Submission(layout, named_ids(sample.id_column), notes, sample)
    chosen, find_ids = _id_column(source, data, wanted, rows)
    if chosen.name is not None:
        return Submission(layout, find_ids, [*_notes_on_ids(source, chosen, wanted), *notes], sample)
    number = sample.first_row_number
    if number is None:
        raise UserError(
            f"{first.origin}: no id column found, and the ids of {sample.origin} are not consecutive row numbers\n"
            f"Name the column with these ids: {option('id')}"
        )
    note = f"{first.origin}: no id column found; its rows are read as those of {sample.origin}, in the same order"
    return Submission(layout, find_ids, [note, *notes], sample, number)


def _sample_ids(names: Sequence[str], *, table: Table, data: DataRecipe, wanted: str | None) -> str:
    """The name of the id column among the column ``names`` of a sample submission.

    It is the first that exists of these: the column ``wanted``; a column that is also in the test data (``table``) and
    is neither text nor label; a column with a usual name such as ``id``; the first column.
    """
    if wanted in names:
        return str(wanted)
    taken = {*map(str.casefold, data.label_columns), *map(str.casefold, data.text or USUAL_TEXTS)}
    shared = [name for name in names if name in table.names and name.casefold() not in taken]
    likely = likely_id_columns(names, label=data.label_name)
    return [*shared, *(name for name in names if name.casefold() == "id"), *likely, names[0]][0]


def _id_column(source: str, data: DataRecipe, wanted: str | None, rows: int) -> tuple[IdColumn, Find]:
    def pieces(columns: Sequence[str]) -> Iterator[Table]:
        return column_pieces(source, data, split="test", rows=rows, columns=columns)

    if wanted is not None:
        find_ids = named_ids(wanted)
        return IdColumn(find_ids(next(pieces(())))), find_ids
    chosen = choose_id_column(pieces, data)
    return chosen, named_ids(chosen.name)


def _notes_on_ids(source: str, chosen: IdColumn, wanted: str | None) -> list[str]:
    origin = in_a_line(source)
    if chosen.name is None and wanted != ROW:
        return [f"{origin}: no id column found; ID is the row number from 0 (to use a column: {option('id')})"]
    if not chosen.guessed:
        return []
    others = f", such as {' or '.join(map(repr, chosen.others[:3]))}" if chosen.others else ""
    return [
        in_a_line(f"{origin}: the ids are those of column {chosen.name!r} ({flag('--id')} chooses another{others})")
    ]


def _require_sound_ids(piece: Rows, rows: dict[str, int]) -> None:
    for row, name in enumerate(piece.ids or (), len(rows) + 1):
        if not name:
            raise UserError(
                f"{piece.origin}: row {row}: the id is missing; fill it in, or name another column with {option('id')}"
            )
        if (first := rows.setdefault(name, row)) != row:
            raise UserError(
                f"{piece.origin}: row {row}: has the same id {name!r} as row {first}; "
                f"correct it, or name another column with {option('id')}"
            )


def _require_ids_of_sample(origin: str, ids: Sequence[str], before: int, sample: Sample) -> None:
    for row, name in enumerate(ids, before + 1):
        if name not in sample.places:
            raise _unknown_id(origin, row, name, sample.origin, sample.places)


def _unknown_id(origin: str, row: int, name: str, other: str, known: Iterable[str]) -> UserError:
    """The error for an id ``name`` of the file ``origin`` that is not among the ``known`` ids of the file ``other``."""
    problem, number = f"{origin}: row {row}: the id {in_a_line(name)!r} is not in {other}", _as_number(name)
    twin = next((text for text in known if number is not None and _as_number(text) == number), None)
    if twin is None:
        return UserError(f"{problem}; predict the file that belongs to the sample")
    return UserError(
        f"{problem}, which has the same number in another form: {in_a_line(twin)!r}\n"
        "Write the ids alike in both files: a program may have removed zeros or added a decimal point"
    )


def _as_number(name: str) -> str | None:
    """The id ``name`` as a whole number in its shortest form (007 and 7.0 give 7); None if it is no whole number."""
    match = re.fullmatch(r"0*(\d+)(?:\.0*)?", name, re.ASCII)
    return match[1] if match else None
