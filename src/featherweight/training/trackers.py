"""Sends history records to experiment trackers (TensorBoard, MLflow, trackio, W&B) through Accelerate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from accelerate import Accelerator

from featherweight.recipe import Recipe


class TrackerListener:
    """Sends the metrics of every step and evaluation to the trackers of ``accelerator``."""

    def __init__(self, accelerator: Accelerator, recipe: Recipe) -> None:
        self._accelerator = accelerator
        accelerator.init_trackers("featherweight", config=_flat(recipe.model_dump(mode="json")))

    def started(self, total_steps: int, first_step: int, notes: Sequence[str]) -> None:
        """Do nothing: the recipe was sent when this object was made."""

    def noted(self, message: str) -> None:
        """Do nothing: trackers accept only numbers."""

    def stepped(self, record: dict[str, Any]) -> None:
        """Send the metrics of a step, with names such as ``train/loss``."""
        self._send("train", record)

    def evaluated(self, record: dict[str, Any], best: bool) -> None:
        """Send the metrics of an evaluation, with names such as ``validation/loss``."""
        self._send(record["split"], record)

    def _send(self, prefix: str, record: dict[str, Any]) -> None:
        numbers = {f"{prefix}/{key}": value for key, value in record.items() if isinstance(value, (int, float))}
        self._accelerator.log(numbers, step=record["step"])


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value if isinstance(value, (int, float, str)) else str(value)
    return flat
