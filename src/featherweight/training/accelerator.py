"""Accelerate's object for device, precision and processes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import InitProcessGroupKwargs

from featherweight.model.engine import Engine
from featherweight.recipe import Recipe


def build_accelerator(recipe: Recipe, engine: Engine) -> tuple[Accelerator, Engine]:
    """An accelerator in the engine's precision, and the engine on the device that this process was given."""
    # Accelerate keeps one precision a process; a second training in the same process may want another.
    AcceleratorState._reset_state()
    precision = {"fp32": "no"}.get(engine.precision, engine.precision)
    trackers = list(recipe.training.trackers) or None
    # The other processes wait while the first evaluates, proves and reports; that may take longer than ten minutes.
    patience = InitProcessGroupKwargs(timeout=timedelta(hours=12))
    accelerator = Accelerator(
        mixed_precision=precision,
        cpu=engine.device == "cpu",
        log_with=trackers,
        project_dir="runs/trackers",
        kwargs_handlers=[patience],
    )
    # Of several GPUs each process has its own; a processor needs no number.
    device = str(accelerator.device) if accelerator.device.type == "cuda" else accelerator.device.type
    return accelerator, replace(engine, device=device)
