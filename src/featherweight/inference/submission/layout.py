"""The columns of a submission, and the values written for each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from featherweight.data.ag_news import AG_NEWS
from featherweight.errors import UserError, in_a_line
from featherweight.hints import flag
from featherweight.inference.submission.positive_class import require_positive_class
from featherweight.inference.submission.trained_labels import TrainedLabels, with_points
from featherweight.task.interface import SINGLE_LABEL

if TYPE_CHECKING:
    import numpy as np

_SHOWN = 8


@dataclass(frozen=True)
class Layout:
    """The columns of a submission and the values in them."""

    columns: tuple[str, ...]
    """The names of all columns, in their order."""
    id_column: str
    values: tuple[str, ...] = ()
    """The value written for each class, in the order of the class numbers; empty if probabilities are written."""
    shares: Mapping[str, int] = field(default_factory=dict)
    """For each column of probabilities, the number of its class; empty if labels are written."""

    def record(self, probabilities: np.ndarray) -> np.ndarray:
        """For each row, the numbers from which ``table`` makes its cells, computed from ``probabilities``.

        ``probabilities`` are [rows, classes]. For a column of labels the result is the numbers of the predicted
        classes, [rows]; for columns of probabilities, the probabilities of their classes, [rows, columns].
        """
        return probabilities[:, list(self.shares.values())] if self.shares else SINGLE_LABEL.decide(probabilities)

    def table(self, ids: Sequence[str], records: np.ndarray) -> dict[str, list]:
        """Some rows of the submission as {column name: cells}; ``records`` is what ``record`` returned for them."""
        if self.shares:
            cells = {name: records[:, index].tolist() for index, name in enumerate(self.shares)}
        else:
            label = next(name for name in self.columns if name != self.id_column)
            cells = {label: [self.values[number] for number in records.tolist()]}
        cells[self.id_column] = list(ids)
        return {name: cells[name] for name in self.columns}


def usual_layout(
    trained: TrainedLabels,
    id_column: str | None,
    label_name: str | None,
    as_numbers: bool | None,
    as_probabilities: bool = False,
) -> Layout:
    """The layout if there is no sample submission: an id column, and a label column as in the training data.

    The id column is called ``id_column``, by default ``ID``. The label column is called ``label_name``, by default as
    in the training data. For some classifiers no label column is known (those of AG News, and folders that PEFT saved):
    then the default name is ``Label``, and class numbers are written, unless the labels are whole numbers already.
    ``as_numbers`` says whether class numbers are written, whatever the default is. With ``as_probabilities`` the label
    column gets the probability of the positive class. Raises UserError if both columns have the same name, or the
    positive class is unclear.
    """
    label = label_name or trained.column or "Label"
    identity = id_column or "ID"
    if label == identity:
        raise UserError(
            f"both columns of the submission would be called {in_a_line(label)!r}; "
            f"set another name with {flag('--label-name')}"
        )
    if as_probabilities:
        problem = f"{flag('--as-probabilities')}: {in_a_line(label)!r} is for the probability of one class"
        return Layout((identity, label), identity, shares={label: require_positive_class(label, trained, problem)})
    if as_numbers is None:
        as_numbers = trained.column is None and not trained.are_whole
    return Layout((identity, label), identity, trained.numbers if as_numbers else trained.written)


def notes_on_values(trained: TrainedLabels, layout: Layout, remedy: str = "") -> list[str]:
    """Notes for the user if ``layout`` writes the labels differently from the training data; else an empty list.

    ``remedy`` is the end of the note that labels are written as class numbers, such as " (--as-names writes the
    names)".
    """
    if trained.classes == AG_NEWS or layout.shares:
        return []
    pointed = not trained.are_whole and layout.values == with_points(trained.numbers)
    if layout.values == trained.numbers != trained.written or pointed:
        pairs = zip(trained.written[:_SHOWN], layout.values, strict=False)
        shown = in_a_line(", ".join(f"{name} {number}" for name, number in pairs))
        more = ", ..." if len(trained.written) > _SHOWN else ""
        return [f"labels are written as class numbers: {shown}{more}{remedy}"]
    if not trained.recorded and layout.values == trained.classes:
        return ["this run does not record how its training data writes the labels, so class names are written"]
    return []
