"""Rejects a recipe that exceeds its budget, and suggests the nearest adapter that fits."""

from __future__ import annotations

from bisect import bisect_right

from featherweight.backbone.architecture import Architecture
from featherweight.budget.plan import plan
from featherweight.budget.weigh import Weight, adapted_linears, head_parameters, weigh
from featherweight.errors import UserError
from featherweight.hints import to_set
from featherweight.recipe import LoraLayers, Recipe


def require_within_budget(weight: Weight, recipe: Recipe, architecture: Architecture) -> None:
    """Raise UserError if ``weight`` exceeds its budget; the message suggests the nearest adapter that fits.

    Raises UserError too for a rank above the smaller dimension of a layer, which costs parameters and gains nothing.
    """
    if weight.margin >= 0:
        _require_useful_ranks(recipe, architecture)
        return
    parts = "; ".join(f"{component.name}: {component.parameters:,}" for component in weight.components)
    raise UserError(
        f"budget = {weight.budget:,} exceeded by {-weight.margin:,}: {weight.total:,} trainable parameters ({parts})\n"
        f"{nearest_that_fits(recipe, architecture, weight.labels)}"
    )


def _require_useful_ranks(recipe: Recipe, architecture: Architecture) -> None:
    adapted = adapted_linears(recipe.adapter, architecture)
    for linear in architecture.linears:
        if linear.name in adapted and (rank := adapted[linear.name].rank) > linear.largest_rank:
            raise UserError(
                f"adapter.lora: rank = {rank:,} is more than the smaller dimension of {linear.name}; "
                f"use at most {linear.largest_rank:,}"
            )


def nearest_that_fits(recipe: Recipe, architecture: Architecture, labels: int) -> str:
    """One line with the nearest adapter within the budget, in the spelling of ``hints.to_set``.

    It has lower ranks for the same layers if that fits, else it is the first row that ``featherweight plan`` prints. If
    no LoRA fits, it is the linear head alone. A recipe that starts from a run must keep the adapter of that run, so the
    line says how large the budget must be.
    """
    if recipe.adapter.start_from is not None:
        total = weigh(recipe, architecture, labels).total
        return (
            f"A training that starts from {recipe.adapter.start_from} has the adapter of that run: "
            f"raise the budget to at least {total:,}: {to_set(f'budget={total}')}"
        )
    smaller = _lower_ranks(recipe, architecture, labels)
    if smaller is not None:
        total = weigh(smaller, architecture, labels).total
        return f"Nearest adapter that fits, {total:,} parameters: {_rank_overrides(smaller)}"
    adapter = recipe.adapter
    try:
        row = plan(architecture, labels, recipe.budget, adapter.bias, dora=adapter.dora)[0]
        return f"Nearest adapter that fits, {row.total:,} parameters: {row.overrides()}"
    except UserError:
        pass
    try:
        row = plan(architecture, labels, recipe.budget)[0]
    except UserError as error:
        head = head_parameters("linear", architecture, labels)
        if head > recipe.budget:
            return str(error)
        only_head = to_set("adapter.lora=[]", "adapter.head=linear", "adapter.bias=none")
        return f"Nearest adapter that fits, {head:,} parameters: {only_head}"
    plain = ("adapter.dora=false",) if adapter.dora else ()
    return f"Nearest adapter that fits, {row.total:,} parameters: {row.overrides(*plain)}"


def within_budget(recipe: Recipe, architecture: Architecture, labels: int) -> Recipe | None:
    """``recipe``, with lower ranks if it exceeds its budget; None if even rank 1 does not fit."""
    if weigh(recipe, architecture, labels).margin >= 0:
        return recipe
    return _lower_ranks(recipe, architecture, labels)


def _lower_ranks(recipe: Recipe, architecture: Architecture, labels: int) -> Recipe | None:
    """The recipe with its ranks lowered in proportion, as little as possible; None if even rank 1 does not fit.

    No rank is above the smaller dimension of a layer: a training would refuse it.
    """
    tables: tuple[LoraLayers, ...] = () if recipe.adapter.lora == "auto" else recipe.adapter.lora
    highest = max((table.rank for table in tables), default=1)
    most = _largest_useful_ranks(recipe, architecture)

    def scaled(rank: int) -> Recipe:
        ranks = [
            {"rank": max(1, min(table.rank * rank // highest, useful))}
            for table, useful in zip(tables, most, strict=True)
        ]
        values = [t.model_dump(mode="json", exclude_none=True) | r for t, r in zip(tables, ranks, strict=True)]
        return recipe.with_values(adapter={"lora": values})

    lower = range(1, highest)
    fitting = bisect_right(lower, recipe.budget, key=lambda rank: weigh(scaled(rank), architecture, labels).total)
    return scaled(lower[fitting - 1]) if fitting else None


def _largest_useful_ranks(recipe: Recipe, architecture: Architecture) -> list[int]:
    """For each LoRA table of ``recipe``, the smaller dimension of the smallest layer that it adapts."""
    if recipe.adapter.lora == "auto":
        return []
    largest = {linear.name: linear.largest_rank for linear in architecture.linears}
    adapted = adapted_linears(recipe.adapter, architecture)
    return [
        min((largest[name] for name, owner in adapted.items() if owner is table), default=table.rank)
        for table in recipe.adapter.lora
    ]


def _rank_overrides(recipe: Recipe) -> str:
    ranks = [table.rank for table in recipe.adapter.lora if isinstance(table, LoraLayers)]
    if len(set(ranks)) == 1:
        return to_set(f"adapter.lora.rank={ranks[0]}")
    return to_set(*(f"adapter.lora.{index}.rank={rank}" for index, rank in enumerate(ranks)))
