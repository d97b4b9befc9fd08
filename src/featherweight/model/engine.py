"""Where and in which arithmetic the network runs: device, precision, storage of the frozen weights."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from featherweight.errors import UserError
from featherweight.model.lean.encoder import lean_encoder
from featherweight.model.lean.frozen_matrix import FrozenMatrix
from featherweight.model.network import Network

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Engine:
    """The choice for one run, with its reason for the log."""

    device: str
    precision: str
    reason: str
    lean: bool = True
    """Whether the lean pass may serve; off, transformers' own forward pass runs (for comparison)."""

    @property
    def attention(self) -> str | None:
        """transformers' attention: the plain one on a processor, where its backward is faster; else its own choice."""
        return "eager" if self.device == "cpu" else None

    @property
    def piece_tokens(self) -> int:
        """Most tokens that go through the network at once, padding included.

        A processor's matrix products are at full speed from about a thousand tokens on, so its memory is spared; a
        GPU takes a batch whole, whose size the recipe's ``batch_tokens`` limits.
        """
        return 2048 if self.device == "cpu" else sys.maxsize

    def training_piece(self, hidden: int) -> int:
        """Most tokens that a training keeps the states of at once, for layers of width ``hidden``.

        Three quarters of a piece for a base-size encoder: as fast, and all its layers' states are a quarter less.
        """
        return self.piece_tokens if hidden <= 512 else self.piece_tokens * 3 // 4

    @property
    def fill_up(self) -> bool:
        """Whether products get numbers of rows, and attention's of tokens a text, that many batches share.

        They do where compiling one takes longer than it.
        """
        return (self.device, self.precision) == ("cpu", "bf16") and "amx_bf16" in processor_flags()

    @property
    def dtype(self) -> torch.dtype:
        """Type in which the encoder computes and its frozen matrices are stored."""
        return _DTYPES[self.precision]


def choose_engine(precision: str = "auto", device: str | None = None) -> Engine:
    """Pick device and precision; ``auto`` takes 16 bits where the processor computes them natively.

    Raises UserError where the asked precision cannot work on the device.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    kind = device.partition(":")[0]
    if kind == "cuda" and not torch.cuda.is_available():
        raise UserError(f"device {device!r}: PyTorch finds no GPU here; use 'cpu'")
    if precision == "fp16" and kind == "cpu":
        raise UserError("training.precision = 'fp16' needs a GPU; use 'auto', 'bf16' or 'fp32' on a processor")
    if precision != "auto":
        return Engine(device, precision, "as the recipe says")
    if kind == "cuda":
        name = torch.cuda.get_device_name(device)
        if torch.cuda.get_device_capability(device)[0] >= 8:
            return Engine(device, "bf16", f"{name} computes bf16 natively")
        return Engine(device, "fp16", f"{name} has fp16 but no bf16 units; loss scaling is on")
    native = sorted(processor_flags() & {"avx512_bf16", "amx_bf16", "bf16"})
    if not native:
        return Engine(device, "fp32", "the processor has no bf16 matrix instructions")
    gain = bf16_gain()
    if gain < 1:
        slower = f"bf16 products took {1 / gain:.1f} times as long as fp32 ones when tried"
        return Engine(device, "fp32", f"the processor has {', '.join(native)}, but {slower}")
    return Engine(device, "bf16", f"the processor has {', '.join(native)}; {gain:.1f} times as fast as fp32 when tried")


@cache
def bf16_gain() -> float:
    """How many times faster a bf16 matrix product is here than one in fp32, by the best of a few; some 20 ms, once.

    Instructions that a virtual machine lists may be emulated. Where they are real the gain is nearly two, with tiles
    (AMX) more: far enough from one that a busy moment cannot turn the choice, and with it the bits of a result.
    """
    seconds = {}
    for kind in (torch.float32, torch.bfloat16):
        x, matrix = torch.ones(512, 768, dtype=kind), FrozenMatrix(torch.ones(768, 768, dtype=kind))
        times = []
        for _ in range(6):
            began = time.perf_counter()
            matrix.times(x, None)
            times.append(time.perf_counter() - began)
        seconds[kind] = min(times)
    return seconds[torch.float32] / seconds[torch.bfloat16]


def bound_memory() -> None:
    """Keep a training's memory from growing with every new batch shape; call it before the first matrix product.

    oneDNN keeps what it compiled for 1,024 shapes, up to a megabyte each, and PyTorch keeps as many for each kind of
    product beside it; a few steps' worth is as fast. For tiles (AMX), where compiling takes far longer, oneDNN keeps
    more; what PyTorch keeps spares it nothing. What a user has set in the environment stands.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "512" if "amx_bf16" in processor_flags() else "128")
    os.environ.setdefault("LRU_CACHE_CAPACITY", "16")


def return_memory() -> None:
    """Return free memory that glibc holds between the tensors to the system; elsewhere this does nothing.

    Tensors of ever new sizes leave gaps. Fixed thresholds (``mallopt``) would leave none, but then each tensor's
    pages are fetched anew, which takes longer than the arithmetic on them.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim:
        trim(0)


def processor_flags() -> set[str]:
    """Instruction-set flags of the processor as Linux lists them; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    for line in lines:
        if line.startswith(("flags", "Features")):
            return set(line.partition(":")[2].split())
    return set()


def settle(network: Network, engine: Engine) -> None:
    """Move ``network`` to the engine: device, frozen matrices in the compute type, the lean pass where it can serve.

    Trained tensors stay in fp32. On a processor, post-norm encoders get the lean pass; others run transformers' own.
    """
    network.to(engine.device)
    for parameter in network.parameters():
        if not parameter.requires_grad:
            # A copy of the small ones too: one view is enough to keep the whole weight file mapped.
            parameter.data = parameter.data.to(engine.dtype if parameter.ndim > 1 else parameter.dtype, copy=True)
    there = engine.device == "cpu" and engine.lean
    network.lean = lean_encoder(network, engine.dtype, fill_up=engine.fill_up) if there else None


def autocast(engine: Engine) -> torch.autocast:
    """The context in which the network's forward pass runs."""
    return torch.autocast(engine.device.partition(":")[0], dtype=engine.dtype, enabled=engine.precision != "fp32")
