"""The weigh-in of a folder that PEFT saved: its tensors by component, each once, from the file's header alone."""

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
    """Count what ``found`` trained, by component; without a ``budget`` the count itself stands in for it.

    PEFT's own ``get_nb_trainable_parameters`` gave the same when it was trained: it counts each tensor once as well.
    """
    groups: dict[tuple[str, str], list[tuple[str, TensorHeader]]] = {}
    for name, header in found.tensors.items():
        groups.setdefault(_group(name, found), []).append((name, header))
    components = [_component(kind, title, members) for (kind, title), members in groups.items()]
    ordered = sorted(components, key=lambda component: (_KINDS.index(component.kind), component.name))
    size, labels = found.architecture.encoder_parameters, len(found.labels)
    return Weight(tuple(ordered), found.total, size, budget or found.total, labels, found.total, None)


def as_dict(found: PeftFolder, budget: int | None = None) -> dict[str, Any]:
    """The count as in a run's weigh.json; without a ``budget``, without the keys that speak of one."""
    values = weigh_peft_folder(found, budget).as_dict()
    return {key: value for key, value in values.items() if budget or key not in ("budget", "margin")}


def components_by_name(tensors: dict[str, TensorHeader]) -> list[Component]:
    """The count by component where the base is not known: LoRA by the module's own name and rank, else by kind."""
    groups: dict[tuple[str, str], list[tuple[str, TensorHeader]]] = {}
    for name, header in tensors.items():
        groups.setdefault(_group_by_name(name, tensors), []).append((name, header))
    components = [_component(kind, title, members) for (kind, title), members in groups.items()]
    return sorted(components, key=lambda component: (_KINDS.index(component.kind), component.name))


def _group_by_name(name: str, tensors: dict[str, TensorHeader]) -> tuple[str, str]:
    if _LORA.search(name):
        adapted = name[: name.index(".lora_")]
        return "lora", f"LoRA {adapted.rpartition('.')[2]}|rank {next(_ranks(adapted, tensors), 0)}"
    if _DORA.search(name):
        return "dora", "DoRA magnitudes"
    if _LAYER.search(name) is None:
        return "head", f"head, {name.rpartition('.')[0]}"
    return ("bias", "encoder biases") if name.endswith(".bias") else ("other", f"{name.rpartition('.')[0]}, whole")


def repetition(found: PeftFolder) -> list[str]:
    """What to say of numbers that the file holds more than once."""
    if not found.repeated:
        return []
    return [f"the file holds {found.repeated:,} of these numbers once more, or as they were before; they count once"]


def _group(name: str, found: PeftFolder) -> tuple[str, str]:
    """Kind of a tensor, and what it is summed up under."""
    module = name.rpartition(".")[0]
    if _LORA.search(name):
        adapted = name[: name.index(".lora_")]
        rank = next(_ranks(adapted, found.tensors), 0)
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


def _role(module: str, found: PeftFolder) -> str:
    """What an adapted layer does, else what it is called inside its encoder layer."""
    inside = module.removeprefix(f"{found.architecture.prefix}.")
    roles = next((linear.roles for linear in found.architecture.linears if linear.name == inside), ())
    place = _LAYER.search(module)
    return "+".join(roles) or (place[2] if place else inside)


def _is_head(name: str, found: PeftFolder) -> bool:
    own = tuple(f"{module}." for module in found.architecture.head_modules)
    return name.startswith(own) or not name.startswith(f"{found.architecture.prefix}.")


def _component(kind: str, title: str, members: list[tuple[str, TensorHeader]]) -> Component:
    count = sum(header.parameters for _, header in members)
    what, _, rank = title.partition("|")
    places = [_LAYER.search(name) for name, _ in members]
    layers = ranges(int(place[1]) for place in places if place)
    name = ", ".join(part for part in (what, f"layers {layers}" if rank and layers else "", rank) if part)
    return Component(name, kind, count)  # type: ignore[arg-type]
