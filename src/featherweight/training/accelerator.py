"""The ``Accelerator`` object of the accelerate library, which manages device, precision and processes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import InitProcessGroupKwargs

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
    accelerator = Accelerator(
        mixed_precision=precision,
        cpu=engine.device == "cpu",
        log_with=trackers,
        project_dir="runs/trackers",
        kwargs_handlers=[timeout],
    )
    # With several GPUs each process has its own GPU number; a processor has no number.
    device = str(accelerator.device) if accelerator.device.type == "cuda" else accelerator.device.type
    return accelerator, replace(engine, device=device)
