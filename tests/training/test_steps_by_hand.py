"""Steps of the loop against the same steps written down with PyTorch's own parts, one key of the recipe at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.jobs import job_for, tensors

from featherweight.data.batches import collate, epoch_batches
from featherweight.run.folder import read_history
from featherweight.training.loop import Job, fit

STEPS, BATCH, RATE = 4, 4, 5e-3
UNWEIGHTED = (1.0, 1.0, 1.0)
BASE = {
    "batch_size": BATCH, "max_steps": STEPS, "learning_rate": RATE, "clip": 0, "warmup": 0, "schedule": "constant",
    "keep": "last", "evaluate_every": STEPS,
}  # fmt: skip
"""Nothing but plain AdamW: what a key adds is in the recipe of its test alone."""


@dataclass(frozen=True)
class Plain:
    """What the steps by hand do; the defaults are those of ``BASE``."""

    rate: float = RATE
    smoothing: float = 0.0
    weights: tuple[float, ...] = UNWEIGHTED
    clip: float = 0.0
    ratio: float = 1.0
    decay: float = 0.0
    accumulate: int = 1


CASES: dict[str, tuple[Any, Plain]] = {
    "learning_rate": (1e-3, Plain(rate=1e-3)),
    "label_smoothing": (0.3, Plain(smoothing=0.3)),
    "class_weights": ([0.2, 1.0, 3.0], Plain(weights=(0.2, 1.0, 3.0))),
    # Below every gradient's norm; AdamW would not notice gradients that are all scaled alike, but these are not.
    "clip": (0.02, Plain(clip=0.02)),
    "lora_plus_ratio": (8.0, Plain(ratio=8.0)),
    "weight_decay": (5.0, Plain(decay=5.0)),
    "accumulate": (3, Plain(accumulate=3)),
}


def in_the_loop(tiny_recipe: Any, folder: Path, **keys: Any) -> tuple[dict[str, torch.Tensor], list[dict[str, Any]]]:
    """The adapter after the loop's steps, and their records."""
    job = job_for(tiny_recipe(training={**BASE, **keys}), folder)
    fit(job)
    return tensors(job), [r for r in read_history(folder / "history.jsonl") if r["kind"] == "step"]


def by_hand(job: Job, plain: Plain) -> tuple[dict[str, torch.Tensor], list[float], list[float]]:
    """The adapter after the same steps, their losses, and their gradients' norms before clipping."""
    network, trained = job.network.train(), job.network.trainable()
    optimizer = torch.optim.AdamW(
        [
            {
                "params": [parameter],
                "lr": plain.rate * (plain.ratio if ".lora_B." in name else 1.0),
                "weight_decay": plain.decay if parameter.ndim > 1 else 0.0,
            }
            for name, parameter in trained.items()
        ]
    )
    batches = epoch_batches(job.train.lengths, seed=0, epoch=0, batch_size=BATCH, batch_tokens=8192)
    losses, norms = [], []
    for step in range(STEPS):
        rows = np.concatenate(batches[step * plain.accumulate : (step + 1) * plain.accumulate])
        batch = collate(job.train, rows, job.pad_id)
        loss = torch.nn.functional.cross_entropy(
            network(batch.input_ids, batch.attention_mask),
            batch.labels,
            weight=torch.tensor(plain.weights),
            label_smoothing=plain.smoothing,
        )
        optimizer.zero_grad()
        loss.backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(trained.values(), plain.clip or float("inf"))))
        optimizer.step()
        losses.append(loss.item())
    return tensors(job), losses, norms


def apart(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """The largest difference of any two numbers."""
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max()) for name in one)


@pytest.fixture(scope="module")
def without_the_key(tiny_recipe: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """The adapter after plain steps: what a test would find where its key is ignored."""
    return by_hand(job_for(tiny_recipe(training=BASE), tmp_path_factory.mktemp("plain")), Plain())[0]


@pytest.mark.parametrize("key", CASES)
def test_steps_with_the_key_are_those_by_hand(
    tiny_recipe: Any, tmp_path: Path, without_the_key: dict[str, torch.Tensor], key: str
) -> None:
    value, plain = CASES[key]
    found, records = in_the_loop(tiny_recipe, tmp_path / "loop", **{key: value})
    expected, losses, norms = by_hand(job_for(tiny_recipe(training=BASE), tmp_path / "hand"), plain)
    assert apart(found, expected) < 1e-4
    assert apart(found, without_the_key) > 1e-3
    assert [record["loss"] for record in records] == pytest.approx(losses, rel=1e-4)
    assert [record["grad_norm"] for record in records] == pytest.approx(norms, rel=1e-3)
    assert {record["learning_rate"] for record in records} == {plain.rate}


def test_balanced_class_weights_are_those_of_the_training_rows(tiny_recipe: Any, tmp_path: Path) -> None:
    labels = np.repeat([0, 1, 2], [8, 16, 24])
    weights = tuple(48 / (3 * count) for count in (8, 16, 24))
    parts = []
    for name, keys in (("loop", {"class_weights": "balanced"}), ("hand", {})):
        job = job_for(tiny_recipe(training={**BASE, **keys}), tmp_path / name)
        job.train.labels[:] = labels
        parts.append(by_hand(job, Plain(weights=weights))[0] if name == "hand" else (fit(job), tensors(job))[1])
    assert apart(*parts) < 1e-4
