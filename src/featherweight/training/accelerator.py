"""The ``Accelerator`` of the accelerate library: device, precision, and what the processes tell each other."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs, gather_object
from torch import Tensor

from featherweight.model.engine import Engine
from featherweight.recipe import Recipe


def build_accelerator(recipe: Recipe, engine: Engine) -> tuple[Accelerator, Engine]:
    """Build the Accelerator for the device and precision that ``engine`` names.

    Also returns ``engine`` with the device that this process was given, such as ``cuda:1``.
    """
    # Accelerate stores one precision per process; a second training in the same process may need another one.
    AcceleratorState._reset_state()
    precision = {"fp32": "no"}.get(engine.precision, engine.precision)
    trackers = list(recipe.training.trackers) or None
    # The other processes wait while the first one evaluates, checks and reports. The default limit is ten minutes.
    timeout = InitProcessGroupKwargs(timeout=timedelta(hours=12))
    # The encoder's buffers never change. Exchanging them at each call would block for ever where the processes call the
    # network a different number of times, as they do for texts of several windows.
    constant = DistributedDataParallelKwargs(broadcast_buffers=False)
    accelerator = Accelerator(
        mixed_precision=precision,
        cpu=engine.device == "cpu",
        log_with=trackers,
        project_dir="runs/trackers",
        kwargs_handlers=[timeout, constant],
    )
    # With several GPUs each process has its own GPU number; a processor has no number.
    device = str(accelerator.device) if accelerator.device.type == "cuda" else accelerator.device.type
    return accelerator, replace(engine, device=device)


def agreed(accelerator: Accelerator, signal_number: int) -> int:
    """The number of a signal that any process has received, or 0. All processes get the same number."""
    if accelerator.num_processes == 1:
        return signal_number
    return max(gather_object([signal_number]))


def over_processes(accelerator: Accelerator, loss: Tensor, counted: Tensor) -> tuple[Tensor, Tensor]:
    """The sums over all processes of ``loss``, a scalar, and ``counted`` [counts]."""
    if accelerator.num_processes == 1:
        return loss, counted
    together = accelerator.reduce(torch.cat([loss[None], counted.to(loss.dtype)]), "sum")
    return together[0], together[1:]
