"""Counts the trained parameters of a folder that PEFT saved, by component, from the header of its weight file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from featherweight.adapter.peft.folder import PeftFolder
from featherweight.backbone.folder import TensorHeader
from featherweight.budget.weigh import Component, Weight, ranges

_LORA = re.compile(r"\.lora_(?:embedding_)?[AB](?:\.weight|\.bias)?$")
_DORA = re.compile(r"\.lora_magnitude_vector(?:\.weight)?$")
_LAYER = re.compile(r"\.(\d+)\.(.+)$")
_KINDS = ("lora", "dora", "bias", "other", "head")


def weigh_peft_folder(found: PeftFolder, budget: int | None = None) -> Weight:
    """Count the trained parameters of ``found`` by component.

    Without a ``budget``, the budget of the result is its total, so that the margin is 0. The total equals the result of
    PEFT's own ``get_nb_trainable_parameters`` during the training.
    """
    size, labels = found.architecture.encoder_parameters, len(found.labels)
    return Weight(
        tuple(components_of(found.tensors, found)), found.total, size, budget or found.total, labels, found.total, None
    )


def as_dict(found: PeftFolder, budget: int | None = None) -> dict[str, Any]:
    """The count as in a run's weigh.json; without a ``budget``, the keys budget and margin are left out."""
    values = weigh_peft_folder(found, budget).as_dict()
    return {key: value for key, value in values.items() if budget or key not in ("budget", "margin")}


def components_of(tensors: dict[str, TensorHeader], found: PeftFolder | None = None) -> list[Component]:
    """The number of parameters of each component, such as ``LoRA query, layers 0-5, rank 8``, sorted by kind and name.

    Without ``found`` the base model is unknown. Then a component is named after its module (``q_lin``) instead of its
    role, which is what the layer computes (``query``).
    """
    groups: dict[tuple[str, str], list[tuple[str, TensorHeader]]] = {}
    for name, header in tensors.items():
        groups.setdefault(_group(name, tensors, found), []).append((name, header))
    components = [_component(kind, title, members) for (kind, title), members in groups.items()]
    return sorted(components, key=lambda component: (_KINDS.index(component.kind), component.name))


def repetition(found: PeftFolder) -> list[str]:
    """A note for the user if the file also has copies of trained tensors, or their values from before the training.

    These values are not counted as trained parameters. The list is empty if there are none.
    """
    if not found.repeated:
        return []
    return [
        f"not counted: {found.repeated:,} values in the file that are copies of trained parameters, or their values "
        "from before the training"
    ]


def _group(name: str, tensors: dict[str, TensorHeader], found: PeftFolder | None) -> tuple[str, str]:
    """Kind and title of the component that counts the tensor ``name``, such as ("lora", "LoRA query|rank 8")."""
    module = name.rpartition(".")[0]
    if _LORA.search(name):
        adapted = name[: name.index(".lora_")]
        rank = next(_ranks(adapted, tensors), 0)
        return "lora", f"LoRA {_role(adapted, found)}|rank {rank}"
    if _DORA.search(name):
        return "dora", "DoRA magnitudes"
    if _is_head(name, found):
        return "head", f"head, {module}"
    return ("bias", "encoder biases") if name.endswith(".bias") else ("other", f"{module}, whole")


def _ranks(adapted: str, tensors: dict[str, TensorHeader]) -> Iterator[int]:
    for middle in ("lora_A.weight", "lora_embedding_A"):
        if header := tensors.get(f"{adapted}.{middle}"):
            yield header.shape[0]


def _role(module: str, found: PeftFolder | None) -> str:
    """The role of an adapted linear layer, which is what it computes, such as ``query``.

    The result is ``query+key+value`` for one layer that computes these three. A layer without a role is named by its
    path inside the encoder layer. If the base model is unknown, the result is the last part of the module's name.
    """
    if found is None:
        return module.rpartition(".")[2]
    inside = module.removeprefix(f"{found.architecture.prefix}.")
    roles = next((linear.roles for linear in found.architecture.linears if linear.name == inside), ())
    match = _LAYER.search(module)
    return "+".join(roles) or (match[2] if match else inside)


def _is_head(name: str, found: PeftFolder | None) -> bool:
    """Whether a tensor belongs to the head; if the base is unknown, every tensor outside the numbered layers does."""
    if found is None:
        return _LAYER.search(name) is None
    own = tuple(f"{module}." for module in found.architecture.head_modules)
    return name.startswith(own) or not name.startswith(f"{found.architecture.prefix}.")


def _component(kind: str, title: str, members: list[tuple[str, TensorHeader]]) -> Component:
    count = sum(header.parameters for _, header in members)
    what, _, rank = title.partition("|")
    matches = [_LAYER.search(name) for name, _ in members]
    layers = ranges(int(match[1]) for match in matches if match)
    name = ", ".join(part for part in (what, f"layers {layers}" if rank and layers else "", rank) if part)
    return Component(name, kind, count)  # type: ignore[arg-type]
