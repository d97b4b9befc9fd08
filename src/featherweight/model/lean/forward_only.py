"""The lean pass for prediction, without gradients. The adapter must already be merged into the frozen matrices."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from featherweight.model.lean.encoder import AdaptedBlock, LeanLayer
from featherweight.model.lean.functions import SCORES, by_head, merge_heads, parts_of_attention, probabilities
from featherweight.model.lean.portable import PortableLayer
from featherweight.model.network import Network


def drop_gradients(network: Network) -> None:
    """Replace the layers of the network's lean pass by layers without gradients; no effect without a lean pass.

    Call it after ``move_to_engine``, which sets the lean pass.
    """
    if network.lean is not None:
        network.lean.replace_layers(_forward_only)


class ForwardBlock(AdaptedBlock):
    """Frozen linear layers without adapters and without gradients."""

    def __init__(self, block: AdaptedBlock) -> None:
        self.matrix = block.matrix
        self._bias = block.bias().detach()

    def bias(self) -> Tensor:
        """The biases of these linear layers, joined to one tensor [out], in the type in which products are computed."""
        return self._bias

    def __call__(self, x: Tensor) -> Tensor:
        """Output [tokens, out] of the layers for ``x`` [tokens, in]."""
        return self.matrix.times(x, self._bias)

    def gelu(self, x: Tensor) -> Tensor:
        """GELU of the output, [tokens, out], for ``x`` [tokens, in]; one operation computes product and GELU."""
        return self.matrix.times(x, self._bias, "gelu")


@dataclass
class ForwardLayer(LeanLayer):
    """An encoder layer that stores nothing for a backward pass and computes attention for a few texts at a time."""

    up: ForwardBlock

    def __call__(self, x: Tensor, shape: tuple[int, int], added: Tensor | None) -> Tensor:
        """Hidden states [rows, hidden] after this layer.

        ``shape`` is (texts, tokens per text); rows of ``x`` beyond their product are padding. ``added`` is added to the
        attention scores.
        """
        joined = self.joined(x)
        context = torch.empty_like(x)
        batch, length = shape
        context[batch * length :].zero_()
        texts = max(1, SCORES // (self.heads * self.padded_length_of(length) ** 2))
        for first in range(0, batch, texts):
            here = slice(first * length, min(first + texts, batch) * length)
            heads = slice(first * self.heads, (first + texts) * self.heads)
            context[here] = self._attend(joined[here], length, None if added is None else added[heads])
        return self._rest(x, context)

    def _attend(self, joined: Tensor, length: int, added: Tensor | None) -> Tensor:
        """Attention context [tokens, hidden] of a few texts from their query, key and value [tokens, 3 * hidden]."""
        batch, size = joined.shape[0] // length, joined.shape[1] // 3 // self.heads
        split = joined.view(batch, length, 3, self.heads, size).permute(2, 0, 3, 1, 4)
        wide = self.padded_length_of(length)
        query, key, value = by_head(split, wide).flatten(1, 2)
        context = torch.empty_like(query)
        for part in parts_of_attention(batch * self.heads, wide, at_once=SCORES):
            share = probabilities(query[part], key[part], None if added is None else added[part], length)
            torch.bmm(share, value[part], out=context[part])
        return merge_heads(context, (batch, length))

    def _rest(self, x: Tensor, context: Tensor) -> Tensor:
        x = self.norms[0](self.output(context).add_(x))
        return self.norms[1](self.down(self.up.gelu(x)).add_(x))


def _forward_only(layer: LeanLayer) -> LeanLayer:
    if isinstance(layer, PortableLayer):  # stores nothing by itself where no gradient is asked for
        return layer
    joined, output, up, down = (ForwardBlock(block) for block in (layer.joined, layer.output, layer.up, layer.down))
    return ForwardLayer(joined, output, up, down, layer.norms, layer.heads, pad_shapes=layer.pad_shapes)
