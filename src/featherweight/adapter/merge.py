"""Merge an adapter into the frozen weights, for prediction.

What LoRA adds to a frozen matrix W [outputs, inputs] is a matrix of the same shape, so W + scale B A predicts what W
with its adapter does, in one product instead of three (Hu et al. 2021, section 4.1).
"""

from __future__ import annotations

from typing import Any

from torch import nn

from featherweight.model.network import Network


def merge_adapter(network: Network) -> None:
    """Merge every adapter of ``network`` into its frozen matrix, as PEFT itself does it; PEFT's wrapping is removed.

    Trained biases and head stay as they are; all dropout is switched off. Call it before ``settle``, so that the sum is
    taken in fp32 before the matrix gets its compute type.
    """
    wrapped: Any = network.encoder
    if hasattr(wrapped, "merge_and_unload"):
        network.encoder = wrapped.merge_and_unload()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0  # prediction has no dropout
