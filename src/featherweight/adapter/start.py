"""Starts a training from the adapter of a finished run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from featherweight.adapter.storage import read_description, saved_values, set_tensors, weights_sha256
from featherweight.adapter.trained import peft_name
from featherweight.backbone.resolve import Backbone
from featherweight.errors import UserError
from featherweight.formatting import shortened
from featherweight.hints import to_set
from featherweight.model.network import Network
from featherweight.recipe import Recipe
from featherweight.run.folder import Run

_FREE = ("dropout", "start_from")
"""Keys of [adapter] that may differ from the finished run: names and shapes of tensors do not depend on them."""


def require_same_adapter(recipe: Recipe, run: Run, backbone: Backbone) -> None:
    """Raise UserError unless the adapter of ``run`` fits the network of ``recipe``: same settings, same backbone."""
    ours, theirs = (r.adapter.model_dump(exclude=set(_FREE)) for r in (recipe, run.recipe))
    if key := next((key for key in ours if ours[key] != theirs[key]), None):
        raise UserError(
            f"adapter.start_from = {run.folder}: the recipe of that run has adapter.{key} = {_shown(theirs[key])}, but "
            f"this recipe has {_shown(ours[key])}; use the same [adapter] and [backbone], or leave start_from out"
        )
    trained_on = read_description(run.adapter).get("backbone_sha256")
    if (trained_on or backbone.sha256) != backbone.sha256:
        raise UserError(
            f"adapter.start_from = {run.folder}: that run was trained on other backbone weights than {backbone.name} "
            f"has now; use the backbone of that run: {to_set(f'backbone.name={run.recipe.backbone.name}')}"
        )


def start_from(network: Network, run: Run) -> tuple[str, ...]:
    """Load the saved adapter of ``run`` into a newly built ``network``, and return the classes that ``run`` lacks.

    The rows of the head are matched by class name; rows of new classes keep their random initial values. Raises
    UserError as ``set_tensors`` does.
    """
    labels, saved = tuple(read_description(run.adapter)["labels"]), saved_values(run.adapter)
    fresh = {peft_name(name): parameter for name, parameter in network.trainable().items()}
    for name in _per_class(network) & fresh.keys() & saved.keys():
        saved[name] = _by_class(fresh[name], saved[name], labels, network.labels)
    set_tensors(network, saved, run.adapter)
    return tuple(label for label in network.labels if label not in labels)


def described(run: Run) -> dict[str, Any]:
    """The entry of environment.json for ``run``, from whose adapter a training starts.

    It has the run folder (``run``), and the sha256 of each file with tensors of the adapter (``sha256``).
    """
    return {"run": str(run.folder), "sha256": weights_sha256(run.adapter)}


def _per_class(network: Network) -> set[str]:
    """Names, as PEFT saves them, of the tensors of the head that have one row for each class."""
    if network.head is not None:
        return {"head.out.weight", "head.out.bias"}
    names = {tensor.name for tensor in network.architecture.head_tensors if tensor.per_label}
    return {peft_name(name) for name in network.trainable() if any(peft_name(name).endswith(own) for own in names)}


def _by_class(fresh: Tensor, saved: Tensor, then: Sequence[str], now: Sequence[str]) -> Tensor:
    """A copy of ``fresh`` [len(now), ...] in which the rows of known classes are those of ``saved`` [len(then), ...].

    ``now`` and ``then`` are the names of the classes for the rows of ``fresh`` and of ``saved``.
    """
    rows = fresh.detach().clone()
    if saved.shape != (len(then), *fresh.shape[1:]):
        return saved  # set_tensors raises the error for the wrong shape
    for number, label in enumerate(now):
        if label in then:
            rows[number] = saved[then.index(label)]
    return rows


def _shown(value: Any) -> str:
    return shortened(str(value))
