"""A step is the same however many processes share its rows, also where there are more processes than rows."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.jobs import job_for

from featherweight.task.loss import CrossEntropy
from featherweight.training.loop import Job, _one_step
from featherweight.training.objective import Objective


class OneOf:
    """What the loop asks of Accelerate, in the process ``process_index`` of several that do not hear each other."""

    def __init__(self, process_index: int, num_processes: int) -> None:
        self.process_index, self.num_processes, self.scaler = process_index, num_processes, None

    def no_sync(self, model: Any) -> Any:
        return nullcontext()

    def backward(self, loss: torch.Tensor) -> None:
        loss.backward()

    def clip_grad_norm_(self, parameters: list[torch.Tensor], most: float) -> torch.Tensor:
        return torch.nn.utils.clip_grad_norm_(parameters, most)

    def reduce(self, share: torch.Tensor, how: str) -> torch.Tensor:
        assert how == "sum"
        return share


class Still:
    """An optimizer that leaves weights and gradients as they are."""

    def step(self) -> None: ...
    def zero_grad(self) -> None: ...


def share_of(job: Job, process: int, processes: int, batches: list[np.ndarray]) -> tuple[np.ndarray, Any]:
    """Loss and number of right rows that one process adds to a step, and the gradient that it brings."""
    job.accelerator = OneOf(process, processes)  # type: ignore[assignment]
    job.network.zero_grad()
    objective = Objective(CrossEntropy(torch.tensor([1.0, 2.0, 0.5])))
    record = _one_step(job, job.network, Still(), objective, batches, 0).record
    gradient = torch.cat([tensor.grad.flatten() for tensor in job.network.trainable().values()])
    rows = sum(map(len, batches))
    return np.array([record["loss"], record["accuracy"] * rows]), gradient


@pytest.mark.parametrize(("processes", "batches"), [
    (2, [[0, 1, 2, 3, 4]]),
    (3, [[5, 6]]),
    (4, [[7], [8, 9, 10]]),
    (5, [[11, 12, 13], [14]]),
])  # fmt: skip
def test_shares_of_processes_add_up_to_the_step_of_one(
    tiny_recipe: Any, tmp_path: Path, processes: int, batches: list[list[int]]
) -> None:
    job = job_for(tiny_recipe(training={"clip": 0, "label_smoothing": 0.1}), tmp_path / "run")
    for place, tensor in enumerate(job.network.train().trainable().values()):
        tensor.data += 0.1 * torch.randn(tensor.shape, generator=torch.Generator().manual_seed(place))
    rows = [np.array(batch) for batch in batches]
    figures, gradient = share_of(job, 0, 1, rows)
    shares = [share_of(job, process, processes, rows) for process in range(processes)]
    # Data-parallel training gives each process the mean of all gradients, and the loop the sum of all figures.
    np.testing.assert_allclose(sum(share for share, _ in shares), figures, rtol=1e-5)
    torch.testing.assert_close(sum(mine for _, mine in shares) / processes, gradient, rtol=1e-4, atol=1e-6)
    without_rows = max(0, processes - max(map(len, batches)))
    assert [bool(share.any()) for share, _ in shares] == [True] * (processes - without_rows) + [False] * without_rows
