"""Which rows each optimizer step takes: a pure function of seed, epoch and step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from featherweight.data.batches import epoch_batches
from featherweight.recipe import Recipe


class StepOrder:
    """The batches of every optimizer step of a run, the same in any process and after any resume."""

    def __init__(self, lengths: np.ndarray, recipe: Recipe) -> None:
        self._lengths = lengths
        self._recipe = recipe
        self._batches = lru_cache(maxsize=1)(self._draw)
        self.steps_of_epochs = self._count_steps()
        self.total_steps = sum(self.steps_of_epochs)

    def from_step(self, first: int) -> Iterator[tuple[int, float, list[np.ndarray]]]:
        """From optimizer step ``first`` (0 is the first of the run): step, epochs done after it, its batches' rows."""
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
        """All batches of an epoch, whether it is trained to its end or not."""
        return self._batches(epoch)

    def epochs_after(self, first: int) -> int:
        """How many epochs still have steps after optimizer step ``first``."""
        return int((np.cumsum(self.steps_of_epochs) > first).sum())

    def _draw(self, epoch: int) -> list[np.ndarray]:
        training = self._recipe.training
        limits = {"batch_size": training.batch_size, "batch_tokens": training.batch_tokens}
        return epoch_batches(self._lengths, seed=self._recipe.seed, epoch=epoch, **limits)

    def _count_steps(self) -> list[int]:
        training = self._recipe.training
        counts: list[int] = []
        left = training.max_steps or math.inf
        for epoch in range(math.ceil(training.epochs)):
            share = min(1.0, training.epochs - epoch)
            whole = math.ceil(len(self._batches(epoch)) / training.accumulate)
            steps = int(min(max(1, round(share * whole)), left))
            counts.append(steps)
            left -= steps
            if left <= 0:
                break
        return counts
