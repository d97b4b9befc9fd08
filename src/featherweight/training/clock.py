"""The clock of a training: its duration over all resumes, and when the next checkpoint is due."""

from __future__ import annotations

import time

from featherweight.recipe import TrainingRecipe


class Clock:
    """Measures the seconds of a training, the seconds ``before`` a resume included."""

    def __init__(self, before: float) -> None:
        self._start = time.perf_counter() - before
        self._last_checkpoint = time.perf_counter()

    def seconds(self) -> float:
        """Seconds of training so far."""
        return time.perf_counter() - self._start

    def checkpoint_due(self, step: int, training: TrainingRecipe) -> bool:
        """Whether a checkpoint is due after ``step`` steps: by their number, or by the seconds since the last one."""
        now = time.perf_counter()
        due = step % training.checkpoint_steps == 0 or now - self._last_checkpoint > training.checkpoint_seconds
        if due:
            self._last_checkpoint = now
        return due
