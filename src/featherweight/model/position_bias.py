"""MPNet's position bias on a GPU: it is computed once and stored, because it depends only on two positions."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from featherweight.model.network import Network

_LENGTHS = 64  # tokens; the stored bias grows in such steps


class StoredPositionBias:
    """Replaces ``compute_position_bias`` of an MPNet encoder: it stores the bias for the longest text so far.

    The bias for a shorter text is cut out of the stored one; it is the same, bit for bit.
    """

    def __init__(self, encoder: Any) -> None:
        self._compute = partial(type(encoder).compute_position_bias, encoder)
        self._stored: Tensor | None = None

    def __call__(self, x: Tensor, position_ids: Tensor | None = None, num_buckets: int = 32) -> Tensor:
        """Bias [batch, heads, t, t] for texts x [batch, t, ...]; it is a view, so it takes no memory per text."""
        if position_ids is not None:
            return self._compute(x, position_ids, num_buckets)
        length = x.shape[1]
        if self._stored is None or self._stored.shape[-1] < length:
            wide = -(-length // _LENGTHS) * _LENGTHS
            # A tensor that is made in inference mode could not be used in a training.
            with torch.inference_mode(False), torch.no_grad():
                self._stored = self._compute(torch.empty(1, wide, device=x.device))
        return self._stored[:, :, :length, :length].expand(len(x), -1, -1, -1)


def store_position_bias(network: Network) -> None:
    """Make ``network`` compute its position bias only once; no effect if it has none or the bias is trained."""
    encoder: Any = getattr(network.plain_encoder(), "encoder", None)
    if hasattr(encoder, "compute_position_bias") and not encoder.relative_attention_bias.weight.requires_grad:
        encoder.compute_position_bias = StoredPositionBias(encoder)
