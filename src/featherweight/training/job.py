"""The inputs of one training, and the numbers that change from step to step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor

from featherweight.data.batches import Encoded
from featherweight.data.sources import Rows
from featherweight.model.engine import Engine
from featherweight.model.network import Network
from featherweight.recipe import Recipe
from featherweight.training.averaging import Average
from featherweight.training.listeners import Listener
from featherweight.training.row_source import RowSource


@dataclass
class LoopState:
    """The numbers that change from step to step; a checkpoint stores them beside the tensors."""

    step: int = 0
    best_step: int = 0
    best_accuracy: float = -1.0
    best_macro_f1: float = -1.0
    best_micro_f1: float = -1.0
    best_loss: float = float("inf")
    stale: int = 0
    """Number of evaluations since the best one."""
    seconds: float = 0.0
    """Duration of the training so far, over all resumes."""
    seconds_before: float = 0.0
    """The part of ``seconds`` before the last resume."""

    @property
    def best(self) -> dict[str, float]:
        """Metrics of the best evaluation so far, with the keys that ``run.best.rank`` needs to compare it."""
        of_each = {"accuracy": self.best_accuracy, "macro_f1": self.best_macro_f1, "micro_f1": self.best_micro_f1}
        return {**of_each, "loss": self.best_loss}

    @best.setter
    def best(self, figures: Mapping[str, float]) -> None:
        self.best_loss, self.best_accuracy = figures["loss"], figures["accuracy"]
        self.best_macro_f1, self.best_micro_f1 = figures["macro_f1"], figures.get("micro_f1", -1.0)

    def found(self, best_by: str) -> dict[str, Any]:
        """Entries of evaluation.json: step and metrics of the best evaluation, and the metric that chose it."""
        f1 = {"macro_f1": self.best_macro_f1, "micro_f1": self.best_micro_f1}
        known = {key: value for key, value in f1.items() if value >= 0}
        figures = {"accuracy": self.best_accuracy, **known, "log_loss": self.best_loss}
        found = {f"best_validation_{key}": value for key, value in figures.items()}
        return {"best_step": self.best_step, "best_by": best_by, **found}


LATER = frozenset({"best_macro_f1", "best_micro_f1", "seconds_before"})
"""Fields of the state that checkpoints of earlier versions lack; those versions did not use them."""


@dataclass
class Job:
    """The inputs of one training."""

    recipe: Recipe
    network: Network
    engine: Engine
    accelerator: Accelerator
    train: Encoded
    validation: Encoded
    pad_id: int
    folder: Path
    listeners: Sequence[Listener] = ()
    should_stop: Callable[[], int] = lambda: 0
    best: dict[str, Tensor] = field(default_factory=dict)
    best_logits: NDArray[np.float64] | None = None
    """Logits of the validation rows [rows, classes] with the adapter that is saved; None if a prediction may differ."""
    average: Average | None = None
    """The average of the trained weights, if the recipe uses one."""
    teacher: NDArray[np.float32] | None = None
    """The teachers' probabilities for the training rows, [rows, classes]; None without a teacher."""
    notes: Sequence[str] = ()
    """Choices and warnings to show when the training starts."""
    rows: Rows | None = None
    """The training rows with their texts, for diverged.json; if None, that file is not written."""
    source: RowSource | None = None
    """Where batches come from on a GPU; None if they are used as ``collate`` makes them."""
