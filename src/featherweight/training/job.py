"""The inputs of one training, its state from step to step, and the listeners that follow it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from accelerate import Accelerator
from torch import Tensor

from featherweight.data.batches import Encoded
from featherweight.data.sources import Rows
from featherweight.model.engine import Engine
from featherweight.model.network import Network
from featherweight.recipe import Recipe
from featherweight.training.listeners import Listener


@dataclass
class LoopState:
    """What changes from step to step, beside the tensors."""

    step: int = 0
    best_step: int = 0
    best_accuracy: float = -1.0
    best_loss: float = float("inf")
    stale: int = 0
    seconds: float = 0.0


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
    notes: Sequence[str] = ()
    """What was chosen and what to beware of, for the listeners."""
    rows: Rows | None = None
    """The training rows as texts, for the file on a step that diverged; without them there is none."""
