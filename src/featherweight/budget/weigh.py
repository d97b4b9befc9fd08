"""The weigh-in: exact trainable parameters by component, each tensor counted once, from shapes alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from featherweight.backbone.architecture import Architecture, Linear
from featherweight.errors import UserError
from featherweight.recipe import AdapterRecipe, LoraLayers, Recipe, Role, layer_numbers


@dataclass(frozen=True)
class Component:
    """A named share of the trainable parameters."""

    name: str
    kind: Literal["lora", "dora", "bias", "head", "other"]
    parameters: int


@dataclass(frozen=True)
class Weight:
    """What a recipe trains on a backbone, and what PEFT would count for the same adapter."""

    components: tuple[Component, ...]
    total: int
    backbone_parameters: int
    budget: int
    labels: int
    peft_total: int
    peft_note: str | None

    @property
    def margin(self) -> int:
        """Parameters left under the budget; negative over it."""
        return self.budget - self.total

    @property
    def percent(self) -> float:
        """Trainable parameters per hundred of the backbone's (without its pooler and head)."""
        return 100 * self.total / self.backbone_parameters

    def as_dict(self) -> dict[str, Any]:
        """Plain values for weigh.json, margin and percent included."""
        return {
            "total": self.total,
            "budget": self.budget,
            "margin": self.margin,
            "percent": self.percent,
            "backbone_parameters": self.backbone_parameters,
            "labels": self.labels,
            "components": [{"name": c.name, "kind": c.kind, "parameters": c.parameters} for c in self.components],
            "peft_total": self.peft_total,
            "peft_note": self.peft_note,
        }


def weigh(recipe: Recipe, architecture: Architecture, labels: int) -> Weight:
    """Count the trainable parameters of ``recipe`` for ``labels`` classes, by component.

    LoRA of rank r costs r * (inputs + outputs) for a linear layer (Hu et al. 2021), DoRA one magnitude an output
    (Liu et al. 2024). Raises UserError where the adapter does not fit the backbone; ``lora = "auto"`` must have been
    resolved (``plan.resolve_auto``).
    """
    adapter = recipe.adapter
    adapted = adapted_linears(adapter, architecture)
    linears = [linear for linear in architecture.linears if linear.name in adapted]
    components = [
        *_lora_components(linears, adapted),
        *_dora_components(linears, adapter),
        *_bias_components(linears, adapter, architecture),
        *_head_components(adapter, architecture, labels),
    ]
    total = sum(component.parameters for component in components)
    peft_total, peft_note = _as_peft_counts(total, adapter, architecture, labels)
    size = architecture.encoder_parameters
    return Weight(tuple(components), total, size, recipe.budget, labels, peft_total, peft_note)


def adapted_linears(adapter: AdapterRecipe, architecture: Architecture) -> dict[str, LoraLayers]:
    """The LoRA table in force for each adapted linear layer, by its module path inside the encoder.

    Raises UserError for a role or layer that the backbone lacks, and where two tables adapt the same layer.
    """
    if adapter.lora == "auto":
        raise ValueError("lora = 'auto' is to be resolved before it is weighed")
    chosen: dict[str, LoraLayers] = {}
    for place, table in enumerate(adapter.lora):
        for linear in _linears_of(table, architecture, f"adapter.lora.{place}"):
            if linear.name in chosen:
                raise UserError(
                    f"adapter.lora.{place}: {linear.name} is adapted by an earlier table already; "
                    "keep each linear layer in one table"
                )
            chosen[linear.name] = table
    return chosen


def bias_parameters(bias: str, linears: Iterable[Linear], architecture: Architecture) -> int:
    """Encoder biases trained under ``bias``: none, those of the adapted ``linears`` (lora), or all true ones."""
    if bias == "all":
        return architecture.encoder_biases
    return sum(linear.outputs for linear in linears if linear.bias) if bias == "lora" else 0


def head_parameters(head: str, architecture: Architecture, labels: int) -> int:
    """Parameters of the head: hidden * labels + labels for a linear one, else those of the transformers class's own.

    Raises UserError for a native head on a family that has no classification class.
    """
    if head == "linear":
        return architecture.hidden * labels + labels
    if not architecture.head_modules:
        raise UserError(
            f'adapter.head: transformers has no classification class for {architecture.model_type}; use head = "linear"'
        )
    return sum(count for _, count, _ in architecture.head_parameters(labels))


def _linears_of(table: LoraLayers, architecture: Architecture, key: str) -> list[Linear]:
    missing = [role for role in table.roles if role not in architecture.roles]
    if missing:
        raise UserError(
            f"{key}.roles: {architecture.model_type} has no layer known as {missing[0]}; "
            f"it has {', '.join(architecture.roles)} (see [backbone.roles])"
        )
    try:
        layers = layer_numbers(table.layers, architecture.layers)
    except ValueError as error:
        raise UserError(f"{key}: {error}") from None
    wanted = set(table.roles)
    return [linear for linear in architecture.linears if linear.layer in layers and wanted & set(linear.roles)]


def _lora_components(linears: Sequence[Linear], adapted: dict[str, LoraLayers]) -> list[Component]:
    """One component for the layers that share a table and a role, in the order of the recipe's tables."""
    groups: dict[tuple[int, tuple[Role, ...]], list[Linear]] = {}
    for table in {id(table): table for table in adapted.values()}.values():
        for linear in linears:
            if adapted[linear.name] is table:
                groups.setdefault((id(table), linear.roles), []).append(linear)
    components = []
    for (_, roles), members in groups.items():
        rank = adapted[members[0].name].rank
        count = sum(rank * (linear.inputs + linear.outputs) for linear in members)
        layers = ranges(linear.layer for linear in members)
        components.append(Component(f"LoRA {'+'.join(roles)}, layers {layers}, rank {rank}", "lora", count))
    return components


def ranges(numbers: Iterable[int]) -> str:
    """Numbers as short text: ``0-5, 8``."""
    ordered = sorted(set(numbers))
    runs = [list(run) for _, run in groupby(enumerate(ordered), key=lambda pair: pair[1] - pair[0])]
    return ", ".join(f"{run[0][1]}-{run[-1][1]}" if len(run) > 1 else str(run[0][1]) for run in runs)


def _dora_components(linears: Sequence[Linear], adapter: AdapterRecipe) -> list[Component]:
    if not adapter.dora or not linears:
        return []
    return [Component("DoRA magnitudes", "dora", sum(linear.outputs for linear in linears))]


def _bias_components(linears: Sequence[Linear], adapter: AdapterRecipe, architecture: Architecture) -> list[Component]:
    count = bias_parameters(adapter.bias, linears, architecture)
    name = "encoder biases" if adapter.bias == "all" else "biases of adapted layers"
    return [Component(name, "bias", count)] if count else []


def _head_components(adapter: AdapterRecipe, architecture: Architecture, labels: int) -> list[Component]:
    count = head_parameters(adapter.head, architecture, labels)
    if adapter.head == "linear":
        return [Component("head, linear", "head", count)]
    modules: dict[str, int] = {}
    for name, size, _ in architecture.head_parameters(labels):
        module = name.rpartition(".")[0]
        modules[module] = modules.get(module, 0) + size
    return [Component(f"head, {module}", "head", size) for module, size in modules.items()]


def _as_peft_counts(
    total: int, adapter: AdapterRecipe, architecture: Architecture, labels: int
) -> tuple[int, str | None]:
    """What PEFT 0.21's ``get_nb_trainable_parameters`` gives for this adapter under task type SEQ_CLS, and why.

    PEFT trains the head modules whose names end in ``classifier`` or ``score`` and leaves a pooler or another head
    module alone; under ``bias="all"`` it trains every parameter whose name ends in ``.bias``, theirs included. It has
    no head of its own for an encoder: with a linear head the same tensors are counted, and the figures agree.
    """
    if adapter.head == "linear":
        return total, None
    left: dict[str, int] = {}
    for name, count, is_bias in architecture.head_parameters(labels):
        module = name.rpartition(".")[0]
        owner = next(m for m in architecture.head_modules if name.startswith(f"{m}."))
        if not owner.endswith(("classifier", "score")) and not (is_bias and adapter.bias == "all"):
            left[module] = left.get(module, 0) + count
    if not left:
        return total, None
    what = "the weights of " if adapter.bias == "all" else ""
    fewer = sum(left.values())
    return total - fewer, (
        f"PEFT would count {fewer:,} fewer: it does not train {what}{' and '.join(left)} "
        "unless modules_to_save names it"
    )
