"""The loop: what it learns, what it writes, and that nothing but the recipe decides it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.jobs import assert_same, job_for, tensors, trained, without_seconds
from torch import nn
from transformers import (
    get_constant_schedule_with_warmup,
    get_cosine_schedule_with_warmup,
    get_linear_schedule_with_warmup,
    get_wsd_schedule,
)

from featherweight.model.predict import predict_logits
from featherweight.recipe import TrainingRecipe
from featherweight.run.folder import read_history
from featherweight.task.loss import summed_loss
from featherweight.training.batch_order import StepOrder
from featherweight.training.loop import Diverged, Interrupted, fit
from featherweight.training.optimizer import build_optimizer, rate_factor, set_rate, warmup_steps
from featherweight.training.signals import stop_on_signals


def test_every_step_and_evaluation_is_a_line_and_the_loss_falls(tiny_recipe: Any, tmp_path: Path) -> None:
    _, state = trained(tiny_recipe(training={"epochs": 4}), tmp_path / "run")
    records = read_history(tmp_path / "run" / "history.jsonl")
    steps = [record for record in records if record["kind"] == "step"]
    assert [record["step"] for record in steps] == list(range(1, 25))
    assert sum(record["rows"] for record in steps) == 4 * 48
    expected = {"kind", "step", "epoch", "loss", "accuracy", "learning_rate", "grad_norm", "rows", "tokens", "seconds"}
    assert set(steps[0]) == expected
    evaluations = [record for record in records if record["kind"] == "evaluation"]
    assert [record["step"] for record in evaluations] == [3, 6, 9, 12, 15, 18, 21, 24]
    assert np.mean([r["loss"] for r in steps[-5:]]) < np.mean([r["loss"] for r in steps[:5]])
    assert state.best_accuracy == pytest.approx(max(record["accuracy"] for record in evaluations))


def test_the_same_recipe_gives_the_same_bits_and_another_seed_does_not(tiny_recipe: Any, tmp_path: Path) -> None:
    one, _ = trained(tiny_recipe(adapter={"dropout": 0.2}), tmp_path / "one")
    other, _ = trained(tiny_recipe(adapter={"dropout": 0.2}), tmp_path / "other")
    third, _ = trained(tiny_recipe(adapter={"dropout": 0.2}, seed=1), tmp_path / "third")
    assert_same(tensors(one), tensors(other))
    assert without_seconds(tmp_path / "one") == without_seconds(tmp_path / "other")
    with pytest.raises(AssertionError):
        assert_same(tensors(one), tensors(third))


@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_logits_at_the_end_are_those_that_a_prediction_gives(tiny_recipe: Any, tmp_path: Path, keep: str) -> None:
    """The first evaluation is made the best one; what stands at the end of a resumed run is not known."""
    recipe = tiny_recipe(
        training={"keep": keep, "learning_rate": 0.5, "max_steps": 6}, evaluation={"best_by": "log_loss"}
    )
    job, state = trained(recipe, tmp_path / "run")
    assert state.best_step == 3
    now = predict_logits(job.network, job.validation, job.engine, job.pad_id)
    assert job.best_logits is not None and (job.best_logits == now).all()
    resumed = job_for(recipe, tmp_path / "run")
    fit(resumed, resume=True)
    assert resumed.best_logits is None


@pytest.mark.parametrize("stop_after", [1, 5, 11])
def test_a_resumed_run_ends_with_the_same_bits(tiny_recipe: Any, tmp_path: Path, stop_after: int) -> None:
    recipe = tiny_recipe(adapter={"dropout": 0.2}, training={"accumulate": 2, "epochs": 5, "batch_size": 4})
    whole, state = trained(recipe, tmp_path / "whole")
    calls = iter(range(1, 1000))
    first = job_for(recipe, tmp_path / "halves", lambda: 15 if next(calls) == stop_after else 0)
    with pytest.raises(Interrupted) as stopped:
        fit(first)
    assert stopped.value.exit_code == 143
    # A death after the checkpoint leaves later and torn lines behind.
    with (tmp_path / "halves" / "history.jsonl").open("a") as history:
        history.write(json.dumps({"kind": "step", "step": stop_after + 1}) + "\n" + '{"kind": "st')
    second = job_for(recipe, tmp_path / "halves")
    resumed = fit(second, resume=True)
    assert_same(tensors(whole), tensors(second))
    assert without_seconds(tmp_path / "whole") == without_seconds(tmp_path / "halves")
    assert (resumed.step, resumed.best_step) == (state.step, state.best_step)


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(tiny_recipe: Any, tmp_path: Path) -> None:
    recipe = tiny_recipe(training={"checkpoint_steps": 2})
    whole, _ = trained(recipe, tmp_path / "run")
    newest, before = sorted((tmp_path / "run" / "checkpoint").iterdir(), key=lambda p: int(p.name[5:]), reverse=True)
    damaged = bytearray((newest / "tensors.safetensors").read_bytes())
    damaged[-1] ^= 1
    (newest / "tensors.safetensors").write_bytes(damaged)
    notes: list[str] = []

    class Notes:
        def started(self, total_steps: int, first_step: int, heard: list[str]) -> None:
            notes.extend(heard)
            assert first_step == int(before.name[5:])

        def stepped(self, record: dict[str, Any]) -> None: ...
        def evaluated(self, record: dict[str, Any], best: bool) -> None: ...

    again = job_for(recipe, tmp_path / "run", listeners=[Notes()])
    fit(again, resume=True)
    assert newest.name in notes[0]
    assert "damaged" in notes[0]
    assert_same(tensors(whole), tensors(again))
    records = read_history(tmp_path / "run" / "history.jsonl")
    earlier = [one for one in records if one["kind"] == "evaluation" and one["step"] <= int(before.name[5:])]
    best = max(earlier, key=lambda one: one["accuracy"])
    so_far = f"best validation accuracy so far {best['accuracy']:.2%}, at step {best['step']}"
    assert notes[1] == f"resumed after step {before.name[5:]}; {so_far}"


def test_the_best_adapter_is_kept_and_the_last_one_where_asked(tiny_recipe: Any, tmp_path: Path) -> None:
    best, state = trained(tiny_recipe(), tmp_path / "best")
    assert_same(tensors(best), best.best)
    assert 0 < state.best_step <= state.step
    last, _ = trained(tiny_recipe(training={"keep": "last", "max_steps": 7}), tmp_path / "last")
    capped, _ = trained(tiny_recipe(training={"max_steps": 7, "keep": "last", "evaluate_every": 7}), tmp_path / "c")
    assert_same(tensors(last), tensors(capped))


def test_early_stopping_ends_after_its_patience(tiny_recipe: Any, tmp_path: Path) -> None:
    patient = {"early_stopping": 2, "evaluate_every": 1, "learning_rate": 1e-12, "epochs": 5}
    _, state = trained(tiny_recipe(training=patient), tmp_path / "run")
    assert state.step - state.best_step == 2


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_rows(tiny_recipe: Any, tmp_path: Path) -> None:
    with pytest.raises(Diverged, match=r"step \d+: .* rows of the training split: \d+"):
        trained(tiny_recipe(training={"learning_rate": 1e30, "clip": 0, "warmup": 0}), tmp_path / "run")


def test_batches_of_a_step_add_up_to_one_large_batch(tiny_recipe: Any, tmp_path: Path) -> None:
    weights = torch.tensor([1.0, 3.0, 0.5])
    logits, labels = torch.randn(10, 3), torch.arange(10) % 3
    parts = sum(summed_loss(logits[p], labels[p], weights, 0.0) for p in (slice(0, 3), slice(3, 10)))
    expected = nn.functional.cross_entropy(logits, labels, weight=weights)
    torch.testing.assert_close(parts / weights[labels].sum(), expected)


@pytest.mark.parametrize(("schedule", "warmup", "make"), [
    ("constant", 0, lambda o: get_constant_schedule_with_warmup(o, 0)),
    ("constant", 10, lambda o: get_constant_schedule_with_warmup(o, 10)),
    ("linear", 7, lambda o: get_linear_schedule_with_warmup(o, 7, 60)),
    ("cosine", 20, lambda o: get_cosine_schedule_with_warmup(o, 20, 60)),
    ("wsd", 5, lambda o: get_wsd_schedule(o, 5, 15, num_training_steps=60, decay_type="linear")),
])  # fmt: skip
def test_schedules_are_those_of_transformers(schedule: str, warmup: int, make: Any) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, training = make(optimizer), TrainingRecipe(schedule=schedule, decay=0.25)
    for step in range(60):
        assert rate_factor(step, 60, warmup, training) == pytest.approx(scheduler.get_last_lr()[0], abs=1e-9)
        optimizer.step()
        scheduler.step()


def test_a_decay_that_is_longer_than_what_the_warmup_leaves_begins_at_the_peak() -> None:
    training = TrainingRecipe(schedule="wsd", decay=0.8)
    found = [rate_factor(step, 10, 5, training) for step in range(11)]
    assert found == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1, 0.8, 0.6, 0.4, 0.2, 0])


def test_warmup_is_a_fraction_below_one_and_steps_from_one_on() -> None:
    assert (warmup_steps(0.06, 200), warmup_steps(500, 200), warmup_steps(0, 200)) == (12, 500, 0)


def test_lora_plus_speeds_up_b_alone_and_vectors_do_not_decay(tiny_recipe: Any, tmp_path: Path) -> None:
    job = job_for(tiny_recipe(adapter={"bias": "all"}), tmp_path / "run")
    settings = TrainingRecipe(learning_rate=1e-3, lora_plus_ratio=16, weight_decay=0.1)
    optimizer = build_optimizer(job.network.trainable(), settings)
    set_rate(optimizer, 1e-3)
    names = {id(parameter): name for name, parameter in job.network.trainable().items()}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            is_b = ".lora_B." in names[id(parameter)]
            assert group["lr"] == pytest.approx(1.6e-2 if is_b else 1e-3)
            assert group["weight_decay"] == (0.1 if parameter.ndim > 1 else 0.0)


def test_the_order_of_rows_depends_on_seed_epoch_and_step_alone(tiny_recipe: Any) -> None:
    lengths = np.random.default_rng(0).integers(5, 40, 100)
    recipe = tiny_recipe(training={"batch_size": 8, "accumulate": 3, "epochs": 2.5})
    order = StepOrder(lengths, recipe)
    all_steps = list(order.from_step(0))
    assert len(all_steps) == order.total_steps == sum(order.steps_of_epochs)
    for first in (1, 5, 6, 11):
        rest = list(StepOrder(lengths, recipe).from_step(first))
        assert [step for step, _, _ in rest] == list(range(first, order.total_steps))
        for (_, epoch, batches), (_, same_epoch, same) in zip(all_steps[first:], rest, strict=True):
            assert epoch == same_epoch
            assert all(np.array_equal(a, b) for a, b in zip(batches, same, strict=True))
    first_epoch = np.concatenate([np.concatenate(batches) for _, epoch, batches in all_steps if epoch <= 1])
    assert sorted(first_epoch) == list(range(100))


def test_signals_leave_a_mark_and_the_old_handlers_come_back() -> None:
    import os
    import signal

    before = signal.getsignal(signal.SIGTERM)
    with stop_on_signals() as signalled:
        assert signalled() == 0
        os.kill(os.getpid(), signal.SIGTERM)
        assert signalled() == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before


def test_checkpoints_hold_no_pickle_and_only_two_are_kept(tiny_recipe: Any, tmp_path: Path) -> None:
    trained(tiny_recipe(training={"checkpoint_steps": 2}), tmp_path / "run")
    kept = sorted((tmp_path / "run" / "checkpoint").iterdir())
    assert len(kept) == 2
    for checkpoint in kept:
        assert sorted(path.name for path in checkpoint.iterdir()) == ["state.json", "tensors.safetensors"]
        assert load_file(checkpoint / "tensors.safetensors")
