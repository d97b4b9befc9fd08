"""Heads and dropouts of the network, against what transformers' own classes are documented to do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from featherweight.adapter.build import build_network, initialise_from_data
from featherweight.backbone.resolve import resolve_backbone
from featherweight.data.encoding import Encoded
from featherweight.model.engine import Engine, move_to_engine
from featherweight.model.lean import encoder as encoder_pass
from featherweight.model.network import LinearHead, Network, pool
from featherweight.recipe import Recipe

LABELS = ("fruit", "metal", "bird")
ENGINE = Engine("cpu", "fp32", "test")
IDS = torch.tensor([[101, 2023, 2003, 1037, 3231, 102], [101, 6207, 102, 0, 0, 0]])
MASK = (IDS != 0).long()


def built(recipe: Recipe, *, lean: bool = True) -> Network:
    network = build_network(recipe, resolve_backbone(recipe.backbone), LABELS)
    move_to_engine(network, replace(ENGINE, lean=lean))
    return network


def test_first_is_the_first_token_and_padding_joins_no_mean() -> None:
    states = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(pool(states, MASK, "first"), states[:, 0])
    spoilt = torch.where(MASK.bool().unsqueeze(-1), states, torch.full_like(states, 1e6))
    assert torch.equal(pool(spoilt, MASK, "mean"), pool(states * MASK.unsqueeze(-1), MASK, "mean"))


def test_a_linear_head_starts_as_berts_own_heads_do() -> None:
    torch.manual_seed(0)
    head = LinearHead(500, 40, "mean")
    assert float(head.out.weight.detach().std()) == pytest.approx(0.02, rel=0.05)  # PyTorch's own: 0.026
    assert not head.out.bias.any()


@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_the_recipes_pooling_reaches_the_head(tiny_recipe: Any, pooling: str) -> None:
    network = built(tiny_recipe(adapter={"pooling": pooling}), lean=False).eval()
    with torch.no_grad():
        states = network.encoder(input_ids=IDS, attention_mask=MASK).last_hidden_state
        wanted = states[:, 0] if pooling == "first" else torch.stack([states[0].mean(0), states[1, :3].mean(0)])
        torch.testing.assert_close(network(IDS, MASK), network.head.out(wanted))


def test_a_native_head_is_trained_with_its_own_dropout(tiny_recipe: Any) -> None:
    """The encoder's own dropout is off; what is left is the head's, as in transformers' class."""
    network = built(tiny_recipe("bert", adapter={"head": "native"})).train()

    def logits(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return network(IDS, MASK).detach()

    assert torch.equal(logits(1), logits(1)) and not torch.equal(logits(1), logits(2))
    (dropout,) = (module for module in network.modules() if isinstance(module, nn.Dropout) and module.p)
    assert dropout.p == pytest.approx(0.1)


@pytest.mark.parametrize(("family", "layer"), [("bert", [0.3, 0.2, 0.2]), ("distilbert", [0.3, 0.0, 0.2])])
def test_a_lean_layer_drops_where_transformers_layer_does(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str, layer: list[float]
) -> None:
    """DistilBERT has no dropout on attention's output."""
    network = built(tiny_recipe(family, training={"encoder_dropout": True}))
    config = network.plain_encoder().config
    names = ("attention_dropout", "dropout") if family == "distilbert" else (
        "attention_probs_dropout_prob", "hidden_dropout_prob")  # fmt: skip
    for name, p in zip(names, (0.3, 0.2), strict=True):
        setattr(config, name, p)
    move_to_engine(network, ENGINE)  # which makes the lean pass anew
    drawn: list[float] = []
    attention = encoder_pass.Attention.apply
    monkeypatch.setattr(encoder_pass.Attention, "apply", lambda *a: drawn.append(a[-1]) or attention(*a))
    monkeypatch.setattr(encoder_pass, "dropped", lambda x, p: drawn.append(p) or x)
    network.train()(IDS, MASK)
    assert drawn == layer * 2


def test_the_lean_pass_leaves_other_activations_to_transformers(tiny_recipe: Any) -> None:
    network = built(tiny_recipe("bert"))
    network.plain_encoder().config.hidden_act = "gelu_new"
    assert encoder_pass.why_not_lean(network) == "not implemented for the activation gelu_new"


def test_the_lean_pass_has_the_norms_own_epsilon(tiny_recipe: Any) -> None:
    logits = []
    for lean in (False, True):
        network = built(tiny_recipe("bert"), lean=lean).eval()
        for module in network.modules():
            if isinstance(module, nn.LayerNorm):
                module.eps = 0.5
        with torch.no_grad():
            logits.append(network(IDS, MASK))
    torch.testing.assert_close(*logits)


def test_evas_start_is_the_same_for_the_same_seed(tiny_recipe: Any) -> None:
    import numpy as np

    tokens = np.random.default_rng(0).integers(1000, 30000, 4000).astype(np.int32)
    encoded = Encoded(tokens, np.arange(0, 4001, 8), None, 0, "made")

    def start(seed: int) -> list[Tensor]:
        recipe = tiny_recipe("bert", adapter={"initialisation": "eva"}, seed=seed)
        network = build_network(recipe, resolve_backbone(recipe.backbone), LABELS)
        initialise_from_data(network, recipe, encoded, 0, rows=64)
        return [tensor.detach() for name, tensor in network.trainable().items() if ".lora_A." in name]

    one, again, other = start(0), start(0), start(1)
    assert all(map(torch.equal, one, again))
    assert not any(map(torch.equal, one, other))


@pytest.mark.parametrize("lean", [False, True])
def test_the_adapters_dropout_is_the_recipes(tiny_recipe: Any, lean: bool) -> None:
    network = built(tiny_recipe("bert", adapter={"dropout": 0.25}), lean=lean).train()
    dropouts = {module.p for name, module in network.named_modules() if name.endswith("lora_dropout.default")}
    assert dropouts == {0.25}
    for name, parameter in network.trainable().items():
        if ".lora_B." in name:  # zeros at the start, which no mask changes
            parameter.data.fill_(1.0)
    one, other = (network(IDS, MASK).detach() for _ in range(2))
    assert not torch.allclose(one, other)
