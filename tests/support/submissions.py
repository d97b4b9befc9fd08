"""Runs for tests of submissions: all that is known of the labels, and a classifier that reads the class off a text."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featherweight.inference.classifier import Classifier
from featherweight.recipe import Recipe

TEXTS = ("class 2", "class 0", "class 1", "class 0")


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

    def __init__(self, classes: int) -> None:
        self.labels = tuple(map(str, range(classes)))

    def probabilities(self, texts: Sequence[str], *, advance: Callable[[int], None] | None = None) -> np.ndarray:
        chosen = [int(text.split()[-1]) for text in texts]
        return np.where(np.eye(len(self.labels))[chosen] > 0, 0.7, 0.3 / (len(self.labels) - 1))


def read_class_off(monkeypatch: pytest.MonkeyPatch, classes: int) -> None:
    """Let such a classifier stand in the place of every run's."""
    monkeypatch.setattr(Classifier, "load", lambda run, **options: Reader(classes))
