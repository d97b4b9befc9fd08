"""The parts of a training, each against a reference: a step, its schedule, what is best, and when to write it down."""

from __future__ import annotations

import itertools
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score
from support.jobs import job_for, trained
from torch import Tensor, nn
from torch.nn import functional
from transformers import get_linear_schedule_with_warmup

from featherweight.data.batches import collate
from featherweight.errors import UserError
from featherweight.model import predict as inference
from featherweight.model.predict import predict_logits
from featherweight.recipe import TrainingRecipe
from featherweight.run.folder import read_history
from featherweight.task.loss import class_weights, loss_of
from featherweight.training import loop
from featherweight.training.batch_order import StepOrder
from featherweight.training.checkpoint import load_checkpoint, save_checkpoint
from featherweight.training.clock import Clock
from featherweight.training.history import History
from featherweight.training.loop import Interrupted, Job, LoopState, fit
from featherweight.training.optimizer import build_optimizer, warmup_steps

LENGTHS = np.random.default_rng(0).integers(5, 40, 100)


class Process:
    """Stands in for Accelerate in one process of several: its gradients are not averaged, its sums not added up."""

    scaler = None

    def __init__(self, index: int = 0, count: int = 1) -> None:
        self.process_index, self.num_processes = index, count

    def no_sync(self, model: Any) -> Any:
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        loss.backward()

    def clip_grad_norm_(self, parameters: Any, norm: float) -> Tensor:
        return nn.utils.clip_grad_norm_(parameters, norm)

    def reduce(self, tensor: Tensor, reduction: str) -> Tensor:
        return tensor


class NoUpdate:
    """An optimizer that keeps the gradients and changes nothing."""

    def __init__(self, job: Job) -> None:
        self.job, self.gradients = job, {}

    def step(self) -> None:
        self.gradients = {name: p.grad.clone() for name, p in self.job.network.trainable().items()}

    def zero_grad(self) -> None:
        for parameter in self.job.network.parameters():
            parameter.grad = None


class Watching:
    """A listener that looks at something after each step."""

    def __init__(self, look: Any) -> None:
        self.look, self.seen = look, []

    def started(self, total_steps: int, first_step: int, notes: Any) -> None: ...
    def noted(self, message: str) -> None: ...
    def evaluated(self, record: dict[str, Any], best: bool) -> None: ...
    def stepped(self, record: dict[str, Any]) -> None:
        self.seen.append(self.look())


def one_step(
    job: Job, batches: list[np.ndarray], process: Process | None = None, step: int = 0
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The record and the gradients of one step."""
    job.accelerator, optimizer = process or Process(), NoUpdate(job)
    objective = loop._objective(job)
    return loop._one_step(job, job.network, optimizer, objective, batches, step).record, optimizer.gradients


def test_a_step_learns_the_weighted_mean_over_all_its_rows(tiny_recipe: Any, tmp_path: Path) -> None:
    weights = [1.0, 3.0, 0.5]
    job = job_for(tiny_recipe(training={"class_weights": weights, "clip": 0}), tmp_path / "run")
    batches = [np.arange(5), np.arange(5, 7)]
    record, gradients = one_step(job, batches)
    batch = collate(job.train, np.arange(7), job.pad_id)
    logits = job.network(*batch.inputs("cpu"))
    expected = functional.cross_entropy(logits, batch.labels, weight=torch.tensor(weights))
    assert record["loss"] == pytest.approx(expected.item(), rel=1e-5)
    assert record["accuracy"] == pytest.approx(float((logits.argmax(1) == batch.labels).float().mean()))
    assert (record["rows"], record["tokens"]) == (7, int(job.train.lengths[:7].sum()))
    names, parameters = zip(*job.network.trainable().items(), strict=True)
    for name, wanted in zip(names, torch.autograd.grad(expected, parameters), strict=True):
        torch.testing.assert_close(gradients[name], wanted, rtol=1e-4, atol=1e-6)


def test_step_seed_and_process_draw_their_dropout_apart(tiny_recipe: Any, tmp_path: Path) -> None:
    drawn = []
    for seed in (0, 1):
        job = job_for(tiny_recipe(seed=seed), tmp_path / f"run-{seed}")
        for step, index in itertools.product((0, 1), (0, 1)):
            one_step(job, [np.arange(4)], Process(index, 2), step)
            drawn.append(torch.initial_seed())
    assert len(set(drawn)) == len(drawn)


def test_dropout_is_on_in_every_step_before_and_after_an_evaluation(tiny_recipe: Any, tmp_path: Path) -> None:
    recipe = tiny_recipe(adapter={"dropout": 0.2}, training={"evaluate_every": 2, "max_steps": 5})
    job = job_for(recipe, tmp_path / "run")
    watching = Watching(lambda: {module.training for module in job.network.modules()})
    job.listeners = [watching]
    fit(job)
    assert watching.seen == [{True}] * 5


def test_each_step_has_the_rate_of_its_schedule(tiny_recipe: Any, tmp_path: Path) -> None:
    recipe = tiny_recipe(training={"warmup": 4, "learning_rate": 2e-3})
    _, state = trained(recipe, tmp_path / "run")
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2e-3)
    schedule = get_linear_schedule_with_warmup(optimizer, 4, state.step)
    expected = []
    for _ in range(state.step):
        expected.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    records = [record for record in read_history(tmp_path / "run" / "history.jsonl") if record["kind"] == "step"]
    assert [record["learning_rate"] for record in records] == pytest.approx(expected)


def test_gradients_are_those_of_the_step_alone(tiny_recipe: Any, tmp_path: Path) -> None:
    """Without a learning rate to speak of, one batch gives the same gradient in each epoch."""
    recipe = tiny_recipe(training={"batch_size": 64, "epochs": 3, "learning_rate": 1e-12, "clip": 0})
    trained(recipe, tmp_path / "run")
    norms = [r["grad_norm"] for r in read_history(tmp_path / "run" / "history.jsonl") if r["kind"] == "step"]
    assert norms == pytest.approx([norms[0]] * 3, rel=1e-4)


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


def test_a_resumed_run_counts_its_seconds_on(tiny_recipe: Any, tmp_path: Path) -> None:
    recipe = tiny_recipe(training={"max_steps": 4})
    calls = iter(range(1, 100))
    with pytest.raises(Interrupted):
        fit(job_for(recipe, tmp_path / "run", lambda: 15 if next(calls) == 2 else 0))
    newest = tmp_path / "run" / "checkpoint" / "step-2"
    job = job_for(recipe, tmp_path / "run")
    optimizer = build_optimizer(job.network.trainable(), recipe.training)
    state, best, _ = load_checkpoint(newest.parent, job.network.trainable(), optimizer, {})
    save_checkpoint(newest.parent, job.network.trainable(), best, optimizer, {**state, "seconds": 5000.0})
    assert fit(job, resume=True).seconds > 5000


def test_a_checkpoint_is_due_after_so_many_steps_or_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("featherweight.training.clock.time.perf_counter", lambda: now)
    clock, training = Clock(0.0), TrainingRecipe(checkpoint_steps=10, checkpoint_seconds=60)
    assert [clock.checkpoint_due(step, training) for step in (9, 10, 11)] == [False, True, False]
    now = 161.0
    assert clock.checkpoint_due(12, training)
    now = 220.0  # 59 seconds after the last one
    assert not clock.checkpoint_due(13, training)


def test_of_two_checkpoints_both_are_kept_and_the_later_is_resumed(tmp_path: Path) -> None:
    trainable = {"a": nn.Parameter(torch.zeros(2, 2))}
    optimizer = torch.optim.AdamW(trainable.values())
    for step in (9, 10):
        trainable["a"].data.fill_(step)
        save_checkpoint(tmp_path, trainable, {}, optimizer, {"step": step})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-10", "step-9"]
    state, _, _ = load_checkpoint(tmp_path, trainable, optimizer, {"step": 0})
    assert state["step"] == 10 and trainable["a"].data[0, 0] == 10


def test_decay_shrinks_a_matrix_by_rate_times_decay_and_touches_no_moment() -> None:
    trainable = {"matrix": nn.Parameter(torch.full((2, 2), 3.0)), "bias": nn.Parameter(torch.full((2,), 3.0))}
    optimizer = build_optimizer(trainable, TrainingRecipe(learning_rate=0.01, weight_decay=0.5))
    for parameter in trainable.values():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    torch.testing.assert_close(trainable["matrix"].data, torch.full((2, 2), 3.0 * (1 - 0.01 * 0.5)))
    torch.testing.assert_close(trainable["bias"].data, torch.full((2,), 3.0))


def test_part_of_a_step_is_a_whole_step_of_warmup_and_one_is_a_number_of_steps() -> None:
    assert (warmup_steps(0.06, 30), warmup_steps(0.5, 5), warmup_steps(1, 200)) == (2, 3, 1)


def test_more_weights_than_classes_are_refused(tiny_recipe: Any) -> None:
    with pytest.raises(UserError, match="class_weights has 4 numbers; the data has 3 classes"):
        class_weights(tiny_recipe(training={"class_weights": [1.0] * 4}), np.array([0, 1, 2]), 3)


def order_of(recipe: Any, **training: Any) -> StepOrder:
    return StepOrder(LENGTHS, recipe(training={"batch_size": 8, "epochs": 3, **training}))


@pytest.mark.parametrize(("training", "steps"), [
    ({}, [13, 13, 13]),  # a hundred rows: twelve batches and a rest
    ({"accumulate": 4}, [4, 4, 4]),
    ({"epochs": 1.5}, [13, 6]),
    ({"epochs": 0.001}, [1]),
    ({"max_steps": 20}, [13, 7]),
    ({"max_steps": 13}, [13]),
])  # fmt: skip
def test_epochs_have_so_many_steps(tiny_recipe: Any, training: dict[str, Any], steps: list[int]) -> None:
    assert order_of(tiny_recipe, **training).steps_of_epochs == steps


def test_an_epoch_is_left_as_long_as_one_of_its_steps_is(tiny_recipe: Any) -> None:
    order = order_of(tiny_recipe)
    assert [order.epochs_after(step) for step in (0, 12, 13, 14, 38, 39)] == [3, 3, 2, 2, 1, 0]


def test_every_row_is_taken_once_an_epoch_and_in_another_order_by_seed_and_epoch(tiny_recipe: Any) -> None:
    orders = []
    for seed in (0, 1):
        recipe = tiny_recipe(seed=seed, training={"batch_size": 8, "epochs": 2, "accumulate": 3})
        steps = list(StepOrder(LENGTHS, recipe).from_step(0))
        taken = np.concatenate([rows for _, _, batches in steps for rows in batches])
        orders += [taken[:100].tolist(), taken[100:].tolist()]
    assert all(sorted(order) == list(range(100)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4


def test_batch_tokens_hold_for_the_steps_of_a_run(tiny_recipe: Any) -> None:
    steps = order_of(tiny_recipe, batch_tokens=80).from_step(0)
    batches = [rows for _, _, taken in steps for rows in taken]
    assert max(len(rows) * LENGTHS[rows].max() for rows in batches) <= 80


def test_the_parts_of_all_processes_are_the_whole_prediction(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_for(tiny_recipe(), tmp_path / "run")
    monkeypatch.setattr(inference, "_BATCH_TOKENS", 40)
    arguments = (job.network, job.validation, job.engine, job.pad_id)
    parts = [predict_logits(*arguments, part=(place, 3)) for place in range(3)]
    assert all((part == 0).all(1).any() for part in parts)
    np.testing.assert_array_equal(sum(parts), predict_logits(*arguments))
