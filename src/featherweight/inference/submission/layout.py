"""The columns of a submission, and what stands in them for a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from featherweight.data.ag_news import AG_NEWS
from featherweight.errors import UserError, in_a_line
from featherweight.inference.submission.positive_class import require_positive_class
from featherweight.inference.submission.trained_labels import TrainedLabels, with_points
from featherweight.task.interface import SINGLE_LABEL

if TYPE_CHECKING:
    import numpy as np

_SHOWN = 8


@dataclass(frozen=True)
class Layout:
    """What a submission looks like."""

    columns: tuple[str, ...]
    """All of them, in their order."""
    id_column: str
    values: tuple[str, ...] = ()
    """What is written for each class, in the order of the class numbers; empty where probabilities are written."""
    shares: Mapping[str, int] = field(default_factory=dict)
    """The class whose probability a column holds; empty where labels are written."""

    def record(self, probabilities: np.ndarray) -> np.ndarray:
        """What has to be kept of ``probabilities`` [rows, classes]: class numbers [rows], or shares [rows, columns]."""
        return probabilities[:, list(self.shares.values())] if self.shares else SINGLE_LABEL.decide(probabilities)

    def table(self, ids: Sequence[str], records: np.ndarray) -> dict[str, list]:
        """The columns for some rows, of which ``record`` made the ``records``."""
        if self.shares:
            cells = {name: records[:, place].tolist() for place, name in enumerate(self.shares)}
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
    """The layout that follows from the data: its id column, its label column, its labels as they are written.

    Ids are called ``ID`` where the test data has no column of them. Where the training data has no names of its own, it
    is the layout of the AG News contest: ``Label`` with class numbers; labels that are numbers already stay what they
    are. With ``as_probabilities`` the label column holds the probability of the positive one of two classes. Raises
    UserError where both columns have one name, or nothing says which class is the positive one.
    """
    label = label_name or trained.column or "Label"
    identity = id_column or "ID"
    if label == identity:
        raise UserError(
            f"both columns of the submission would be called {in_a_line(label)!r}; name another by --label-name"
        )
    if as_probabilities:
        place = f"--as-probabilities: {in_a_line(label)!r} holds the probability of one class"
        return Layout((identity, label), identity, shares={label: require_positive_class(label, trained, place)})
    if as_numbers is None:
        as_numbers = trained.column is None and not trained.are_whole
    return Layout((identity, label), identity, trained.numbers if as_numbers else trained.written)


def notes_on_values(trained: TrainedLabels, layout: Layout, remedy: str = "") -> list[str]:
    """What a reader should know of labels that are not written as the training data writes them, and the ``remedy``."""
    if trained.classes == AG_NEWS or layout.shares:
        return []
    pointed = not trained.are_whole and layout.values == with_points(trained.numbers)
    if layout.values == trained.numbers != trained.written or pointed:
        pairs = zip(trained.written[:_SHOWN], layout.values, strict=False)
        shown = in_a_line(", ".join(f"{name} {number}" for name, number in pairs))
        more = ", ..." if len(trained.written) > _SHOWN else ""
        return [f"labels are written as class numbers: {shown}{more}{remedy}"]
    if not trained.recorded and layout.values == trained.classes:
        return ["this run does not say how its training data writes the labels: the names of the classes are written"]
    return []
