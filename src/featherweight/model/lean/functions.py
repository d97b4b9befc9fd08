"""Adapted linear layer and attention with hand-written gradients: only the gradients that LoRA needs are computed.

A frozen weight has no gradient. So an adapted layer stores its input only for the gradients of A and B, and a layer
without an adapter stores nothing. The gradient of attention is computed from the stored probabilities. For texts as
short as in classification this is several times faster on a processor than the backward pass of
``scaled_dot_product_attention``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from featherweight.model.lean.frozen_matrix import FrozenMatrix

MASKED = -1e4
"""The score of a masked token: its exponential is zero in fp32, and bf16 can represent it."""
SCORES = 2**19
"""Number of attention scores per part when attention is computed in parts: 2 MB in fp32, which fit the CPU cache."""
AT_ONCE = 2**22
"""Number of attention scores up to which a training computes attention in one part.

With twelve heads this is a full micro-batch of texts of 170 tokens (227 tokens if the hidden size is above 512)."""


class FrozenLinear(torch.autograd.Function):
    """``y = x @ W.T + b`` with frozen W; it has gradients for x and b."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, matrix: FrozenMatrix, bias: Tensor) -> Tensor:
        """Output [tokens, out] from x [tokens, in], matrix (W) [out, in] and bias [out]."""
        ctx.matrix = matrix
        return matrix.times(x, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, Tensor | None]:
        """Gradients of x and bias from ``grad`` [tokens, out]."""
        grad_x = ctx.matrix.gradient(grad) if ctx.needs_input_grad[0] else None
        return grad_x, None, grad.sum(0) if ctx.needs_input_grad[2] else None


class AdaptedLinear(torch.autograd.Function):
    """``y = x @ W.T + b + x @ A.T @ B.T`` with frozen W (Hu et al. 2021); it has gradients for x, b, A and B."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, matrix: FrozenMatrix, bias: Tensor, down: Tensor, up: Tensor, keep: Tensor | None, p: float
    ) -> Tensor:
        """Output [tokens, out] for ``x`` [tokens, in].

        The shapes are: matrix (W) [out, in], bias [out], down (A) [rank, in], up (scaled B) [out, rank]. ``keep``
        [tokens, in] is the dropout mask for the adapter's input; ``p`` is its dropout probability.
        """
        seen = x if keep is None else apply_dropout_mask(x, keep, p)
        small = seen @ down.t()
        ctx.save_for_backward(x, down, up, small, keep)
        ctx.matrix, ctx.p = matrix, p
        return matrix.times(x, bias).addmm_(small, up.t())

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, Tensor | None, Tensor, Tensor, None, None]:
        """Gradients of x, bias, down and up from ``grad`` [tokens, out]."""
        x, down, up, small, keep = ctx.saved_tensors
        grad_small = grad @ up
        seen = x if keep is None else apply_dropout_mask(x, keep, ctx.p)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = ctx.matrix.gradient(grad)
            if keep is None:
                grad_x.addmm_(grad_small, down)
            else:
                grad_x = grad_x + apply_dropout_mask(grad_small @ down, keep, ctx.p)
        grad_bias = grad.sum(0) if ctx.needs_input_grad[2] else None
        # The small factor comes first: the transposed product grad.t() @ small takes up to twelve times as long.
        grad_up = (small.t() @ grad).t()
        return grad_x, None, grad_bias, grad_small.t() @ seen, grad_up, None, None


class Dropout(torch.autograd.Function):
    """Dropout (Srivastava et al. 2014) with a mask that is fast to sample; the expectation of x does not change."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float) -> Tensor:
        """``x`` (of any shape), with each element set to zero with probability ``p`` and the others scaled up."""
        keep = dropout_mask(x, p)
        ctx.save_for_backward(keep)
        ctx.p = p
        return apply_dropout_mask(x, keep, p)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        """Gradient of x."""
        return apply_dropout_mask(grad, ctx.saved_tensors[0], ctx.p), None


class Attention(torch.autograd.Function):
    """Softmax attention of all heads over one padded batch; query, key and value are one joined tensor."""

    @staticmethod
    def forward(
        ctx: Any, qkv: Tensor, heads: int, shape: tuple[int, int], wide: int, added: Tensor | None, p: float
    ) -> Tensor:
        """Context [rows, hidden] from qkv [rows, 3 * hidden].

        ``shape`` is (b, t): b texts of t tokens. Rows beyond b * t are padding and get zeros. ``wide`` >= t is the
        padded number of tokens per text in the products. ``added`` [batch * heads, 1 or wide, wide] is added to the
        scores. ``p`` is the dropout probability of the attention probabilities.
        """
        batch, length = shape
        split = qkv[: batch * length].view(batch, length, 3, heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = by_head(split, wide).flatten(1, 2)
        share, context = query.new_empty(batch * heads, wide, wide), torch.empty_like(query)
        keep = dropout_mask(share, p) if p else None
        for part in parts_of_attention(batch * heads, wide):
            probabilities(query[part], key[part], None if added is None else added[part], length, out=share[part])
            seen = share[part] if keep is None else apply_dropout_mask(share[part], keep[part], p)
            torch.bmm(seen, value[part], out=context[part])
        ctx.save_for_backward(query, key, value, share, keep)
        ctx.shape, ctx.rows, ctx.p = shape, len(qkv), p
        return merge_heads(context, shape, len(qkv))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None, None]:
        """Gradient of qkv, [rows, 3 * hidden], from ``grad`` [rows, hidden]."""
        query, key, value, share, keep = ctx.saved_tensors
        (batch, length), (matrices, wide, size) = ctx.shape, query.shape
        heads, scale = matrices // batch, size**-0.5
        grad = by_head(grad[: batch * length].view(batch, length, heads, size).transpose(1, 2), wide).flatten(0, 1)
        grads = query.new_empty(3, matrices, wide, size)
        for part in parts_of_attention(matrices, wide):
            seen = share[part] if keep is None else apply_dropout_mask(share[part], keep[part], ctx.p)
            torch.bmm(seen.transpose(1, 2), grad[part], out=grads[2, part])
            grad_share = torch.bmm(grad[part], value[part].transpose(1, 2))
            grad_share = grad_share if keep is None else apply_dropout_mask(grad_share, keep[part], ctx.p)
            grad_scores = torch.ops.aten._softmax_backward_data(grad_share, share[part], -1, share.dtype)
            torch.baddbmm(grads[0, part], grad_scores, key[part], beta=0, alpha=scale, out=grads[0, part])
            transposed = grad_scores.transpose(1, 2)
            torch.baddbmm(grads[1, part], transposed, query[part], beta=0, alpha=scale, out=grads[1, part])
        whole = grad.new_empty(ctx.rows, 3 * heads * size)
        whole[batch * length :].zero_()
        tokens = whole[: batch * length].view(batch, length, 3, heads, size)
        tokens.copy_(grads.view(3, batch, heads, wide, size)[:, :, :, :length].permute(1, 3, 0, 2, 4))
        return whole, None, None, None, None, None


def by_head(states: Tensor, wide: int) -> Tensor:
    """``states`` [..., t, size] padded with zeros from t to ``wide`` tokens: a contiguous tensor [..., wide, size].

    ``size`` is the width of one attention head.
    """
    length = states.shape[-2]
    if wide == length:
        return states.contiguous()
    widened = states.new_empty(*states.shape[:-2], wide, states.shape[-1])
    widened[..., length:, :].zero_()
    widened[..., :length, :].copy_(states)
    return widened


def dropout_mask(like: Tensor, p: float) -> Tensor:
    """A dropout mask in the shape and type of ``like``: 0 with probability ``p`` (in steps of 1/65,536), else 1.

    Each element uses sixteen bits of a random 64-bit word. On a processor this is several times faster than one
    Bernoulli sample per element.
    """
    count, threshold = like.numel(), round(p * 65536)
    if threshold == 65536:  # no number of sixteen bits reaches it: every element is dropped
        return like.new_zeros(like.shape)
    if like.device.type != "cpu":
        return torch.empty_like(like).bernoulli_(1 - p)
    words = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)
    bits = words.view(torch.int16)[:count]
    return torch.ge(bits, threshold - 32768, out=like.new_empty(count)).view(like.shape)


def apply_dropout_mask(x: Tensor, keep: Tensor, p: float) -> Tensor:
    """``x`` where ``keep`` is 1 and zero elsewhere, divided by 1 - p so that the expectation does not change."""
    return (x * keep).mul_(1 / (1 - p))


def parts_of_attention(matrices: int, length: int, at_once: int | None = None) -> Iterator[slice]:
    """Slices that divide a batch of attention matrices so that the scores of each slice fit the processor's cache.

    The batch has ``matrices`` attention matrices (one per text and head), each [length, length]. If it has at most
    ``at_once`` scores in total (default ``AT_ONCE``), there is only one slice: for short texts, splitting saves little
    and adds shapes that have to be compiled.
    """
    several = matrices * length**2 > (AT_ONCE if at_once is None else at_once)
    step = max(1, SCORES // length**2) if several else matrices
    for first in range(0, matrices, step):
        yield slice(first, min(first + step, matrices))


def probabilities(query: Tensor, key: Tensor, added: Tensor | None, length: int, out: Tensor | None = None) -> Tensor:
    """Attention probabilities [n, q, t] from query [n, q, size] and key [n, t, size]; written into ``out`` if given.

    n counts texts times heads, q the queries, t the keys; size is the width of a head. ``added`` is added to the
    scores. Keys from ``length`` on are padding and get probability 0. The softmax is computed in fp32.
    """
    scale = query.shape[-1] ** -0.5
    if added is None:
        empty = query.new_empty(query.shape[0], query.shape[1], key.shape[1])
        scores = torch.baddbmm(empty, query, key.transpose(1, 2), beta=0, alpha=scale)
    else:
        scores = torch.baddbmm(added, query, key.transpose(1, 2), alpha=scale)
    if length < key.shape[1]:
        scores[..., length:] = MASKED
    if out is not None and out.dtype == torch.float32:
        return torch.softmax(scores, -1, out=out)
    share = torch.softmax(scores, -1, dtype=torch.float32)
    return share.to(query.dtype) if out is None else out.copy_(share)


def merge_heads(context: Tensor, shape: tuple[int, int], rows: int | None = None) -> Tensor:
    """``context`` [batch * heads, t or more, size] as [batch * t, heads * size], for ``shape`` (batch, t).

    Tokens beyond t are padding and are left out. If ``rows`` is given (at least batch * t), rows of zeros are
    appended up to this number.
    """
    (batch, length), size = shape, context.shape[-1]
    by_token = context.view(batch, -1, context.shape[1], size)[:, :, :length].transpose(1, 2)
    if rows is None:
        return by_token.reshape(batch * length, -1)
    merged = context.new_empty(rows, by_token.shape[2] * size)
    merged[batch * length :].zero_()
    merged[: batch * length].view(by_token.shape).copy_(by_token)
    return merged
