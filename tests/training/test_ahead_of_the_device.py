"""The loop of a GPU, on a processor: numbers are read in blocks, batches are gathered from rows on the device."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.jobs import assert_resumes_exactly, assert_same, job_for, tensors, without_seconds
from torch import Tensor

from featherweight.data.batches import Encoded, collate
from featherweight.model.engine import Engine
from featherweight.training import loop
from featherweight.training.divergence import Diverged
from featherweight.training.loop import Interrupted, fit
from featherweight.training.optimizer import build_optimizer
from featherweight.training.row_source import CopiedRows, DeviceRows, row_source
from featherweight.training.step_records import most_unread

KEYS = {"max_steps": 9, "evaluate_every": 4, "keep": "last", "average": 0.9}


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes the loop read only after so many steps, with its rows on the "device"; 1 waits, with the same optimizer."""

    def read_after(steps: int) -> None:
        monkeypatch.setattr(loop, "most_unread", lambda job: steps)
        monkeypatch.setattr(loop, "build_optimizer", lambda *a, fused: build_optimizer(*a, fused=True))
        if steps > 1:
            monkeypatch.setattr(loop, "row_source", lambda encoded, device, pad, _: DeviceRows(encoded, device, pad))

    return read_after


def encoded(kind: str) -> Encoded:
    random = np.random.default_rng(4)
    lengths = random.integers(1, 30, 40)
    labels = random.integers(0, 2, (40, 5)).astype(np.int8) if kind == "labels" else random.integers(0, 3, 40)
    windows = random.integers(1, 4, 40) if kind == "windows" else None
    if windows is not None:
        lengths = random.integers(1, 30, windows.sum())
    seconds = random.integers(0, lengths + 1) if kind == "pairs" else None
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    tokens = random.integers(1, 30000, offsets[-1]).astype(np.int32)
    return Encoded(tokens, offsets, labels, 0, "", seconds=seconds, windows=windows)


@pytest.mark.parametrize("kind", ["plain", "pairs", "windows", "labels"])
def test_gathered_and_copied_batches_are_those_of_collate(kind: str) -> None:
    rows_of = encoded(kind)
    random = np.random.default_rng(0)
    for source in (DeviceRows(rows_of, "cpu", 7), CopiedRows(rows_of, "cpu", 7, collate)):
        for count in (1, 5, 40):
            rows = random.choice(40, count, replace=count < 40)
            expected, found = vars(collate(rows_of, rows, 7)), vars(source.batch(rows))
            assert found.keys() == expected.keys()
            for name, value in expected.items():
                if isinstance(value, Tensor):
                    assert torch.equal(found[name], value) and found[name].dtype == value.dtype, name
                else:
                    assert found[name] is value or np.array_equal(found[name], value), name
            assert torch.equal(source.labels(rows), expected["labels"])


def test_only_a_gpu_alone_and_without_a_loss_scaler_is_not_waited_for(tiny_recipe: Any, tmp_path: Path) -> None:
    job = job_for(tiny_recipe(), tmp_path / "run")
    assert most_unread(job) == 1 and row_source(job.train, "cpu", 0, collate) is None
    for precision, most in (("bf16", 64), ("fp32", 64), ("fp16", 1)):
        job.engine = Engine("cuda", precision, "test")
        assert most_unread(job) == most


def test_blocks_change_neither_the_weights_nor_the_history(tiny_recipe: Any, tmp_path: Path, ahead: Any) -> None:
    recipe, ends = tiny_recipe(adapter={"dropout": 0.2}, training=KEYS), []
    for steps in (1, 3, 100):
        ahead(steps)
        job = job_for(recipe, tmp_path / f"{steps}")
        fit(job)
        ends.append((tensors(job), without_seconds(tmp_path / f"{steps}")))
    for weights, history in ends[1:]:
        assert_same(ends[0][0], weights)
        assert history == ends[0][1]
    kinds = [(record["step"], record["kind"]) for record in ends[0][1]]
    assert kinds[:5] == [(1, "step"), (2, "step"), (3, "step"), (4, "step"), (4, "evaluation")]


def test_a_stop_within_a_block_is_resumed_exactly(tiny_recipe: Any, tmp_path: Path, ahead: Any) -> None:
    ahead(100)
    assert_resumes_exactly(tiny_recipe(adapter={"dropout": 0.2}, training=KEYS), tmp_path, at=6)


def test_a_checkpoint_of_another_optimizer_kernel_is_resumed(tiny_recipe: Any, tmp_path: Path, ahead: Any) -> None:
    recipe = tiny_recipe(training=KEYS)
    whole = job_for(recipe, tmp_path / "whole")
    fit(whole)
    calls = iter(range(1, 100))
    with pytest.raises(Interrupted):
        fit(job_for(recipe, tmp_path / "run", lambda: 15 if next(calls) == 5 else 0))
    ahead(100)
    job = job_for(recipe, tmp_path / "run")
    fit(job, resume=True)
    for name, weights in tensors(whole).items():
        torch.testing.assert_close(tensors(job)[name], weights, rtol=1e-4, atol=1e-6)


def test_a_step_that_is_not_finite_changes_nothing_and_neither_do_the_steps_after_it(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: Any
) -> None:
    from featherweight.training.windows import text_logits

    left = []
    for steps in (1, 100):
        ahead(steps)
        calls = iter(range(1, 100))
        monkeypatch.setattr(
            loop, "text_logits", lambda *a, n=calls: text_logits(*a) * (torch.nan if next(n) == 3 else 1)
        )
        job = job_for(tiny_recipe(training=KEYS | {"evaluate_every": 9}), tmp_path / f"{steps}")
        with pytest.raises(Diverged, match="step 3: the loss or its gradient is not finite; rows of"):
            fit(job)
        left.append((tensors(job), without_seconds(tmp_path / f"{steps}"), next(calls)))
        assert not (tmp_path / f"{steps}" / "checkpoint").exists()
    assert [record["step"] for record in left[1][1]] == [1, 2]
    assert_same(left[0][0], left[1][0])
    assert left[0][1] == left[1][1]
    assert (left[0][2], left[1][2]) == (4, 10)  # steps after the third one were launched, without effect


@pytest.mark.parametrize(("precision", "step"), [("fp32", 3), ("fp16", 4)])
def test_an_overflowed_gradient_is_an_error_unless_a_loss_scaler_skips_it(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str, step: int
) -> None:
    """There is no loss scaler on a processor, so in fp16 the weights overflow, and the next loss is not finite."""
    from featherweight.training.windows import text_logits

    calls = iter(range(1, 100))

    def overflowing(*given: Any) -> Tensor:
        logits = text_logits(*given)
        if next(calls) == 3:
            logits.register_hook(lambda gradient: gradient * torch.inf)
        return logits

    monkeypatch.setattr(loop, "text_logits", overflowing)
    job = job_for(tiny_recipe(training=KEYS), tmp_path / "run")
    job.engine = replace(job.engine, precision=precision)
    with pytest.raises(Diverged, match=f"step {step}: the loss or its gradient is not finite"):
        fit(job)
