"""An exponential moving average of the trained weights, which is evaluated and saved in place of the last weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """The moving average of the trained parameters (Polyak & Juditsky 1992), in their own precision.

    After step t, counted from 1, it is ``d`` times the old average plus ``1 - d`` times the weights, where ``d`` is the
    smaller of ``decay`` and (1 + t) / (10 + t). So the average soon forgets the weights of the first steps.
    """

    def __init__(self, decay: float, trainable: Mapping[str, nn.Parameter]) -> None:
        self.decay = decay
        self._trainable = trainable
        self.tensors = {name: parameter.detach().clone() for name, parameter in trainable.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Update the average with the current weights, after optimizer step ``step`` (1 is the first)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, parameter in self._trainable.items():
            self.tensors[name].lerp_(parameter, 1 - decay)

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
