"""Proposals of a search: never over the budget, and never a rank short of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featherweight.backbone.describe import architecture_of
from featherweight.backbone.known_configs import KNOWN
from featherweight.budget.limit import within_budget
from featherweight.budget.proposals import lora_within_budget
from featherweight.budget.weigh import weigh
from featherweight.recipe import ROLES, Recipe

ROBERTA = architecture_of(KNOWN["roberta-base"])


def recipe_with(budget: int, **adapter: Any) -> Recipe:
    return Recipe.parse({"budget": budget, "adapter": adapter})


def total(recipe: Recipe, tables: list[dict[str, Any]]) -> int:
    return weigh(recipe.with_values(adapter={"lora": tables}), ROBERTA, 4).total


def test_the_rank_moves_along_the_budget_with_the_targets() -> None:
    # The figures of a linear head on roberta-base, which plan gives too.
    recipe = recipe_with(1_000_000)
    for roles, rank in ((ROLES, 6), (("query", "key", "value", "attention_output"), 13), (("query", "value"), 27)):
        assert [table["rank"] for table in lora_within_budget(recipe, ROBERTA, 4, roles)] == [rank]


@settings(max_examples=40, deadline=None)
@given(
    budget=st.integers(20_000, 2_000_000),
    share=st.none() | st.floats(0, 1),
    roles=st.sampled_from([ROLES, ("query", "value"), ("mlp_up",)]),
    layers=st.sampled_from(["all", "upper-half", "top-1", "0,3"]),
    adapter=st.fixed_dictionaries(
        {
            "bias": st.sampled_from(["none", "lora"]),
            "dora": st.booleans(),
            "head": st.sampled_from(["linear", "native"]),
        }
    ),
)
def test_no_proposal_exceeds_the_budget_and_none_is_a_rank_short(
    budget: int, share: float | None, roles: tuple[str, ...], layers: str, adapter: dict[str, Any]
) -> None:
    recipe = recipe_with(budget, **adapter)
    tables = lora_within_budget(recipe, ROBERTA, 4, roles, layers=layers, upper_share=share)
    if not tables:
        if share is None:
            assert total(recipe, [{"roles": list(roles), "layers": layers, "rank": 1}]) > budget
        return
    assert total(recipe, tables) <= budget
    if share is None and tables[0]["rank"] < 768:
        assert total(recipe, [{**tables[0], "rank": tables[0]["rank"] + 1}]) > budget


def test_the_upper_half_gets_its_share() -> None:
    tables = lora_within_budget(recipe_with(1_000_000), ROBERTA, 4, ("value",), upper_share=0.75)
    assert [table["layers"] for table in tables] == ["0,1,2,3,4,5", "6,7,8,9,10,11"]
    assert tables[1]["rank"] / (tables[0]["rank"] + tables[1]["rank"]) == pytest.approx(0.75, abs=0.01)
    only_upper = lora_within_budget(recipe_with(1_000_000), ROBERTA, 4, ("value",), upper_share=1.0)
    assert [table["layers"] for table in only_upper] == ["6,7,8,9,10,11"]


def test_a_rank_that_is_asked_for_is_an_upper_limit() -> None:
    recipe = recipe_with(1_000_000)
    assert lora_within_budget(recipe, ROBERTA, 4, ROLES, rank=2)[0]["rank"] == 2
    assert lora_within_budget(recipe, ROBERTA, 4, ROLES, rank=64)[0]["rank"] == 6


def test_no_rank_is_above_the_smaller_side_of_a_layer() -> None:
    assert lora_within_budget(recipe_with(10**9), ROBERTA, 4, ("value",))[0]["rank"] == 768


def test_tables_of_a_recipe_are_lowered_in_proportion() -> None:
    recipe = recipe_with(100_000, lora=[{"roles": ["query", "value"], "rank": 16}])
    lowered = within_budget(recipe, ROBERTA, 4)
    assert lowered is not None
    assert weigh(lowered, ROBERTA, 4).total <= 100_000
    assert within_budget(lowered, ROBERTA, 4) is lowered
    assert within_budget(recipe_with(4_000), ROBERTA, 4) is None
