"""The device and the number format in which the network runs, and the memory that it may use."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import nn

from featherweight.errors import UserError
from featherweight.formatting import counted
from featherweight.model.attention_mask import prepare_mask
from featherweight.model.lean.encoder import lean_encoder
from featherweight.model.lean.frozen_matrix import FrozenMatrix
from featherweight.model.lean.portable import portable_encoder
from featherweight.model.network import Network
from featherweight.model.position_bias import store_position_bias

GPU_LEAN = "FEATHERWEIGHT_GPU_LEAN"
"""Name of the environment variable that switches the lean pass on on a GPU, where it has not been measured yet."""
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Engine:
    """Device and precision of one run, with the reason for the choice (for the log)."""

    device: str
    precision: str
    reason: str
    lean: bool = True
    """Whether the lean pass may be used. If False, transformers' own forward pass runs (for comparison)."""
    portable: bool = False
    """Whether the lean pass uses plain PyTorch operations (``lean/portable.py``): the only kind that runs on a GPU."""

    @property
    def attention(self) -> str | None:
        """The attention implementation that transformers is asked for; None leaves the choice to transformers.

        On a CPU it is "eager": transformers' plain attention, whose backward pass is faster there.
        """
        return "eager" if self.device == "cpu" else None

    @property
    def micro_batch_tokens(self) -> int:
        """Maximum number of tokens in one forward pass, padding included.

        It is 2048 on a CPU, whose matrix products reach full speed at about a thousand tokens; larger micro-batches
        would only use more memory. On a GPU it is ``sys.maxsize``: batches are not divided further, and only the
        recipe's ``batch_tokens`` limits their size.
        """
        return 2048 if self.device == "cpu" else sys.maxsize

    def training_micro_batch_tokens(self, hidden: int) -> int:
        """Maximum number of tokens in one micro-batch of a training, for layers of width ``hidden``.

        For widths above 512, such as a base-size encoder, it is three quarters of ``micro_batch_tokens``: this is as
        fast, and the states that are stored for the backward pass take a quarter less memory.
        """
        return self.micro_batch_tokens if hidden <= 512 else self.micro_batch_tokens * 3 // 4

    @property
    def pad_shapes(self) -> bool:
        """Whether matrix products are padded to a few fixed shapes: true for bf16 on a CPU with tiles (AMX).

        On such a CPU oneDNN takes longer to compile a product for a new shape than to run it.
        """
        return (self.device, self.precision) == ("cpu", "bf16") and "amx_bf16" in processor_flags()

    @property
    def dtype(self) -> torch.dtype:
        """Type in which the encoder computes and its frozen matrices are stored."""
        return _DTYPES[self.precision]


def choose_engine(precision: str = "auto", device: str | None = None) -> Engine:
    """The engine for a device and a precision; None and ``auto`` let this function choose what is fastest here.

    For None the device is a GPU if there is one, else the CPU. ``auto`` is bf16 if the device has fast instructions for
    it; otherwise fp16 on a GPU, and fp32 on a CPU. Raises UserError for an unknown device, a GPU that PyTorch does not
    find, and for fp16 on a CPU.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    kind = _kind_of(device)
    if precision == "fp16" and kind == "cpu":
        raise UserError("training.precision = 'fp16' needs a GPU; use 'auto', 'bf16' or 'fp32' on a CPU")
    if precision != "auto":
        return Engine(device, precision, "as the recipe says", portable=kind == "cuda" and _gpu_lean())
    if kind == "cuda":
        name = torch.cuda.get_device_name(device)
        if torch.cuda.get_device_capability(device)[0] >= 8:
            return Engine(device, "bf16", f"{name} computes bf16 natively", portable=_gpu_lean())
        reason = f"{name} has fp16 but no bf16 units; loss scaling is on"
        return Engine(device, "fp16", reason, portable=_gpu_lean())
    native = sorted(processor_flags() & {"avx512_bf16", "amx_bf16", "bf16"})
    if not native:
        return Engine(device, "fp32", "the processor has no bf16 matrix instructions")
    gain = bf16_gain()
    if gain < 1:
        slower = f"bf16 products took {1 / gain:.1f} times as long as fp32 ones when tried"
        return Engine(device, "fp32", f"the processor has {', '.join(native)}, but {slower}")
    return Engine(device, "bf16", f"the processor has {', '.join(native)}; {gain:.1f} times as fast as fp32 when tried")


def _kind_of(device: str) -> str:
    """``cpu``, ``cuda`` or another type of device. Raises UserError if PyTorch does not know or find it."""
    try:
        place = torch.device(device)
    except RuntimeError:
        raise UserError(f"device {device!r}: not a device of PyTorch; use 'cpu', 'cuda' or 'cuda:NUMBER'") from None
    if place.type == "cuda" and not torch.cuda.is_available():
        raise UserError(f"device {device!r}: PyTorch finds no GPU here; use 'cpu'")
    if place.type == "cuda" and (place.index or 0) >= (count := torch.cuda.device_count()):
        raise UserError(
            f"device {device!r}: PyTorch finds {counted(count, 'GPU')} here; use 'cuda:{count - 1}' or 'cpu'"
        )
    return place.type


def _gpu_lean() -> bool:
    value = os.environ.get(GPU_LEAN, "")
    if value not in ("", "0", "1"):
        raise UserError(f"{GPU_LEAN} = {value!r}: must be 0 or 1; correct or unset this environment variable")
    return value == "1"


@cache
def bf16_gain() -> float:
    """How many times faster a matrix product is in bf16 than in fp32 on this machine: a ratio of times.

    It is measured once per process, in about 20 ms, because a virtual machine may list instructions that it emulates.
    With real instructions the ratio is nearly 2, and more with tiles (AMX). This is so far above 1 that other load on
    the machine cannot change the choice of precision. So repeated runs give the same result.
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
    """Limit the caches of compiled matrix products, so that memory does not grow with every new batch shape.

    Call it before the first matrix product. By default oneDNN caches compiled code for 1,024 shapes, up to a megabyte
    each, and PyTorch has a second cache of that size for each kind of product. Smaller caches are as fast. With tiles
    (AMX) compiling takes far longer, so oneDNN's cache stays larger there. Environment variables that the user has set
    are not changed.

    On Hopper and Blackwell GPUs PyTorch prefers cuDNN's attention, which compiles for every new number of texts and
    every new length. This takes some tens of milliseconds, and its cache has no limit. So the other kernels come first.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "512" if "amx_bf16" in processor_flags() else "128")
    os.environ.setdefault("LRU_CACHE_CAPACITY", "16")
    os.environ.setdefault("TORCH_CUDNN_SDPA_DEPRIORITIZED", "1")


def return_memory() -> None:
    """Return unused heap memory from glibc to the operating system; without glibc this does nothing.

    Tensors of changing sizes leave gaps in the heap. Fixed thresholds (``mallopt``) would prevent the gaps, but then
    the system maps new pages for every tensor, which takes longer than the arithmetic on them.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim:
        trim(0)


def processor_flags() -> set[str]:
    """Instruction-set flags of the processor as Linux lists them; an empty set on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    for line in lines:
        if line.startswith(("flags", "Features")):
            return set(line.partition(":")[2].split())
    return set()


def move_to_engine(network: Network, engine: Engine) -> None:
    """Move ``network`` to the engine's device, convert its frozen matrices to the compute type, choose a forward pass.

    Trained tensors and the head stay in fp32. Post-norm encoders get the lean pass, the faster forward pass of
    ``model/lean``: on a CPU if ``engine.lean`` is true, on a GPU if ``engine.portable`` is true as well. Otherwise, and
    for all other networks, transformers' own forward pass is used.
    """
    network.to(engine.device)
    head = _tensors_of_the_head(network)
    for parameter in network.parameters():
        if not parameter.requires_grad:
            converted = parameter.ndim > 1 and id(parameter) not in head
            # Small tensors are copied as well: a single view would keep the whole weight file mapped into memory.
            parameter.data = parameter.data.to(engine.dtype if converted else parameter.dtype, copy=True)
    network.make_mask = None
    if engine.device != "cpu":
        store_biases(network, engine.dtype)
        store_position_bias(network)
        prepare_mask(network, engine.dtype)
    network.lean = None
    if engine.lean and engine.portable:
        network.lean = portable_encoder(network, engine.dtype)
    elif engine.lean and engine.device == "cpu":
        network.lean = lean_encoder(network, engine.dtype, pad_shapes=engine.pad_shapes)


def store_biases(network: Network, dtype: torch.dtype) -> None:
    """Convert the frozen biases of the encoder's linear layers to ``dtype`` once.

    Otherwise autocast would convert them in each forward pass.
    """
    head = _tensors_of_the_head(network)
    for module in network.encoder.modules():
        bias = module.bias if isinstance(module, nn.Linear) else None
        if bias is not None and not bias.requires_grad and id(bias) not in head:
            bias.data = bias.data.to(dtype)


def _tensors_of_the_head(network: Network) -> set[int]:
    """The ids of the tensors of the head. It is computed in fp32, also if it is frozen, as in a merged model."""
    return {id(tensor) for part in network.head_parts() for tensor in part.parameters()}


def autocast(engine: Engine) -> torch.autocast:
    """An autocast context for the network's forward pass in the engine's precision; for fp32 it changes nothing."""
    return torch.autocast(engine.device.partition(":")[0], dtype=engine.dtype, enabled=engine.precision != "fp32")
