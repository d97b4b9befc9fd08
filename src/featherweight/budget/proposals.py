"""Finds the largest LoRA ranks that fit a budget, for given roles and layers, or for each half of the layers.

The number of parameters is linear in the rank (``budget/weigh.py``), so the largest rank follows from the numbers for
ranks 1 and 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from featherweight.backbone.architecture import Architecture
from featherweight.budget.weigh import adapted_linears, weigh
from featherweight.recipe import Recipe, layer_numbers


def lora_within_budget(
    recipe: Recipe,
    architecture: Architecture,
    labels: int,
    roles: Sequence[str],
    *,
    layers: str = "all",
    rank: int | None = None,
    alpha: float | None = None,
    upper_share: float | None = None,
) -> list[dict[str, Any]]:
    """Tables for ``[[adapter.lora]]`` of ``recipe``, with the largest ranks that keep it within its budget.

    It is one table, with LoRA for ``roles`` in ``layers``. With ``upper_share`` there are two: the upper half of these
    layers gets this share of the LoRA parameters, and the lower half the rest. No rank is above ``rank``, if it is
    given; ``alpha`` is that of all tables. A table is left out if not even rank 1 fits. Raises UserError for roles or
    layers that the backbone lacks.
    """
    shares = {layers: 1.0}
    if upper_share is not None:
        numbers = layer_numbers(layers, architecture.layers)
        lower, upper = numbers[: len(numbers) // 2], numbers[len(numbers) // 2 :]
        shares = {_listed(lower): 1 - upper_share, _listed(upper): upper_share} if lower else {layers: 1.0}
    ranks = _largest_ranks(recipe, architecture, labels, roles, shares)
    if rank is not None:
        ranks = {part: min(rank, most) for part, most in ranks.items()}
    given = {} if alpha is None else {"alpha": alpha}
    return [{**table, **given} for table in _tables(roles, ranks)]


def _largest_ranks(
    recipe: Recipe, architecture: Architecture, labels: int, roles: Sequence[str], shares: dict[str, float]
) -> dict[str, int]:
    """The largest rank for each group of layers; ``shares`` are their shares of the LoRA parameters. 0 if none fits.

    A rank above the smaller side of a layer costs parameters and gains nothing, so no rank is larger than that.
    """

    def total(ranks: dict[str, int]) -> int:
        return weigh(_with_tables(recipe, roles, ranks), architecture, labels).total

    per_rank = {part: total({part: 2}) - total({part: 1}) for part in shares}
    # The biases and DoRA magnitudes of the adapted layers do not depend on the rank.
    fixed = total(dict.fromkeys(shares, 1)) - sum(per_rank.values())
    left = max(0, recipe.budget - fixed)
    return {
        part: min(int(left * share) // per_rank[part], _largest_rank(recipe, architecture, roles, part))
        for part, share in shares.items()
    }


def _largest_rank(recipe: Recipe, architecture: Architecture, roles: Sequence[str], layers: str) -> int:
    adapted = adapted_linears(_with_tables(recipe, roles, {layers: 1}).adapter, architecture)
    return min(linear.largest_rank for linear in architecture.linears if linear.name in adapted)


def _with_tables(recipe: Recipe, roles: Sequence[str], ranks: dict[str, int]) -> Recipe:
    return recipe.with_values(adapter={"lora": _tables(roles, ranks)})


def _tables(roles: Sequence[str], ranks: dict[str, int]) -> list[dict[str, Any]]:
    return [{"roles": list(roles), "layers": layers, "rank": rank} for layers, rank in ranks.items() if rank]


def _listed(layers: Sequence[int]) -> str:
    """Layer numbers in the notation of recipes, such as ``0,1,2``."""
    return ",".join(map(str, layers))
