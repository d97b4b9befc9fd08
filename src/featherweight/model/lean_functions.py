"""Adapted linear layer and attention with hand-written gradients: nothing is computed that LoRA does not need.

A frozen weight has no gradient, so an adapted layer keeps its input only for the small matrices, and a layer without
adapter keeps nothing. The attention's gradient goes through the stored probabilities, which at the lengths of
classification is several times faster on a processor than the backward of ``scaled_dot_product_attention``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from featherweight.model.packing import FrozenMatrix


class FrozenLinear(torch.autograd.Function):
    """``y = x W' + b`` with frozen W; gradients for x and b."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, matrix: FrozenMatrix, bias: Tensor) -> Tensor:
        """x [tokens, in], matrix (W) [out, in], bias [out]."""
        ctx.matrix = matrix
        return matrix.times(x, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, Tensor | None]:
        """Gradients of x and bias from ``grad`` [tokens, out]."""
        grad_x = ctx.matrix.gradient(grad) if ctx.needs_input_grad[0] else None
        return grad_x, None, grad.sum(0) if ctx.needs_input_grad[2] else None


class AdaptedLinear(torch.autograd.Function):
    """``y = x W' + b + (x A') B'`` with frozen W; gradients for x, b, A and B (Hu et al. 2021, without W's)."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, matrix: FrozenMatrix, bias: Tensor, down: Tensor, up: Tensor, keep: Tensor | None, p: float
    ) -> Tensor:
        """x [tokens, in], matrix (W) [out, in], bias [out], down (A) [rank, in], up (scaled B) [out, rank].

        ``keep`` [tokens, in] is dropout's mask on what the adapter sees of x, dropped with probability ``p``.
        """
        seen = x if keep is None else dropped(x, keep, p)
        small = seen @ down.t()
        ctx.save_for_backward(x, down, up, small, keep)
        ctx.matrix, ctx.p = matrix, p
        return matrix.times(x, bias).addmm_(small, up.t())

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, Tensor | None, Tensor, Tensor, None, None]:
        """Gradients of x, bias, down and up from ``grad`` [tokens, out]."""
        x, down, up, small, keep = ctx.saved_tensors
        grad_small = grad @ up
        seen = x if keep is None else dropped(x, keep, ctx.p)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = ctx.matrix.gradient(grad)
            grad_x = (
                grad_x.addmm_(grad_small, down) if keep is None else grad_x + dropped(grad_small @ down, keep, ctx.p)
            )
        grad_bias = grad.sum(0) if ctx.needs_input_grad[2] else None
        # The small factor in front: the same product the other way round takes up to twelve times as long.
        grad_up = (small.t() @ grad).t()
        return grad_x, None, grad_bias, grad_small.t() @ seen, grad_up, None, None


class Dropout(torch.autograd.Function):
    """Dropout (Srivastava et al. 2014) with a mask that is quick to draw; the expectation stays."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float) -> Tensor:
        """x of any shape, each element dropped with probability ``p``."""
        keep = kept(x, p)
        ctx.save_for_backward(keep)
        ctx.p = p
        return dropped(x, keep, p)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        """Gradient of x."""
        return dropped(grad, ctx.saved_tensors[0], ctx.p), None


class Attention(torch.autograd.Function):
    """Softmax attention of all heads over one padded batch, on fused query, key and value states."""

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, heads: int, shape: tuple[int, int], added: Tensor | None, p: float) -> Tensor:
        """Context [rows, hidden] from qkv [rows, 3 * hidden]; ``added`` [batch * heads, 1 or t, t] is a bias.

        ``shape`` is the batch's: b texts of t tokens; rows beyond b * t get zeros. Each probability is dropped with
        probability ``p``.
        """
        (batch, length), size = shape, qkv.shape[1] // 3 // heads
        split = qkv[: batch * length].view(batch, length, 3, heads, size).permute(2, 0, 3, 1, 4)
        query, key, value = split.reshape(3, batch * heads, length, size)
        share = probabilities(query, key, added)
        keep = kept(share, p) if p else None
        ctx.save_for_backward(query, key, value, share, keep)
        ctx.shape, ctx.rows, ctx.p = (batch, heads), len(qkv), p
        seen = share if keep is None else dropped(share, keep, p)
        return merge_heads(torch.bmm(seen, value), batch, heads, len(qkv))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        """Gradient of qkv."""
        query, key, value, share, keep = ctx.saved_tensors
        batch, heads = ctx.shape
        seen = share if keep is None else dropped(share, keep, ctx.p)
        length, size = query.shape[1:]
        grad = (
            grad[: batch * length].view(batch, length, heads, size).transpose(1, 2).reshape(batch * heads, length, size)
        )
        grad_share = torch.bmm(grad, value.transpose(1, 2))
        grad_share = grad_share if keep is None else dropped(grad_share, keep, ctx.p)
        grad_scores = torch.ops.aten._softmax_backward_data(grad_share, share, -1, share.dtype)
        scale = size**-0.5
        parts = query.new_empty(3, batch * heads, length, size)
        torch.baddbmm(parts[0], grad_scores, key, beta=0, alpha=scale, out=parts[0])
        torch.baddbmm(parts[1], grad_scores.transpose(1, 2), query, beta=0, alpha=scale, out=parts[1])
        torch.bmm(seen.transpose(1, 2), grad, out=parts[2])
        whole = grad.new_empty(ctx.rows, 3 * heads * size)
        whole[batch * length :].zero_()
        tokens = whole[: batch * length].view(batch, length, 3, heads, size)
        tokens.copy_(parts.view(3, batch, heads, length, size).permute(1, 3, 0, 2, 4))
        return whole, None, None, None, None


def kept(like: Tensor, p: float) -> Tensor:
    """Dropout's mask: ones, and zeros with probability ``p`` (to one in 65,536), in the shape and type of ``like``.

    Sixteen bits of a whole random word each: on a processor several times faster than a Bernoulli draw an element.
    """
    count = like.numel()
    words = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)
    bits = words.view(torch.int16)[:count]
    return torch.ge(bits, round(p * 65536) - 32768, out=like.new_empty(count)).view(like.shape)


def dropped(x: Tensor, keep: Tensor, p: float) -> Tensor:
    """``x`` where ``keep`` is one, scaled so that its expectation stays."""
    return (x * keep).mul_(1 / (1 - p))


def probabilities(query: Tensor, key: Tensor, added: Tensor | None) -> Tensor:
    """Attention probabilities [n, q, t] from query [n, q, size] and key [n, t, size]; the softmax itself is in fp32."""
    scale = query.shape[-1] ** -0.5
    if added is None:
        empty = query.new_empty(query.shape[0], query.shape[1], key.shape[1])
        scores = torch.baddbmm(empty, query, key.transpose(1, 2), beta=0, alpha=scale)
    else:
        scores = torch.baddbmm(added, query, key.transpose(1, 2), alpha=scale)
    return torch.softmax(scores, -1, dtype=torch.float32).to(query.dtype)


def merge_heads(context: Tensor, batch: int, heads: int, rows: int | None = None) -> Tensor:
    """[batch * heads, t, size] to [batch * t, heads * size], or to more rows, which are zeros."""
    length, size = context.shape[1:]
    by_token = context.view(batch, heads, length, size).transpose(1, 2)
    if rows is None:
        return by_token.reshape(batch * length, heads * size)
    merged = context.new_empty(rows, heads * size)
    merged[batch * length :].zero_()
    merged[: batch * length].view(batch, length, heads, size).copy_(by_token)
    return merged
