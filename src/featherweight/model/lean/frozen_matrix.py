"""A frozen matrix as oneDNN multiplies it best: laid out once, not anew at every product.

Only a matrix that never changes can be laid out ahead. PyTorch's own products hand fp32 to another library, which on
processors with AVX-512 reaches half the rate; through here both types run on oneDNN.
"""

from __future__ import annotations

import platform
import threading
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_LOCK = threading.Lock()
_FEWEST_ROWS = 16  # a tile's height: fewer are not multiplied sooner
_LENGTHS = 8  # tokens; sixteen spared hardly more
_PACKED_FOR = 1024  # tokens of a product that oneDNN lays the matrix out for; any other number is served as well


class FrozenMatrix:
    """W [out, in] of one or several frozen linear layers, with a layout for each direction, made at its first use."""

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight
        self._can_pack = can_pack(weight)
        self._layouts: dict[bool, Tensor] = {}

    def times(self, x: Tensor, bias: Tensor | None, activation: str = "none") -> Tensor:
        """``x W' + bias`` [tokens, out] for x [tokens, in], and GELU of it where ``activation`` is ``gelu``."""
        if self._can_pack:
            return torch.ops.mkldnn._linear_pointwise(x, self._layout(backward=False), bias, activation, [], "none")
        y = functional.linear(x, self.weight, bias)
        return functional.gelu(y) if activation == "gelu" else y

    def gradient(self, grad: Tensor) -> Tensor:
        """``grad W`` [tokens, in]: the gradient of x from that of the product, grad [tokens, out]."""
        if self._can_pack:
            return torch.ops.mkldnn._linear_pointwise(grad, self._layout(backward=True), None, "none", [], "none")
        return grad @ self.weight

    def _layout(self, *, backward: bool) -> Tensor:
        if backward not in self._layouts:
            with _LOCK:  # of two threads that both made one, each would hold a copy
                if backward not in self._layouts:
                    self._layouts[backward] = _laid_out(self.weight.t().contiguous() if backward else self.weight)
        return self._layouts[backward]


def filled_up(x: Tensor) -> Tensor:
    """``x`` [tokens, width] with rows of zeros below, up to a number of rows that many batches share.

    oneDNN compiles each product anew for every number of rows. On a processor with tiles (AMX) that takes several
    times as long as the product. There are eight numbers from each power of two to the next, and of few rows multiples
    of sixteen; in a full piece zeros are some hundredths of all rows.
    """
    step = max(_FEWEST_ROWS, 1 << max(0, len(x).bit_length() - 4))
    return functional.pad(x, (0, 0, 0, -len(x) % step))


def shared_length(length: int) -> int:
    """The number of tokens a text, ``length`` or more, that attention's products have for texts of ``length``.

    They are compiled anew for every length, too, and multiplied fastest where it is a multiple of eight.
    """
    return -(-length // _LENGTHS) * _LENGTHS


def can_pack(weight: Tensor) -> bool:
    """Whether processor and PyTorch can lay out such a matrix, and are of those that this was tried on."""
    operations: Any = torch.ops.mkldnn
    # What torch.compile makes of a linear layer on a processor; PyTorch has no public name for it.
    there = hasattr(operations, "_linear_pointwise") and hasattr(operations, "_reorder_linear_weight")
    if not there or not torch.backends.mkldnn.is_available() or platform.machine() not in ("x86_64", "AMD64"):
        return False
    if weight.device.type != "cpu" or weight.dtype not in (torch.float32, torch.bfloat16):
        return False
    return weight.dtype == torch.float32 or bool(operations._is_mkldnn_bf16_supported())


def _laid_out(weight: Tensor) -> Tensor:
    return torch.ops.mkldnn._reorder_linear_weight(weight, _PACKED_FOR)
