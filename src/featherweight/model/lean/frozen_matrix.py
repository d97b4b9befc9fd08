"""A frozen matrix, stored once in the memory layout that oneDNN multiplies fastest.

Only a matrix that never changes can be stored in this layout in advance. PyTorch's own fp32 products use another
library, which reaches half the speed on processors with AVX-512; here fp32 and bf16 both run on oneDNN.
"""

from __future__ import annotations

import platform
import threading
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_LOCK = threading.Lock()
_FEWEST_ROWS = 16  # the height of a tile: a product of fewer rows is not faster
_LENGTHS = 8  # tokens; a step of 16 saved hardly more
_PACKED_FOR = 1024  # number of tokens that the layout is optimised for; other numbers work as well


class FrozenMatrix:
    """Weight W [out, in] of one or more frozen linear layers.

    It has one memory layout for the forward and one for the backward product; each is made when it is first used.
    """

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight
        self._can_pack = can_pack(weight)
        self._layouts: dict[bool, Tensor] = {}

    def times(self, x: Tensor, bias: Tensor | None, activation: str = "none") -> Tensor:
        """``x @ W.T + bias`` [tokens, out] for x [tokens, in]; with ``activation`` "gelu" the GELU of this sum."""
        if self._can_pack:
            return torch.ops.mkldnn._linear_pointwise(x, self._layout(backward=False), bias, activation, [], "none")
        y = functional.linear(x, self.weight, bias)
        return functional.gelu(y) if activation == "gelu" else y

    def gradient(self, grad: Tensor) -> Tensor:
        """Gradient of x, ``grad @ W`` [tokens, in], from the gradient ``grad`` [tokens, out] of the product."""
        if self._can_pack:
            return torch.ops.mkldnn._linear_pointwise(grad, self._layout(backward=True), None, "none", [], "none")
        return grad @ self.weight

    def _layout(self, *, backward: bool) -> Tensor:
        if backward not in self._layouts:
            with _LOCK:  # without it, two threads could each make and hold a copy
                if backward not in self._layouts:
                    self._layouts[backward] = _laid_out(self.weight.t().contiguous() if backward else self.weight)
        return self._layouts[backward]


def pad_rows(x: Tensor) -> Tensor:
    """``x`` [tokens, width] with rows of zeros appended, so that many batches have the same number of rows.

    oneDNN compiles a product again for every new number of rows. On a processor with tiles (AMX) this takes several
    times as long as the product itself. The number of rows is rounded up to a multiple of
    an eighth of the power of two below it, and of 16 at least: 1,000 rows become 1,024, and 1,030 become 1,152. In a
    full micro-batch a few percent of all rows are added.
    """
    step = max(_FEWEST_ROWS, 1 << max(0, len(x).bit_length() - 4))
    return functional.pad(x, (0, 0, 0, -len(x) % step))


def padded_length(length: int) -> int:
    """Number of tokens, at least ``length``, to which the attention products of texts of ``length`` are padded.

    It is a multiple of eight: such products are the fastest, and fewer different lengths have to be compiled.
    """
    return -(-length // _LENGTHS) * _LENGTHS


def can_pack(weight: Tensor) -> bool:
    """Whether this processor and PyTorch can store ``weight`` in oneDNN's layout; False on untested platforms."""
    operations: Any = torch.ops.mkldnn
    # torch.compile uses these operations for a linear layer on a processor; PyTorch has no public names for them.
    exist = hasattr(operations, "_linear_pointwise") and hasattr(operations, "_reorder_linear_weight")
    if not exist or not torch.backends.mkldnn.is_available() or platform.machine() not in ("x86_64", "AMD64"):
        return False
    if weight.device.type != "cpu" or weight.dtype not in (torch.float32, torch.bfloat16):
        return False
    return weight.dtype == torch.float32 or bool(operations._is_mkldnn_bf16_supported())


def _laid_out(weight: Tensor) -> Tensor:
    return torch.ops.mkldnn._reorder_linear_weight(weight, _PACKED_FOR)
