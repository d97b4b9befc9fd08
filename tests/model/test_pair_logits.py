"""A pair gets the logits that transformers' own model gives to ``tokenizer(first, second)``."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from support.backbones import FAMILIES
from support.networks import LEAN, PLAIN, merged_network, network_for
from support.pairs import nli_rows
from transformers import AutoTokenizer

from featherweight.data.batches import collate
from featherweight.data.long_texts import LongTexts
from featherweight.data.sources import Rows
from featherweight.model.network import Network
from featherweight.model.text_model import TextModel

ADAPTER = {"head": "native", "lora": [{"roles": ["query", "value"], "rank": 2}]}
PAIRS = [row[:2] for row in nli_rows(20)] + [("a", "b"), ("a long premise " * 20, "a hypothesis " * 20), ("a", "")]
LONGEST = 32
ROWS = Rows(PAIRS, None, (), "made")


def transformers_logits(network: Network, tokenizer: Any) -> np.ndarray:
    """What the classification class gives, with all that it takes of what the tokenizer gives, in one batch."""
    inputs = tokenizer(
        *map(list, zip(*PAIRS, strict=True)), truncation=True, max_length=LONGEST, padding=True, return_tensors="pt"
    )
    takes = inspect.signature(network.base_model().forward).parameters
    with torch.inference_mode():
        encoder: Any = network.encoder.eval()
        return encoder(**{name: tensor for name, tensor in inputs.items() if name in takes}).logits.double().numpy()


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_those_of_transformers(tiny_recipe: Any, family: str) -> None:
    recipe = tiny_recipe(family, adapter=ADAPTER)
    tokenizer = AutoTokenizer.from_pretrained(recipe.backbone.name)
    plain = network_for(recipe, PLAIN)
    wanted = transformers_logits(plain, tokenizer)
    assert np.ptp(wanted, axis=0).min() > 1e-4
    networks = {"transformers": (plain, PLAIN)}
    if family in LEAN:
        engine = replace(PLAIN, lean=True)
        networks |= {"lean": (network_for(recipe, engine), engine), "merged": (merged_network(recipe, engine), engine)}
    for name, (network, engine) in networks.items():
        found = TextModel(network, tokenizer, engine, LongTexts(LONGEST)).logits(ROWS)
        np.testing.assert_allclose(found, wanted, atol=2e-6, err_msg=name)


@pytest.mark.parametrize(("family", "reads"), [("bert", True), ("electra", True), ("mpnet", False)])
def test_types_count_where_the_backbone_reads_them(tiny_recipe: Any, family: str, reads: bool) -> None:
    recipe = tiny_recipe(family, adapter=ADAPTER)
    engine = replace(PLAIN, lean=True)
    model = TextModel(
        network_for(recipe, engine), AutoTokenizer.from_pretrained(recipe.backbone.name), engine, LongTexts(LONGEST)
    )
    encoded = model.encode(ROWS)
    without = model.logits_of(replace(encoded, seconds=None))
    assert (np.abs(model.logits_of(encoded) - without).max() > 1e-4) == reads
    batch = collate(encoded, np.arange(3), 0)
    assert list(model.network.types_read(batch.token_types)) == ["token_type_ids"] * reads


def test_one_type_alone_is_none(tiny_recipe: Any) -> None:
    network = network_for(tiny_recipe("roberta", adapter=ADAPTER), PLAIN)
    types = torch.ones(1, 4, dtype=torch.int64)
    assert network.types_read(types)
    network.base_model().config.type_vocab_size = 1  # as in RoBERTa's published weights
    assert not network.types_read(types)
    assert not network.types_read(None)


@pytest.mark.parametrize("family", LEAN)
def test_gradients_agree_with_types(tiny_recipe: Any, family: str) -> None:
    recipe = tiny_recipe(family, adapter=ADAPTER)
    grads = []
    for engine in (PLAIN, replace(PLAIN, lean=True)):
        network = network_for(recipe, engine)
        model = TextModel(network, AutoTokenizer.from_pretrained(recipe.backbone.name), engine, LongTexts(LONGEST))
        logits = network(*collate(model.encode(ROWS), np.arange(9), 0).inputs("cpu"))
        torch.nn.functional.cross_entropy(logits, torch.arange(9) % 3).backward()
        grads.append({name: tensor.grad for name, tensor in network.trainable().items()})
    for name, grad in grads[0].items():
        torch.testing.assert_close(grads[1][name], grad, rtol=1e-4, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}")
