"""Finds the largest adapters on a backbone that fit a budget of trainable parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, get_args

from featherweight.argument_checks import described, require_whole
from featherweight.backbone.architecture import Architecture
from featherweight.budget.weigh import bias_parameters, head_parameters
from featherweight.errors import UserError
from featherweight.formatting import counted
from featherweight.hints import to_set
from featherweight.recipe import ROLES, Recipe, Role

Bias = Literal["none", "lora", "all"]
Head = Literal["linear", "native"]

TARGETS: tuple[tuple[Role, ...], ...] = (
    ROLES,
    ("query", "key", "value", "attention_output"),
    ("query", "value"),
    ("value",),
)
"""The sets of roles that ``plan`` tries. The first is recommended: a low rank on all linear layers is better than a
high rank on a few."""


@dataclass(frozen=True)
class PlanRow:
    """An adapter that fits the budget: its head, the biases that it trains, and LoRA of ``rank`` in encoder ``layers``.

    LoRA adapts the linear layers that compute one of the ``roles``, such as query and value. ``layers`` is ``all``, or
    ``top-K`` for the upper K layers, where the budget is too small for more.
    """

    head: Head
    roles: tuple[Role, ...]
    rank: int
    total: int
    recommended: bool
    bias: Bias = "none"
    layers: str = "all"

    def adapter(self) -> dict[str, Any]:
        """The row as values for the ``[adapter]`` section of a recipe."""
        lora: dict[str, Any] = {"roles": list(self.roles), "rank": self.rank}
        if self.layers != "all":
            lora["layers"] = self.layers
        return {"lora": [lora], "head": self.head, "bias": self.bias}

    def overrides(self, *more: str) -> str:
        """What sets the keys of the row, and ``more`` overrides: ``--set`` options for a shell, or Python code."""
        roles = ", ".join(f'"{role}"' for role in self.roles)
        layers = "" if self.layers == "all" else f', layers = "{self.layers}"'
        lora = f"adapter.lora=[{{roles = [{roles}], rank = {self.rank}{layers}}}]"
        return to_set(lora, f"adapter.head={self.head}", f"adapter.bias={self.bias}", *more)


@dataclass(frozen=True)
class _Candidate:
    head: Head
    roles: tuple[Role, ...]
    bias: Bias
    head_size: int
    biases: int
    dora: int
    per_rank: int
    largest_rank: int
    layers: str

    @property
    def fixed(self) -> int:
        """Number of parameters that do not depend on the rank."""
        return self.head_size + self.biases + self.dora

    @property
    def total(self) -> int:
        """Number of parameters at rank 1."""
        return self.fixed + self.per_rank


def plan(
    architecture: Architecture, labels: int, budget: int, bias: Bias = "none", *, dora: bool = False
) -> list[PlanRow]:
    """For each head and set of roles, the largest LoRA rank within ``budget``; the recommended row comes first.

    The recommended row spends as much as possible on the encoder: a linear head, and as many kinds of linear layers as
    fit at rank 1. A rank is never larger than the smallest dimension of an adapted layer: at that rank LoRA is already
    as general as full fine-tuning. A set of roles that does not fit in all layers gets LoRA in as many of the upper
    layers as fit; for each head, these rows come after those of all layers. Raises UserError for a wrong argument, and
    if nothing fits, naming the part that is too large.
    """
    if not isinstance(architecture, Architecture):
        takes = "plan takes the architecture of a backbone"
        raise UserError(f"{takes}, not {described(architecture)}; for the parameters of a recipe, write weigh(recipe)")
    labels, budget = require_whole(labels, "labels", "4"), require_whole(budget, "budget", "1_000_000")
    for name, value, least in (("labels", labels, 2), ("budget", budget, 1)):
        if value < least:
            raise UserError(f"{name} must be at least {least}; it is {value:,}")
    if bias not in get_args(Bias):
        raise UserError(f"bias must be one of {', '.join(get_args(Bias))}, not {described(bias)}")
    heads: tuple[Head, ...] = ("linear", "native") if architecture.head_modules else ("linear",)
    fewer = range(architecture.layers - 1, 0, -1)  # numbers of upper layers, for budgets too small for all layers
    found: list[PlanRow] = []
    for head in heads:
        of_head = partial(_candidates, architecture, labels, head, bias, dora)
        whole = _fitting(of_head(), budget)
        in_all_layers = {row.roles for row in whole}
        upper = (one for count in fewer for one in of_head(upper=count) if one.roles not in in_all_layers)
        found += whole + _most_layers(_fitting(upper, budget))
    if not found:
        raise _nothing_fits(architecture, labels, budget, bias, dora)
    return [replace(row, recommended=not place) for place, row in enumerate(found)]


def _nothing_fits(architecture: Architecture, labels: int, budget: int, bias: Bias, dora: bool) -> UserError:
    """The error if not even LoRA of rank 1 in one layer fits: how large the parts are, and what fits instead."""
    head = head_parameters("linear", architecture, labels)
    about = f"{architecture.model_type}, {counted(labels, 'label')}"
    if head > budget:
        return UserError(
            f"budget = {budget:,}: no adapter fits; the linear head alone has {head:,} parameters ({about}): "
            "raise the budget, or use fewer labels or a smaller backbone"
        )
    smallest = _smallest(architecture, labels, bias, dora)
    settings = [*([] if bias == "none" else [f"bias = {bias}"]), *(["DoRA"] if dora else [])]
    with_settings = "".join(f" and {setting}" for setting in settings)
    if settings and _smallest(architecture, labels, "none", False).total <= budget:
        plain = [*([] if bias == "none" else ["adapter.bias=none"]), *(["adapter.dora=false"] if dora else [])]
        remedy = f"add {to_set(*plain)}"
    else:
        biases = ["adapter.bias=none"] if bias == "all" else []
        remedy = f"train only the head ({head:,}): {to_set('adapter.lora=[]', 'adapter.head=linear', *biases)}"
    parts = {"linear head": head, "biases": smallest.biases, "DoRA": smallest.dora, "LoRA": smallest.per_rank}
    sizes = ", ".join(f"{part} {size:,}" for part, size in parts.items() if size)
    return UserError(
        f"budget = {budget:,}: no LoRA fits; the smallest adapter with LoRA{with_settings} has {smallest.total:,} "
        f"parameters ({about}; {sizes}): raise the budget, or {remedy}"
    )


def _smallest(architecture: Architecture, labels: int, bias: Bias, dora: bool) -> _Candidate:
    """The candidate with the fewest parameters at rank 1; it has a linear head."""
    every = (
        one
        for upper in (None, *range(architecture.layers - 1, 0, -1))
        for one in _candidates(architecture, labels, "linear", bias, dora, upper=upper)
    )
    return min(every, key=lambda one: one.total)


def _fitting(candidates: Iterable[_Candidate], budget: int) -> list[PlanRow]:
    """The candidates that fit at rank 1, each with the largest rank within ``budget``."""
    rows: list[PlanRow] = []
    for one in candidates:
        rank = min((budget - one.fixed) // one.per_rank, one.largest_rank)
        if rank >= 1:
            total = one.fixed + rank * one.per_rank
            rows.append(PlanRow(one.head, one.roles, rank, total, False, bias=one.bias, layers=one.layers))
    return rows


def _most_layers(rows: Iterable[PlanRow]) -> list[PlanRow]:
    """Of rows with the same roles the first, which adapts the most layers; in the order of ``TARGETS``."""
    first: dict[tuple[Role, ...], PlanRow] = {}
    for row in rows:
        first.setdefault(row.roles, row)
    return sorted(first.values(), key=lambda row: -len(row.roles))


def resolve_auto(recipe: Recipe, architecture: Architecture, labels: int) -> Recipe:
    """``recipe`` with ``adapter.lora = "auto"`` replaced by the first row of ``plan`` for its head and bias.

    A recipe without ``"auto"`` is returned unchanged. Raises UserError if nothing fits.
    """
    if recipe.adapter.lora != "auto":
        return recipe
    head_parameters(recipe.adapter.head, architecture, labels)  # refuses a native head that does not exist
    rows = plan(architecture, labels, recipe.budget, recipe.adapter.bias, dora=recipe.adapter.dora)
    fitting = [row for row in rows if row.head == recipe.adapter.head]
    if not fitting:
        row = rows[0]
        raise UserError(
            f"adapter.head: with the {recipe.adapter.head} head, budget = {recipe.budget:,} leaves no parameters for "
            f"LoRA; head = {row.head} allows rank {row.rank} on {', '.join(row.roles)} ({row.total:,} in total)"
        )
    return recipe.with_values(adapter=fitting[0].adapter())


def _candidates(
    architecture: Architecture, labels: int, head: Head, bias: Bias, dora: bool, *, upper: int | None = None
) -> Iterator[_Candidate]:
    """The sets of roles that the encoder has, for LoRA in all layers, or in the ``upper`` ones."""
    lowest = 0 if upper is None else architecture.layers - upper
    seen: set[frozenset[str]] = set()
    for target in TARGETS:
        linears = [
            linear for linear in architecture.linears if set(linear.roles) & set(target) and linear.layer >= lowest
        ]
        names = frozenset(linear.name for linear in linears)
        # A fused projection has several roles, and an encoder may lack some roles: skip empty and repeated rows.
        if not linears or names in seen:
            continue
        seen.add(names)
        head_size, biases = head_parameters(head, architecture, labels), bias_parameters(bias, linears, architecture)
        magnitudes = sum(linear.outputs for linear in linears) if dora else 0
        per_rank = sum(linear.inputs + linear.outputs for linear in linears)
        largest_rank = min(linear.largest_rank for linear in linears)
        present = {role for linear in linears for role in linear.roles}
        roles = tuple(role for role in ROLES if role in present)
        layers = "all" if upper is None else f"top-{upper}"
        yield _Candidate(head, roles, bias, head_size, biases, magnitudes, per_rank, largest_rank, layers)
