"""The recipes for a budget: on each backbone the adapter that `plan` recommends, within the budget."""

from __future__ import annotations

import pytest

from featherweight.backbone.describe import architecture_of
from featherweight.backbone.known_configs import KNOWN
from featherweight.budget.plan import plan, resolve_auto
from featherweight.budget.weigh import weigh
from featherweight.recipe import Recipe

COUNTS = {
    "best-1m": {"roberta-base": 998_404, "minilm": 996_868},
    "best-300k": {"roberta-base": 168_964, "minilm": 291_844},
    "best-100k": {"roberta-base": 76_804, "minilm": 84_484},
    "best-10k": {"roberta-base": 9_220, "minilm": 6_148},
}


@pytest.mark.parametrize(("name", "backbone"), [(name, backbone) for name in COUNTS for backbone in COUNTS[name]])
def test_a_recipe_for_a_budget_has_the_adapter_that_plan_recommends(name: str, backbone: str) -> None:
    recipe, architecture = Recipe.load(name, [f"backbone.name={backbone}"]), architecture_of(KNOWN[backbone])
    resolved = resolve_auto(recipe, architecture, 4)
    assert weigh(resolved, architecture, 4).total == COUNTS[name][backbone] <= recipe.budget
    assert (
        resolved.adapter.lora
        == recipe.with_values(adapter=plan(architecture, 4, recipe.budget)[0].adapter()).adapter.lora
    )


@pytest.mark.parametrize("name", COUNTS)
def test_all_have_the_data_of_agnews_minilm(name: str) -> None:
    assert Recipe.load(name).data == Recipe.load("agnews-minilm").data
