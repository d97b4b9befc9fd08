"""One step of a training without an update: its record and its gradients."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
from torch import Tensor, nn

from featherweight.training import loop
from featherweight.training.loop import Job


class Process:
    """Stands in for Accelerate in one process of several: its gradients are not averaged, its sums not added up."""

    scaler = None

    def __init__(self, index: int = 0, count: int = 1) -> None:
        self.process_index, self.num_processes = index, count

    def no_sync(self, model: Any) -> Any:
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        loss.backward()

    def clip_grad_norm_(self, parameters: Any, norm: float) -> Tensor:
        return nn.utils.clip_grad_norm_(parameters, norm)

    def reduce(self, tensor: Tensor, reduction: str) -> Tensor:
        return tensor


class NoUpdate:
    """An optimizer that keeps the gradients and changes nothing."""

    def __init__(self, job: Job) -> None:
        self.job, self.gradients = job, {}

    def step(self) -> None:
        self.gradients = {name: p.grad.clone() for name, p in self.job.network.trainable().items()}

    def zero_grad(self) -> None:
        for parameter in self.job.network.parameters():
            parameter.grad = None


def one_step(
    job: Job, batches: list[np.ndarray], process: Process | None = None, step: int = 0
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The record and the gradients of one step."""
    job.accelerator, optimizer = process or Process(), NoUpdate(job)
    objective = loop._objective(job)
    return loop._one_step(job, job.network, optimizer, objective, batches, step).record, optimizer.gradients
