"""Small trainings, and what is compared of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from featherweight.recipe import Recipe
from featherweight.run.folder import read_history
from featherweight.training.loop import Job, LoopState, fit
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
