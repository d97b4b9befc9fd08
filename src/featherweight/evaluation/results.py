"""Writes evaluation.json and predictions.parquet from the logits of all sets."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featherweight.data.label_lists import arrow_table
from featherweight.data.pairs import Text, joined, shown
from featherweight.evaluation.metrics import evaluate, most_confident_errors
from featherweight.evaluation.multi_label import evaluate_several, most_confident_errors_of_several
from featherweight.files import write_json, written_whole
from featherweight.recipe import EvaluationRecipe
from featherweight.task.interface import SINGLE_LABEL, Task
from featherweight.task.multi_label import MultiLabel

if TYPE_CHECKING:
    from featherweight.data.sources import Rows

    Predicted = tuple[Rows, np.ndarray]
    """Labelled rows and their logits [rows, classes]."""


def evaluate_rows(
    rows: Rows, logits: np.ndarray, temperature: float, evaluation: EvaluationRecipe, task: Task = SINGLE_LABEL
) -> dict[str, Any]:
    """The evaluation of one labelled set, with the errors of highest probability (after temperature scaling)."""
    assert rows.labels is not None
    names = rows.label_names
    options: dict[str, Any] = {"temperature": temperature, "bins": evaluation.bins}
    if isinstance(task, MultiLabel):
        figures = evaluate_several(logits, rows.labels, names, task=task, **options)
        probabilities = task.probabilities(logits, temperature)
        errors = most_confident_errors_of_several(
            probabilities, rows.labels, rows.texts, names, evaluation.mistakes, task
        )
    else:
        figures = evaluate(logits, rows.labels, names, **options)
        errors = most_confident_errors(logits / temperature, rows.labels, rows.texts, names, evaluation.mistakes)
    numbers = rows.positions
    mistakes = [{**error, "row": int(numbers[error["row"]]), "text": shown(error["text"])} for error in errors]
    return {**figures, "mistakes": mistakes}


def prediction_columns(
    split: str, rows: Rows, logits: np.ndarray, temperature: float, task: Task = SINGLE_LABEL
) -> dict[str, Any]:
    """The columns of predictions.parquet for one set: split, row, text key, label, predicted label, probabilities.

    The probabilities are those after temperature scaling. With several labels per text, the label and the predicted
    label of a row are lists.
    """
    assert rows.labels is not None
    probabilities = task.probabilities(logits, temperature).astype(np.float32)
    columns: dict[str, Any] = {
        "split": [split] * len(rows.texts),
        "row": rows.positions,
        "text_key": [text_key(text) for text in rows.texts],
        "label": _objects(task.named(rows.labels, rows.label_names)),
        "predicted": _objects(task.named(task.predict(logits, temperature), rows.label_names)),
    }
    return columns | {f"p_{name}": probabilities[:, number] for number, name in enumerate(rows.label_names)}


def _objects(values: list[Any]) -> np.ndarray:
    """The values as an array of one dimension, even if they are lists of equal length."""
    return np.fromiter(values, dtype=object, count=len(values))


def write_evaluation(
    folder: Path,
    own: Mapping[str, Predicted],
    shifted: Mapping[str, Predicted],
    temperature: float,
    settings: EvaluationRecipe,
    task: Task = SINGLE_LABEL,
    **more: Any,
) -> None:
    """Write predictions.parquet and then evaluation.json of a run.

    ``own`` has the predictions for validation and test set, by split; ``shifted`` those for shift sets, by name.
    ``more`` are further keys for evaluation.json, such as ``best_step``.
    """
    parts = [prediction_columns(name, *pair, temperature, task) for name, pair in {**own, **shifted}.items()]
    write_predictions(folder / "predictions.parquet", parts)

    def figures(sets: Mapping[str, Predicted]) -> dict[str, Any]:
        return {name: evaluate_rows(*pair, temperature, settings, task) for name, pair in sets.items()}

    evaluation: dict[str, Any] = {**figures(own), "shift": figures(shifted)}
    write_json(folder / "evaluation.json", evaluation | more)


def text_key(text: Text) -> str:
    """An identifier of a text that does not reveal it: the first 16 hexadecimal digits of its SHA-256.

    A pair has the key of its two texts joined by a space. So a run that classifies pairs can be compared
    row by row with a run that joins them (``data.join``).
    """
    return hashlib.sha256(joined(text).encode()).hexdigest()[:16]


def write_predictions(path: Path, parts: list[dict[str, Any]]) -> None:
    """Write the rows of several sets, one set after the other, as one Parquet file, atomically."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with written_whole(path) as part:
        pq.write_table(pa.concat_tables([arrow_table(columns) for columns in parts]), part)
