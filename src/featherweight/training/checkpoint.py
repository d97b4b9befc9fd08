"""What an exact resume needs: the adapter, AdamW's moments and the loop's state, in safetensors and JSON."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from featherweight.errors import UserError

_STATE, _TENSORS, _KEPT = "state.json", "tensors.safetensors", 2


def save_checkpoint(
    folder: Path,
    trainable: Mapping[str, nn.Parameter],
    best: Mapping[str, torch.Tensor],
    optimizer: torch.optim.Optimizer,
    state: dict[str, Any],
) -> None:
    """Write ``folder/step-N`` beside and rename it, with a checksum of the tensors; the last two are kept."""
    tensors = {f"adapter/{name}": parameter.detach() for name, parameter in trainable.items()}
    tensors |= {f"best/{name}": tensor for name, tensor in best.items()}
    for name, parameter in trainable.items():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer/{key}/{name}"] = value
    part = folder / "part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    save_file({name: tensor.cpu().contiguous().clone() for name, tensor in tensors.items()}, part / _TENSORS)
    checksum = _sha256(part / _TENSORS)
    (part / _STATE).write_text(json.dumps({**state, "sha256": checksum}) + "\n", "utf-8")
    _sync(part)
    final = folder / f"step-{state['step']}"
    shutil.rmtree(final, ignore_errors=True)
    part.rename(final)
    _sync(folder)
    for old in _checkpoints(folder)[_KEPT:]:
        shutil.rmtree(old)


def load_checkpoint(
    folder: Path, trainable: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer
) -> tuple[dict[str, Any], dict[str, torch.Tensor], list[str]]:
    """Restore the newest sound checkpoint in place: its state, the best adapter so far, and warnings on damaged ones.

    Raises UserError where no sound checkpoint is there.
    """
    warnings: list[str] = []
    for candidate in _checkpoints(folder):
        try:
            state, tensors = _read(candidate)
        except (OSError, ValueError) as error:
            warnings.append(f"{candidate}: damaged ({error}); the checkpoint before it is used")
            continue
        for name, parameter in trainable.items():
            parameter.data.copy_(tensors[f"adapter/{name}"])
            optimizer.state[parameter] = _moments(tensors, name, parameter)
        best = {key.removeprefix("best/"): value for key, value in tensors.items() if key.startswith("best/")}
        return state, best, warnings
    raise UserError("\n".join([*warnings[-1:], f"{folder}: no sound checkpoint to resume from; start the run anew"]))


def has_checkpoint(folder: Path) -> bool:
    """Whether ``folder`` holds at least one checkpoint, sound or not."""
    return bool(_checkpoints(folder))


def _moments(tensors: dict[str, torch.Tensor], name: str, parameter: nn.Parameter) -> dict[str, torch.Tensor]:
    moments = {}
    for key in ("step", "exp_avg", "exp_avg_sq"):
        tensor = tensors.get(f"optimizer/{key}/{name}")
        if tensor is not None:
            moments[key] = tensor if key == "step" else tensor.to(parameter.device)
    return moments


def _checkpoints(folder: Path) -> list[Path]:
    found = [path for path in folder.glob("step-*") if path.name.removeprefix("step-").isdigit()]
    return sorted(found, key=lambda path: int(path.name.removeprefix("step-")), reverse=True)


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    state = json.loads((folder / _STATE).read_text("utf-8"))
    if _sha256(folder / _TENSORS) != state["sha256"]:
        raise ValueError("the checksum of its tensors does not match")
    return state, load_file(folder / _TENSORS)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(folder: Path) -> None:
    for path in [*folder.iterdir(), folder]:
        if path.is_file() or path == folder:
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
