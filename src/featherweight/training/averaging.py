"""A moving or uniform average of the trained weights, which is evaluated and saved in place of the last weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from featherweight.recipe.sections.training import Averaging

SWA_PART = 0.25
"""Fraction of all steps, at the end of the training, whose weights SWA averages. It is that of the authors."""


class Average:
    """The average of the trained parameters, in their own precision; ``kind`` is the value of ``training.average``.

    A number is the decay of a moving average (Polyak & Juditsky 1992). After step t, counted from 1, it is ``d`` times
    the old average plus ``1 - d`` times the weights, where ``d`` is the smaller of the decay and (1 + t) / (10 + t). So
    the average soon forgets the weights of the first steps.

    ``swa`` is stochastic weight averaging (Izmailov et al. 2018): the mean of the weights after each step in the last
    quarter of all ``steps``. Before that quarter it has the current weights.
    """

    def __init__(self, kind: Averaging, steps: int, trainable: Mapping[str, nn.Parameter]) -> None:
        self.kind = kind
        self._trainable = trainable
        self._before = steps - math.ceil(SWA_PART * steps)
        self.tensors = {name: parameter.detach().clone() for name, parameter in trainable.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Update the average with the current weights, after optimizer step ``step`` (1 is the first)."""
        weights: list[Tensor] = [self._trainable[name] for name in self.tensors]
        torch._foreach_lerp_(list(self.tensors.values()), weights, self._share(step))  # one kernel on a GPU

    def _share(self, step: int) -> float:
        """The share of the current weights in the average after ``step``; it follows from the step alone."""
        if self.kind == "swa":
            return 1 / max(1, step - self._before)
        return 1 - min(self.kind, (1 + step) / (10 + step))

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within the context, the network has the averaged weights; afterwards it has the trained weights again."""
        trained = {name: parameter.detach().clone() for name, parameter in self._trainable.items()}
        set_weights(self._trainable, self.tensors)
        try:
            yield
        finally:
            set_weights(self._trainable, trained)


@torch.no_grad()
def set_weights(trainable: Mapping[str, nn.Parameter], tensors: Mapping[str, Tensor]) -> None:
    """Copy ``tensors`` into the parameters with the same names."""
    for name, tensor in tensors.items():
        trainable[name].copy_(tensor)
