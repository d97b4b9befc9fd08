"""Prediction with the adapter folded in: the same logits as with the adapter beside its matrix, up to rounding."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.networks import ADAPTERS, ALL_ROLES, LEAN, PLAIN, batch, merged_network, network_for

from featherweight.data.sources import read_rows
from featherweight.inference.classifier import Classifier
from featherweight.model.engine import Engine, autocast
from featherweight.model.lean import forward_only as merged
from featherweight.model.lean import frozen_matrix as packing
from featherweight.model.lean import functions as lean_functions
from featherweight.model.lean.forward_only import ForwardLayer
from featherweight.model.network import Network
from featherweight.run.folder import Run
from featherweight.workflows.train import train

OTHERS = [
    {"lora": [{"roles": ALL_ROLES, "rank": 3}], "dora": True},
    {"lora": [{"roles": ALL_ROLES, "rank": 3, "alpha": 7}], "rslora": True, "dropout": 0.3},
    {"lora": [{"roles": ["value"], "rank": 2}], "initialisation": "pissa"},
]


def logits(network: Network, engine: Engine, padded: bool) -> torch.Tensor:
    with torch.inference_mode(), autocast(engine):
        return network(*batch(padded)[:2])


@pytest.mark.parametrize("family", LEAN)
@pytest.mark.parametrize("adapter", ADAPTERS + OTHERS)
def test_logits_are_those_of_the_adapter(tiny_recipe: Any, family: str, adapter: dict[str, Any]) -> None:
    recipe = tiny_recipe(family, adapter=adapter)
    plain, network = network_for(recipe, PLAIN).eval(), merged_network(recipe, replace(PLAIN, lean=True))
    assert network.lean is not None
    for padded in (False, True):
        expected = logits(plain, PLAIN, padded)
        torch.testing.assert_close(logits(network, PLAIN, padded), expected, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("family", ["deberta-v2", "modernbert"])
@pytest.mark.parametrize("adapter", [*ADAPTERS[:2], OTHERS[0]])
def test_what_has_no_lean_pass_is_merged_too(tiny_recipe: Any, family: str, adapter: dict[str, Any]) -> None:
    if family == "modernbert" and "roles" in adapter["lora"][0]:
        adapter = {**adapter, "lora": [{"roles": ["attention_output", "mlp_down"], "rank": 2}], "bias": "none"}
    recipe = tiny_recipe(family, adapter=adapter)
    expected = logits(network_for(recipe, PLAIN).eval(), PLAIN, True)
    network = merged_network(recipe, replace(PLAIN, lean=True))
    assert network.lean is None
    assert not any("lora" in name for name, _ in network.named_parameters())
    torch.testing.assert_close(logits(network, PLAIN, True), expected, rtol=1e-4, atol=2e-6)


def test_an_encoder_trained_with_dropout_predicts_without_it(tiny_recipe: Any) -> None:
    recipe = tiny_recipe("bert", training={"encoder_dropout": True})
    network = merged_network(recipe, replace(PLAIN, lean=True))
    assert network.lean is not None
    expected = logits(network_for(recipe, PLAIN).eval(), PLAIN, True)
    torch.testing.assert_close(logits(network, PLAIN, True), expected)
    torch.testing.assert_close(logits(network.train(), PLAIN, True), expected)  # nothing is left that could drop


@pytest.mark.parametrize("family", LEAN)
def test_bf16_stays_within_its_rounding(tiny_recipe: Any, family: str) -> None:
    recipe, engine = tiny_recipe(family, adapter=ADAPTERS[1]), Engine("cpu", "bf16", "test")
    exact = logits(network_for(recipe, PLAIN).eval(), PLAIN, True)
    rounded = logits(merged_network(recipe, engine), engine, True)
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("family", ["bert", "mpnet"])
@pytest.mark.parametrize("padded", [False, True])
def test_attention_in_pieces_is_the_same_attention(
    tiny_recipe: Any, family: str, padded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = merged_network(tiny_recipe(family), replace(PLAIN, lean=True))
    whole = logits(network, PLAIN, padded)
    for scores in (1, 200, 4 * 81, 3 * 4 * 81):  # four texts of nine tokens, with four heads
        monkeypatch.setattr(merged, "SCORES", scores)
        monkeypatch.setattr(lean_functions, "SCORES", scores)
        torch.testing.assert_close(logits(network, PLAIN, padded), whole, rtol=1e-5, atol=1e-6)


def test_a_processor_without_packed_matrices_computes_the_same(
    tiny_recipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = logits(merged_network(tiny_recipe("bert"), replace(PLAIN, lean=True)), PLAIN, True)
    monkeypatch.setattr(packing, "can_pack", lambda weight: False)
    plain = logits(merged_network(tiny_recipe("bert"), replace(PLAIN, lean=True)), PLAIN, True)
    torch.testing.assert_close(plain, packed, rtol=1e-5, atol=1e-6)


def texts_of(number: int) -> list[str]:
    words = ["apple", "pear", "plum", "iron", "copper", "zinc", "robin", "crow", "heron", "owl"]
    return [" ".join(words[(row * k) % 10] for k in range(1, 2 + row % 17)) for row in range(number)]


def test_a_loaded_classifier_is_merged_and_unmerged_computes_as_the_training_did(finished_run: Run) -> None:
    quick = Classifier.load(finished_run.folder)
    exact = Classifier.load(finished_run.folder, merge=False)
    assert not any("lora" in name for name, _ in quick.network.named_parameters())
    assert any("lora" in name for name, _ in exact.network.named_parameters())
    assert all(isinstance(layer, ForwardLayer) for layer in quick.network.lean._layers)  # type: ignore[union-attr]
    texts = texts_of(100)
    np.testing.assert_allclose(quick.logits(texts), exact.logits(texts), rtol=1e-4, atol=1e-4)
    assert [one.label for one in quick.predict(texts)] == [one.label for one in exact.predict(texts)]


def test_without_the_lean_pass_nothing_is_merged(finished_run: Run) -> None:
    plain = Classifier.load(finished_run.folder, precision="fp32", lean=False)
    assert any("lora" in name for name, _ in plain.network.named_parameters())


def test_one_text_alone_is_classified_as_among_others(finished_run: Run) -> None:
    classifier, texts = Classifier.load(finished_run.folder, precision="fp32"), texts_of(40)
    alone = np.concatenate([classifier.logits([text]) for text in texts])
    np.testing.assert_allclose(alone, classifier.logits(texts), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_sixteen_bits_change_hardly_any_label(tiny_recipe: Any, in_this_process: None, tmp_path: Path) -> None:
    """A real encoder, trained for some seconds: merged in bf16 against fp32 with the adapter beside its matrix."""
    data = {"train": "newsbriefs", "test": None, "max_length": 24, "train_rows": 256, "validation_size": 8}
    adapter = {"lora": [{"roles": ALL_ROLES, "rank": 4}]}
    training = {"max_steps": 16, "batch_size": 16, "learning_rate": 2e-3, "precision": "auto"}
    recipe = tiny_recipe(data=data, backbone={"name": "minilm"}, adapter=adapter, training=training)
    run = train(recipe, tmp_path / "run")
    texts = read_rows("newsbriefs", recipe.data, split="test", labelled=False).texts[::3]
    exact = Classifier.load(run.folder, precision="fp32", merge=False).probabilities(texts)
    merged32 = Classifier.load(run.folder, precision="fp32").probabilities(texts)
    merged16 = Classifier.load(run.folder, precision="bf16").probabilities(texts)
    assert np.abs(merged32 - exact).max() < 1e-4
    assert np.abs(merged16 - exact).max() < 0.05
    assert (merged16.argmax(1) == exact.argmax(1)).mean() >= 0.99
    assert len(set(exact.argmax(1))) == 4
