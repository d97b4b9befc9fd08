"""The rows on which runs are compared: all runs must have the same ones. Reads which of them each run gets right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featherweight.errors import UserError
from featherweight.evaluation.stored_predictions import stored_predictions
from featherweight.hints import to_set
from featherweight.run.folder import Run


@dataclass(frozen=True)
class Judged:
    """The predictions of one run, compared with the labels."""

    correct: NDArray[np.bool_]
    """Whether each prediction is correct, [rows]; with several labels a text, whether all of them are."""
    found: NDArray[np.int64] | None
    """The counts behind micro-F1, as ``multi_label.hits_and_marks`` gives them; None with one label a text."""
    text_keys: Sequence[str]
    """What identifies the text of each row (see ``results.text_key``), the same in all runs of a comparison."""


def judged_rows(runs: Sequence[Run], split: str) -> dict[Path, Judged]:
    """The predictions of each run for the rows of ``split``, by folder.

    Raises UserError unless all runs have the same rows.
    """
    judged, first = {}, None
    for run in runs:
        columns = stored_predictions(run, split)
        first = first or (run, columns)
        _require_same_task(run, first[0])
        _require_same_rows(run, columns, *first, split)
        pairs = list(zip(columns["label"], columns["predicted"], strict=True))
        several = run.recipe.task == "multi-label"
        correct = np.array([label == predicted for label, predicted in pairs])
        found = np.array([_found(*pair) for pair in pairs]) if several else None
        judged[run.folder] = Judged(correct, found, first[1]["text_key"])
    return judged


def repeated_texts(text_keys: Sequence[str]) -> NDArray[np.int64] | None:
    """The number of each row's text, [rows], if some rows have the same text; else None."""
    numbers = np.unique(np.asarray(text_keys), return_inverse=True)[1].astype(np.int64)
    return None if numbers.max() + 1 == len(numbers) else numbers


def _found(labels: Sequence[str], predicted: Sequence[str]) -> tuple[int, int]:
    return len({*labels} & {*predicted}), len(labels) + len(predicted)


def _require_same_task(run: Run, other: Run) -> None:
    if run.recipe.task != other.recipe.task:
        raise UserError(
            f"{run.folder}: its task is {run.recipe.task}, but the task of {other.folder} is {other.recipe.task}; runs "
            "are compared on the same task only"
        )


def _require_same_rows(run: Run, ours: dict[str, Any], other: Run, theirs: dict[str, Any], split: str) -> None:
    where = f"{run.folder}: its {split} rows differ from those of {other.folder}"
    hint = "only runs with the same rows can be compared"
    if split == "validation":
        hint += (
            f"; without a test set each seed has different validation rows: train again with {to_set('data.test=FILE')}"
        )
    if len(ours["text_key"]) != len(theirs["text_key"]):
        raise UserError(f"{where}: {len(ours['text_key']):,} rows, not {len(theirs['text_key']):,}; {hint}")
    for key, what in (("text_key", "text"), ("label", "label")):
        pairs = enumerate(zip(_unordered(ours[key]), _unordered(theirs[key]), strict=True), 1)
        if number := next((number for number, (our, their) in pairs if our != their), 0):
            raise UserError(f"{where}: the {what} of row {number} differs; {hint}")


def _unordered(values: Sequence[Any]) -> list[Any]:
    """``values``, of which each that is a list of labels is sorted: the order of the labels is that of the classes."""
    return [value if isinstance(value, str) else sorted(value) for value in values]
