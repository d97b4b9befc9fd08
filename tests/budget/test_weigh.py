"""The weigh-in gives the published counts, and agrees with PEFT's own on the built model."""

from __future__ import annotations

from typing import Any

import pytest

from featherweight.backbone.describe import architecture_of
from featherweight.backbone.known_configs import KNOWN
from featherweight.budget.limit import require_within_budget
from featherweight.budget.weigh import adapted_linears, ranges, weigh
from featherweight.errors import UserError
from featherweight.recipe import Recipe

pytestmark = pytest.mark.usefixtures("as_options")

ROBERTA = architecture_of(KNOWN["roberta-base"])
ROUNDS = {"r1": 962_308, "r2": 888_580, "r3": 888_580, "r4": 990_724}


def recipe(**adapter: Any) -> Recipe:
    return Recipe.parse({"backbone": {"name": "roberta-base"}, "adapter": adapter})


def peft_model(config: dict[str, Any], weighed: Recipe, labels: int) -> Any:
    """The classifier as a PEFT user would wrap it, without weights."""
    import torch
    from peft import LoraConfig, TaskType, get_peft_model
    from transformers import AutoConfig, AutoModelForSequenceClassification

    architecture = architecture_of(config)
    targets = {f"{architecture.prefix}.{n}": t for n, t in adapted_linears(weighed.adapter, architecture).items()}
    with torch.device("meta"):
        model = AutoModelForSequenceClassification.from_config(AutoConfig.for_model(**config, num_labels=labels))
    lora = LoraConfig(
        task_type=TaskType.SEQ_CLS,
        target_modules=list(targets),
        rank_pattern={name: table.rank for name, table in targets.items()},
        bias={"lora": "lora_only"}.get(weighed.adapter.bias, weighed.adapter.bias),
        use_dora=weighed.adapter.dora,
    )
    return get_peft_model(model, lora)


@pytest.mark.parametrize(("name", "total"), ROUNDS.items())
def test_the_four_rounds_weigh_what_was_published(name: str, total: int) -> None:
    # R4 was published as 992,268; what it trains are 990,724 distinct parameters.
    weight = weigh(Recipe.load(name), ROBERTA, 4)
    assert weight.total == total == sum(component.parameters for component in weight.components)
    assert weight.peft_total == total
    assert weight.peft_note is None
    assert weight.margin == 1_000_000 - total
    assert weight.percent == pytest.approx(100 * total / 124_055_040)


@pytest.mark.parametrize("name", ROUNDS)
@pytest.mark.parametrize("backbone", ["roberta-base", "mpnet", "bert-base-cased", "distilbert-base-uncased"])
def test_peft_counts_what_the_weigh_in_says_it_counts(name: str, backbone: str) -> None:
    weighed, config = Recipe.load(name), KNOWN[backbone]
    weight = weigh(weighed, architecture_of(config), 4)
    assert peft_model(config, weighed, 4).get_nb_trainable_parameters()[0] == weight.peft_total


@pytest.mark.parametrize("bias", ["none", "lora", "all"])
@pytest.mark.parametrize("backbone", ["microsoft/deberta-v3-base", "answerdotai/ModernBERT-base", "minilm"])
def test_peft_agrees_on_other_families_biases_and_dora(backbone: str, bias: str) -> None:
    lora = [{"roles": ["query", "mlp_up"], "rank": 3, "layers": "top-2"}]
    weighed, config = recipe(head="native", lora=lora, bias=bias, dora=True), KNOWN[backbone]
    weight = weigh(weighed, architecture_of(config), 7)
    assert peft_model(config, weighed, 7).get_nb_trainable_parameters()[0] == weight.peft_total


def test_bert_pooler_is_counted_here_and_left_out_by_peft() -> None:
    bert = architecture_of(KNOWN["bert-base-uncased"])
    weight = weigh(Recipe.load("r3"), bert, 4)
    assert weight.total == 888_580
    assert weight.peft_total == 888_580 - 590_592
    assert weight.peft_note is not None
    assert "bert.pooler.dense" in weight.peft_note
    assert "590,592" in weight.peft_note
    # Under bias = all PEFT does train the pooler's 768 biases.
    assert weigh(Recipe.load("r4"), bert, 4).peft_total == 990_724 - 589_824


def test_components_name_role_layers_and_rank() -> None:
    names = {c.name: (c.kind, c.parameters) for c in weigh(Recipe.load("r1"), ROBERTA, 4).components}
    assert names == {
        "LoRA value, layers 0-5, rank 8": ("lora", 73_728),
        "LoRA query, layers 6-11, rank 16": ("lora", 147_456),
        "LoRA value, layers 6-11, rank 16": ("lora", 147_456),
        "head, classifier.dense": ("head", 590_592),
        "head, classifier.out_proj": ("head", 3_076),
    }


def test_encoder_biases_and_dora_are_components_of_their_own() -> None:
    weight = weigh(recipe(lora={"roles": ["query", "value"]}, bias="all", dora=True), ROBERTA, 4)
    sizes = {component.kind: component.parameters for component in weight.components}
    assert sizes["bias"] == 102_144
    assert sizes["dora"] == 18_432
    assert sizes["head"] == 3_076
    assert weigh(recipe(bias="lora"), ROBERTA, 4).components[-2].parameters == 24 * 768


def test_fused_projection_is_adapted_once() -> None:
    modernbert = architecture_of(KNOWN["answerdotai/ModernBERT-base"])
    weight = weigh(recipe(lora={"roles": ["query", "value"], "rank": 2}), modernbert, 4)
    assert [c.name for c in weight.components] == ["LoRA query+key+value, layers 0-21, rank 2", "head, linear"]
    assert weight.components[0].parameters == 22 * 2 * (768 + 3 * 768)


def test_head_alone_can_be_weighed() -> None:
    weight = weigh(recipe(lora=[]), ROBERTA, 4)
    assert weight.total == 3_076


def test_as_dict_is_plain_and_complete() -> None:
    import json

    plain = json.loads(json.dumps(weigh(Recipe.load("r4"), ROBERTA, 4).as_dict()))
    assert plain["total"] == 990_724
    assert plain["margin"] == 9_276
    assert plain["components"][0] == {"name": "LoRA query, layers 0-11, rank 8", "kind": "lora", "parameters": 147_456}


@pytest.mark.parametrize(
    ("numbers", "text"), [([3], "3"), ([0, 1, 2], "0-2"), ([8, 0, 1, 5, 6], "0-1, 5-6, 8"), ([], "")]
)
def test_ranges(numbers: list[int], text: str) -> None:
    assert ranges(numbers) == text


@pytest.mark.parametrize(
    ("tables", "part"),
    [
        (
            [{"roles": ["query"]}, {"roles": ["query"], "layers": "0-3"}],
            "adapter.lora.1: encoder.layer.0.attention.self",
        ),
        (
            [{"roles": ["query"], "layers": "10-12"}],
            "adapter.lora.0: layers = '10-12': the backbone has layers 0 to 11",
        ),
    ],
)
def test_tables_that_do_not_fit_name_the_key(tables: list[dict[str, Any]], part: str) -> None:
    with pytest.raises(UserError) as error:
        weigh(recipe(lora=tables), ROBERTA, 4)
    assert part in str(error.value)


def test_two_tables_on_one_fused_projection_are_refused() -> None:
    modernbert = architecture_of(KNOWN["answerdotai/ModernBERT-base"])
    with pytest.raises(UserError, match=r"layers.0.attn.Wqkv is already adapted by an earlier table"):
        weigh(recipe(lora=[{"roles": ["query"]}, {"roles": ["value"]}]), modernbert, 4)


def test_role_that_the_backbone_lacks_is_named() -> None:
    roformer = architecture_of({"model_type": "roformer", "num_hidden_layers": 1}, {"query": "attention.self.query"})
    with pytest.raises(UserError, match=r"adapter.lora.0.roles: roformer has no layer with the role value; it"):
        weigh(recipe(lora={"roles": ["query", "value"]}), roformer, 4)


def test_within_budget_nothing_is_said() -> None:
    r4 = Recipe.load("r4", ["budget=990724"])
    require_within_budget(weigh(r4, ROBERTA, 4), r4, ROBERTA)


def test_over_budget_the_refusal_counts_and_proposes() -> None:
    r4 = Recipe.load("r4", ["budget=990723"])
    with pytest.raises(UserError) as error:
        require_within_budget(weigh(r4, ROBERTA, 4), r4, ROBERTA)
    first, second = str(error.value).splitlines()
    assert first.startswith("budget = 990,723 exceeded by 1: 990,724 trainable parameters (")
    assert "encoder biases: 102,144" in first
    assert second == "Nearest adapter that fits, 953,860 parameters: --set adapter.lora.rank=7"


@pytest.mark.parametrize(("rank", "fits"), [(768, True), (769, False)])
def test_a_rank_is_useful_up_to_the_smaller_side(rank: int, fits: bool) -> None:
    chosen = Recipe.parse({
        "budget": 10**9, "backbone": {"name": "roberta-base"}, "adapter": {"lora": {"roles": ["mlp_up"], "rank": rank}},
    })  # fmt: skip
    weight = weigh(chosen, ROBERTA, 4)
    assert weight.margin == 10**9 - weight.total > 0
    if fits:
        require_within_budget(weight, chosen, ROBERTA)
        return
    with pytest.raises(UserError, match=r"rank = 769 is more than .*; use at most 768"):
        require_within_budget(weight, chosen, ROBERTA)
