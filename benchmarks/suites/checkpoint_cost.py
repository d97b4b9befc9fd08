"""What checkpoints cost: seconds of each, of the steps between them, and until a new and a resumed run train.

python benchmarks/run.py checkpoint-cost
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.competition import Competitor, Plan, select
from harness.recording import spread
from suites.startup import FIRST_STEP, seconds_of

from featherweight.errors import UserError
from featherweight.recipe import Recipe

WARM_UP = 2
"""Steps at the beginning that do not count."""
RECIPES = {
    "minilm": ["newsbriefs"],
    "mpnet": ["r3", "backbone.name=mpnet", "data.train=newsbriefs", "data.validation_size=0.15"],
}
"""Whose checkpoints are timed: a recipe and what is changed in it (the rows alone; the adapter stays)."""
CHECKPOINT_STEPS, CHECKPOINT_SECONDS = 1000, 300.0


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--steps", type=int, default=12, help="timed steps and checkpoints (default: 12)")
    parser.add_argument("--starts", type=int, default=3, help="timed starts and resumes (default: 3)")
    parser.add_argument("--only", help="these backbones alone, by commas (default: all)")


def plans(options: argparse.Namespace, folder: Path) -> Iterator[Plan]:
    """Each backbone once."""

    def play(competitor: Competitor, job: dict[str, Any], folder: Path) -> dict[str, Any]:
        place, recipe = folder / competitor.name, competitor.settings["recipe"]
        place.mkdir()
        timed = seconds_of_checkpoints(recipe, options.steps, place)
        return {"backbone": competitor.name, **timed, **seconds_of_starts(recipe, options.starts, place)}

    settings = {"steps": options.steps, "repeats": options.starts, "checkpoint_steps": CHECKPOINT_STEPS}
    backbones = [Competitor(name, name, settings={"recipe": recipe}) for name, recipe in RECIPES.items()]
    yield Plan(
        "reliability-overhead",
        options.name or "reliability-overhead",
        {**settings, "checkpoint_seconds": CHECKPOINT_SECONDS},
        {"name": "newsbriefs"},
        select(backbones, options.only),
        finish=lambda record: {"summary": {run["backbone"]: share_of(run) for run in record["runs"]}},
        play=play,
    )


def share_of(run: dict[str, Any]) -> dict[str, Any]:
    """Spreads, and the share of a run's time that its checkpoints take at the default interval."""
    step, checkpoint = spread(run["step_seconds"]), spread(run["checkpoint_seconds"])
    assert step and checkpoint
    # A checkpoint is due after so many steps or after so many seconds, whichever is first.
    interval = min(CHECKPOINT_STEPS * step["median"], CHECKPOINT_SECONDS)
    return {
        "trainable": run["trainable"],
        "bytes": run["bytes"],
        "step_seconds": step,
        "checkpoint_seconds": checkpoint,
        "interval_seconds": interval,
        "share": checkpoint["median"] / (interval + checkpoint["median"]),
        "worst_share": checkpoint["high"] / (interval + checkpoint["high"]),
        **{key: spread(run[key]) for key in ("load_seconds", "start_seconds", "resume_seconds")},
    }


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

    def first_step(run: str, mode: str) -> float:
        timed = seconds_of(["-c", FIRST_STEP, str(folder / run), mode, *recipe], folder / "cache")
        if "failed" in timed and not (mode == "interrupt" and "Interrupted" in timed["failed"]):
            raise UserError(timed["failed"])
        return timed.get("seconds", 0.0)

    first_step("stopped", "interrupt")
    both = [(first_step(f"new-{repeat}", "new"), first_step("stopped", "resume")) for repeat in range(repeats)]
    return {"start_seconds": [new for new, _ in both], "resume_seconds": [resumed for _, resumed in both]}


def _job(recipe: Recipe, folder: Path) -> Any:
    from featherweight.training.loop import Job
    from featherweight.workflows.train import prepare

    ready = prepare(recipe)
    folder.mkdir()
    parts = (ready.recipe, ready.model.network, ready.model.engine, ready.accelerator, ready.train, ready.validation)
    return Job(*parts, ready.model.tokenizer.pad_token_id, folder)


def _steps(history: Path, saves: Sequence[float]) -> list[float]:
    """Seconds of each step without the checkpoint that was written between it and the one before."""
    from featherweight.run.folder import read_history

    clock = [record["seconds"] for record in read_history(history) if record["kind"] == "step"]
    steps = [now - before - save for before, now, save in zip(clock, clock[1:], saves, strict=False)]
    return steps[WARM_UP - 1 :]
