"""Starts a training from the adapter of a finished run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from featherweight.adapter.storage import WEIGHTS, peft_name, read_description, read_tensors
from featherweight.backbone.resolve import Backbone
from featherweight.errors import UserError
from featherweight.files import sha256_of
from featherweight.model.network import Network
from featherweight.recipe import Recipe
from featherweight.run.folder import Run

_FREE = ("dropout", "start_from")
"""Keys of [adapter] that may differ, because they do not change the tensors."""


def require_same_adapter(recipe: Recipe, run: Run, backbone: Backbone) -> None:
    """Raise UserError unless the adapter of ``run`` fits the network of ``recipe``: same settings, same backbone."""
    ours, theirs = (r.adapter.model_dump(exclude=set(_FREE)) for r in (recipe, run.recipe))
    if key := next((key for key in ours if ours[key] != theirs[key]), None):
        raise UserError(
            f"adapter.start_from = {run.folder}: its recipe has another adapter.{key} ({_shown(theirs[key])}, here "
            f"{_shown(ours[key])}); train with the same [adapter] and [backbone], or without start_from"
        )
    trained_on = read_description(run.adapter).get("backbone_sha256")
    if (trained_on or backbone.sha256) != backbone.sha256:
        raise UserError(
            f"adapter.start_from = {run.folder}: it was trained on other weights than those of {backbone.name} here; "
            f"set backbone.name to the backbone of that run ({run.recipe.backbone.name})"
        )


def start_from(network: Network, run: Run) -> tuple[str, ...]:
    """Load the saved adapter of ``run`` into a newly built ``network``, and return the new classes.

    The rows of the head are assigned by class name; rows of new classes keep their random initial values. Raises
    UserError if a tensor is missing or has another shape.
    """
    saved: dict[str, Tensor] = {}
    for name in WEIGHTS:
        if (run.adapter / name).is_file():
            saved |= read_tensors(run.adapter / name)
    labels = tuple(read_description(run.adapter)["labels"])
    per_class = _per_class(network)
    with torch.no_grad():
        for name, parameter in network.trainable().items():
            tensor = saved.get(peft_name(name))
            if tensor is None:
                raise UserError(f"{run.adapter}: the saved adapter lacks {peft_name(name)}; it is incomplete")
            if peft_name(name) in per_class:
                tensor = _by_class(parameter, tensor, labels, network.labels)
            if tensor.shape != parameter.shape:
                shapes = f"{tuple(tensor.shape)}, not {tuple(parameter.shape)}"
                raise UserError(f"{run.adapter}: {peft_name(name)} has shape {shapes}; it belongs to another recipe")
            parameter.copy_(tensor)
    return tuple(label for label in network.labels if label not in labels)


def described(run: Run) -> dict[str, Any]:
    """The entry in environment.json about the run from which a training starts: its folder, and sha256 of its files."""
    files = [run.adapter / name for name in WEIGHTS if (run.adapter / name).is_file()]
    return {"run": str(run.folder), "sha256": {file.name: sha256_of(file) for file in files}}


def _per_class(network: Network) -> set[str]:
    """Names, as PEFT saves them, of the tensors of the head that have one row for each class."""
    if network.head is not None:
        return {"head.out.weight", "head.out.bias"}
    names = {tensor.name for tensor in network.architecture.head_tensors if tensor.per_label}
    return {peft_name(name) for name in network.trainable() if any(peft_name(name).endswith(own) for own in names)}


def _by_class(fresh: Tensor, saved: Tensor, then: Sequence[str], now: Sequence[str]) -> Tensor:
    """``fresh`` [classes now, ...] with the rows of ``saved`` [classes then, ...] at the classes of the same names."""
    rows = fresh.detach().clone()
    if saved.shape != (len(then), *fresh.shape[1:]):
        return saved  # the caller raises an error for its shape
    for number, label in enumerate(now):
        if label in then:
            rows[number] = saved[then.index(label)]
    return rows


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
