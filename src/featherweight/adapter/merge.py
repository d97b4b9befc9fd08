"""Merge an adapter into the frozen weights, for prediction.

LoRA adds scale B A to a frozen matrix W; both have the shape [outputs, inputs]. So the merged matrix W + scale B A
gives the same predictions as W with its adapter, in one product instead of three (Hu et al. 2021, section 4.1).
"""

from __future__ import annotations

from typing import Any

from torch import nn

from featherweight.model.network import Network


def merge_adapter(network: Network) -> None:
    """Merge every adapter of ``network`` into its frozen matrix with PEFT's own function, and remove PEFT's wrapper.

    Trained biases and the head do not change; all dropout is switched off. Call it before ``move_to_engine``, so that
    the sum is computed in fp32, before the matrix is converted to the compute type.
    """
    wrapped: Any = network.encoder
    if hasattr(wrapped, "merge_and_unload"):
        network.encoder = wrapped.merge_and_unload()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0  # prediction has no dropout
