"""Featherweight's own ``train``, with its history as the clock; under torchrun, one of several processes.

Further keys of the job: ``warm_up`` (steps of a training that is thrown away first), ``max_steps``, ``skip_steps``
(steps left out of the speed), ``profile`` (first step and number of steps to look into), ``keep_run`` (where the run
folder goes).
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from harness import measuring
from harness.jobs import recipe_of
from harness.measuring import Job

from featherweight.recipe import Recipe
from featherweight.run.folder import Run
from featherweight.training import loop
from featherweight.training.listeners import Listener
from featherweight.workflows.train import train


class Enough(Exception):
    """The warm-up is over."""


class Watcher(Listener):
    """A listener that notes when the loop began, its memory at the last step, and a profile of some steps.

    Between the loop and the rows it also sees each batch made ready: its padding, and what that took.
    """

    def __init__(self, job: Job, stop_after: int | None = None) -> None:
        self.began = time.perf_counter()
        self.setup_seconds = self.profiled_seconds = self.collate_seconds = 0.0
        self.memory: dict[str, int] = {}
        self.total = self.tokens = self.padded = 0
        self._stop_after = stop_after
        self._first, self._steps = job.get("profile", (0, 0)) if stop_after is None else (0, 0)
        self.profiler: Any = None
        self.made_ready = loop.collate
        self._device = job["device"]

    def collate(self, *arguments: Any) -> Any:
        """A batch as the loop gets it, counted and timed."""
        seconds, batch = measuring.timed(self.made_ready, *arguments)
        self.collate_seconds += seconds
        self.tokens += int(batch.attention_mask.sum())
        self.padded += batch.attention_mask.numel()
        return batch

    def batches(self) -> dict[str, float]:
        """Padding's share of all tokens, and the milliseconds a step that batches took to be made ready."""
        if not self.padded:
            return {}
        return {
            "padding_share": 1 - self.tokens / self.padded,
            "collate_milliseconds": 1000 * self.collate_seconds / max(1, self.total),
        }

    def profile(self) -> dict[str, Any]:
        """The operations of the steps that were looked into, if any were."""
        return {"profile": measuring.top_operations(self.profiler, self.profiled_seconds)} if self.profiler else {}

    def started(self, total_steps: int, first_step: int, notes: Sequence[str]) -> None:
        """The loop begins."""
        self.total, self.setup_seconds = total_steps, time.perf_counter() - self.began

    def stepped(self, record: dict[str, Any]) -> None:
        """A step is done."""
        step = record["step"]
        if self._stop_after and step >= self._stop_after:
            raise Enough
        if self._steps and step == self._first:
            self.profiler = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU])
            self.profiler.start()
            self.profiled_seconds = time.perf_counter()
        if self.profiler is not None and step == self._first + self._steps:
            self.profiled_seconds = time.perf_counter() - self.profiled_seconds
            self.profiler.stop()
        if step == self.total:
            self.memory = measuring.memory(self._device)


def solve(job: Job) -> dict[str, Any]:
    """Some steps of a training that is thrown away, then the measured training."""
    scratch = Path(job["scratch"])
    attempt = f"{time.time_ns()}" if "RANK" not in os.environ else os.environ["TORCHELASTIC_RUN_ID"]
    if job.get("warm_up"):
        with suppress(Enough):
            train(recipe(job), scratch / f"warm-up-{attempt}", listeners=[Watcher(job, stop_after=job["warm_up"])])
        measuring.forget_warm_up(job["device"])
    watcher = Watcher(job)
    with patch.object(loop, "collate", watcher.collate):
        run = train(recipe(job), job.get("keep_run") or scratch / f"run-{attempt}", listeners=[watcher])
    if os.environ.get("RANK", "0") != "0":
        return {"peak_memory_bytes": measuring.peak_memory_bytes()}
    return {
        **pace(run.history, job.get("skip_steps", 0)),
        "setup_seconds": watcher.setup_seconds,
        "whole_seconds": time.perf_counter() - watcher.began,
        "trainable": run.weight["total"],
        "precision": run.environment["precision"],
        "predicted": predictions(run, job),
        "threads": torch.get_num_threads(),
        **watcher.batches(),
        "versions": measuring.versions(),
        **watcher.profile(),
        **(watcher.memory or measuring.memory()),
    }


def recipe(job: Job) -> Recipe:
    """The job as a recipe: what the others do as well is said here, all else is Featherweight's default."""
    training = {"schedule": "linear", "keep": "last", "evaluate_every": 10**9}
    if "evaluate_rows" in job:
        training["evaluate_every"] = max(1, round(job["evaluate_rows"] / job["batch_size"]))
    chosen = ("epochs", "batch_size", "learning_rate", "warmup", "precision", "max_steps", "batch_tokens",
              "encoder_dropout", "prefix_cache")  # fmt: skip
    training |= {key: job[key] for key in chosen if key in job}
    return recipe_of(job, {**job["files"], "labels": job["labels"]}, training)


def pace(history: list[dict[str, Any]], skip: int = 0) -> dict[str, Any]:
    """Rows and tokens a second after the first ``skip`` steps, and each evaluation with the seconds trained until then.

    Evaluations do not count.
    """
    records = measuring.without_evaluations(history)
    steps = [record for record in records if record["kind"] == "step"]
    before = max((step["trained"] for step in steps if step["step"] <= skip), default=0.0)
    counted = [step for step in steps if step["step"] > skip]
    seconds = steps[-1]["trained"]
    rows, tokens = (sum(step[key] for step in counted) for key in ("rows", "tokens"))
    return {
        "samples_per_second": rows / (seconds - before),
        "tokens_per_second": tokens / (seconds - before),
        "training_seconds": seconds,
        "rows_seen": rows,
        "tokens_seen": tokens,
        "steps": len(counted),
        "evaluations": [
            {"step": record["step"], "seconds": record["trained"], "accuracy": record["accuracy"]}
            for record in records
            if record["kind"] == "evaluation"
        ],
    }


def predictions(run: Run, job: Job) -> list[int]:
    """Predicted class numbers of the test rows, or of the validation rows where there are none."""
    import pandas as pd

    table = pd.read_parquet(run.folder / "predictions.parquet", columns=["split", "row", "predicted"])
    own = table[table["split"] == ("test" if "test" in job["files"] else "validation")].sort_values("row")
    return [job["labels"].index(name) for name in own["predicted"]]
