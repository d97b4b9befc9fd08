"""The attention mask of transformers' own forward pass on a GPU.

From a mask [batch, t] of ones and zeros, transformers makes the mask of its attention. Before, it looks whether there
is any padding, and so waits for the GPU in every forward pass. A mask with four dimensions is used as it is.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from featherweight.backbone.families import FAMILIES
from featherweight.model.lean.functions import MASKED
from featherweight.model.network import Network

_ALIGNMENT = 8


def padding_mask(attention_mask: Tensor, dtype: torch.dtype) -> Tensor:
    """What is added to the attention scores, [batch, 1, 1, t]: 0 for tokens, ``MASKED`` for padding.

    ``attention_mask`` [batch, t] has 1 for tokens and 0 for padding; its values are not read.
    """
    return (1 - attention_mask).to(dtype).mul_(MASKED)[:, None, None]


def additive_mask(attention_mask: Tensor, dtype: torch.dtype) -> Tensor:
    """The ``padding_mask``, ``aligned``."""
    return aligned(padding_mask(attention_mask, dtype))


def aligned(added: Tensor) -> Tensor:
    """``added`` [..., t] with the same values, each row beginning at a multiple of eight numbers in memory.

    PyTorch's attention for a GPU needs such a mask; any other one is copied again in every layer.
    """
    length = added.shape[-1]
    more = -length % _ALIGNMENT
    return functional.pad(added, (0, more))[..., :length] if more else added


def prepare_mask(network: Network, dtype: torch.dtype) -> None:
    """Make ``network`` give its encoder an additive mask; ``dtype`` is the type in which products are computed.

    No effect on encoders that use the mask for more than attention over all tokens, or another kind of attention.
    """
    config: Any = network.base_model().config
    family = FAMILIES.get(network.architecture.model_type)
    # Without PyTorch's attention, scores become fp32 with the mask; so does transformers' own mask.
    types = {"sdpa": dtype, "eager": torch.float32}
    chosen = types.get(config._attn_implementation)
    over_all = family is not None and family.lean is not None and not getattr(config, "is_decoder", False)
    network.make_mask = partial(additive_mask, dtype=chosen) if over_all and chosen is not None else None
