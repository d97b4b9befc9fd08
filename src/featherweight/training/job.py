"""The inputs of one training, its state from step to step, and the listeners that follow it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from accelerate import Accelerator
from torch import Tensor

from featherweight.data.batches import Encoded
from featherweight.data.sources import Rows
from featherweight.model.engine import Engine
from featherweight.model.network import Network
from featherweight.recipe import Recipe

Record = dict[str, Any]
"""A line of history.jsonl."""


class Listener(Protocol):
    """What follows a training: a progress bar, a log, a tracker."""

    def started(self, total_steps: int, first_step: int, notes: Sequence[str]) -> None:
        """The loop begins; ``notes`` say what was chosen and why."""

    def noted(self, message: str) -> None:
        """A message about the run: what happens next, or what to beware of."""

    def stepped(self, record: Record) -> None:
        """An optimizer step is done; the record is history.jsonl's."""

    def evaluated(self, record: Record, best: bool) -> None:
        """An evaluation is done; ``best`` tells whether it is the best so far."""


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
