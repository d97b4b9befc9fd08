"""Seconds of checkpoints, of steps, and of the way from the command to the first step, fresh and resumed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from featherweight.errors import UserError
from featherweight.recipe import Recipe

WARM_UP = 2
"""Steps at the beginning that do not count."""
_START = """
import os, signal, sys, time
from featherweight import Recipe, train
class Stop(Exception): pass
class Watch:
    def started(self, *_): pass
    def noted(self, *_): pass
    def evaluated(self, *_): pass
    def stepped(self, record):
        if sys.argv[2] != "stop":
            print("first step at", time.time())
            raise Stop
        if record["step"] == 2:
            os.kill(os.getpid(), signal.SIGTERM)
try:
    train(Recipe.load(sys.argv[3], sys.argv[4:]), sys.argv[1], listeners=[Watch()], resume=sys.argv[2] == "resume")
except Stop:
    pass
"""


def seconds_of_checkpoints(recipe: Sequence[str], steps: int, folder: Path) -> dict[str, Any]:
    """Train some steps with a checkpoint after each; seconds of every checkpoint, step and load, and what they hold."""
    from featherweight.training import loop
    from featherweight.training.checkpoint import load_checkpoint, save_checkpoint
    from featherweight.training.optimizer import build_optimizer

    limits = [f"training.max_steps={steps + WARM_UP}", "training.checkpoint_steps=1", "training.evaluate_every=100000"]
    job = _job(Recipe.load(recipe[0], [*recipe[1:], *limits]), folder / "timed")
    # From the first evaluation on a checkpoint holds the best adapter too.
    job.best = {name: parameter.detach().clone() for name, parameter in job.network.trainable().items()}
    saves: list[float] = []

    def timed(*arguments: Any) -> None:
        began = time.perf_counter()
        save_checkpoint(*arguments)
        saves.append(time.perf_counter() - began)

    loop.save_checkpoint = timed
    try:
        loop.fit(job)
    finally:
        loop.save_checkpoint = save_checkpoint
    trainable = job.network.trainable()
    loads = []
    for _ in range(3):
        optimizer = build_optimizer(trainable, job.recipe.training)
        began = time.perf_counter()
        load_checkpoint(folder / "timed" / "checkpoint", trainable, optimizer, asdict(loop.LoopState()))
        loads.append(time.perf_counter() - began)
    newest = max((folder / "timed" / "checkpoint").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    return {
        "trainable": job.network.trainable_count(),
        "bytes": sum(path.stat().st_size for path in newest.iterdir()),
        "step_seconds": _steps(folder / "timed" / "history.jsonl", saves),
        "checkpoint_seconds": saves[WARM_UP:],
        "load_seconds": loads,
    }


def seconds_of_starts(recipe: Sequence[str], repeats: int, folder: Path) -> dict[str, Any]:
    """Seconds from the start of the process to the end of its first step: of new runs, and of resumed ones in turn."""
    _process(recipe, folder / "stopped", "stop")
    starts, resumes = [], []
    for repeat in range(repeats):
        starts.append(_process(recipe, folder / f"new-{repeat}", "new"))
        resumes.append(_process(recipe, folder / "stopped", "resume"))
    return {"start_seconds": starts, "resume_seconds": resumes}


def _job(recipe: Recipe, folder: Path) -> Any:
    from featherweight.training.loop import Job
    from featherweight.workflows.train import prepare

    ready = prepare(recipe)
    folder.mkdir()
    parts = (ready.recipe, ready.network, ready.engine, ready.accelerator, ready.train, ready.validation)
    return Job(*parts, ready.tokenizer.pad_token_id, folder)


def _steps(history: Path, saves: Sequence[float]) -> list[float]:
    """Seconds of each step without the checkpoint that was written between it and the one before."""
    from featherweight.run.folder import read_history

    clock = [record["seconds"] for record in read_history(history) if record["kind"] == "step"]
    steps = [now - before - save for before, now, save in zip(clock, clock[1:], saves, strict=False)]
    return steps[WARM_UP - 1 :]


def _process(recipe: Sequence[str], run: Path, mode: str) -> float:
    epoch = time.time()
    command = [sys.executable, "-c", _START, str(run), mode, *recipe]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    if mode == "stop" and "Interrupted" in done.stderr:
        return 0.0
    if not done.stdout.startswith("first step at"):
        raise UserError((done.stderr.strip() or "there was no first step").splitlines()[-1])
    return float(done.stdout.split()[3]) - epoch
