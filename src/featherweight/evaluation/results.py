"""From logits to evaluation.json and predictions.parquet: every set evaluated, every row written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featherweight.evaluation.metrics import evaluate, most_confident_errors
from featherweight.files import write_json, written_whole
from featherweight.recipe import EvaluationRecipe
from featherweight.task.interface import SINGLE_LABEL

if TYPE_CHECKING:
    from featherweight.data.sources import Rows

    Predicted = tuple[Rows, np.ndarray]
    """Labelled rows and their logits, [rows, classes]."""


def evaluate_rows(rows: Rows, logits: np.ndarray, temperature: float, evaluation: EvaluationRecipe) -> dict[str, Any]:
    """All figures of one labelled set, with its most confident errors (by scaled probability)."""
    assert rows.labels is not None
    figures = evaluate(logits, rows.labels, rows.label_names, temperature=temperature, bins=evaluation.bins)
    errors = most_confident_errors(logits / temperature, rows.labels, rows.texts, rows.label_names, evaluation.mistakes)
    return {**figures, "mistakes": errors}


def prediction_columns(split: str, rows: Rows, logits: np.ndarray, temperature: float) -> dict[str, Any]:
    """Columns of predictions.parquet for one set: keys, label, predicted label, scaled probabilities."""
    probabilities = SINGLE_LABEL.probabilities(logits, temperature).astype(np.float32)
    names = np.array(rows.label_names, dtype=object)
    columns: dict[str, Any] = {
        "split": [split] * len(rows.texts),
        "row": np.arange(len(rows.texts)),
        "text_key": [text_key(text) for text in rows.texts],
        "label": names[rows.labels],
        "predicted": names[SINGLE_LABEL.decide(logits)],
    }
    return columns | {f"p_{name}": probabilities[:, place] for place, name in enumerate(rows.label_names)}


def write_evaluation(
    folder: Path,
    own: Mapping[str, Predicted],
    shifted: Mapping[str, Predicted],
    temperature: float,
    settings: EvaluationRecipe,
    **more: Any,
) -> None:
    """Write predictions.parquet and then evaluation.json of a run: its ``own`` sets by split, ``shifted`` ones by name.

    ``more`` joins the evaluation, such as ``best_step``.
    """
    parts = [prediction_columns(name, *pair, temperature) for name, pair in {**own, **shifted}.items()]
    write_predictions(folder / "predictions.parquet", parts)
    evaluation: dict[str, Any] = {name: evaluate_rows(*pair, temperature, settings) for name, pair in own.items()}
    evaluation["shift"] = {name: evaluate_rows(*pair, temperature, settings) for name, pair in shifted.items()}
    write_json(folder / "evaluation.json", evaluation | more)


def text_key(text: str) -> str:
    """Key of a text without the text itself: the first 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_predictions(path: Path, parts: list[dict[str, Any]]) -> None:
    """Write the columns of several sets, one under the other, as Parquet, whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with written_whole(path) as part:
        pq.write_table(pa.concat_tables([pa.table(columns) for columns in parts]), part)
