"""Each built-in family is compared with the transformers class that it describes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.backbones import FAMILIES, tiny_config

import featherweight
from featherweight.backbone.architecture import Architecture
from featherweight.backbone.describe import architecture_of
from featherweight.backbone.known_configs import KNOWN
from featherweight.errors import UserError

VARIANTS: dict[str, dict[str, Any]] = {
    **{family: {"model_type": family, **tiny_config(family)} for family in FAMILIES},
    "xlm-roberta": {"model_type": "xlm-roberta", **tiny_config("roberta")},
    "camembert": {"model_type": "camembert", **tiny_config("roberta")},
    "electra of one width": {"model_type": "electra", **tiny_config("electra"), "embedding_size": 32},
    "deberta with position projections": {
        "model_type": "deberta-v2",
        **tiny_config("deberta-v2"),
        **{"share_att_key": False, "type_vocab_size": 2, "position_biased_input": True, "position_buckets": -1},
    },
    "deberta with one projection": {
        "model_type": "deberta-v2",
        **tiny_config("deberta-v2"),
        **{"share_att_key": False, "pos_att_type": "c2p", "max_relative_positions": 20, "position_buckets": -1},
    },
    "deberta with a convolution": {
        "model_type": "deberta-v2",
        **tiny_config("deberta-v2"),
        **{"conv_kernel_size": 3, "conv_groups": 2, "embedding_size": 16},
    },
    "modernbert with biases": {
        "model_type": "modernbert",
        **tiny_config("modernbert"),
        **{"attention_bias": True, "mlp_bias": True, "norm_bias": True, "classifier_bias": True},
    },
}


def skeleton(config: dict[str, Any], *, classifier: bool, labels: int = 3) -> Any:
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

    built = AutoConfig.for_model(**config, num_labels=labels)
    with torch.device("meta"):
        return (AutoModelForSequenceClassification if classifier else AutoModel).from_config(built)


def true_biases(model: Any) -> dict[str, int]:
    """Biases by what their module is, not by what they are called."""
    from torch import nn

    kinds = (nn.Linear, nn.LayerNorm, nn.Conv1d)
    found = {n: m.bias for n, m in model.named_modules() if isinstance(m, kinds) and m.bias is not None}
    return {f"{name}.bias": bias.numel() for name, bias in found.items() if not name.startswith("pooler.")}


def assert_describes(architecture: Architecture, config: dict[str, Any]) -> None:
    from torch import nn

    encoder = skeleton(config, classifier=False)
    modules = dict(encoder.named_modules())
    for linear in architecture.linears:
        module = modules[linear.name]
        assert isinstance(module, nn.Linear)
        assert (module.in_features, module.out_features) == (linear.inputs, linear.outputs)
        assert (module.bias is not None) == linear.bias
    parameters = {n: p.numel() for n, p in encoder.named_parameters() if not n.startswith("pooler.")}
    assert architecture.encoder_parameters == sum(parameters.values())
    biases = dict(architecture.other_biases) | {f"{x.name}.bias": x.outputs for x in architecture.linears if x.bias}
    assert biases == true_biases(encoder)
    assert architecture.encoder_biases == sum(biases.values())
    assert architecture.layers == max(linear.layer for linear in architecture.linears) + 1


def assert_describes_head(architecture: Architecture, config: dict[str, Any], labels: int) -> None:
    model = skeleton(config, classifier=True, labels=labels)
    prefix = architecture.prefix
    assert set(dict(getattr(model, prefix).named_parameters())) >= {f"{x.name}.weight" for x in architecture.linears}
    inside = (f"{prefix}.", f"{prefix}.pooler.")
    head = {n: p for n, p in model.named_parameters() if not n.startswith(inside[0]) or n.startswith(inside[1])}
    expected = {(name, parameter.numel(), name.endswith(".bias")) for name, parameter in head.items()}
    assert set(architecture.head_parameters(labels)) == expected
    for module in architecture.head_modules:
        assert model.get_submodule(module) is not None
    assert all(name.startswith(tuple(f"{m}." for m in architecture.head_modules)) for name in head)


@pytest.mark.parametrize("variant", VARIANTS)
def test_family_agrees_with_its_transformers_class(variant: str) -> None:
    config = VARIANTS[variant]
    architecture = architecture_of(config)
    assert_describes(architecture, config)
    assert_describes_head(architecture, config, labels=5)


@pytest.mark.parametrize(
    "name", ["roberta-large", "microsoft/deberta-v3-base", "minilm", "answerdotai/ModernBERT-base"]
)
def test_known_shapes_agree_with_the_class_at_full_size(name: str) -> None:
    assert_describes(architecture_of(KNOWN[name]), KNOWN[name])


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        # Published sizes of the encoders without pooler and head.
        ("roberta-base", 124_055_040),
        ("roberta-large", 354_310_144),
        ("distilroberta-base", 81_527_808),
        ("bert-base-uncased", 108_891_648),
        ("distilbert-base-uncased", 66_362_880),
        ("microsoft/deberta-v3-base", 183_831_552),
        ("answerdotai/ModernBERT-base", 149_014_272),
    ],
)
def test_known_backbones_have_their_published_size(name: str, parameters: int) -> None:
    assert architecture_of(KNOWN[name]).encoder_parameters == parameters


def test_minilm_shape_is_that_of_the_installed_wheel() -> None:
    from featherweight.backbone.resolve import resolve_backbone
    from featherweight.recipe import BackboneRecipe

    wheel = resolve_backbone(BackboneRecipe(name="minilm"))
    assert architecture_of(wheel.config) == architecture_of(KNOWN["minilm"])


@pytest.mark.parametrize("family", [*FAMILIES, "xlm-roberta", "camembert"])
def test_missing_keys_take_the_defaults_of_the_class(family: str) -> None:
    from transformers import AutoConfig

    complete = {"model_type": family, **AutoConfig.for_model(family).to_dict()}
    assert architecture_of({"model_type": family}) == architecture_of(complete)


def test_every_family_has_all_six_roles() -> None:
    for config in VARIANTS.values():
        assert len(architecture_of(config).roles) == 6


def test_relative_attention_bias_of_mpnet_is_no_bias() -> None:
    architecture = architecture_of(KNOWN["mpnet"])
    assert not [name for name, _ in architecture.other_biases if "relative" in name]
    assert architecture.encoder_biases == architecture_of(KNOWN["roberta-base"]).encoder_biases == 102_144


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "bert", "is_decoder": True},
        {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]},
        {"model_type": "gpt2"},
        {"model_type": "llama", "architectures": ["LlamaForCausalLM"]},
        {"model_type": "t5"},
        {"model_type": "bart", "is_encoder_decoder": True},
    ],
)
def test_decoders_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"decoder|sequence-to-sequence") as error:
        architecture_of(config)
    assert "encoders such as roberta-base" in str(error.value)


def test_unknown_family_names_its_linear_layers_and_the_remedy() -> None:
    config = {"model_type": "roformer", **tiny_config("bert"), "embedding_size": 32}
    with pytest.raises(UserError) as error:
        architecture_of(config)
    message = str(error.value)
    assert "attention.self.query (32 to 32)" in message
    assert "intermediate.dense (32 to 48)" in message
    assert '[backbone.roles] query = "attention.self.query"' in message
    assert len(message.splitlines()) == 2


def test_unknown_family_with_roles_is_described_through_its_class() -> None:
    config = {"model_type": "roformer", **tiny_config("bert"), "embedding_size": 16}
    roles = {"query": "attention.self.query", "value": "attention.self.value", "mlp_up": "intermediate.dense"}
    architecture = architecture_of(config, roles)
    assert architecture.roles == ("query", "value", "mlp_up")
    assert len(architecture.linears) == 6
    assert_describes(architecture, config)
    assert_describes_head(architecture, config, labels=4)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_way_through_the_class_agrees_with_the_built_in_one(family: str) -> None:
    config = VARIANTS[family]
    built_in = architecture_of(config)
    first = [linear for linear in built_in.linears if linear.layer == 0]
    place = first[0].name.index(".0.") + 3
    roles = {role: linear.name[place:] for linear in first for role in linear.roles}
    through_class = architecture_of(config, roles)
    assert {x.name: x for x in through_class.linears} == {x.name: x for x in built_in.linears}
    assert dict(through_class.other_biases) == dict(built_in.other_biases)
    assert through_class.encoder_parameters == built_in.encoder_parameters
    assert through_class.prefix == built_in.prefix
    assert through_class.head_modules == built_in.head_modules
    assert set(through_class.head_parameters(7)) == set(built_in.head_parameters(7))


@pytest.mark.parametrize("family", ["roformer", "bert"])
def test_role_map_with_a_wrong_name_says_which_names_there_are(family: str) -> None:
    config = {"model_type": family, **tiny_config("bert")}
    with pytest.raises(UserError, match=r"backbone.roles.query: no linear layer 'attn.q'") as error:
        architecture_of(config, {"query": "attn.q"})
    assert f"\nthe linear layers of {family} are: attention.self.query (32 to 32), " in str(error.value)


@pytest.mark.parametrize(
    ("config", "part"),
    [
        ({}, "model_type"),
        ({"model_type": 3}, "model_type"),
        ({"model_type": "bert", "hidden_size": "768"}, "hidden_size must be a whole number; it is '768'"),
        ({"model_type": "bert", "num_hidden_layers": 0}, "num_hidden_layers must be at least 1"),
        ({"model_type": "nobody-knows-it"}, "does not know models of type 'nobody-knows-it'"),
    ],
)
def test_senseless_configs_name_the_key(config: dict[str, Any], part: str) -> None:
    with pytest.raises(UserError) as error:
        architecture_of(config)
    assert part in str(error.value)


def test_weighing_and_planning_import_nothing_heavy() -> None:
    program = (
        "import sys; from featherweight import Recipe; from featherweight.budget.plan import plan\n"
        "from featherweight.backbone.describe import architecture_of\n"
        "from featherweight.backbone.known_configs import KNOWN\n"
        "from featherweight.budget.weigh import weigh\n"
        "a = architecture_of(KNOWN['roberta-base']); weigh(Recipe.load('r4'), a, 4); plan(a, 4, 10**6)\n"
        "heavy = {'torch', 'transformers', 'peft', 'datasets', 'sklearn', 'pandas', 'matplotlib', 'numpy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(featherweight.__file__).parents[1])}
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    assert answer.stdout.strip() == "[]"
