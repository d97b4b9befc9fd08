"""Checkpoints for an exact resume: the adapter, AdamW's moments and the loop's state, in safetensors and JSON."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from featherweight.errors import UserError
from featherweight.files import sync_folder
from featherweight.training.averaging import Average

_STATE, _TENSORS, _KEPT = "state.json", "tensors.safetensors", 2
_DAMAGE = (OSError, ValueError, RecursionError, SafetensorError)
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def save_checkpoint(
    folder: Path,
    trainable: Mapping[str, nn.Parameter],
    best: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    state: dict[str, Any],
    average: Mapping[str, Tensor] | None = None,
) -> None:
    """Write the checkpoint ``folder/step-N`` atomically, with a checksum, and keep only the last two checkpoints.

    N is the step in ``state``. ``best`` are the tensors of the best adapter so far, ``average`` the averaged weights if
    the recipe uses averaging.
    """
    tensors = {f"adapter/{name}": parameter.detach() for name, parameter in trainable.items()}
    tensors |= {f"best/{name}": tensor for name, tensor in best.items()}
    tensors |= {f"average/{name}": tensor for name, tensor in (average or {}).items()}
    for name, parameter in trainable.items():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer/{key}/{name}"] = value
    part = folder / "part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    save_file({name: tensor.cpu().contiguous().clone() for name, tensor in tensors.items()}, part / _TENSORS)
    checksum = _checksum(part / _TENSORS, state)
    (part / _STATE).write_text(json.dumps({**state, "sha256": checksum}) + "\n", "utf-8")
    sync_folder(part)
    final = folder / f"step-{state['step']}"
    shutil.rmtree(final, ignore_errors=True)
    part.rename(final)
    sync_folder(folder)
    _remove_others(folder, final)


def _remove_others(folder: Path, newest: Path) -> None:
    """Remove all checkpoints except ``newest`` and the one before it.

    A checkpoint of a later step than ``newest`` is damaged: the training was resumed from before it.
    """
    checkpoints = _checkpoints(folder)
    index = checkpoints.index(newest)
    for other in checkpoints[:index] + checkpoints[index + _KEPT :]:
        shutil.rmtree(other)


def load_checkpoint(
    folder: Path,
    trainable: Mapping[str, nn.Parameter],
    optimizer: torch.optim.Optimizer,
    expected: Mapping[str, Any],
    average: Average | None = None,
) -> tuple[dict[str, Any], dict[str, Tensor], list[str]]:
    """Load the newest undamaged checkpoint into ``trainable``, ``optimizer`` and ``average``.

    Returns the state of the loop, the tensors of the best adapter so far, and a warning for each damaged checkpoint.
    ``expected`` is a state with the keys and types that the stored state must have. A checkpoint is checked completely,
    including the shapes of its tensors, before anything is changed. Raises UserError if all checkpoints are damaged.
    """
    warnings: list[str] = []
    for candidate in _checkpoints(folder):
        try:
            state, tensors = _read(candidate)
            _require_state(state, expected)
            _require_tensors(tensors, trainable, averaged=average is not None)
        except _DAMAGE as error:
            warnings.append(f"{candidate}: damaged ({error}); the checkpoint before it is used")
            continue
        for name, parameter in trainable.items():
            parameter.data.copy_(tensors[f"adapter/{name}"])
            optimizer.state[parameter] = _moments(tensors, name, parameter)
            if average is not None:
                average.tensors[name].copy_(tensors[f"average/{name}"])
        best = {key.removeprefix("best/"): value for key, value in tensors.items() if key.startswith("best/")}
        return state, best, warnings
    raise _all_damaged(folder, [warning.replace("; the checkpoint before it is used", "") for warning in warnings])


def require_undamaged(folder: Path) -> None:
    """Raise UserError if ``folder`` has checkpoints and all are damaged. Call it before a resume writes anything."""
    reasons = []
    for candidate in _checkpoints(folder):
        try:
            _read(candidate)
        except _DAMAGE as error:
            reasons.append(f"{candidate}: damaged ({error})")
        else:
            return
    if reasons:
        raise _all_damaged(folder, reasons)


def _all_damaged(folder: Path, reasons: Sequence[str]) -> UserError:
    problem = f"{folder}: no undamaged checkpoint to resume from; start a new training in another folder"
    return UserError("\n".join([*reasons[:1], problem]))


def has_checkpoint(folder: Path) -> bool:
    """Whether ``folder`` contains at least one checkpoint, damaged or not."""
    return bool(_checkpoints(folder))


def _moments(tensors: dict[str, Tensor], name: str, parameter: nn.Parameter) -> dict[str, Tensor]:
    moments = {}
    for key in _MOMENTS:
        tensor = tensors.get(f"optimizer/{key}/{name}")
        if tensor is not None:
            moments[key] = tensor if key == "step" else tensor.to(parameter.device)
    return moments


def _checkpoints(folder: Path) -> list[Path]:
    found = [path for path in folder.glob("step-*") if path.name.removeprefix("step-").isdigit()]
    return sorted(found, key=lambda path: int(path.name.removeprefix("step-")), reverse=True)


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """State and tensors of a checkpoint. Raises OSError or ValueError if it is damaged."""
    state = json.loads((folder / _STATE).read_text("utf-8"))
    if not isinstance(state, dict) or "sha256" not in state:
        raise ValueError(f"{_STATE} has no checksum")
    if state.pop("sha256") != _checksum(folder / _TENSORS, state):
        raise ValueError("the checksum does not match")
    return state, load_file(folder / _TENSORS)


def _require_state(state: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    for key, example in expected.items():
        types = (int, float) if isinstance(example, float) else type(example)
        if not isinstance(state.get(key), types):
            raise ValueError(f"{_STATE} has no usable value for {key}")


def _require_tensors(tensors: Mapping[str, Tensor], trainable: Mapping[str, nn.Parameter], *, averaged: bool) -> None:
    """Raise ValueError unless ``tensors`` has each trained parameter with the right shape, and no unknown tensor.

    AdamW's moments, and the best adapter, must be either complete or absent.
    """
    shapes = {f"adapter/{name}": parameter.shape for name, parameter in trainable.items()}
    if any(key.startswith("best/") for key in tensors):
        shapes |= {f"best/{name}": parameter.shape for name, parameter in trainable.items()}
    if averaged:
        shapes |= {f"average/{name}": parameter.shape for name, parameter in trainable.items()}
    for name, parameter in trainable.items():
        if any(f"optimizer/{key}/{name}" in tensors for key in _MOMENTS):
            shapes |= {f"optimizer/{key}/{name}": parameter.shape for key in _MOMENTS[1:]}
            shapes[f"optimizer/step/{name}"] = torch.Size()
    for key, shape in shapes.items():
        if key not in tensors or tensors[key].shape != shape:
            raise ValueError(f"{_TENSORS} has no {key} of shape {tuple(shape)}")
    if unknown := sorted(tensors.keys() - shapes.keys()):
        raise ValueError(
            f"{_TENSORS} contains {unknown[0]}, which this recipe does not train; the file belongs to another training"
        )


def _checksum(tensors: Path, state: Mapping[str, Any]) -> str:
    """SHA-256 of the tensor file and the state, as hexadecimal digits."""
    with tensors.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(json.dumps(state, sort_keys=True).encode())
    return digest.hexdigest()
