"""The planner is never over the budget and never a rank short; every proposal can be pasted and fits."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featherweight.backbone.describe import architecture_of
from featherweight.backbone.known_configs import KNOWN
from featherweight.budget.limit import nearest_that_fits, require_within_budget
from featherweight.budget.plan import PlanRow, plan, resolve_auto
from featherweight.budget.weigh import weigh
from featherweight.errors import UserError
from featherweight.recipe import ROLES, Recipe, layer_numbers

pytestmark = pytest.mark.usefixtures("as_options")

NAMES = (
    "roberta-base",
    "minilm",
    "distilbert-base-uncased",
    "microsoft/deberta-v3-base",
    "answerdotai/ModernBERT-base",
)
BACKBONES = {name: architecture_of(KNOWN[name]) for name in NAMES}
ROBERTA = BACKBONES["roberta-base"]
QKVO = ("query", "key", "value", "attention_output")


def recipe_of(row: PlanRow, **adapter: Any) -> Recipe:
    return Recipe.parse({"adapter": {**row.adapter(), **adapter}})


def test_a_million_on_roberta_base() -> None:
    rows = {(row.head, row.roles): (row.rank, row.total) for row in plan(ROBERTA, 4, 1_000_000)}
    assert rows["linear", ROLES] == (6, 998_404)
    assert rows["linear", QKVO] == (13, 961_540)
    assert rows["linear", ("query", "value")] == (27, 998_404)
    assert rows["native", ("query", "value")] == (11, 999_172)
    assert rows["native", ROLES] == (2, 925_444)


def test_recommendation_comes_first_and_puts_the_budget_into_the_encoder() -> None:
    rows = plan(ROBERTA, 4, 1_000_000)
    assert (rows[0].head, rows[0].roles, rows[0].rank) == ("linear", ROLES, 6)
    assert [row.recommended for row in rows] == [True] + [False] * (len(rows) - 1)


@pytest.mark.parametrize(("budget", "roles"), [(100_000, QKVO), (60_000, ("query", "value")), (25_000, ("value",))])
def test_a_small_budget_falls_back_to_fewer_roles(budget: int, roles: tuple[str, ...]) -> None:
    assert plan(ROBERTA, 4, budget)[0].roles == roles


def test_a_budget_below_the_smallest_lora_names_the_parts_and_the_head_alone() -> None:
    with pytest.raises(UserError) as refusal:
        plan(ROBERTA, 4, 4_611)
    assert str(refusal.value) == (
        "budget = 4,611: no LoRA fits; the smallest adapter with LoRA has 4,612 parameters (roberta, 4 labels; "
        "linear head 3,076, LoRA 1,536): raise the budget, or train only the head (3,076): "
        "--set 'adapter.lora=[]' --set adapter.head=linear"
    )
    assert plan(ROBERTA, 4, 4_612)[0].total == 4_612


@pytest.mark.parametrize(("arguments", "naming"), [
    ((1, 10_000), "labels must be at least 2; it is 1"),
    ((-3, 10_000), "labels must be at least 2; it is -3"),
    ((4, 0), "budget must be at least 1; it is 0"),
    ((4, 10_000, "some"), "bias must be one of none, lora, all, not the text 'some'"),
])  # fmt: skip
def test_arguments_that_the_command_refuses_are_refused_in_python(arguments: Any, naming: str) -> None:
    with pytest.raises(UserError, match=f"^{naming}$"):
        plan(ROBERTA, *arguments)


def test_a_head_over_the_budget_is_named_alone() -> None:
    with pytest.raises(UserError) as refusal:
        plan(ROBERTA, 2_000, 1_000_000)
    assert str(refusal.value) == (
        "budget = 1,000,000: no adapter fits; the linear head alone has 1,538,000 parameters (roberta, 2,000 labels): "
        "raise the budget, or use fewer labels or a smaller backbone"
    )
    head_only = Recipe.parse({"budget": 3_075, "adapter": {"lora": [], "head": "linear"}})
    assert "the linear head alone has 3,076 parameters" in nearest_that_fits(head_only, ROBERTA, 4)


@pytest.mark.parametrize(("bias", "dora", "budget", "parts", "remedy"), [
    ("all", False, 100_000, "linear head 3,076, biases 102,144, LoRA 1,536", "add --set adapter.bias=none"),
    ("none", True, 5_000, "linear head 3,076, DoRA 768, LoRA 1,536", "add --set adapter.dora=false"),
    ("lora", True, 5_000, "linear head 3,076, biases 768, DoRA 768, LoRA 1,536",
     "add --set adapter.bias=none --set adapter.dora=false"),
    ("all", True, 4_000, "linear head 3,076, biases 102,144, DoRA 768, LoRA 1,536",
     "train only the head (3,076): --set 'adapter.lora=[]' --set adapter.head=linear --set adapter.bias=none"),
])  # fmt: skip
def test_biases_and_dora_that_take_the_budget_are_named(
    bias: Any, dora: bool, budget: int, parts: str, remedy: str
) -> None:
    recipe = Recipe.parse({"budget": budget, "adapter": {"lora": "auto", "bias": bias, "dora": dora}})
    with pytest.raises(UserError) as refusal:
        resolve_auto(recipe, ROBERTA, 4)
    assert f"labels; {parts})" in str(refusal.value) and str(refusal.value).endswith(f"budget, or {remedy}")
    options = shlex.split(remedy.partition("--set")[1] + remedy.partition("--set")[2])[1::2]
    changed = Recipe.parse(recipe.model_dump(mode="json", exclude_none=True), overrides=options)
    assert weigh(resolve_auto(changed, ROBERTA, 4), ROBERTA, 4).margin >= 0


def test_a_budget_below_rank_1_in_all_layers_goes_into_as_many_upper_layers_as_fit() -> None:
    rows = plan(ROBERTA, 4, 10_000)
    assert {row.roles: (row.layers, row.rank, row.total) for row in rows} == {
        QKVO: ("top-1", 1, 9_220), ("query", "value"): ("top-2", 1, 9_220), ("value",): ("top-4", 1, 9_220)
    }  # fmt: skip
    assert [row.recommended for row in rows] == [True, False, False]
    auto = resolve_auto(Recipe.parse({"budget": 10_000, "adapter": {"lora": "auto", "head": "linear"}}), ROBERTA, 4)
    assert auto.adapter.lora == recipe_of(rows[0]).adapter.lora and weigh(auto, ROBERTA, 4).total == 9_220


def test_roles_that_fit_in_all_layers_come_before_those_of_upper_layers() -> None:
    rows = [(row.roles, row.layers, row.rank, row.total) for row in plan(ROBERTA, 4, 100_000)]
    assert rows == [
        (QKVO, "all", 1, 76_804), (("query", "value"), "all", 2, 76_804), (("value",), "all", 5, 95_236),
        (ROLES, "top-7", 1, 99_844),
    ]  # fmt: skip
    assert [row.layers for row in plan(ROBERTA, 4, 21_508)] == ["all", "top-1", "top-3", "top-6"]


def test_a_head_that_leaves_too_little_for_all_layers_gets_upper_layers() -> None:
    rows = [row for row in plan(ROBERTA, 4, 600_000) if row.head == "native"]
    assert [(row.layers, row.total) for row in rows] == [("top-1", 599_812), ("top-2", 599_812), ("top-4", 599_812)]


def test_fused_projection_gives_no_row_twice() -> None:
    rows = [row for row in plan(BACKBONES["answerdotai/ModernBERT-base"], 4, 1_000_000) if row.head == "linear"]
    assert [row.roles for row in rows] == [ROLES, QKVO, ("query", "key", "value")]


def test_rank_stops_at_the_smallest_side() -> None:
    assert plan(BACKBONES["minilm"], 4, 10**9)[0].rank == 384
    fused = plan(BACKBONES["answerdotai/ModernBERT-base"], 4, 10**9)[2]
    assert (fused.roles, fused.rank) == (("query", "key", "value"), 768)  # a layer of 768 to 2,304


budgets = st.integers(min_value=1, max_value=3_000_000)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(NAMES), st.integers(2, 200), budgets, st.sampled_from(["none", "lora", "all"]), st.booleans())
def test_never_over_the_budget_and_no_rank_to_spare(name: str, labels: int, budget: int, bias: Any, dora: bool) -> None:
    architecture = BACKBONES[name]
    try:
        rows = plan(architecture, labels, budget, bias, dora=dora)
    except UserError:
        return
    for row in rows:
        assert weigh(recipe_of(row, dora=dora), architecture, labels).total == row.total <= budget
        layers = layer_numbers(row.layers, architecture.layers)
        linears = [x for x in architecture.linears if set(x.roles) & set(row.roles) and x.layer in layers]
        if row.rank < min(min(x.inputs, x.outputs) for x in linears):
            lora = [{"roles": list(row.roles), "rank": row.rank + 1, "layers": row.layers}]
            assert weigh(recipe_of(row, dora=dora, lora=lora), architecture, labels).total > budget
        if len(layers) < architecture.layers:
            lora = [{"roles": list(row.roles), "rank": 1, "layers": f"top-{len(layers) + 1}"}]
            assert weigh(recipe_of(row, dora=dora, lora=lora), architecture, labels).total > budget


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["r1", "r2", "r4", "newsbriefs"]), st.sampled_from(NAMES), budgets, st.booleans())
def test_every_proposal_can_be_pasted_and_fits(name: str, backbone: str, budget: int, dora: bool) -> None:
    architecture = BACKBONES[backbone]
    given_options = [f"budget={budget}", f"adapter.dora={str(dora).lower()}"]
    recipe = Recipe.load(name, given_options)
    if weigh(recipe, architecture, 4).total <= budget:
        return
    line = nearest_that_fits(recipe, architecture, 4)
    if "no adapter fits" in line:
        assert budget < int(line.partition("the linear head alone has ")[2].partition(" ")[0].replace(",", ""))
        return
    announced, _, options = line.removeprefix("Nearest adapter that fits, ").partition(" parameters: ")
    words = shlex.split(options)
    assert words[::2] == ["--set"] * (len(words) // 2)
    pasted = Recipe.load(name, [*given_options, *words[1::2]])
    total = weigh(pasted, architecture, 4).total
    assert total == int(announced.replace(",", ""))
    assert total <= budget


def test_the_head_alone_is_proposed_if_no_lora_fits() -> None:
    line = nearest_that_fits(Recipe.load("r4", ["budget=4k"]), ROBERTA, 4)
    options = "--set 'adapter.lora=[]' --set adapter.head=linear --set adapter.bias=none"
    assert line == f"Nearest adapter that fits, 3,076 parameters: {options}"


def test_a_recipe_that_starts_from_a_run_is_proposed_a_budget_and_no_other_adapter() -> None:
    recipe = Recipe.load("r4", ["budget=900k", "adapter.start_from=runs/r4"])
    with pytest.raises(UserError) as refusal:
        require_within_budget(weigh(recipe, ROBERTA, 4), recipe, ROBERTA)
    line = str(refusal.value).splitlines()[1]
    assert line == (
        "A training that starts from runs/r4 has the adapter of that run: raise the budget to at least 990,724: "
        "--set budget=990724"
    )


def test_a_proposed_rank_is_never_above_the_smaller_dimension_of_a_layer() -> None:
    minilm = BACKBONES["minilm"]
    recipe = Recipe.load("newsbriefs", ["adapter.lora.rank=10_000", "budget=100M"])
    line = nearest_that_fits(recipe, minilm, 4)
    assert line.endswith("--set adapter.lora.rank=384")
    lower = Recipe.load("newsbriefs", ["adapter.lora.rank=384", "budget=100M"])
    require_within_budget(weigh(lower, minilm, 4), lower, minilm)


def test_lower_ranks_keep_their_proportion() -> None:
    r1 = Recipe.load("r1", ["budget=900k"])
    line = nearest_that_fits(r1, ROBERTA, 4)
    assert (
        line
        == "Nearest adapter that fits, 888,580 parameters: --set adapter.lora.0.rank=6 --set adapter.lora.1.rank=13"
    )


def test_a_head_that_is_too_heavy_is_replaced_by_the_planned_row() -> None:
    r4 = Recipe.load("r4", ["budget=500k"])
    line = nearest_that_fits(r4, ROBERTA, 4)
    assert "--set adapter.head=linear" in line
    assert "--set adapter.bias=all" in line


def test_biases_that_are_too_heavy_are_dropped_last() -> None:
    r4 = Recipe.load("r4", ["budget=90k"])
    assert "--set adapter.bias=none" in nearest_that_fits(r4, ROBERTA, 4)


def test_an_absurd_rank_is_brought_down_quickly() -> None:
    recipe = Recipe.parse({"adapter": {"lora": [{"roles": ["query", "value"], "rank": 1_000_000}]}})
    assert nearest_that_fits(recipe, ROBERTA, 4).endswith("--set adapter.lora.rank=27")


def test_auto_is_written_out_as_the_recommended_row() -> None:
    recipe = Recipe.parse({"adapter": {"lora": "auto"}})
    resolved = resolve_auto(recipe, ROBERTA, 4)
    assert [(table.roles, table.rank) for table in resolved.adapter.lora] == [(ROLES, 6)]  # type: ignore[union-attr]
    assert resolve_auto(resolved, ROBERTA, 4) is resolved
    assert weigh(resolved, ROBERTA, 4).total == 998_404


def test_auto_keeps_head_bias_and_dora_of_the_recipe() -> None:
    adapter = {"lora": "auto", "head": "native", "bias": "all", "dora": True}
    resolved = resolve_auto(Recipe.parse({"adapter": adapter}), ROBERTA, 4)
    assert (resolved.adapter.head, resolved.adapter.bias, resolved.adapter.dora) == ("native", "all", True)
    assert weigh(resolved, ROBERTA, 4).total <= 1_000_000


def test_auto_under_a_head_that_leaves_no_room_says_what_would_fit() -> None:
    recipe = Recipe.parse({"budget": "500k", "adapter": {"lora": "auto", "head": "native"}})
    with pytest.raises(UserError, match=r"adapter.head: with the native head, .* head = linear allows rank 2"):
        resolve_auto(recipe, ROBERTA, 4)


def test_a_rank_that_fits_to_the_last_parameter_is_proposed() -> None:
    lower = weigh(Recipe.load("r4", ["adapter.lora.rank=5"]), ROBERTA, 4).total
    for budget, rank in ((lower, 5), (lower - 1, 4)):
        line = nearest_that_fits(Recipe.load("r4", [f"budget={budget}"]), ROBERTA, 4)
        assert line.endswith(f"--set adapter.lora.rank={rank}")


def test_a_table_keeps_rank_one_where_the_other_is_lowered() -> None:
    lora = [{"roles": ["query"], "rank": 100}, {"roles": ["value"], "rank": 1}]
    recipe = Recipe.parse({"budget": "300k", "adapter": {"lora": lora}})
    line = nearest_that_fits(recipe, ROBERTA, 4)
    assert "--set adapter.lora.1.rank=1" in line and "--set adapter.lora.0.rank=15" in line
