"""The rows of each optimizer step, as a pure function of seed, epoch and step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from featherweight.data.batches import epoch_batches
from featherweight.recipe import Recipe


class StepOrder:
    """The batches of every optimizer step of a run; they are the same in every process and after a resume."""

    def __init__(self, lengths: np.ndarray, recipe: Recipe, windows: np.ndarray | None = None) -> None:
        self._lengths, self._windows = lengths, windows
        self._recipe = recipe
        self._batches = lru_cache(maxsize=1)(self._draw)
        self.steps_of_epochs = self._count_steps()
        self.total_steps = sum(self.steps_of_epochs)

    def from_step(self, first: int) -> Iterator[tuple[int, float, list[np.ndarray]]]:
        """Yield all optimizer steps from ``first`` on; 0 is the first step of the run.

        Each item is the step, the number of epochs completed after it (such as 0.25), and the row indices of each of
        its batches.
        """
        step = 0
        accumulate = self._recipe.training.accumulate
        for epoch, steps in enumerate(self.steps_of_epochs):
            if step + steps <= first:
                step += steps
                continue
            batches = self._batches(epoch)
            in_epoch = math.ceil(len(batches) / accumulate)
            for index in range(max(0, first - step), steps):
                yield (
                    step + index,
                    epoch + (index + 1) / in_epoch,
                    batches[index * accumulate : (index + 1) * accumulate],
                )
            step += steps

    def batches(self, epoch: int) -> list[np.ndarray]:
        """Row indices of all batches of ``epoch`` (0 is the first).

        If the training ends within this epoch, the batches after the last step are returned as well.
        """
        return self._batches(epoch)

    def epochs_after(self, first: int) -> int:
        """Number of epochs of the training that are still incomplete after ``first`` steps."""
        return int((np.cumsum(self.steps_of_epochs) > first).sum())

    def _draw(self, epoch: int) -> list[np.ndarray]:
        training = self._recipe.training
        limits = {"batch_size": training.batch_size, "batch_tokens": training.batch_tokens}
        return epoch_batches(self._lengths, seed=self._recipe.order_seed, epoch=epoch, **limits, windows=self._windows)

    def _count_steps(self) -> list[int]:
        training = self._recipe.training
        counts: list[int] = []
        remaining = training.max_steps or math.inf
        for epoch in range(math.ceil(training.epochs)):
            fraction = min(1.0, training.epochs - epoch)
            full_epoch = math.ceil(len(self._batches(epoch)) / training.accumulate)
            steps = int(min(max(1, round(fraction * full_epoch)), remaining))
            counts.append(steps)
            remaining -= steps
            if remaining <= 0:
                break
        return counts
