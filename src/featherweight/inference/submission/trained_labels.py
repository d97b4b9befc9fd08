"""The labels of a run's training data: the name of their column, and how each class is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featherweight.adapter.peft.folder import is_peft_folder, read_peft_folder
from featherweight.adapter.peft.given import NOTHING_GIVEN, PeftOptions
from featherweight.data.ag_news import AG_NEWS
from featherweight.data.label_column import are_whole
from featherweight.data.source_tables import BUILT_IN
from featherweight.inference.exported import classes_and_thresholds, is_export, read_export
from featherweight.recipe import Recipe
from featherweight.run.folder import Run
from featherweight.task.interface import SINGLE_LABEL, Task, task_of
from featherweight.task.multi_label import MultiLabel


@dataclass(frozen=True)
class TrainedLabels:
    """The classes of a classifier and how its training data writes them."""

    classes: tuple[str, ...]
    """Class names in the order of the class numbers."""
    written: tuple[str, ...]
    """The value of each class in the training data."""
    column: str | None
    """The label column; None for AG News, newsbriefs and folders that PEFT saved."""
    recorded: bool = True
    """Whether the run records how its labels are written; runs of earlier versions do not."""
    task: Task = SINGLE_LABEL
    """The task of the run, with the thresholds of its labels if a text may have several."""
    label_columns: tuple[str, ...] = ()
    """The columns of 0 and 1, one per label, if the training data has these."""
    separator: str | None = None
    """What is between the labels in a cell of text, if the training data has these."""

    @property
    def several(self) -> bool:
        """Whether a text may have several labels."""
        return self.task is not SINGLE_LABEL

    @property
    def numbers(self) -> tuple[str, ...]:
        """The class numbers from 0, as texts."""
        return tuple(map(str, range(len(self.classes))))

    @property
    def are_whole(self) -> bool:
        """Whether all labels in the training data are whole numbers."""
        return are_whole(self.written)


def with_points(numbers: Sequence[str]) -> tuple[str, ...]:
    """Whole ``numbers`` written with a decimal point: ("0", "1") gives ("0.0", "1.0")."""
    return tuple(f"{number}.0" for number in numbers)


def trained_labels(run: str | Path, peft: PeftOptions = NOTHING_GIVEN) -> TrainedLabels:
    """The classes of a run and how its training data writes them. ``run`` may be an export or a folder of PEFT, too.

    ``peft`` has the options for a folder of PEFT. Raises UserError if the run is unfinished or damaged.
    """
    if is_peft_folder(run):
        saved = read_peft_folder(run, peft)
        task = MultiLabel() if saved.task == "multi-label" else SINGLE_LABEL
        return TrainedLabels(saved.labels, saved.labels, None, task=task)
    folder = Path(run)
    description = classes_and_thresholds(folder)
    recipe = Run(folder).recipe
    classes, data = tuple(description["labels"]), recipe.data
    column = _recorded(folder)
    if data.several:
        return _of_several(classes, column, recipe, description.get("thresholds") or ())
    recorded = column is not None and len(column["values"]) == len(classes)
    written = tuple(column["values"]) if column and recorded else classes
    # AG News writes numbers for its four names, and its contest expects the numbers.
    of_ag_news = classes == AG_NEWS and (written != classes or not recorded)
    if data.train in BUILT_IN or of_ag_news:
        return TrainedLabels(classes, written, None)
    return TrainedLabels(classes, written, column["name"] if column else data.label_name, recorded)


def _of_several(
    classes: tuple[str, ...], column: dict[str, Any] | None, recipe: Recipe, thresholds: Sequence[float]
) -> TrainedLabels:
    columns = () if recipe.data.label_name else recipe.data.label_columns
    separator = column.get("separator") if column else None
    task = task_of(recipe).with_thresholds(thresholds)
    return TrainedLabels(classes, classes, recipe.data.label_name or None, True, task, columns, separator)


def _recorded(folder: Path) -> dict[str, Any] | None:
    if is_export(folder):
        column = read_export(folder).label_column
        return column.model_dump() if column else None
    if not (folder / "environment.json").is_file():
        return None
    found: dict[str, Any] | None = Run(folder).environment.get("label_column")
    return found
