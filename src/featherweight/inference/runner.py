"""The interface of a loaded model: it encodes texts to token ids, and computes logits from them.

Two classes implement it: ``TextModel`` (PyTorch, ``model/text_model.py``) and ``GraphModel`` (ONNX Runtime, OpenVINO).
Encoding is a step of its own, so that a server can form batches by number of tokens and measure the time of both steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from featherweight.data.encoding import Encoded
from featherweight.data.long_texts import LongTexts
from featherweight.data.sources import Rows
from featherweight.recipe import Recipe
from featherweight.task.interface import Task


class Runner(Protocol):
    """A loaded model with its tokenizer, which computes the logits of texts."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the logits."""

    @property
    def tokenizer(self) -> Any:
        """The tokenizer that ``data.encoding.encode`` needs."""

    @property
    def long_texts(self) -> LongTexts:
        """The maximum number of tokens, special tokens included, and what happens to longer texts."""

    def encode(self, rows: Rows, cache: Path | None = None) -> Encoded:
        """Token ids and lengths of the texts of ``rows``; a folder ``cache`` stores them for later calls."""

    def logits_of(self, encoded: Encoded, *, advance: Callable[[int], None] | None = None) -> np.ndarray:
        """Logits, float64 [texts, classes], of texts that ``encode`` encoded, in their order.

        ``advance`` is called after each batch with its number of texts.
        """

    def logits(
        self, rows: Rows, *, cache: Path | None = None, advance: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """Logits, float64 [texts, classes], of ``rows``; it calls ``encode`` and then ``logits_of``."""


@dataclass(frozen=True)
class Loaded:
    """A classifier loaded from a folder: model, recipe, temperature, task (with thresholds) and name."""

    model: Runner
    recipe: Recipe
    temperature: float
    task: Task
    model_id: str
