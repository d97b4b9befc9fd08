"""A training step on a GPU reads no value of a tensor: that would wait until the GPU has computed it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.jobs import job_for
from support.reads import reads_noted

from featherweight.data.batches import collate
from featherweight.model.attention_mask import additive_mask, prepare_mask
from featherweight.model.engine import Engine, autocast, move_to_engine
from featherweight.model.lean.portable import portable_encoder
from featherweight.model.position_bias import store_position_bias
from featherweight.training import loop, step_records
from featherweight.training.averaging import Average
from featherweight.training.optimizer import build_optimizer
from featherweight.training.row_source import DeviceRows
from featherweight.training.step_records import StepRecords

OWN = {
    "bert": {"training": {"accumulate": 2, "average": 0.9}},
    "roberta": {"adapter": {"dropout": 0.1}, "training": {"r_drop": 1.0, "class_weights": "balanced"}},
    "distilbert": {"adapter": {"head": "native"}},
    "mpnet": {"training": {"average": "swa", "label_smoothing": 0.1}},
    "electra": {"adapter": {"bias": "all"}, "training": {"clip": 0.0}},
}


@pytest.mark.parametrize(
    "way",
    [
        lambda x: x.tolist(),
        lambda x: x.cpu(),
        lambda x: x.numpy(),
        lambda x: np.asarray(x),
        lambda x: x.sum().item(),
        lambda x: bool((x > 0).all()),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: torch.equal(x, x),
        lambda x: x.repeat_interleave(x.long()),
    ],
)
def test_each_way_to_read_is_noted(way: Any) -> None:
    found: list[str] = []
    with reads_noted(found):
        way(torch.ones(3))
    assert found


@pytest.mark.parametrize("lean", [False, True], ids=["own", "lean"])
@pytest.mark.parametrize("family", OWN)
def test_no_value_is_read_in_a_step(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str, lean: bool
) -> None:
    monkeypatch.setattr("featherweight.model.lean.frozen_matrix.can_pack", lambda weight: False)
    monkeypatch.setattr(loop, "most_unread", lambda job: 64)
    monkeypatch.setattr(loop, "build_optimizer", lambda *a, fused: build_optimizer(*a, fused=True))
    monkeypatch.setattr(loop, "row_source", lambda encoded, device, pad, _: DeviceRows(encoded, device, pad))
    monkeypatch.setattr(step_records, "_SECONDS_UNREAD", 1e9)
    found: list[str] = []
    steps = noting(monkeypatch, found, loop, "_one_step")
    noting(monkeypatch, found, StepRecords, "add")
    noting(monkeypatch, found, Average, "update")
    keys = OWN[family] | {"training": {"max_steps": 3, "keep": "last", **OWN[family].get("training", {})}}
    job = job_for(tiny_recipe(family, **keys), tmp_path / "run")
    job.engine = replace(job.engine, lean=lean, portable=lean)
    move_to_engine(job.network, job.engine)
    store_position_bias(job.network)
    prepare_mask(job.network, job.engine.dtype)
    assert (job.network.lean is not None) == lean
    loop.fit(job)
    assert (len(steps), found) == (3, [])


def noting(monkeypatch: pytest.MonkeyPatch, found: list[str], owner: Any, name: str) -> list[str]:
    """Note in ``found`` what the function reads; the list that is returned gets its name at each call."""
    original, calls = getattr(owner, name), []

    def noted(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        with reads_noted(found):
            return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, noted)
    return calls


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", OWN)
def test_the_mask_gives_the_logits_of_transformers_own(
    tiny_recipe: Any, tmp_path: Path, family: str, attention: str, precision: str
) -> None:
    job = job_for(tiny_recipe(family), tmp_path)
    engine = replace(job.engine, lean=False, precision=precision)
    network, near = job.network.eval(), {"fp32": (1e-4, 1e-6), "bf16": (0.02, 0.005)}[precision]
    assert network.head is not None
    network.head.out.weight.data *= 30  # so that the logits depend on what attention reads
    if family != "mpnet":
        network.base_model().set_attn_implementation(attention)
    move_to_engine(network, engine)
    ids, mask, *_ = collate(job.train, np.arange(12), job.pad_id).inputs("cpu")
    assert ids is not None and mask is not None and not mask.all()
    found: list[str] = []

    def logits(mask: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode(), autocast(engine):
            return network(ids, mask)

    whole = torch.ones_like(mask)
    expected = [logits(each) for each in (mask, whole)]
    prepare_mask(network, engine.dtype)
    for each, known in zip((mask, whole), expected, strict=True):
        with reads_noted(found):
            computed = logits(each)
        torch.testing.assert_close(computed, known, rtol=near[0], atol=near[1])
    assert not found
    # In fp32 the test can tell whether attention reads padding; in bf16 rounding hides it in some tiny networks.
    network.make_mask = lambda mask: additive_mask(whole, engine.dtype)
    assert precision == "bf16" or not torch.allclose(logits(mask), expected[0], rtol=near[0], atol=near[1])


def test_a_network_that_is_moved_off_the_processor_gets_the_mask(tiny_recipe: Any, tmp_path: Path) -> None:
    network = job_for(tiny_recipe("bert"), tmp_path).network
    network.base_model().set_attn_implementation("sdpa")
    assert network.make_mask is None
    move_to_engine(network, Engine("meta", "bf16", "test"))
    assert network.make_mask is not None
    made = network.make_mask(torch.tensor([[1, 1], [1, 0]]))
    assert made.dtype == torch.bfloat16 and made[:, 0, 0].tolist() == [[0, 0], [0, -9984]]  # -1e4 in bf16


@pytest.mark.parametrize("length", [5, 8, 17])
@pytest.mark.parametrize("family", ["bert", "mpnet"])
def test_attention_need_not_copy_the_mask(tiny_recipe: Any, tmp_path: Path, family: str, length: int) -> None:
    """PyTorch's memory-efficient attention copies a mask unless all strides but the last are multiples of 8."""
    network = job_for(tiny_recipe(family), tmp_path).network
    mask = (torch.arange(length) < torch.tensor([[length], [3]])).long()
    portable = portable_encoder(network, torch.bfloat16)
    assert portable is not None
    for made in (additive_mask(mask, torch.bfloat16), portable._added(mask)):
        assert made.shape[-1] == length and made.stride(-1) == 1
        assert all(stride % 8 == 0 for stride in made.stride()[:-1])
        assert torch.equal(made.amax((1, 2)) < -5000, mask == 0)


def test_another_use_of_the_mask_keeps_the_mask_of_the_batch(tiny_recipe: Any, tmp_path: Path) -> None:
    network = job_for(tiny_recipe("bert"), tmp_path).network
    config = network.base_model().config
    prepare_mask(network, torch.float32)
    assert network.make_mask is not None
    for key, value in (("is_decoder", True), ("_attn_implementation", "flash_attention_2")):
        before = getattr(config, key)
        setattr(config, key, value)
        prepare_mask(network, torch.float32)
        assert network.make_mask is None
        setattr(config, key, before)
