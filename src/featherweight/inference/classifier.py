"""Classifier: a trained model that is loaded from its run folder and predicts labels and probabilities."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featherweight.adapter.peft.given import PeftOptions
from featherweight.argument_checks import require_path
from featherweight.data.gaps import Blanks
from featherweight.data.pairs import Text
from featherweight.data.sources import Rows
from featherweight.data.texts import inputs_of
from featherweight.errors import UserError
from featherweight.inference.loading import load
from featherweight.inference.runner import Runner
from featherweight.recipe import Recipe
from featherweight.task.interface import SINGLE_LABEL, Task


@dataclass(frozen=True)
class Prediction:
    """One text's label and the calibrated probability of each class."""

    label: str
    """The label; several labels are joined by a comma; empty if there are none."""
    probabilities: dict[str, float]
    labels: tuple[str, ...] = ()
    """All labels of the text: exactly one, or any number if a text may have several."""


@dataclass
class Classifier:
    """A trained text model with its recipe and its temperature for calibrated probabilities."""

    model: Runner
    """What computes the logits: PyTorch, ONNX Runtime or OpenVINO."""
    recipe: Recipe
    temperature: float = 1.0
    task: Task = SINGLE_LABEL
    """The task, with the thresholds of the labels if a text may have several."""
    model_id: str = ""
    """Name and fingerprint of what was loaded, such as ``agnews-minilm-0f3a1b2c4d5e``."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the logits."""
        return self.model.labels

    @property
    def network(self) -> Any:
        """The PyTorch ``Network``: encoder, adapter and head. Raises UserError for an ONNX or OpenVINO export."""
        return self._in_torch("network")

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of transformers that was saved with the adapter."""
        tokenizer = self.model.tokenizer
        return getattr(tokenizer, "whole", tokenizer)

    @property
    def engine(self) -> Any:
        """The ``Engine``: device, precision and forward pass. Raises UserError for an ONNX or OpenVINO export."""
        return self._in_torch("engine")

    def _in_torch(self, name: str) -> Any:
        if not hasattr(self.model, name):
            raise UserError(
                f"{self.model_id}: has no {name}, because it is an export without PyTorch; load the run folder instead"
            )
        return getattr(self.model, name)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        precision: str = "auto",
        device: str | None = None,
        lean: bool = True,
        merge: bool = True,
        labels: Sequence[str] = (),
        base: str | Path | None = None,
        task: str | None = None,
        join: str | None = None,
    ) -> Classifier:
        """Load a classifier from a run folder, its adapter folder, an export, or a LoRA classifier that PEFT saved.

        ``precision`` is auto, fp32, bf16 or fp16 (GPU only); auto means the precision of the training. By default the
        adapter is merged into the frozen matrices, which is faster and equal up to rounding, and Featherweight's own
        forward pass is used where it supports the model. With ``merge=False`` the logits equal those of the trained
        model bit for bit. With ``lean=False`` PEFT's and transformers' own operations are used, without merging.

        For a folder that PEFT saved, ``labels`` are the class names and ``base`` is the folder of the base model;
        ``task="multi-label"`` means that a text may have several labels, and ``join="pair"`` that its texts are pairs.
        Such a folder is computed with PEFT's operations, in fp32 by default. An ONNX or OpenVINO export has a fixed
        precision, and needs neither torch nor transformers. Raises UserError if the folder contains no classifier, is
        damaged, or was written by a newer version.
        """
        require_path(path, "Classifier.load", "the path of a run folder")
        given = PeftOptions(labels, base, task, join).checked()
        loaded = load(path, given, precision=precision, device=device, lean=lean, merge=merge)
        return cls(loaded.model, loaded.recipe, loaded.temperature, loaded.task, loaded.model_id)

    def predict(self, texts: Iterable[Text], *, warn: bool = True) -> list[Prediction]:
        """Label and probabilities of each text, in the order of the texts.

        ``texts`` is a list, a pandas Series, a one-dimensional NumPy or Arrow array, a column of a Dataset, or an
        iterator. For a classifier of pairs (``data.join = "pair"``) it contains tuples of two texts, or is a table with
        the two columns. A blank or missing text gets the label of an empty text, with a warning unless ``warn`` is
        off. Raises UserError for anything else.
        """
        probabilities = self._probabilities(_noted(inputs_of(texts, self.recipe.data, "predict(...)"), warn), None)
        names = self.task.label_lists(self.task.decide(probabilities), self.labels)
        return [
            Prediction(", ".join(labels), dict(zip(self.labels, row.tolist(), strict=True)), tuple(labels))
            for labels, row in zip(names, probabilities, strict=True)
        ]

    def probabilities(
        self, texts: Iterable[Text], *, advance: Callable[[int], None] | None = None, warn: bool = True
    ) -> np.ndarray:
        """Calibrated probabilities, float64 [texts, labels], computed from the logits divided by the temperature.

        They are the softmax of these logits; if a text may have several labels, the sigmoid of each of them.

        ``texts`` are as for ``predict``; ``advance`` is called after each batch with its number of texts.
        """
        return self._probabilities(_noted(inputs_of(texts, self.recipe.data, "probabilities(...)"), warn), advance)

    def logits(self, texts: Iterable[Text], *, advance: Callable[[int], None] | None = None) -> np.ndarray:
        """Raw logits, float64 [texts, labels].

        ``texts`` are as for ``predict``; ``advance`` is called after each batch with its number of texts.
        """
        return self._logits(_noted(inputs_of(texts, self.recipe.data, "logits(...)")), advance)

    def _probabilities(self, texts: list[Text], advance: Callable[[int], None] | None) -> np.ndarray:
        return self.task.probabilities(self._logits(texts, advance), self.temperature)

    def _logits(self, texts: list[Text], advance: Callable[[int], None] | None) -> np.ndarray:
        if not texts:
            return np.zeros((0, len(self.labels)))
        rows = Rows(texts=texts, labels=None, label_names=self.labels, origin="texts")
        return self.model.logits(rows, advance=advance)


def _noted(texts: list[Text], warn: bool = True) -> list[Text]:
    """``texts`` unchanged, after a warning if some of them are blank."""
    blanks = Blanks()
    blanks.add(texts)
    if warn and blanks.note:
        warnings.warn(blanks.note, UserWarning, stacklevel=3)  # where the user's own code calls
    return texts
