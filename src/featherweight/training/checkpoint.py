"""What an exact resume needs: the adapter, AdamW's moments and the loop's state, in safetensors and JSON."""

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

_STATE, _TENSORS, _KEPT = "state.json", "tensors.safetensors", 2
_DAMAGE = (OSError, ValueError, RecursionError, SafetensorError)
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def save_checkpoint(
    folder: Path,
    trainable: Mapping[str, nn.Parameter],
    best: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    state: dict[str, Any],
) -> None:
    """Write ``folder/step-N`` beside and rename it, with a checksum of tensors and state; the last two are kept."""
    tensors = {f"adapter/{name}": parameter.detach() for name, parameter in trainable.items()}
    tensors |= {f"best/{name}": tensor for name, tensor in best.items()}
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
    """Remove all checkpoints but ``newest`` and the one before it; those of later steps are damaged."""
    checkpoints = _checkpoints(folder)
    place = checkpoints.index(newest)
    for other in checkpoints[:place] + checkpoints[place + _KEPT :]:
        shutil.rmtree(other)


def load_checkpoint(
    folder: Path, trainable: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer, expected: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Tensor], list[str]]:
    """Restore the newest sound checkpoint in place: its state, the best adapter so far, and warnings on damaged ones.

    ``expected`` is a state whose keys and types the stored one must have. Nothing is changed before all of a
    checkpoint has proven sound and of the trained shapes. Raises UserError where there is no such checkpoint.
    """
    warnings: list[str] = []
    for candidate in _checkpoints(folder):
        try:
            state, tensors = _read(candidate)
            _require_state(state, expected)
            _require_tensors(tensors, trainable)
        except _DAMAGE as error:
            warnings.append(f"{candidate}: damaged ({error}); the checkpoint before it is used")
            continue
        for name, parameter in trainable.items():
            parameter.data.copy_(tensors[f"adapter/{name}"])
            optimizer.state[parameter] = _moments(tensors, name, parameter)
        best = {key.removeprefix("best/"): value for key, value in tensors.items() if key.startswith("best/")}
        return state, best, warnings
    raise _none_sound(folder, [warning.replace("; the checkpoint before it is used", "") for warning in warnings])


def require_sound(folder: Path) -> None:
    """Raise UserError where there are checkpoints and all are damaged, before a resume writes anything."""
    reasons = []
    for candidate in _checkpoints(folder):
        try:
            _read(candidate)
        except _DAMAGE as error:
            reasons.append(f"{candidate}: damaged ({error})")
        else:
            return
    if reasons:
        raise _none_sound(folder, reasons)


def _none_sound(folder: Path, reasons: Sequence[str]) -> UserError:
    none = f"{folder}: no sound checkpoint to resume from; train anew in another folder"
    return UserError("\n".join([*reasons[:1], none]))


def has_checkpoint(folder: Path) -> bool:
    """Whether ``folder`` holds at least one checkpoint, sound or not."""
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
    """State and tensors as they were written. Raises OSError or ValueError on anything else."""
    state = json.loads((folder / _STATE).read_text("utf-8"))
    if not isinstance(state, dict) or "sha256" not in state:
        raise ValueError(f"{_STATE} holds no checksum")
    if state.pop("sha256") != _checksum(folder / _TENSORS, state):
        raise ValueError("its checksum does not match")
    return state, load_file(folder / _TENSORS)


def _require_state(state: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    for key, example in expected.items():
        kinds = (int, float) if isinstance(example, float) else type(example)
        if not isinstance(state.get(key), kinds):
            raise ValueError(f"{_STATE} has no {key} that can be used")


def _require_tensors(tensors: Mapping[str, Tensor], trainable: Mapping[str, nn.Parameter]) -> None:
    """Every parameter with its shape; its moments and the best adapter whole, or not there at all."""
    shapes = {f"adapter/{name}": parameter.shape for name, parameter in trainable.items()}
    if any(key.startswith("best/") for key in tensors):
        shapes |= {f"best/{name}": parameter.shape for name, parameter in trainable.items()}
    for name, parameter in trainable.items():
        if any(f"optimizer/{key}/{name}" in tensors for key in _MOMENTS):
            shapes |= {f"optimizer/{key}/{name}": parameter.shape for key in _MOMENTS[1:]}
            shapes[f"optimizer/step/{name}"] = torch.Size()
    for key, shape in shapes.items():
        if key not in tensors or tensors[key].shape != shape:
            raise ValueError(f"{_TENSORS} has no {key} of shape {tuple(shape)}")
    if unknown := sorted(tensors.keys() - shapes.keys()):
        raise ValueError(f"{_TENSORS} holds {unknown[0]}, which is not trained")


def _checksum(tensors: Path, state: Mapping[str, Any]) -> str:
    """SHA-256 over the file of tensors and the state, in hexadecimal digits."""
    with tensors.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(json.dumps(state, sort_keys=True).encode())
    return digest.hexdigest()
