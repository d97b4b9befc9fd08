"""The layout of a submission with several labels per text: one column per label, or one column with all labels."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from featherweight.errors import UserError, in_a_line
from featherweight.formatting import listed
from featherweight.hints import flag, option
from featherweight.inference.submission.layout import Layout
from featherweight.inference.submission.matching import classes_of_columns, fractions_in, probabilities_like
from featherweight.inference.submission.sample import Sample
from featherweight.inference.submission.trained_labels import TrainedLabels

if TYPE_CHECKING:
    import numpy as np

_SEPARATORS = (" ", ",", "|", ";")
"""What may be written between labels if the training data has lists; the first that is in no label is used."""


@dataclass(frozen=True)
class LayoutOfSeveral(Layout):
    """The columns of a submission in which a text may have several labels."""

    trained: TrainedLabels = field(kw_only=True)
    flags: Mapping[str, int] = field(default_factory=dict, kw_only=True)
    """For each column of 0 and 1, the number of its label; empty if all labels are in one column."""
    separator: str = field(default=" ", kw_only=True)
    """What is written between the labels in one column."""

    def record(self, probabilities: np.ndarray) -> np.ndarray:
        """For each row, the numbers from which ``table`` makes its cells, computed from ``probabilities``.

        ``probabilities`` are [rows, labels]. For columns of probabilities the result is the probabilities, [rows,
        columns]; otherwise it is 0 or 1 for each label, [rows, labels].
        """
        if self.shares:
            return probabilities[:, list(self.shares.values())]
        decided = self.trained.task.decide(probabilities)
        return decided[:, list(self.flags.values())] if self.flags else decided

    def table(self, ids: Sequence[str], records: np.ndarray) -> dict[str, list]:
        """Some rows of the submission as {column name: cells}; ``records`` is what ``record`` returned for them."""
        if named := self.shares or self.flags:
            cells = {name: records[:, index].tolist() for index, name in enumerate(named)}
        else:
            label = next(name for name in self.columns if name != self.id_column)
            lists = self.trained.task.label_lists(records, self.values)
            cells = {label: [self.separator.join(labels) for labels in lists]}
        cells[self.id_column] = list(ids)
        return {name: cells[name] for name in self.columns}


def usual_layout_of_several(
    trained: TrainedLabels,
    id_column: str | None,
    label_name: str | None,
    as_numbers: bool | None,
    as_probabilities: bool = False,
) -> tuple[Layout, list[str]]:
    """The layout if there is no sample submission, and notes for the user: columns as in the training data.

    The training data has either a column of 0 and 1 per label, or one column with all labels of a text. Labels in one
    column are separated as in the training data; if it has lists, by a space. With ``as_probabilities`` each label
    gets a column of probabilities. Raises UserError for options that do not apply.
    """
    identity = id_column or "ID"
    if as_numbers:
        raise UserError(
            f"{flag('--as-numbers')}: a text may have several labels, which are written by name; leave the option out"
        )
    columns = trained.label_columns or (trained.classes if as_probabilities else ())
    if columns:
        if label_name is not None:
            raise UserError(
                f"{flag('--label-name')}: there is one column per label, named after it; leave the option out"
            )
        _require_other_names(identity, columns)
        named = {name: number for number, name in enumerate(columns)}
        shares, flags = (named, {}) if as_probabilities else ({}, named)
        kind = "probabilities" if as_probabilities else f"0 or 1 ({flag('--as-probabilities')} writes probabilities)"
        layout = LayoutOfSeveral((identity, *columns), identity, shares=shares, trained=trained, flags=flags)
        return layout, [f"one column per label: {kind}"]
    label = label_name or trained.column or "Label"
    _require_other_names(identity, [label])
    separator = trained.separator or _separator_in_no_name(trained.written)
    layout = LayoutOfSeveral((identity, label), identity, trained.written, trained=trained, separator=separator)
    return layout, [f"{in_a_line(label)!r} is the labels of a text, separated by {separator!r}"]


def layout_like_several(
    sample: Sample, trained: TrainedLabels, as_probabilities: bool = False
) -> tuple[Layout, list[str]]:
    """The layout of the submission that ``sample`` asks for, and notes for the user about ambiguous parts.

    - One column besides the ids: it gets all labels of a text, separated as in the sample.
    - Several columns besides the ids: each is named after a label. If the sample has only 0 and 1 and
      ``as_probabilities`` is not set, they get 0 and 1; otherwise they get probabilities.

    Raises UserError, naming row or column, if the sample fits neither case.
    """
    if len(sample.other_columns) > 1:
        named, notes = classes_of_columns(sample, trained)
        why = "one column per label means probabilities, or 0 and 1: correct the sample"
        like = probabilities_like(sample, named, why)
        if as_probabilities or fractions_in(sample, named):
            return like, notes
        how = f"{flag('--as-probabilities')} writes probabilities"
        note = f"{sample.origin}: its values are 0 and 1, so labels are written; {how}"
        return LayoutOfSeveral(sample.names, sample.id_column, trained=trained, flags=named), [*notes, note]
    column = sample.other_columns[0]
    if as_probabilities:
        raise UserError(
            f"{sample.origin}: {flag('--as-probabilities')}: {column!r} is one column, but there are "
            f"{len(trained.classes)} labels; pass a sample with one column per label"
        )
    separator, notes = _separator_of(sample, column, trained)
    return LayoutOfSeveral(
        sample.names, sample.id_column, trained.written, trained=trained, separator=separator
    ), notes  # fmt: skip


def _separator_of(sample: Sample, column: str, trained: TrainedLabels) -> tuple[str, list[str]]:
    """The separator between the labels in a cell of ``column``, and a list with a note if the cells do not show it.

    Raises UserError, naming the row, if a cell contains something else than labels.
    """
    filled = {text: row for text, row in sample.values[column].items() if text}
    known = {*trained.written}
    usual = trained.separator or _separator_in_no_name(trained.written)
    tried = dict.fromkeys((*_SEPARATORS, *(f"{mark} " for mark in _SEPARATORS[1:]), usual))
    fitting = [mark for mark in tried if all({*text.split(mark)} <= known for text in filled)]
    several = [mark for mark in fitting if any(mark in text for text in filled)]
    if several:
        return several[0], []
    if usual in fitting or len(filled) == 1:  # nothing that needs a separator, or a placeholder
        return usual, [in_a_line(f"{sample.origin}: {column!r} gets the labels of a text, separated by {usual!r}")]
    text = next(text for text in filled if not {*text.split(usual)} <= known)
    unknown = next(part for part in text.split(usual) if part not in known)
    raise UserError(
        f"{sample.origin}: row {filled[text]}: {in_a_line(repr(unknown[:80]))} in {column!r} is not a label; "
        f"the labels are {listed(trained.written)}: correct the sample"
    )


def _separator_in_no_name(names: Collection[str]) -> str:
    """The first of space, comma, | and ; that is in none of the ``names``; | if each of them is in some name."""
    return next((mark for mark in _SEPARATORS if not any(mark in name for name in names)), "|")


def _require_other_names(identity: str, columns: Sequence[str]) -> None:
    if identity in columns:
        raise UserError(
            f"two columns of the submission would be called {in_a_line(identity)!r}; "
            f"name another id column: {option('id')}"
        )
