"""Which evaluation is the best, and what is kept of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score
from support.jobs import job_for
from torch.nn import functional

from featherweight.run.folder import read_history
from featherweight.task.loss import loss_of
from featherweight.training import loop
from featherweight.training.history import History
from featherweight.training.loop import LoopState


def judged(rows: int, right: int, sureness: float, labels: np.ndarray) -> np.ndarray:
    """Logits of three classes with which the first ``right`` of ``rows`` rows are right."""
    predicted = np.where(np.arange(rows) < right, labels, (labels + 1) % 3)
    return np.eye(3)[predicted] * sureness


@pytest.mark.parametrize(("best_by", "expected"), [
    ("accuracy", [(1, 0, 1), (2, 0, 2), (3, 0, 3), (3, 1, 3), (3, 2, 3), (6, 0, 6)]),
    ("log_loss", [(1, 0, 1), (2, 0, 2), (3, 0, 3), (3, 1, 3), (3, 2, 3), (3, 3, 3)]),
])  # fmt: skip
def test_the_best_has_the_highest_accuracy_then_the_lowest_loss_or_the_lowest_loss(
    tiny_recipe: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    best_by: str,
    expected: list[tuple[int, int, int]],
) -> None:
    job = job_for(tiny_recipe(evaluation={"best_by": best_by}), tmp_path / "run")
    state, labels = LoopState(), job.validation.labels
    parameter = next(iter(job.network.trainable().values()))
    # Right rows of twelve, and how sure the model is: of wrong rows, sureness costs.
    given = [(6, 0.5), (9, 4.0), (9, 2.0), (9, 3.0), (8, 0.5), (10, 5.0)]
    history = History(tmp_path / "run" / "history.jsonl")
    found = []
    for step, (right, sureness) in enumerate(given, 1):
        state.step = step
        logits = judged(12, right, sureness, labels)
        monkeypatch.setattr(loop, "predict_logits", lambda *_, now=logits, **__: now)
        parameter.data.fill_(step)
        loop._evaluate(job, loss_of(job.recipe, job.train.labels, 3), state, history)
        found.append((state.best_step, state.stale, float(job.best[next(iter(job.best))].flatten()[0])))
    history.close()
    assert found == expected
    losses = [record["loss"] for record in read_history(tmp_path / "run" / "history.jsonl")]
    theirs = [functional.cross_entropy(torch.tensor(judged(12, *one, labels)), torch.tensor(labels)) for one in given]
    assert losses == pytest.approx([float(loss) for loss in theirs])


@pytest.mark.parametrize(("best_by", "best_step"), [("accuracy", 1), ("macro_f1", 2)], ids=["accuracy", "macro_f1"])
def test_by_macro_f1_the_best_is_not_the_one_that_gives_up_a_small_class(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, best_by: str, best_step: int
) -> None:
    job = job_for(tiny_recipe(evaluation={"best_by": best_by}), tmp_path / "run")
    labels = np.array([0] * 9 + [1, 2, 2])
    job.validation = replace(job.validation, labels=labels)
    state, history = LoopState(), History(tmp_path / "run" / "history.jsonl")
    for state.step, predicted in enumerate(([0] * 9 + [0, 2, 2], [0] * 7 + [1, 1, 1, 2, 2]), 1):
        logits = np.eye(3)[predicted]
        monkeypatch.setattr(loop, "predict_logits", lambda *_, now=logits, **__: now)
        loop._evaluate(job, loss_of(job.recipe, job.train.labels, 3), state, history)
    history.close()
    assert state.best_step == best_step
    records = read_history(tmp_path / "run" / "history.jsonl")
    assert [record["macro_f1"] for record in records] == pytest.approx(
        [f1_score(labels, p, average="macro") for p in ([0] * 9 + [0, 2, 2], [0] * 7 + [1, 1, 1, 2, 2])]
    )
    found = state.found(best_by)
    assert found["best_by"] == best_by
    assert found["best_validation_macro_f1"] == pytest.approx(records[best_step - 1]["macro_f1"])
