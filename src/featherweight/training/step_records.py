"""Loss and score of each step. On a GPU they are read for many steps at once: reading waits for the GPU."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featherweight.training.job import Job
from featherweight.training.listeners import Record

MOST_UNREAD = 64
"""Number of steps after which their numbers are read at the latest."""
_SECONDS_UNREAD = 1.0  # so that slow steps are still reported one by one


def most_unread(job: Job) -> int:
    """For how many steps loss and score may stay on the device before they are read.

    1 means that loss and score of each step are read before the weights change. It is 1 on a CPU, where reading later
    gains nothing; in fp16, where the loss scaler reads from the device in each step anyway; and with several processes,
    which have to raise an error after the same step.
    """
    alone = job.accelerator.num_processes == 1
    return MOST_UNREAD if alone and job.engine.device != "cpu" and job.engine.precision != "fp16" else 1


@dataclass
class Measured:
    """One step: its record for history.jsonl, and the numbers that the record lacks until ``read`` adds them."""

    record: Record
    score: str
    """Name of the task's score in the record."""
    score_of: Callable[[list[float]], float]
    """The score from the counts of the step."""
    numbers: Tensor
    """Loss, norm of the gradient, and the k counts for the score: float64 [2 + k], on the device that trains."""
    rows: NDArray[np.int64]
    """Indices of the step's rows in the training split."""
    scaled: bool = False
    """Whether a loss scaler (fp16) skips the update if the gradient overflows, which is no error then."""

    @property
    def finite(self) -> bool:
        """Whether the loss is finite, and without a loss scaler also the gradient norm. Call ``read`` first."""
        return all(math.isfinite(self.record[key]) for key in ("loss", *([] if self.scaled else ["grad_norm"])))

    def read(self, numbers: list[float] | None = None) -> Record:
        """Add loss, score and gradient norm to the record, and return it.

        ``numbers`` are the values of the tensor ``self.numbers`` if they have been copied from the device before.
        """
        loss, norm, *counts = self.numbers.tolist() if numbers is None else numbers
        self.record |= {"loss": loss, self.score: self.score_of(counts), "grad_norm": norm}
        return self.record


@dataclass
class StepRecords:
    """Reads loss and score of up to ``most`` steps at once, then calls ``passed_on`` with each record, in order.

    With ``most`` above 1, ``optimizer`` must be fused, and the error of a step whose loss or gradient is not finite is
    raised only when the step is read. Until then neither this step nor any later one changes weights, moments or step
    counts, so these stay as before that step.
    """

    most: int
    optimizer: Any
    passed_on: Callable[[Record], None]
    failed: Callable[[Measured], Exception]
    """Returns the error to raise for a step that is not finite."""
    seconds: Callable[[], float]
    """Duration of the training so far."""
    device: str = "cpu"
    _unread: list[Measured] = field(default_factory=list)
    _read_at: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self._stop = torch.zeros((), device=self.device)
        if self.most > 1:
            # AdamW's fused kernel reads this flag on the device; torch's loss scaler skips steps in the same way.
            getattr(self.optimizer, "optimizer", self.optimizer).found_inf = self._stop

    def before_update(self, step: Measured) -> None:
        """Prevent the update if the loss or gradient of ``step`` is not finite.

        With ``most`` = 1 the error is raised; else a flag on the device makes the optimizer skip the update.
        """
        if self.most == 1:
            self._check(step, step.numbers.tolist())
        else:
            is_finite = torch.isfinite(step.numbers[:2]).all()
            torch.maximum(self._stop, (~is_finite).float(), out=self._stop)

    def add(self, step: Measured) -> None:
        """Take a step whose update is done.

        All unread steps are read if their number is ``most``, or if the last reading was more than a second ago.
        """
        if self.most == 1:
            self.passed_on(step.record)
            return
        self._unread.append(step)
        if len(self._unread) >= self.most or time.perf_counter() - self._read_at > _SECONDS_UNREAD:
            self.read()

    def read(self) -> None:
        """Read all unread steps and pass their records on.

        Raises the exception that ``failed`` returns if the loss or gradient of a step is not finite.
        """
        steps, self._unread = self._unread, []
        if steps:
            # A step's time is that of its launch. The last one has that of its end, so that rates are not too high.
            steps[-1].record["seconds"] = self.seconds()
            in_one_copy = torch.stack([step.numbers for step in steps]).tolist()
            for step, numbers in zip(steps, in_one_copy, strict=True):
                self._check(step, numbers)
                self.passed_on(step.record)
        self._read_at = time.perf_counter()

    def _check(self, step: Measured, numbers: list[float]) -> None:
        step.read(numbers)
        if not step.finite:
            raise self.failed(step)
