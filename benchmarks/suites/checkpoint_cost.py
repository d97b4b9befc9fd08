"""What checkpoints cost: seconds of each, of the steps between them, and until a new and a resumed run train.

python benchmarks/run.py checkpoint-cost
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

from harness.competition import Competitor, Plan, competitors
from harness.measuring import timed
from harness.recording import spread
from suites.startup import FIRST_STEP, seconds_of

from featherweight.errors import UserError
from featherweight.recipe import Recipe

WARM_UP = 2
"""Steps at the beginning that do not count."""
CHECKPOINT_STEPS, CHECKPOINT_SECONDS = 1000, 300.0


def plans(options: argparse.Namespace, folder: Path) -> Iterator[Plan]:
    """Each backbone once."""

    def play(competitor: Competitor, job: dict[str, Any], folder: Path) -> dict[str, Any]:
        place, recipe = folder / competitor.name, competitor.settings["recipe"]
        place.mkdir()
        timed = seconds_of_checkpoints(recipe, options.steps, place)
        return {"backbone": competitor.name, **timed, **seconds_of_starts(recipe, options.starts, place)}

    intervals = {"checkpoint_steps": CHECKPOINT_STEPS, "checkpoint_seconds": CHECKPOINT_SECONDS}
    yield Plan(
        "reliability-overhead",
        {"repeats": options.starts, **intervals},
        {"name": "newsbriefs"},
        competitors("checkpoint-cost", options.only),
        finish=lambda record: {"summary": {run["backbone"]: share_of(run) for run in record["runs"]}},
        said=("steps",),
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
    from featherweight.run.folder import read_history
    from featherweight.training import loop
    from featherweight.training.optimizer import build_optimizer
    from featherweight.workflows.train import prepare

    limits = [f"training.max_steps={steps + WARM_UP}", "training.checkpoint_steps=1", "training.evaluate_every=100000"]
    ready, run = prepare(Recipe.load(recipe[0], [*recipe[1:], *limits])), folder / "timed"
    run.mkdir()
    model, trainable = ready.model, ready.model.network.trainable()
    parts = (ready.recipe, model.network, model.engine, ready.accelerator, ready.train, ready.validation)
    job = loop.Job(*parts, model.tokenizer.pad_token_id, run)
    # From the first evaluation on a checkpoint holds the best adapter too.
    job.best = {name: parameter.detach().clone() for name, parameter in trainable.items()}
    saves: list[float] = []
    loads: list[float] = []
    save = loop.save_checkpoint
    with patch.object(loop, "save_checkpoint", lambda *arguments: saves.append(timed(save, *arguments)[0])):
        loop.fit(job)
    for _ in range(3):
        optimizer = build_optimizer(trainable, job.recipe.training)
        state = asdict(loop.LoopState())
        loads.append(timed(loop.load_checkpoint, run / "checkpoint", trainable, optimizer, state)[0])
    newest = max((run / "checkpoint").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    clock = [record["seconds"] for record in read_history(run / "history.jsonl") if record["kind"] == "step"]
    # Between two steps the checkpoint of the first one was written.
    between = [now - before - saved for (before, now), saved in zip(pairwise(clock), saves, strict=False)]
    return {
        "trainable": model.network.trainable_count(),
        "bytes": sum(path.stat().st_size for path in newest.iterdir()),
        "step_seconds": between[WARM_UP - 1 :],
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
