"""The planner: what a budget affords on a backbone, and the nearest adapter that fits where one is too heavy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from featherweight.argument_checks import described, require_whole
from featherweight.backbone.architecture import Architecture, Linear
from featherweight.budget.weigh import bias_parameters, head_parameters
from featherweight.errors import UserError
from featherweight.recipe import ROLES, Recipe, Role

Bias = Literal["none", "lora", "all"]
Head = Literal["linear", "native"]

TARGETS: tuple[tuple[Role, ...], ...] = (
    ROLES,
    ("query", "key", "value", "attention_output"),
    ("query", "value"),
    ("value",),
)
"""Roles that a plan tries, the recommended first: all linear layers at a low rank beat few at a high one."""


@dataclass(frozen=True)
class PlanRow:
    """An adapter that fits: LoRA of ``rank`` on ``roles`` in all layers, with ``head`` and ``bias``."""

    head: Head
    roles: tuple[Role, ...]
    rank: int
    total: int
    recommended: bool
    bias: Bias = "none"

    def adapter(self) -> dict[str, Any]:
        """The row as keys of a recipe's ``[adapter]``."""
        return {"lora": [{"roles": list(self.roles), "rank": self.rank}], "head": self.head, "bias": self.bias}

    def overrides(self) -> str:
        """The row as ``--set`` options for the command line, quoted for a shell."""
        roles = ", ".join(f'"{role}"' for role in self.roles)
        lora = f"--set 'adapter.lora=[{{roles = [{roles}], rank = {self.rank}}}]'"
        return f"{lora} --set adapter.head={self.head} --set adapter.bias={self.bias}"


@dataclass(frozen=True)
class _Offer:
    head: Head
    roles: tuple[Role, ...]
    fixed: int
    per_rank: int
    largest_rank: int


def plan(
    architecture: Architecture, labels: int, budget: int, bias: Bias = "none", *, dora: bool = False
) -> list[PlanRow]:
    """For each head and set of roles the largest rank whose exact total is within ``budget``; recommended row first.

    The recommendation puts as much as possible into the encoder: a linear head, then as many kinds of linear layers
    as fit at rank 1. A rank is never larger than the smallest side of an adapted layer, where LoRA is already as
    general as full fine-tuning. Raises UserError, with the smallest total possible, where nothing fits.
    """
    if not isinstance(architecture, Architecture):
        takes = "plan takes the architecture of a backbone"
        raise UserError(f"{takes}, not {described(architecture)}; weigh(recipe) counts what a recipe trains")
    labels, budget = require_whole(labels, "labels", "4"), require_whole(budget, "budget", "1_000_000")
    offers = list(_offers(architecture, labels, bias, dora))
    rows: list[PlanRow] = []
    for offer in offers:
        rank = min((budget - offer.fixed) // offer.per_rank, offer.largest_rank)
        if rank >= 1:
            total = offer.fixed + rank * offer.per_rank
            rows.append(PlanRow(offer.head, offer.roles, rank, total, recommended=not rows, bias=bias))
    if not rows:
        smallest = min(offer.fixed + offer.per_rank for offer in offers)
        kept = "" if bias == "none" else f" with bias = {bias}"
        raise UserError(
            f"budget = {budget:,}: no adapter fits; the smallest{kept} is {smallest:,} "
            f"({architecture.model_type}, {labels} labels): raise the budget or take a smaller backbone"
        )
    return rows


def resolve_auto(recipe: Recipe, architecture: Architecture, labels: int) -> Recipe:
    """``recipe`` with ``adapter.lora = "auto"`` written out as what its budget affords under its head and bias.

    Any other recipe is returned as it is. Raises UserError where nothing fits.
    """
    if recipe.adapter.lora != "auto":
        return recipe
    rows = plan(architecture, labels, recipe.budget, recipe.adapter.bias, dora=recipe.adapter.dora)
    fitting = [row for row in rows if row.head == recipe.adapter.head]
    if not fitting:
        row = rows[0]
        raise UserError(
            f"adapter.head: budget = {recipe.budget:,} leaves nothing for LoRA beside the {recipe.adapter.head} head; "
            f"head = {row.head} affords rank {row.rank} on {', '.join(row.roles)} ({row.total:,})"
        )
    return recipe.with_values(adapter=fitting[0].adapter())


def _offers(architecture: Architecture, labels: int, bias: Bias, dora: bool) -> Iterator[_Offer]:
    heads: tuple[Head, ...] = ("linear", "native") if architecture.head_modules else ("linear",)
    for head in heads:
        seen: set[frozenset[str]] = set()
        for target in TARGETS:
            linears = [linear for linear in architecture.linears if set(linear.roles) & set(target)]
            names = frozenset(linear.name for linear in linears)
            # A fused projection answers to several roles, and an encoder may lack some: no row twice, none empty.
            if not linears or names in seen:
                continue
            seen.add(names)
            fixed = head_parameters(head, architecture, labels) + bias_parameters(bias, linears, architecture)
            fixed += sum(linear.outputs for linear in linears) if dora else 0
            per_rank = sum(linear.inputs + linear.outputs for linear in linears)
            smallest_side = min(min(linear.inputs, linear.outputs) for linear in linears)
            yield _Offer(head, _all_roles(linears), fixed, per_rank, smallest_side)


def _all_roles(linears: list[Linear]) -> tuple[Role, ...]:
    present = {role for linear in linears for role in linear.roles}
    return tuple(role for role in ROLES if role in present)
