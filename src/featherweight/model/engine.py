"""Where and in which arithmetic the network runs: device, precision, storage of the frozen weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from featherweight.errors import UserError
from featherweight.model.lean import lean_encoder
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
    flags = processor_flags()
    native = sorted(flags & {"avx512_bf16", "amx_bf16", "bf16"})
    if native:
        return Engine(device, "bf16", f"the processor has {', '.join(native)}")
    return Engine(device, "fp32", "the processor has no bf16 matrix instructions")


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
    """Bring ``network`` to the engine: device, frozen matrices in the compute type, the lean pass where it fits.

    Trained tensors stay in fp32. On a processor, post-norm encoders get the lean pass; others run transformers' own.
    """
    network.to(engine.device)
    for parameter in network.parameters():
        if not parameter.requires_grad and parameter.ndim > 1:
            parameter.data = parameter.data.to(engine.dtype)
    network.lean = lean_encoder(network, engine.dtype) if engine.device == "cpu" and engine.lean else None


def autocast(engine: Engine) -> torch.autocast:
    """The context in which the network's forward pass runs."""
    return torch.autocast(engine.device.partition(":")[0], dtype=engine.dtype, enabled=engine.precision != "fp32")
