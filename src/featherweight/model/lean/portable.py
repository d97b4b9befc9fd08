"""The lean pass in plain PyTorch operations, for a GPU.

The shapes of all tensors follow from the shapes of the input. No operation has to know a value on the GPU, such as
whether the mask is all ones, so the program never waits for the GPU.

The parameters and the formulas are those of ``LeanEncoder``. Attention is ``scaled_dot_product_attention``, and the
residual stream has the compute type, but layer norms are computed in fp32, as under autocast.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from featherweight.model.attention_mask import aligned, padding_mask
from featherweight.model.lean.encoder import AdaptedBlock, LeanEncoder, LeanLayer, why_not_lean
from featherweight.model.network import Network


class AdapterMatrices(torch.autograd.Function):
    """The matrices of ``AdaptedBlock.matrices`` and their gradients, with about half of the operations.

    The matrices are small, so that a GPU takes less time for such an operation than the program takes to launch it.
    """

    @staticmethod
    def forward(
        ctx: Any, places: list[tuple[float, int]], outputs: int, dtype: torch.dtype, *factors: Tensor
    ) -> tuple[Tensor, Tensor]:
        """A [rank, in] and scaled B [outputs, rank] of all adapters, as ``dtype``.

        ``places`` has the scale and the first output of each adapter; ``factors`` are the A of all adapters, then the B
        of all of them. ``rank`` is the sum of their ranks.
        """
        downs, ups = factors[: len(places)], factors[len(places) :]
        down = torch.cat(downs).to(dtype) if len(downs) > 1 else downs[0].to(dtype, copy=True)
        whole = len(ups) == 1 and len(ups[0]) == outputs
        shape = (outputs, len(down))
        up = down.new_empty(shape) if whole else down.new_zeros(shape)
        ctx.places, ctx.ranks, ctx.heights = places, [len(one) for one in downs], [len(one) for one in ups]
        for (scale, _), matrix, place in zip(places, ups, _places(up, ctx), strict=True):
            torch.mul(matrix, scale, out=place)
        return down, up

    @staticmethod
    def backward(ctx: Any, grad_down: Tensor, grad_up: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of all A and B, in fp32, from those of both matrices."""
        of_places = zip(ctx.places, _places(grad_up.float(), ctx), strict=True)
        # They are contiguous, like B itself: autograd would copy any other gradient.
        ups = (torch.mul(place, scale, out=place.new_empty(place.shape)) for (scale, _), place in of_places)
        return None, None, None, *grad_down.float().split(ctx.ranks), *ups


def _places(up: Tensor, ctx: Any) -> list[Tensor]:
    """The part of ``up`` [outputs, rank] that belongs to each adapter."""
    sizes = zip(ctx.places, ctx.heights, up.split(ctx.ranks, dim=1), strict=True)
    return [columns[start : start + height] for (_, start), height, columns in sizes]


class PortableBlock(AdaptedBlock):
    """An ``AdaptedBlock`` that joins its adapters in fewer operations. It joins biases once if they are not trained."""

    def __init__(self, block: AdaptedBlock) -> None:
        vars(self).update(vars(block))
        self._joined = None if any(bias.requires_grad for bias in self._biases) else super().bias()

    def bias(self) -> Tensor:
        """The biases of these linear layers, joined to one tensor [out], in the type in which products are computed."""
        return super().bias() if self._joined is None else self._joined

    def matrices(self) -> tuple[Tensor, Tensor]:
        """The A of all adapters as one matrix [rank, in], and their scaled B as one block matrix [out, rank]."""
        downs, ups, scales, starts = zip(*self._adapters, strict=True)
        places = list(zip(scales, starts, strict=True))
        return AdapterMatrices.apply(places, len(self.matrix.weight), self._dtype, *downs, *ups)


class PortableLayer(LeanLayer):
    """An encoder layer with PyTorch's own attention.

    ``added`` [batch, 1 or heads, 1 or t, t] (padding mask and position bias) is added to the attention scores.
    """

    def __call__(self, x: Tensor, shape: tuple[int, int], added: Tensor | None) -> Tensor:
        """Hidden states [batch * t, hidden] after this layer."""
        query, key, value = self._split(x, shape)
        context = self._attention(query, key, value, added)
        return self._rest(x, context.transpose(1, 2).reshape(len(x), -1))

    def first_tokens(self, x: Tensor, shape: tuple[int, int], added: Tensor | None) -> Tensor:
        """Hidden states [batch, hidden] after this layer, computed only for the first token of each text."""
        query, key, value = self._split(x, shape)
        context = self._attention(query[:, :, :1], key, value, None if added is None else added[:, :, :1])
        return self._rest(x.view(*shape, -1)[:, 0], context.reshape(shape[0], -1))

    def _split(self, x: Tensor, shape: tuple[int, int]) -> tuple[Tensor, ...]:
        return self.joined(x).view(*shape, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)

    def _attention(self, query: Tensor, key: Tensor, value: Tensor, added: Tensor | None) -> Tensor:
        rate = self._dropouts()[0]
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=added, dropout_p=rate)

    @staticmethod
    def _normed(x: Tensor, norm: nn.LayerNorm) -> Tensor:
        return LeanLayer._normed(x.float(), norm).to(x.dtype)


class PortableEncoder(LeanEncoder):
    """A ``LeanEncoder`` whose layers are ``PortableLayer``s, for a GPU."""

    def __init__(self, network: Network, dtype: torch.dtype) -> None:
        super().__init__(network.plain_encoder(), network.architecture, dtype)
        self.replace_layers(_portable)

    def _embedded(self, input_ids: Tensor, token_types: Tensor | None) -> Tensor:
        # CUDA has no layer norm of 16-bit states with weights in fp32; autocast makes the states fp32 for it.
        with torch.autocast(input_ids.device.type, self._dtype, enabled=self._dtype != torch.float32):
            states = self._encoder.embeddings(
                input_ids, **({} if token_types is None else {"token_type_ids": token_types})
            )
        x = states.flatten(0, 1).to(self._dtype)
        return self._project(x) if self._project else x

    def _added(self, attention_mask: Tensor) -> Tensor:
        """Padding mask plus position bias [batch, 1 or heads, 1 or t, t], to be added to the attention scores.

        Without padding the mask is zero: a test for padding would have to wait for the GPU.
        """
        mask = padding_mask(attention_mask, self._dtype)
        if hasattr(self._encoder, "encoder") and hasattr(self._encoder.encoder, "compute_position_bias"):
            mask = self._encoder.encoder.compute_position_bias(attention_mask[:1]).to(self._dtype) + mask
        return aligned(mask)


def portable_encoder(network: Network, dtype: torch.dtype) -> PortableEncoder | None:
    """The portable lean pass for ``network``; None if the network needs transformers' own forward pass."""
    return None if why_not_lean(network) else PortableEncoder(network, dtype)


def _portable(layer: LeanLayer) -> PortableLayer:
    joined, output, up, down = (PortableBlock(block) for block in (layer.joined, layer.output, layer.up, layer.down))
    return PortableLayer(joined, output, up, down, layer.norms, layer.heads, layer.dropouts)
