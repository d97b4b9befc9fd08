"""transformers' Trainer: with a PEFT adapter as most people write it, tuned, or all of the encoder trained.

The job's key ``full`` trains everything; ``tuned`` groups rows by length, takes other batches and 16 bits.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import transformers
from datasets import Dataset
from harness.measuring import Job, forget_warm_up, memory, read_rows, versions
from peft import LoraConfig, get_peft_model
from transformers import AutoTokenizer, Trainer, TrainingArguments, trainer_pt_utils

WARM_UP_STEPS = 3


class Stopwatch(transformers.TrainerCallback):
    """Seconds of training without evaluations, its memory at the end, and the accuracy of each evaluation."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.begun = self.seconds = self.evaluating = 0.0
        self.memory: dict[str, int] = {}
        self.evaluations: list[dict[str, float]] = []

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Start."""
        self.begun = time.perf_counter()

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Stop; a GPU may still be at work when the last step returns."""
        self.memory = memory(self.device)
        self.seconds = time.perf_counter() - self.begun - self.evaluating


class TimedTrainer(Trainer):
    """The Trainer as it is; evaluations are timed, so that the training's own time can be told."""

    stopwatch: Stopwatch

    def evaluate(self, *arguments: Any, **keywords: Any) -> dict[str, float]:
        """Evaluate, and note when; the collator's counts stay those of the training batches."""
        watch, counts, began = self.stopwatch, vars(self.data_collator).copy(), time.perf_counter()
        metrics = super().evaluate(*arguments, **keywords)
        vars(self.data_collator).update(counts)
        trained = watch.seconds or began - watch.begun - watch.evaluating
        watch.evaluating += time.perf_counter() - began
        point = {"step": self.state.global_step, "seconds": trained, "accuracy": metrics["eval_accuracy"]}
        watch.evaluations.append(point)
        return metrics


class CountingCollator(transformers.DataCollatorWithPadding):
    """The usual padding collator; it counts tokens with and without padding."""

    tokens = padded = 0

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, Any]:
        """A padded batch."""
        batch = super().__call__(features)
        self.tokens += int(batch["attention_mask"].sum())
        self.padded += batch["attention_mask"].numel()
        return batch


def solve(job: Job) -> dict[str, Any]:
    """Some steps with a model that is thrown away, then the measured training."""
    if job.get("tuned"):
        job = {**job, "batch_size": job["tuned_batch"]}
    if job.get("full"):
        job = {**job, "learning_rate": job["full_learning_rate"]}
    tokenizer = AutoTokenizer.from_pretrained(job["backbone_folder"])
    parts = {name: encode(path, tokenizer, job) for name, path in job["files"].items()}
    few = parts["train"].select(range(min(len(parts["train"]), WARM_UP_STEPS * job["batch_size"])))
    train({**job, "max_steps": WARM_UP_STEPS}, {**parts, "train": few}, tokenizer)
    forget_warm_up(job["device"])
    trainer = train(job, parts, tokenizer)
    watch, rows = trainer.stopwatch, round(len(parts["train"]) * job["epochs"])
    return {
        "samples_per_second": rows / watch.seconds,
        "training_seconds": watch.seconds,
        "rows_seen": rows,
        "steps": trainer.state.global_step,
        "padding_share": 1 - trainer.data_collator.tokens / trainer.data_collator.padded,
        "trainable": trainer.get_num_trainable_parameters(),
        "evaluations": watch.evaluations,
        "predicted": predictions(trainer, parts.get("test", parts["validation"])),
        "threads": torch.get_num_threads(),
        "versions": versions(),
        **watch.memory,
    }


def predictions(trainer: TimedTrainer, rows: Dataset) -> list[int]:
    """Predicted class numbers in the order of ``rows``.

    Trainer groups what it predicts by length as well, and gives no way back to the rows: that is switched off here.
    """
    trainer.args.train_sampling_strategy = "random"
    output = trainer.predict(rows)
    if not np.array_equal(output.label_ids, np.array(rows["labels"])):
        raise RuntimeError("Trainer predicted in another order than that of the rows")
    return output.predictions.argmax(-1).tolist()


def train(job: Job, parts: dict[str, Dataset], tokenizer: Any) -> TimedTrainer:
    """One training with Trainer."""
    transformers.set_seed(job["seed"])
    trainer = TimedTrainer(
        model=build_model(job),
        args=arguments(job),
        train_dataset=parts["train"],
        eval_dataset=parts["validation"],
        data_collator=CountingCollator(tokenizer),
        processing_class=tokenizer,
        compute_metrics=lambda output: {"accuracy": float((output.predictions.argmax(-1) == output.label_ids).mean())},
    )
    trainer.stopwatch = Stopwatch(job["device"])
    trainer.add_callback(trainer.stopwatch)
    # Trainer sorts by length within 50 batches by itself from 200 batches on. With fewer rows its lots are smaller and
    # hold more padding than those of the training that a benchmark stands for.
    as_in_a_long_run = partial(trainer_pt_utils.get_length_grouped_indices, mega_batch_mult=50)
    with patch.object(trainer_pt_utils, "get_length_grouped_indices", as_in_a_long_run):
        trainer.train()
    steps = [point["step"] for point in trainer.stopwatch.evaluations]
    if "max_steps" not in job and trainer.state.global_step not in steps:
        trainer.evaluate()
    return trainer


def build_model(job: Job) -> Any:
    """The classification model, with the job's LoRA on it unless all of it is trained."""
    kind, labels = transformers.AutoModelForSequenceClassification, len(job["labels"])
    model = kind.from_pretrained(job["backbone_folder"], num_labels=labels)
    if job.get("full"):
        return model
    sizes = {"r": job["rank"], "lora_alpha": 2 * job["rank"], "lora_dropout": 0.0}
    places = {"target_modules": job["target_modules"], "modules_to_save": job["head_modules"]}
    return get_peft_model(model, LoraConfig(task_type="SEQ_CLS", **sizes, **places))


def arguments(job: Job) -> TrainingArguments:
    """Trainer's own defaults but for what the job says, and no files."""
    tuned = {"train_sampling_strategy": "group_by_length"} if job.get("tuned") else {}
    if tuned and job["half"] != "fp32":
        tuned[job["half"]] = True
    every = max(1, round(job["evaluate_rows"] / job["batch_size"]))
    evaluated = {"eval_strategy": "no"} if "max_steps" in job else {"eval_strategy": "steps", "eval_steps": every}
    return TrainingArguments(
        output_dir=str(Path(job["scratch"]) / "trainer"),
        num_train_epochs=job["epochs"],
        max_steps=job.get("max_steps", -1),
        per_device_train_batch_size=job["batch_size"],
        per_device_eval_batch_size=64,
        learning_rate=job["learning_rate"],
        lr_scheduler_type="linear",
        warmup_steps=job["warmup"],
        weight_decay=0.0,
        max_grad_norm=1.0,
        seed=job["seed"],
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=job["device"] == "cpu",
        **evaluated,
        **tuned,
        torch_compile=bool(job.get("compiled")),
    )


def encode(path: str, tokenizer: Any, job: Job) -> Dataset:
    """Rows as token numbers, padded batch by batch later on."""
    texts, labels = read_rows(path)
    numbers = {name: number for number, name in enumerate(job["labels"])}
    columns = tokenizer(texts, truncation=True, max_length=job["max_length"])
    return Dataset.from_dict({**columns, "labels": np.array([numbers[label] for label in labels])})
