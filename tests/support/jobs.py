"""Small trainings, and what is compared of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from featherweight.recipe import Recipe
from featherweight.run.folder import read_history
from featherweight.training.loop import Interrupted, Job, LoopState, fit
from featherweight.workflows.prepare import prepare


def job_for(recipe: Recipe, folder: Path, should_stop: Callable[[], int] = lambda: 0, listeners: Any = ()) -> Job:
    ready = prepare(recipe)
    folder.mkdir(exist_ok=True)
    parts = (ready.recipe, ready.model.network, ready.model.engine, ready.accelerator, ready.train, ready.validation)
    return Job(*parts, ready.model.tokenizer.pad_token_id, folder, listeners, should_stop)


def trained(recipe: Recipe, folder: Path) -> tuple[Job, LoopState]:
    job = job_for(recipe, folder)
    return job, fit(job)


def tensors(job: Job) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in job.network.trainable().items()}


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    different = [name for name in one if not torch.equal(one[name], other[name])]
    assert not different


def without_seconds(folder: Path) -> list[dict[str, Any]]:
    records = read_history(folder / "history.jsonl")
    return [
        {key: value for key, value in record.items() if key not in ("seconds", "peak_memory_bytes")}
        for record in records
    ]


def assert_resumes_exactly(recipe: Recipe, folder: Path, *, at: int) -> None:
    """Train ``recipe`` whole, and again with a stop at the ``at``-th look at the signals and a resume; compare both."""
    whole, _ = trained(recipe, folder / "whole")
    calls = iter(range(1, 1000))
    with pytest.raises(Interrupted):
        fit(job_for(recipe, folder / "halves", lambda: 15 if next(calls) == at else 0))
    resumed = job_for(recipe, folder / "halves")
    fit(resumed, resume=True)
    assert_same(tensors(whole), tensors(resumed))
    assert without_seconds(folder / "whole") == without_seconds(folder / "halves")
