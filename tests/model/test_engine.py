"""Where and in what arithmetic a network runs, why, and that the memory it takes stays bounded."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support.networks import LEAN, PLAIN, batch, network_for

from featherweight import environment
from featherweight.adapter.merge import merge_adapter
from featherweight.errors import UserError
from featherweight.model import engine
from featherweight.model.engine import Engine, autocast, choose_engine, move_to_engine, store_biases
from featherweight.training.loop import Job, fit
from featherweight.workflows.prepare import prepare


def test_bf16_is_taken_where_the_processor_has_it_and_it_proves_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "processor_flags", lambda: {"avx512_bf16"})
    monkeypatch.setattr(engine, "bf16_gain", lambda: 4.2)
    chosen = choose_engine("auto", "cpu")
    assert chosen.precision == "bf16"
    assert "avx512_bf16" in chosen.reason and "4.2 times" in chosen.reason


def test_emulated_bf16_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "processor_flags", lambda: {"avx512_bf16"})
    monkeypatch.setattr(engine, "bf16_gain", lambda: 0.5)
    chosen = choose_engine("auto", "cpu")
    assert chosen.precision == "fp32"
    assert "2.0 times as long" in chosen.reason


def test_without_the_instructions_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "processor_flags", set)
    monkeypatch.delattr(engine, "bf16_gain")
    assert choose_engine("auto", "cpu").precision == "fp32"


@pytest.mark.parametrize(
    ("gpus", "device", "words"),
    [
        (0, "gpu", "device 'gpu': not a device of PyTorch; use 'cpu', 'cuda' or 'cuda:NUMBER'"),
        (0, "cuda:x", "device 'cuda:x': not a device of PyTorch"),
        (0, "cuda", "device 'cuda': PyTorch finds no GPU here; use 'cpu'"),
        (2, "cuda:2", "device 'cuda:2': PyTorch finds 2 GPUs here; use 'cuda:1' or 'cpu'"),
    ],
)
def test_a_device_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, gpus: int, device: str, words: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    with pytest.raises(UserError, match=words):
        choose_engine("fp32", device)


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        ("model name : EPYC\ncpu family : 26\nmodel : 17\nmodel name : other\n", "EPYC (family 26, model 17)"),
        ("model name : Some ARM core\n", "Some ARM core"),
    ],
)
def test_two_generations_of_a_processor_have_two_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lines: str, name: str
) -> None:
    (tmp_path / "cpuinfo").write_text(lines)
    monkeypatch.setattr(environment, "Path", lambda path: tmp_path / Path(path).name)
    assert environment.processor_name() == name


def test_what_the_recipe_says_stands() -> None:
    assert choose_engine("bf16", "cpu").precision == "bf16"
    assert choose_engine("fp32", "cpu").reason == "as the recipe says"
    with pytest.raises(UserError, match="fp16' needs a GPU"):
        choose_engine("fp16", "cpu")


def test_a_long_batch_in_pieces_learns_what_the_whole_batch_does(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapters = {}
    for tokens in (10**9, 24):
        monkeypatch.setattr(Engine, "micro_batch_tokens", property(lambda self, most=tokens: most))
        ready = prepare(tiny_recipe(training={"epochs": 1, "precision": "fp32", "label_smoothing": 0.1}))
        assert max(ready.train.lengths) * 2 <= 24 < max(ready.train.lengths) * 8  # a batch of 8 makes several pieces
        folder = tmp_path / str(tokens)
        folder.mkdir()
        parts = (
            ready.recipe,
            ready.model.network,
            ready.model.engine,
            ready.accelerator,
            ready.train,
            ready.validation,
        )
        fit(Job(*parts, ready.model.tokenizer.pad_token_id, folder))
        adapters[tokens] = {name: tensor.detach().clone() for name, tensor in ready.model.network.trainable().items()}
    whole, pieces = adapters.values()
    for name, tensor in whole.items():
        torch.testing.assert_close(pieces[name], tensor, rtol=1e-3, atol=2e-5)


def test_settled_weights_do_not_keep_the_weight_file_mapped(tiny_recipe: Any) -> None:
    ready = prepare(tiny_recipe())
    before = {
        name: tensor.data_ptr() for name, tensor in ready.model.network.named_parameters() if not tensor.requires_grad
    }
    move_to_engine(ready.model.network, ready.model.engine)
    small = [name for name, tensor in ready.model.network.named_parameters() if name in before and tensor.ndim == 1]
    assert small
    assert not [name for name in small if ready.model.network.get_parameter(name).data_ptr() == before[name]]


@pytest.mark.parametrize(("device", "hidden", "tokens"), [("cpu", 384, 2048), ("cpu", 768, 1536)])
def test_wide_layers_get_smaller_pieces(device: str, hidden: int, tokens: int) -> None:
    assert Engine(device, "fp32", "").training_micro_batch_tokens(hidden) == tokens
    assert Engine("cuda", "fp32", "").training_micro_batch_tokens(hidden) > 10**15


@pytest.mark.parametrize(("flags", "ours"), [({"avx512_bf16"}, ("128", "16", "1")), ({"amx_bf16"}, ("512", "16", "1"))])
def test_what_is_compiled_is_kept_where_compiling_is_dear(
    monkeypatch: pytest.MonkeyPatch, flags: set[str], ours: tuple[str, ...]
) -> None:
    monkeypatch.setattr(engine, "processor_flags", lambda: flags)
    names = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY", "TORCH_CUDNN_SDPA_DEPRIORITIZED")
    for given in (None, "7"):
        surroundings = {name: given for name in names if given}
        monkeypatch.setattr(os, "environ", surroundings)
        engine.bound_memory()
        assert tuple(surroundings[name] for name in names) == ((given,) * 3 if given else ours)


@pytest.mark.parametrize(("flags", "precision", "filled"), [
    ({"amx_bf16"}, "bf16", True),
    ({"amx_bf16"}, "fp32", False),
    ({"avx512_bf16"}, "bf16", False),
])  # fmt: skip
def test_products_share_their_shapes_where_compiling_is_dear(
    monkeypatch: pytest.MonkeyPatch, flags: set[str], precision: str, filled: bool
) -> None:
    monkeypatch.setattr(engine, "processor_flags", lambda: flags)
    assert Engine("cpu", precision, "").pad_shapes is filled
    assert not Engine("cuda", precision, "").pad_shapes


@pytest.mark.skipif(sys.platform != "linux", reason="looks at the memory as Linux tells it")
def test_memory_does_not_grow_with_every_new_batch_shape() -> None:
    # This process may have set its own bounds for another processor, which a child would inherit.
    surroundings = {name: value for name, value in os.environ.items() if "CACHE_CAPACITY" not in name}
    grown = subprocess.run([sys.executable, "-c", GROWTH], capture_output=True, text=True, check=True, env=surroundings)
    assert int(grown.stdout) < 60_000_000, f"{int(grown.stdout):,} bytes"


GROWTH = """
from pathlib import Path
import torch
from featherweight.model import engine
engine.processor_flags = lambda: set()
engine.bound_memory()
from featherweight.model.lean.frozen_matrix import FrozenMatrix
torch.set_num_threads(1)
matrices = [FrozenMatrix(torch.randn(384, 384)) for _ in range(3)]
def resident():
    engine.return_memory()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
def work(lengths):
    for length in lengths:
        for matrix in matrices:
            x = matrix.times(torch.randn(4 * length, 384), None)
            matrix.gradient(x)
        torch.bmm(torch.randn(48, length, 32).bfloat16(), torch.randn(48, 32, length).bfloat16())
work(range(20, 40))
before = resident()
work(range(40, 240))
print(resident() - before)
"""


@pytest.mark.parametrize("family", LEAN)
@pytest.mark.parametrize("portable", [False, True])
def test_the_head_of_a_merged_model_stays_in_fp32(tiny_recipe: Any, family: str, portable: bool) -> None:
    """It is frozen, like everything else in the model, and is still computed in fp32."""
    network = network_for(tiny_recipe(family, adapter={"head": "native"}), PLAIN).eval()
    merge_adapter(network)
    ids, mask, _ = batch(padded=True)
    with torch.inference_mode():
        expected = network(ids, mask)
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    chosen = replace(PLAIN, precision="bf16", lean=True, portable=portable)
    move_to_engine(network, chosen)
    store_biases(network, torch.bfloat16)  # what a GPU gets as well
    with torch.inference_mode(), autocast(chosen):
        torch.testing.assert_close(network(ids, mask), expected, rtol=0.05, atol=0.01)
    assert {tensor.dtype for part in network.head_parts() for tensor in part.parameters()} == {torch.float32}
    assert torch.bfloat16 in {tensor.dtype for tensor in network.parameters()}


def test_memory_of_a_gpu_is_given_back_and_its_peak_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    for name in ("empty_cache", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, lambda name=name: done.append(name))
    environment.release_gpu_memory()
    environment.forget_peak_memory()
    assert not done  # no GPU is in use
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    environment.release_gpu_memory()
    environment.forget_peak_memory()
    assert done == ["empty_cache", "reset_peak_memory_stats"]
