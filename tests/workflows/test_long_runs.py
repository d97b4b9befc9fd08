"""Long texts from end to end, in the shape of abstracts: read in part or in windows, trained, resumed, predicted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.jobs import assert_resumes_exactly, job_for, tensors, without_seconds
from support.long_texts import abstracts, write_abstracts
from support.prefix_caches import kept_files
from torch.nn import functional

from featherweight.data.batches import collate
from featherweight.inference.classifier import Classifier
from featherweight.inference.output_files import predict_file
from featherweight.recipe import Recipe
from featherweight.training import windows as window_logits
from featherweight.training.loop import fit
from featherweight.training.windows import text_logits
from featherweight.verification.verify import verify_run
from featherweight.workflows.baselines import run_baseline
from featherweight.workflows.prepare import prepare
from featherweight.workflows.train import train

WINDOWS = {"long": "windows", "window_overlap": 0.25}
LEARNS = {"epochs": 6, "learning_rate": 0.1, "evaluate_every": 100}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("abstracts")
    parts = {"train": (60, 0), "test": (18, 60)}
    return {part: write_abstracts(folder / f"{part}.jsonl", *rows) for part, rows in parts.items()}


@pytest.fixture
def recipe_of(tiny_recipe: Any, files: dict[str, str]) -> Callable[..., Recipe]:
    def make(family: str = "bert", **sections: Any) -> Recipe:
        data = {**files, "max_length": 20, **sections.pop("data", {})}
        return tiny_recipe(family, **sections, data=data)

    return make


@pytest.mark.parametrize(("how", "learns"), [("head", False), ("tail", True), ("head-tail", True)])
def test_what_is_read_of_a_text_is_what_can_be_learnt(
    recipe_of: Callable[..., Recipe], tmp_path: Path, how: str, learns: bool
) -> None:
    state = fit(job_for(recipe_of(data={"long": how}, training=LEARNS, adapter={"bias": "all"}), tmp_path / how))
    assert (state.best_accuracy > 0.9) == learns


@pytest.mark.usefixtures("in_this_process")
def test_a_run_with_windows_is_proven_and_predicts_alike(recipe_of: Callable[..., Recipe], tmp_path: Path) -> None:
    training = {"epochs": 10, "learning_rate": 0.05, "batch_size": 4, "evaluate_every": 30}
    recipe = recipe_of(data=WINDOWS, training=training, adapter={"bias": "all"})
    run = train(recipe, tmp_path / "run")
    assert run.evaluation["test"]["accuracy"] > 0.6
    proof = json.loads((run.folder / "verification.json").read_text("utf-8"))
    assert proof["identical"] and proof["peft"]["largest_difference"] <= proof["peft"]["allowed"]
    checks = {check.name: check.result for check in verify_run(run.folder)}
    assert {checks[name] for name in ("training rows", "test", "validation")} == {"pass"}
    texts = [text for text, _ in abstracts(5, 90)] + ["quark", "a gene"]
    done: list[int] = []
    classifier = Classifier.load(run.folder)
    found = classifier.logits(texts, advance=done.append)
    assert sum(done) == len(texts)
    encoded = classifier.model.encode(_rows(texts))
    assert encoded.windows is not None and encoded.windows.tolist() == [4, 3, 3, 4, 3, 1, 1]
    apart = np.split(classifier.model.logits_of(encoded.by_window), np.cumsum(encoded.windows)[:-1])
    np.testing.assert_allclose(found, [of_windows.mean(0) for of_windows in apart], atol=1e-9)
    (tmp_path / "new.csv").write_text("text\n" + "\n".join(texts) + "\n", "utf-8")
    assert predict_file(run.folder, tmp_path / "new.csv", tmp_path / "out.csv") == len(texts)


def _rows(texts: list[str]) -> Any:
    from featherweight.data.sources import Rows

    return Rows(texts, None, (), "made")


def test_windows_repeat_the_share_that_the_recipe_says(recipe_of: Callable[..., Recipe]) -> None:
    found = [prepare(recipe_of(data={**WINDOWS, "window_overlap": overlap})).train for overlap in (0, 0.25, 0.5)]
    counts = [len(encoded.by_window) for encoded in found]
    assert counts[0] < counts[1] < counts[2]


@pytest.mark.parametrize("how", ["tail", "head-tail"])
def test_the_end_of_a_text_is_read_where_the_recipe_says(recipe_of: Callable[..., Recipe], how: str) -> None:
    ready = prepare(recipe_of(data={"long": how}))
    tokens = ready.train.tokens[: ready.train.offsets[1]]
    whole = ready.model.tokenizer(ready.splits.train.texts[0])["input_ids"]
    assert tokens[-2:].tolist() == whole[-2:]


def test_a_cut_that_matters_is_in_the_warnings(recipe_of: Callable[..., Recipe]) -> None:
    (line,) = [line for line in prepare(recipe_of()).splits.warnings if "cut" in line]
    assert line.startswith("48 of 48 training texts are longer than 20 tokens, and 58% of all tokens are cut")
    assert 'overrides=["data.long=windows"] reads them whole, "tail" or "head-tail" keeps another part' in line
    for data in (WINDOWS, {"max_length": 128}):
        assert not any("cut" in line for line in prepare(recipe_of(data=data)).splits.warnings)


@pytest.mark.parametrize("family", ["bert", "modernbert"])
@pytest.mark.parametrize("most", [10_000, 65])
def test_the_loss_is_that_of_the_averaged_logits(
    recipe_of: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str, most: int
) -> None:
    """Whether the windows of a text go through the network together, or three at a time."""
    monkeypatch.setattr(window_logits, "_most_tokens", lambda job: most)
    job = job_for(recipe_of(family, data=WINDOWS), tmp_path / "job")
    rows, labels = np.array([4]), torch.tensor([1])
    batch = collate(job.train, rows, job.pad_id)
    assert batch.input_ids.shape == (4, 20)
    seen: list[int] = []
    job.network.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    logits = text_logits(job, job.network, batch)
    assert seen == ([4] if most > 100 else [3, 1])
    functional.cross_entropy(logits, labels).backward()
    assert sum(seen) == (4 if most > 100 else 8)  # each part is computed again for its gradient
    found = {name: tensor.grad for name, tensor in job.network.trainable().items()}
    job.network.zero_grad()
    windows = collate(job.train.by_window, job.train.windows_of(rows), job.pad_id)
    by_hand = job.network(*windows.inputs("cpu")).mean(0, keepdim=True)
    functional.cross_entropy(by_hand, labels).backward()
    torch.testing.assert_close(logits, by_hand, rtol=1e-5, atol=1e-7)
    for name, tensor in job.network.trainable().items():
        torch.testing.assert_close(found[name], tensor.grad, rtol=1e-4, atol=1e-7)


def test_a_part_has_the_same_dropout_when_it_is_computed_again(
    recipe_of: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window_logits, "_most_tokens", lambda job: 45)
    job = job_for(recipe_of(data=WINDOWS, adapter={"dropout": 0.5}), tmp_path / "job")
    batch = collate(job.train, np.array([4]), job.pad_id)
    gradients = []
    for together in (False, True):
        torch.manual_seed(7)
        job.network.zero_grad()
        if together:  # the same parts, whose states all stay in memory
            inputs = [None if tensor is None else tensor.split(2) for tensor in batch.inputs("cpu")]
            parts = [[None if part is None else part[place] for part in inputs] for place in range(2)]
            logits = batch.averaged(torch.cat([job.network(*part) for part in parts]))
        else:
            logits = text_logits(job, job.network, batch)
        logits[0, 1].backward()
        gradients.append([tensor.grad for tensor in job.network.trainable().values()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_no_forward_pass_exceeds_the_tokens_of_a_batch(
    recipe_of: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(data={**WINDOWS, "max_length": 10}, training={"epochs": 1, "batch_tokens": 64})
    job = job_for(recipe, tmp_path / "job")
    assert job.train.lengths.min() > 64  # each text alone is more than a batch may hold
    sizes: list[int] = []
    job.network.register_forward_pre_hook(lambda module, inputs: sizes.append(inputs[0].numel()))
    state = fit(job)
    assert state.step == len(job.train)
    in_training = [size for size in sizes if size <= 64]
    assert len(in_training) > 2 * len(job.train)
    assert without_seconds(tmp_path / "job")[0]["tokens"] == job.train.lengths[0]


def test_an_interrupted_training_with_windows_goes_on_exactly(recipe_of: Callable[..., Recipe], tmp_path: Path) -> None:
    training = {"max_steps": 7, "checkpoint_steps": 2, "batch_tokens": 240}
    recipe = recipe_of(data=WINDOWS, training=training, adapter={"dropout": 0.1})
    assert_resumes_exactly(recipe, tmp_path, at=4)


def test_states_of_frozen_layers_are_kept_for_windows(
    recipe_of: Callable[..., Recipe], cache: Path, tmp_path: Path
) -> None:
    adapter = {"lora": [{"roles": ["query", "value"], "layers": "top-1", "rank": 2}]}
    found = []
    for kept in ("off", "on"):
        training = {"prefix_cache": kept, "precision": "bf16", "batch_tokens": 64, "max_steps": 6}
        job = job_for(recipe_of(data=WINDOWS, adapter=adapter, training=training), tmp_path / kept)
        fit(job)
        found.append(tensors(job))
        assert (job.train.states is not None) == (kept == "on")
    assert len(kept_files(cache)) == 1
    for name, tensor in found[0].items():
        np.testing.assert_allclose(found[1][name], tensor, atol=0.02)


def test_baselines_read_long_texts_alike(recipe_of: Callable[..., Recipe], tmp_path: Path) -> None:
    runs = {
        how: run_baseline("linear-probe", recipe_of(data={"long": how}), tmp_path / how) for how in ("head", "windows")
    }
    accuracy = {how: run.evaluation["test"]["accuracy"] for how, run in runs.items()}
    assert accuracy["windows"] > 0.9 > 0.6 > accuracy["head"]
