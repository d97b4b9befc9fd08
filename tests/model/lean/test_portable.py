"""The lean pass of a GPU, on a processor: it computes what transformers' own forward pass computes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.jobs import job_for, tensors
from support.networks import ADAPTERS, LEAN, PLAIN, batch, merged_network, network_for
from support.reads import operations_noted
from torch import nn
from torch.nn import functional

from featherweight.errors import UserError
from featherweight.model import engine as engines
from featherweight.model import predict
from featherweight.model.engine import Engine, autocast, choose_engine, move_to_engine, store_biases
from featherweight.model.lean.encoder import AdaptedBlock
from featherweight.model.lean.frozen_matrix import FrozenMatrix
from featherweight.model.lean.portable import PortableEncoder, PortableLayer, portable_encoder
from featherweight.model.network import Network
from featherweight.model.position_bias import StoredPositionBias, store_position_bias
from featherweight.training.loop import fit

NO_KERNEL = (
    "detach",
    "view",
    "t",
    "slice",
    "split",
    "split_with_sizes",
    "as_strided",
    "new_empty_strided",
    "new_empty",
)
PORTABLE = Engine("cpu", "fp32", "test", portable=True)


@pytest.fixture(autouse=True)
def plain_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """No matrix has the layout of a processor, as on a GPU."""
    monkeypatch.setattr("featherweight.model.lean.frozen_matrix.can_pack", lambda weight: False)
    assert not FrozenMatrix(torch.ones(2, 2))._can_pack


def logits_and_gradients(network: Network, engine: Engine) -> dict[str, torch.Tensor]:
    ids, mask, labels = batch(padded=True)
    with autocast(engine):
        logits = network(ids, mask)
    functional.cross_entropy(logits, labels).backward()
    gradients = {name: p.grad for name, p in network.trainable().items() if p.grad is not None}
    return {"logits": logits.detach(), **gradients}


@pytest.mark.parametrize("family", LEAN)
@pytest.mark.parametrize("adapter", ADAPTERS[:3])
def test_logits_and_gradients_agree(tiny_recipe: Any, family: str, adapter: dict[str, Any]) -> None:
    recipe = tiny_recipe(family, adapter=adapter)
    plain, portable = network_for(recipe, PLAIN), network_for(recipe, PORTABLE)
    assert isinstance(portable.lean, PortableEncoder)
    expected, found = logits_and_gradients(plain, PLAIN), logits_and_gradients(portable, PORTABLE)
    assert expected.keys() == found.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("adapter", ADAPTERS[:3])
def test_adapters_are_joined_in_few_operations_with_the_same_bits(
    tiny_recipe: Any, adapter: dict[str, Any], dtype: torch.dtype
) -> None:
    network = network_for(tiny_recipe(adapter=adapter), PLAIN)
    lean = portable_encoder(network, dtype)
    assert lean is not None
    layer = lean._layers[0]
    blocks = [block for block in (layer.joined, layer.output, layer.up, layer.down) if block._adapters]
    assert len(blocks) == (1 if adapter is ADAPTERS[0] else 4)
    for block in blocks:
        found: list[list[torch.Tensor]] = []
        operations: list[list[str]] = [[], []]
        for make in (type(block).matrices, AdaptedBlock.matrices):
            network.zero_grad()
            generator = torch.Generator().manual_seed(0)
            matrices = make(block)
            given = [torch.randn(matrix.shape, generator=generator).to(dtype) for matrix in matrices]
            given[1] = given[1].t().contiguous().t()  # as ``AdaptedLinear`` gives it
            with operations_noted(operations[len(found)]):
                torch.autograd.backward(make(block), given)
            gradients = [p.grad for p in network.trainable().values() if p.grad is not None]
            found.append([*matrices, *gradients])
        few, many = ([name for name in names if name not in NO_KERNEL] for names in operations)
        assert len(few) <= 0.6 * len(many), (few, many)
        assert len(found[0]) == len(found[1]) == 2 + 2 * len(block._adapters)
        assert all(torch.equal(one, other) and one.dtype == other.dtype for one, other in zip(*found, strict=True))


@pytest.mark.parametrize("family", ["bert", "mpnet"])
def test_in_bf16_and_merged_the_logits_are_near_those_of_fp32(tiny_recipe: Any, family: str) -> None:
    recipe, (ids, mask, _) = tiny_recipe(family, adapter=ADAPTERS[0]), batch(padded=True)
    with torch.inference_mode():
        expected = network_for(recipe, PLAIN).eval()(ids, mask)
        half, merged = replace(PORTABLE, precision="bf16"), merged_network(recipe, PORTABLE)
        assert all(type(layer) is PortableLayer for layer in merged.lean._layers)  # type: ignore[union-attr]
        torch.testing.assert_close(merged(ids, mask), expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(network_for(recipe, half).eval()(ids, mask), expected, rtol=0.05, atol=0.02)


def test_a_training_with_encoder_dropout_learns(tiny_recipe: Any, tmp_path: Path) -> None:
    keys = {"max_steps": 4, "encoder_dropout": True, "learning_rate": 1e-3}
    job = job_for(tiny_recipe(adapter={"dropout": 0.1}, training=keys), tmp_path / "run")
    before = tensors(job)
    job.engine = replace(job.engine, portable=True)
    move_to_engine(job.network, job.engine)
    fit(job)
    assert isinstance(job.network.lean, PortableEncoder)
    assert all(torch.isfinite(weights).all() for weights in tensors(job).values())
    assert any(not torch.equal(weights, before[name]) for name, weights in tensors(job).items())


def test_a_gpu_has_the_lean_pass_only_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a card")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    assert not choose_engine("auto", "cuda").portable
    monkeypatch.setenv(engines.GPU_LEAN, "1")
    assert [choose_engine(precision, "cuda").portable for precision in ("auto", "fp16")] == [True, True]
    assert not choose_engine("fp32", "cpu").portable
    monkeypatch.setenv(engines.GPU_LEAN, "yes")
    with pytest.raises(UserError, match="FEATHERWEIGHT_GPU_LEAN = 'yes': must be 0 or 1; correct or unset"):
        choose_engine("auto", "cuda")


def test_the_stored_position_bias_is_that_of_each_length(tiny_recipe: Any) -> None:
    network = network_for(tiny_recipe("mpnet", adapter=ADAPTERS[0]), PLAIN)
    encoder = network.plain_encoder().encoder
    expected = {length: encoder.compute_position_bias(torch.zeros(2, length)) for length in (9, 3, 120, 64)}
    store_position_bias(network)
    assert isinstance(encoder.compute_position_bias, StoredPositionBias)
    for length, bias in expected.items():
        assert torch.equal(encoder.compute_position_bias(torch.zeros(2, length)), bias)


def test_biases_in_16_bits_give_the_bits_of_autocast(tiny_recipe: Any) -> None:
    network = network_for(tiny_recipe(adapter=ADAPTERS[0]), replace(PLAIN, precision="bf16"))
    ids, mask, _ = batch(padded=True)
    with torch.inference_mode(), autocast(replace(PLAIN, precision="bf16")):
        before = network(ids, mask)
        store_biases(network, torch.bfloat16)
        assert torch.equal(network(ids, mask), before)
    linears = [m for m in network.encoder.modules() if isinstance(m, nn.Linear) and m.bias is not None]
    assert {linear.bias.dtype for linear in linears} == {torch.bfloat16}


def test_logits_that_are_read_together_stay_in_order() -> None:
    outputs = [torch.full((rows, 2), float(rows)) for rows in (3, 1, 2, 5, 4)]
    for at_once in (1, 2, 9):
        found = list(predict.read(iter(outputs), at_once))
        assert all(np.array_equal(one, other.numpy()) for one, other in zip(found, outputs, strict=True))
