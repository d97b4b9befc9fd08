"""How long a step takes with each change of ablation.toml: `python benchmarks/run.py ablation-times --steps 12`.

The changes train the same rows turn by turn with the recipe as it is, in one process, so that other work on the machine
slows all of them. A soup is left out: it takes the time of the trainings that it is made of.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from accuracy.ablation import BASE, CHANGES, NO_TEST
from harness.competition import Competitor, Plan, named
from harness.recording import by_repeat, ratio_spread, spread

from featherweight.errors import UserError
from featherweight.recipe import Recipe

WARM_UP = 2
"""Steps at the beginning that do not count."""


def plans(options: argparse.Namespace, folder: Path) -> Iterator[Plan]:
    """The recipe and its changes, each once a turn."""
    if options.steps < 1:
        raise UserError("--steps: name one or more")
    table = tomllib.loads(CHANGES.read_text("utf-8"))
    changes = {name: change for name, change in table["changes"].items() if "runs" not in change}
    wanted = named(options.only, changes, "change") if options.only else list(changes)
    limits = [f"training.max_steps={options.steps + WARM_UP}", "training.evaluate_every=100000"]
    limits += ["data.validation=", "data.validation_size=0.1"]  # evaluated once, after the steps
    base = Recipe.load(table["recipe"], [f"data.train={options.data}", *options.set, *NO_TEST, *limits])
    competitors = [Competitor(BASE, "the recipe as it is")]
    competitors += [Competitor(name, changes[name]["title"], settings=changes[name]) for name in wanted]

    def play(competitor: Competitor, job: dict[str, Any], folder: Path) -> dict[str, Any]:
        values = base.model_dump(mode="json", exclude_none=True)
        recipe = Recipe.parse(values, base.name, competitor.settings.get("set", []))
        return {"step_seconds": seconds_of_steps(recipe, folder / "run")}

    settings = {"recipe": base.name, "backbone": Path(base.backbone.name).name, "batch_size": base.training.batch_size}
    yield Plan(
        "ablation-times",
        {**settings, "set": options.set, "steps": options.steps},
        {"train": Path(base.data.train).name},
        competitors,
        finish=lambda record: {"summary": summary(record["runs"])},
        play=play,
        told=lambda result: f"{sum(result['step_seconds']):.1f} s",
    )


def seconds_of_steps(recipe: Recipe, folder: Path) -> list[float]:
    """Train until ``training.max_steps``; seconds of every step after the first ``WARM_UP``."""
    from featherweight.run.folder import read_history
    from featherweight.training.job import Job
    from featherweight.training.loop import fit
    from featherweight.workflows.prepare import prepare

    ready = prepare(recipe)
    folder.mkdir(exist_ok=True)
    (folder / "history.jsonl").unlink(missing_ok=True)
    parts = (ready.recipe, ready.model.network, ready.model.engine, ready.accelerator, ready.train, ready.validation)
    fit(Job(*parts, ready.model.tokenizer.pad_token_id, folder))
    clock = [record["seconds"] for record in read_history(folder / "history.jsonl") if record["kind"] == "step"]
    return [end - begin for begin, end in zip(clock[WARM_UP - 1 :], clock[WARM_UP:], strict=False)]


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """For each change the time of all its steps, and this as a multiple of the recipe's in the same turn."""
    seconds = {run["contestant"]: by_repeat(runs, run["contestant"], _whole) for run in runs}
    return {
        name: {"seconds": spread(own), "times_as_long": ratio_spread(own, seconds[BASE])}
        for name, own in seconds.items()
    }


def _whole(run: dict[str, Any]) -> float:
    return float(sum(run["step_seconds"]))
