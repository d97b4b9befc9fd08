"""Runs for tests of submissions: all that is known of the labels, and a classifier that reads the class off a text."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from featherweight.inference.classifier import Classifier
from featherweight.inference.output_files import predict_file
from featherweight.recipe import Recipe
from featherweight.task.interface import SINGLE_LABEL

TEXTS = ("class 2", "class 0", "class 1", "class 0")
MOODS = ("-1", "0", "1")
NAMES = ("bad", "fair", "good")
Submit = Callable[..., tuple[str, list[str]]]


def make_run(
    folder: Path, classes: Sequence[str], written: Sequence[str] | None = None, column: str = "label", **data: Any
) -> Path:
    """A run folder without weights, whose training data writes its ``classes`` as ``written`` in ``column``."""
    (folder / "adapter").mkdir(parents=True)
    data = {"train": "train.csv", "label": column, **data}
    (folder / "recipe.toml").write_text(Recipe.parse({"name": "made", "data": data}, "made").to_toml(), "utf-8")
    description = {"format": 1, "labels": list(classes), "temperature": 1.0}
    (folder / "adapter" / "featherweight.json").write_text(json.dumps(description), "utf-8")
    if written is not None:
        environment = {"format": 1, "label_column": {"name": column, "values": list(written)}}
        (folder / "environment.json").write_text(json.dumps(environment), "utf-8")
    return folder


class Reader:
    """A text ends with its class number; the class gets 70% and the others share the rest."""

    task = SINGLE_LABEL
    recipe = Recipe()
    model, model_id, temperature = None, "reader", 1.0

    def __init__(self, classes: int) -> None:
        self.labels = tuple(map(str, range(classes)))

    def probabilities(
        self, texts: Sequence[str], *, advance: Callable[[int], None] | None = None, warn: bool = True
    ) -> np.ndarray:
        chosen = [int(text.split()[-1]) for text in texts]
        return np.where(np.eye(len(self.labels))[chosen] > 0, 0.7, 0.3 / (len(self.labels) - 1))


def read_class_off(monkeypatch: pytest.MonkeyPatch, classes: int) -> None:
    """Let such a classifier stand in the place of every run's."""
    monkeypatch.setattr(Classifier, "load", lambda run, **options: Reader(classes))


def submitter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Submit:
    """A function that predicts the texts with ids in a column, and gives what was written and what was noted."""
    monkeypatch.chdir(tmp_path)

    def run(
        *, ids: str | None = "tweetid", classes: Sequence[str] = MOODS, written: Sequence[str] | None = MOODS,
        column: str = "mood", texts: Sequence[str] = TEXTS, values: Sequence[Any] = (90, 7, 8, 31), sample: str = "",
        **options: Any,
    ) -> tuple[str, list[str]]:  # fmt: skip
        read_class_off(monkeypatch, len(classes))
        data = options.pop("data", {})
        folder = options.pop("folder", None) or make_run(tmp_path / "run", classes, written, column, **data)
        rows = {} if ids is None else {ids: list(values)}
        pd.DataFrame({**rows, "text": texts}).to_csv("test.csv", index=False)
        if sample:
            Path("sample.csv").write_text(sample, "utf-8")
            options["like"] = "sample.csv"
        notes: list[str] = []
        predict_file(folder, "test.csv", "out.csv", **{"kaggle": True, "note": notes.append, **options})
        return Path("out.csv").read_text("utf-8"), notes

    return run
