"""What the keys of [training] that shape a training as a whole do to it: its steps, evaluations and what is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.jobs import job_for, tensors, trained
from transformers import get_constant_schedule_with_warmup, get_scheduler, get_wsd_schedule

from featherweight.adapter.trained import peft_name
from featherweight.run.folder import read_history
from featherweight.training import accelerator, loop
from featherweight.training.batch_order import StepOrder
from featherweight.training.loop import fit
from featherweight.workflows.prepare import prepare
from featherweight.workflows.train import train

EPOCH = 48
"""Training rows of the tiny recipe."""


def steps_of(recipe: Any, folder: Path) -> list[dict[str, Any]]:
    trained(recipe, folder)
    return [record for record in read_history(folder / "history.jsonl") if record["kind"] == "step"]


def test_a_fraction_of_an_epoch_is_trained_and_no_more(tiny_recipe: Any, tmp_path: Path) -> None:
    steps = steps_of(tiny_recipe(training={"epochs": 1.5, "batch_size": 12}), tmp_path / "run")
    assert [record["rows"] for record in steps] == [12] * 6
    assert steps[-1]["epoch"] == 1.5


def test_max_steps_end_the_training_and_its_schedule(tiny_recipe: Any, tmp_path: Path) -> None:
    training = {"max_steps": 4, "warmup": 0, "learning_rate": 0.01, "schedule": "linear"}
    steps = steps_of(tiny_recipe(training=training), tmp_path / "run")
    assert [record["step"] for record in steps] == [1, 2, 3, 4]
    assert [record["learning_rate"] for record in steps] == pytest.approx([0.01, 0.0075, 0.005, 0.0025])


def test_batch_size_is_the_most_rows_of_a_batch(tiny_recipe: Any, tmp_path: Path) -> None:
    steps = steps_of(tiny_recipe(training={"epochs": 1, "batch_size": 13}), tmp_path / "run")
    assert sorted(record["rows"] for record in steps) == [9, 13, 13, 13]


def test_batch_tokens_are_the_most_of_a_batch_with_its_padding(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes: list[tuple[int, ...]] = []
    collate = loop.collate

    def watched(*arguments: Any) -> Any:
        batch = collate(*arguments)
        shapes.append(tuple(batch.input_ids.shape))
        return batch

    monkeypatch.setattr(loop, "collate", watched)
    steps_of(tiny_recipe(training={"epochs": 1, "batch_size": 48, "batch_tokens": 80}), tmp_path / "run")
    tokens = [rows * length for rows, length in shapes]
    assert max(tokens) <= 80 < 2 * min(sorted(tokens)[1:])  # but for the rest, a batch is as full as it can be
    assert sum(rows for rows, _ in shapes) == EPOCH


@pytest.mark.parametrize(("key", "training"), [
    ("schedule", {"schedule": "cosine", "warmup": 0}),
    ("schedule", {"schedule": "constant", "warmup": 0}),
    ("decay", {"schedule": "wsd", "warmup": 0, "decay": 0.5}),
    ("warmup", {"schedule": "linear", "warmup": 3}),
    ("warmup", {"schedule": "linear", "warmup": 0.5}),
])  # fmt: skip
def test_the_loop_goes_by_transformers_schedule(
    tiny_recipe: Any, tmp_path: Path, key: str, training: dict[str, Any]
) -> None:
    steps = steps_of(tiny_recipe(training={**training, "epochs": 1, "learning_rate": 1.0}), tmp_path / "run")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    name = training["schedule"]
    scheduler = get_scheduler(
        "linear" if name == "wsd" else name,
        optimizer,
        num_warmup_steps=3 if training["warmup"] else 0,
        num_training_steps=6,
    )
    if name == "wsd":
        scheduler = get_wsd_schedule(optimizer, 0, 3, num_training_steps=6, decay_type="linear")
    if name == "constant":
        scheduler = get_constant_schedule_with_warmup(optimizer, 0)
    for record in steps:
        assert record["learning_rate"] == pytest.approx(scheduler.get_last_lr()[0], abs=1e-8), key
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_saved_adapter_is_the_one_to_keep(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_this_process: None, keep: str
) -> None:
    """The first evaluation is made the best one: the best adapter and the last are then two."""
    predict, done = loop.predict_logits, []

    def worse_and_worse(network: Any, encoded: Any, *rest: Any, **options: Any) -> np.ndarray:
        done.append(predict(network, encoded, *rest, **options))
        right = np.eye(3)[encoded.labels]
        return right if len(done) == 1 else -right

    monkeypatch.setattr(loop, "predict_logits", worse_and_worse)
    run = train(tiny_recipe(training={"keep": keep, "max_steps": 6}), tmp_path / "run")
    stored = load_file(run.folder / "checkpoint" / "step-6" / "tensors.safetensors")
    saved = load_file(run.adapter / "adapter_model.safetensors") | load_file(run.adapter / "head.safetensors")
    assert run.evaluation["best_step"] == 3
    expected = {"best": "best/", "last": "adapter/"}
    adapters = {
        name: {peft_name(key.removeprefix(start)): tensor for key, tensor in stored.items() if key.startswith(start)}
        for name, start in expected.items()
    }
    assert saved.keys() == adapters[keep].keys()
    assert all(saved[name].numpy().tobytes() == adapters[keep][name].numpy().tobytes() for name in saved)
    assert not any(torch.equal(adapters["best"][name], adapters["last"][name]) for name in saved)


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_the_encoder_computes_in_the_precision_of_the_recipe(
    tiny_recipe: Any, precision: str, dtype: torch.dtype
) -> None:
    ready = prepare(tiny_recipe(training={"precision": precision}))
    assert ready.model.engine.precision == precision
    query = ready.model.network.plain_encoder().get_submodule("encoder.layer.0.attention.self.query")
    assert query.base_layer.weight.dtype == dtype


def test_a_checkpoint_is_due_after_its_seconds(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds, saved = [0.0], []

    class Second:
        """Lets a second pass with every step."""

        def started(self, total_steps: int, first_step: int, notes: list[str]) -> None: ...
        def evaluated(self, record: dict[str, Any], best: bool) -> None: ...
        def stepped(self, record: dict[str, Any]) -> None:
            seconds[0] += 1.0

    monkeypatch.setattr(loop.time, "perf_counter", lambda: seconds[0])
    monkeypatch.setattr(loop, "save_checkpoint", lambda *arguments: saved.append(arguments[4]["step"]))
    fit(job_for(tiny_recipe(training={"checkpoint_seconds": 2.5}), tmp_path / "run", listeners=[Second()]))
    assert saved == [3, 6, 9, 12]


def test_a_tracker_receives_the_recipe_and_the_history(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_this_process: None
) -> None:
    from accelerate import Accelerator
    from accelerate.tracking import GeneralTracker

    from featherweight.workflows import prepare as preparation

    class Tracker(GeneralTracker):
        name, requires_logging_directory, tracker = "tensorboard", False, None

        def store_init_configuration(self, values: dict[str, Any]) -> None:
            recipes.append(values)

        def log(self, values: dict[str, Any], step: int | None = None, **more: Any) -> None:
            figures.append((step, values))

    recipes: list[dict[str, Any]] = []
    figures: list[tuple[int | None, dict[str, Any]]] = []

    def with_ours(*, log_with: list[str] | None, **options: Any) -> Accelerator:
        return Accelerator(log_with=[Tracker() for name in log_with or () if name == "tensorboard"], **options)

    monkeypatch.setattr(preparation, "find_spec", lambda name: True)
    monkeypatch.setattr(accelerator, "Accelerator", with_ours)
    run = train(tiny_recipe(training={"trackers": ["tensorboard"], "max_steps": 3}), tmp_path / "run")
    assert [values["training.max_steps"] for values in recipes] == [3]
    losses = {step: values["train/loss"] for step, values in figures if "train/loss" in values}
    kept = {record["step"]: record["loss"] for record in run.history if record["kind"] == "step"}
    assert losses == pytest.approx(kept)
    assert [step for step, values in figures if "validation/accuracy" in values] == [3]


def _parts_by_seed(recipe: Any, folder: Path) -> tuple[Any, ...]:
    """Validation rows, order of the training rows, first weights, and a loss that only dropout's masks change."""
    job = job_for(recipe, folder)
    order = np.concatenate(StepOrder(np.full(EPOCH, 9), job.recipe).batches(0)).tolist()
    first = tensors(job)["head.out.weight"].tolist()
    # All rows are made alike, and all weights: what is left to differ in the loss is the draw of dropout's masks.
    alike = {"tokens": np.full(9 * EPOCH, 2000, np.int32), "offsets": 9 * np.arange(EPOCH + 1)}
    job.train = replace(job.train, labels=np.zeros(EPOCH, np.int64), **alike)
    for place, tensor in enumerate(job.network.trainable().values()):
        tensor.data.normal_(generator=torch.Generator().manual_seed(place))
    fit(job)
    return job.validation.fingerprint, order, first, read_history(folder / "history.jsonl")[0]["loss"]


def test_the_seed_decides_split_order_first_weights_and_dropout(tiny_recipe: Any, tmp_path: Path) -> None:
    changes = {"adapter": {"dropout": 0.5}, "training": {"max_steps": 1, "evaluate_every": 1}}
    parts = [_parts_by_seed(tiny_recipe(seed=seed, **changes), tmp_path / f"{seed}") for seed in (0, 1)]
    assert not any(one == other for one, other in zip(*parts, strict=True))


def test_the_order_seed_decides_order_and_dropout_alone(tiny_recipe: Any, tmp_path: Path) -> None:
    def parts(**seeds: int) -> tuple[Any, ...]:
        training = {"max_steps": 1, "evaluate_every": 1, **seeds}
        recipe = tiny_recipe(seed=3, adapter={"dropout": 0.5}, training=training)
        return _parts_by_seed(recipe, tmp_path / "-".join(map(str, seeds.values())))

    validation, order, first, loss = parts()
    again = parts(order_seed=3)
    assert again == (validation, order, first, loss)
    validation_1, order_1, first_1, loss_1 = parts(order_seed=1)
    assert (validation_1, first_1) == (validation, first)
    assert order_1 != order and loss_1 != loss
