"""Counts the trainable parameters of a recipe exactly, by component, from shapes alone ("weighing")."""

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
    """A named part of the trainable parameters, such as the head."""

    name: str
    kind: Literal["lora", "dora", "bias", "head", "other"]
    parameters: int


@dataclass(frozen=True)
class Weight:
    """The number of trainable parameters of a recipe on a backbone, and the number that PEFT would report."""

    components: tuple[Component, ...]
    total: int
    backbone_parameters: int
    budget: int
    labels: int
    peft_total: int
    peft_note: str | None

    @property
    def margin(self) -> int:
        """Number of parameters that the budget still allows; negative if the budget is exceeded."""
        return self.budget - self.total

    @property
    def percent(self) -> float:
        """Trainable parameters in percent of the backbone's parameters (without its pooler and head)."""
        return 100 * self.total / self.backbone_parameters

    def as_dict(self) -> dict[str, Any]:
        """The content of weigh.json, including margin and percent."""
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

    LoRA of rank r has r * (inputs + outputs) parameters in a linear layer (Hu et al. 2021); DoRA adds one magnitude per
    output (Liu et al. 2024). Raises UserError if the adapter does not fit the backbone. ``lora = "auto"`` must be
    resolved before (``plan.resolve_auto``).
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
    """For each linear layer that LoRA adapts: its module path inside the encoder, and its ``[[adapter.lora]]`` table.

    Raises UserError for a role or layer that the backbone lacks, and if two tables adapt the same layer.
    """
    if adapter.lora == "auto":
        raise ValueError("adapter.lora is 'auto': call resolve_recipe first, which chooses layers and ranks")
    chosen: dict[str, LoraLayers] = {}
    for index, table in enumerate(adapter.lora):
        for linear in _linears_of(table, architecture, f"adapter.lora.{index}"):
            if linear.name in chosen:
                raise UserError(
                    f"adapter.lora.{index}: {linear.name} is already adapted by an earlier table; "
                    "keep each linear layer in one table"
                )
            chosen[linear.name] = table
    return chosen


def bias_parameters(bias: str, linears: Iterable[Linear], architecture: Architecture) -> int:
    """Number of encoder biases that the setting ``bias`` trains: none, those of the adapted ``linears``, or all."""
    if bias == "all":
        return architecture.encoder_biases
    return sum(linear.outputs for linear in linears if linear.bias) if bias == "lora" else 0


def head_parameters(head: str, architecture: Architecture, labels: int) -> int:
    """Number of parameters of the head: hidden * labels + labels for a linear head, else those of transformers' head.

    Raises UserError for a native head if transformers has no classification class for the family.
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
            f"{key}.roles: {architecture.model_type} has no layer with the role {missing[0]}; "
            f"it has {', '.join(architecture.roles)} (see [backbone.roles])"
        )
    try:
        layers = layer_numbers(table.layers, architecture.layers)
    except ValueError as error:
        raise UserError(f"{key}: {error}") from None
    wanted = set(table.roles)
    return [linear for linear in architecture.linears if linear.layer in layers and wanted & set(linear.roles)]


def _lora_components(linears: Sequence[Linear], adapted: dict[str, LoraLayers]) -> list[Component]:
    """One component per ``[[adapter.lora]]`` table and role, such as ``LoRA query, layers 0-5, rank 8``.

    It counts the parameters of all these layers together. The order is that of the recipe's tables.
    """
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
    """Numbers as short text, such as ``0-5, 8``."""
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
    """The total that PEFT 0.21's ``get_nb_trainable_parameters`` reports for SEQ_CLS, and the reason if it is lower.

    With a linear head PEFT counts the same tensors as ``weigh``, so the totals are equal. Of a native head PEFT trains
    only the modules whose names end in ``classifier`` or ``score``. The parameters of its other modules, such as a
    pooler, are missing from PEFT's total; with ``bias="all"`` PEFT does train their biases, so these are not missing.
    """
    if adapter.head == "linear":
        return total, None
    untrained: dict[str, int] = {}
    for name, count, is_bias in architecture.head_parameters(labels):
        module = name.rpartition(".")[0]
        owner = next(m for m in architecture.head_modules if name.startswith(f"{m}."))
        if not owner.endswith(("classifier", "score")) and not (is_bias and adapter.bias == "all"):
            untrained[module] = untrained.get(module, 0) + count
    if not untrained:
        return total, None
    what = "the weights of " if adapter.bias == "all" else ""
    fewer = sum(untrained.values())
    return total - fewer, (
        f"PEFT would count {fewer:,} fewer: it does not train {what}{' and '.join(untrained)} "
        "unless listed in modules_to_save"
    )
