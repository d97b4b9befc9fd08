"""From the values of a trial to a recipe: what a search does not vary stays as the recipe has it."""

from __future__ import annotations

from typing import Any

import pytest

from featherweight.backbone.describe import architecture_of
from featherweight.backbone.known_configs import KNOWN
from featherweight.budget.plan import resolve_auto
from featherweight.budget.weigh import weigh
from featherweight.errors import UserError
from featherweight.recipe import Recipe
from featherweight.recipe.search_space import LAYERS, RANK, TARGETS, Choices, Range, SearchSpace
from featherweight.workflows.search_inputs import Sizes
from featherweight.workflows.search_proposal import Searched, winner, without_test_rows

RATE, RANKS = {"training.learning_rate": Range(1e-4, 1e-1, log=True)}, Range(1, 64, whole=True)


def searched(name: str, space: SearchSpace) -> Searched:
    """The search around a built-in recipe on RoBERTa-base, without its data."""
    config = KNOWN["roberta-base"]
    sizes = Sizes(architecture_of(config), config)
    return Searched(Recipe.load(name, ["backbone.name=roberta-base"]), space, 4, {"roberta-base": sizes})


@pytest.mark.parametrize("name", ["best-1m", "best-100k", "best-10k"])
def test_auto_is_what_the_planner_chooses_unless_its_layers_are_varied(name: str) -> None:
    one = searched(name, SearchSpace(RATE))
    planned = resolve_auto(one.recipe, one.sizes_of(one.recipe).architecture, 4).adapter
    varied = one.fitted({"training.learning_rate": 0.002})
    assert varied is not None and varied.adapter == planned and varied.training.learning_rate == 0.002
    lower = one.fitted({RANK: 1})
    assert lower is not None
    (table,), (chosen,) = lower.adapter.lora, planned.lora
    assert (table.roles, table.layers, table.rank) == (chosen.roles, chosen.layers, 1)
    assert weigh(lower, one.sizes_of(lower).architecture, 4).margin >= 0


def test_targets_of_which_none_fits_in_all_layers_are_left_to_auto(tiny_recipe: Any) -> None:
    recipe = without_test_rows(tiny_recipe(budget=200, adapter={"lora": "auto"}))
    one = Searched.of(recipe)
    assert TARGETS not in one.space.keys and "training.learning_rate" in one.space.keys
    first = one.fitted(one.first_values())
    planned = resolve_auto(recipe, one.sizes_of(recipe).architecture, one.labels)
    assert first is not None and first.adapter.lora == planned.adapter.lora
    with pytest.raises(UserError, match=r"search.adapter.targets: 'value', 'all' do not fit budget = 200"):
        Searched.of(recipe, SearchSpace({TARGETS: Choices(("value", "all"))}))
    in_some = SearchSpace({TARGETS: Choices(("value", "query")), LAYERS: Choices(("all", "top-1"))})
    assert Searched.of(recipe, in_some).space == in_some


@pytest.mark.parametrize("keys", [RATE, {RANK: RANKS}, {"adapter.bias": Choices(("none", "all"))}])
def test_a_space_in_which_nothing_fits_is_refused_before_any_trial(tiny_recipe: Any, keys: dict[str, Any]) -> None:
    recipe = without_test_rows(tiny_recipe(budget=230))
    with pytest.raises(
        UserError, match=r"search: no values fit budget = 230\nNearest adapter that fits, \d+ parameters"
    ):
        Searched.of(recipe, SearchSpace(keys))
    Searched.of(recipe, SearchSpace({**keys, LAYERS: Choices(("all", "top-1"))}))


def test_a_budget_too_small_for_auto_is_refused_whatever_is_varied(tiny_recipe: Any) -> None:
    recipe = without_test_rows(tiny_recipe(budget=170, adapter={"lora": "auto"}))
    with pytest.raises(UserError, match=r"search: no values fit budget = 170\nbudget = 170: no LoRA fits"):
        Searched.of(recipe, SearchSpace({"adapter.bias": Choices(("lora", "all"))}))


@pytest.mark.parametrize(("rate", "low", "high"), [(5e-4, 1e-4, 3e-3), (4e-3, 1e-4, 1.2e-2), (9e-5, 3e-5, 3e-3)])
def test_the_learning_rate_of_the_recipe_is_in_the_default_range(
    tiny_recipe: Any, rate: float, low: float, high: float
) -> None:
    recipe = without_test_rows(tiny_recipe(training={"learning_rate": rate}))
    searched = Searched.of(recipe, None)
    varied = searched.space.keys["training.learning_rate"]
    assert (varied.low, varied.high) == pytest.approx((low, high))
    assert searched.first_values()["training.learning_rate"] == rate


def test_the_best_recipe_has_the_values_of_other_sections_and_its_test_rows(tiny_recipe: Any) -> None:
    original = tiny_recipe()
    space = SearchSpace({"data.max_length": Choices((16, 24)), "evaluation.windows": Range(1, 3, whole=True)})
    one = Searched.of(without_test_rows(original), space)
    best = winner(one, original, {"data.max_length": 24, "evaluation.windows": 2})
    assert (best.data.max_length, best.evaluation.windows) == (24, 2)
    assert best.data.test == original.data.test and best.evaluation.shift == original.evaluation.shift


def test_layers_and_alpha_stay_unless_they_are_varied(tiny_recipe: Any) -> None:
    upper = {"roles": ["query", "value"], "layers": "upper-half", "rank": 8, "alpha": 8}
    lower = {"roles": ["query", "value"], "layers": "lower-half", "rank": 2, "alpha": 8}

    def table(tables: list[dict[str, Any]], values: dict[str, Any]) -> tuple[Any, ...]:
        one = Searched.of(without_test_rows(tiny_recipe(adapter={"lora": tables})), SearchSpace({RANK: RANKS}))
        fitted = one.fitted(values)
        assert fitted is not None
        (got,) = fitted.adapter.lora
        return got.roles, got.layers, got.rank, got.alpha

    own = ("query", "value")
    assert table([upper], {RANK: 3}) == (own, "upper-half", 3, 8)
    assert table([upper], {RANK: 3, TARGETS: "value"}) == (("value",), "upper-half", 3, 8)
    assert table([upper], {RANK: 3, LAYERS: "all"}) == (own, "all", 3, 8)
    assert table([upper, lower], {RANK: 3}) == (own, "all", 3, 8)
    assert table([upper, {**lower, "alpha": 4}], {RANK: 3}) == (own, "all", 3, None)
