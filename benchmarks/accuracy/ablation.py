"""One change of a recipe at a time: `python benchmarks/run.py ablation --data train.csv.gz`.

ablation.toml names the recipe and its changes. For each change, and for the recipe as it is, one seed chooses the
learning rate on validation rows; other seeds then measure it at that rate, and are paired with the recipe's. Every
trial is a `featherweight train` in a process of its own, without test rows. The same command again continues. A result
is whole where each change that was begun is measured; the page names the changes that are not.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Lock
from typing import Any

from accuracy import shift_trials
from accuracy.publish import without_paths
from harness.competition import named, say
from harness.recording import earlier, new_record, save

from featherweight.errors import FeatherweightError, UserError
from featherweight.files import write_whole
from featherweight.recipe import Recipe
from featherweight.run.best import rank
from featherweight.run.folder import Run
from featherweight.run.lock import is_complete_run

CHANGES = Path(__file__).with_name("ablation.toml")
BASE = "recipe"
"""What the runs of the recipe as it is are called, here and in ``shift_trials.summary``."""
NO_TEST = ("data.test=", "evaluation.shift=[]")
Record = dict[str, Any]


def main(options: argparse.Namespace) -> None:
    """Train what the result does not have yet, change by change (``--jobs`` changes at once); save after each trial."""
    table = tomllib.loads(CHANGES.read_text("utf-8"))
    changes = table["changes"] = {BASE: {"title": "the recipe as it is"}, **table["changes"]}
    wanted = named(f"{BASE},{options.only}" if options.only else None, changes, "change")
    own = [f"data.train={options.data}"] if options.data else []
    own += [f"data.train_rows={options.rows}"] if options.rows else []
    base = Recipe.load(table["recipe"], [*own, *options.set, *NO_TEST])
    if options.jobs > 1:  # the trainings share the cores
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // options.jobs)))
    record = begun(table, base, options)
    alone, failed = Lock(), Event()

    def measure(name: str) -> None:
        while not failed.is_set() and (planned := missing(record, name)):
            try:
                found = trial(base, changes[name], *planned, options.work / record["name"] / name)
            except BaseException:
                failed.set()  # the other changes end after the trials that they are in
                raise
            with alone:
                record["data"] |= found.pop("rows", {})
                record["runs"].append({"setting": name, "part": 0, "rate": planned[0], "seed": planned[1], **found})
                say(f"{changes[name]['title']}: rate {planned[0]:g}, seed {planned[1]}: {found}")
                record["summary"] = summary(record["runs"], table["choosing_seed"])
                whole = not any(missing(record, run["setting"]) for run in record["runs"])
                path = save(without_paths(record, [base], dict(options.call)), options.results, whole=whole)
                say(f"written: {path.name}")

    with ThreadPoolExecutor(max(1, options.jobs)) as pool:
        list(pool.map(measure, wanted))


def missing(record: Record, name: str) -> tuple[float, int] | None:
    """Rate and seed of the next trial of a change: all rates with one seed, then the best of them with the others."""
    settings, tried = record["settings"], [run for run in record["runs"] if run["setting"] == name]
    factors, first = settings["changes"][name].get("rates", settings["rates"]), settings["choosing_seed"]
    done = {(run["rate"], run["seed"]) for run in tried}
    planned = [(float(f"{settings['learning_rate'] * factor:.6g}"), first) for factor in factors]
    if done.issuperset(planned) and (best := chosen(tried, first)):
        planned = [(best["rate"], seed) for seed in settings["seeds"]]
    return next((one for one in planned if one not in done), None)


def begun(table: Record, base: Recipe, options: argparse.Namespace) -> Record:
    """The result so far, without the runs of changes that are defined otherwise now. UserError if other rows or
    settings gave it."""
    name = options.name or f"ablation-{Path(base.backbone.name).name}"
    settings = {**table, "recipe": base.name, "set": options.set, "rows": options.rows}
    settings |= {"learning_rate": base.training.learning_rate, "backbone": base.backbone.name, "jobs": options.jobs}
    seeds = [table["choosing_seed"], *table["seeds"]]
    record = new_record("ablation", name, settings=settings, data={"train": base.data.train}, seeds=seeds)
    old, new = earlier(options.results / f"{name}.json"), without_paths(record, [base], dict(options.call))
    if "settings" in old:
        before, now = old["settings"].pop("changes"), new["settings"].pop("changes")
        if (old["settings"], old["data"]["train"]) != (new["settings"], new["data"]["train"]):
            known = f"{options.results}: {name}.json or its .partial.json was made with other rows or settings"
            raise UserError(f"{known}; choose another --name, or remove it")
        record["runs"] = [run for run in old["runs"] if before.get(run["setting"]) == now.get(run["setting"])]
        record["data"] = {**old["data"], **record["data"]}
    return record


def trial(base: Recipe, change: Record, rate: float, seed: int, place: Path) -> Record:
    """Train below ``place``, and empty it: figures on validation rows, seconds, weight, machine; or ``diverged``."""
    folder = place / f"{rate:g}-{seed}"
    overrides = [*change.get("set", []), f"training.learning_rate={rate!r}", f"seed={seed}", *NO_TEST]
    recipe = Recipe.parse(base.model_dump(mode="json", exclude_none=True), base.name, overrides)
    count = change.get("runs")
    try:
        if count:
            parts = [recipe.with_values(training={"order_seed": 100 * seed + number}) for number in range(count)]
            runs = [trained(part, folder / str(number)) for number, part in enumerate(parts)]
            shutil.rmtree(folder / "soup", ignore_errors=True)  # one that was interrupted is made anew, in a moment
            featherweight("soup", *(str(run.folder) for run in runs), "--out", str(folder / "soup"))
        run = Run(folder / "soup") if count else trained(recipe, folder / "run")
        validation, environment = run.evaluation["validation"], run.environment
        result = {key: float(validation[key]) for key in ("accuracy", "log_loss")}
        result |= {"seconds": environment["training_seconds"], "parameters": run.weight["total"]}
        result["processor"] = environment.get("gpu", environment["processor"])
        result["rows"] = {f"{name}_rows": part["rows"] for name, part in environment["data"].items()}
    except FeatherweightError:
        if not any(folder.glob("*/diverged.json")):
            raise
        result = {"diverged": True}
    shutil.rmtree(folder)
    return result


def trained(recipe: Recipe, folder: Path) -> Run:
    """The finished run of ``recipe`` in ``folder``, trained or resumed where it is not finished."""
    if not is_complete_run(folder):
        file = folder.with_suffix(".toml")
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, recipe.to_toml())
        featherweight("train", str(file), "--out", str(folder), "--resume")
    return Run(folder)


def featherweight(*arguments: str) -> None:
    """Run a command of Featherweight in a new process. Raises FeatherweightError with what it said where it failed."""
    done = subprocess.run([sys.executable, "-m", "featherweight", *arguments], capture_output=True, text=True)
    if done.returncode:
        said = "\n".join(done.stderr.strip().splitlines()[-2:])
        raise FeatherweightError(f"featherweight {arguments[0]} ended with code {done.returncode}: {said}")


def chosen(runs: Sequence[Record], seed: int) -> Record | None:
    """Of a change's runs with ``seed``, the best on validation rows; of equal ones, that with the lower loss."""
    tried = [run for run in runs if run["seed"] == seed and "diverged" not in run]
    return max(tried, key=lambda run: rank({**run, "loss": run["log_loss"]}, "accuracy"), default=None)


def summary(runs: Sequence[Record], first: int) -> Record:
    """For each change: its rate, chosen with the seed ``first``; over the other seeds the means, the gain with its
    standard error and the number of ``pairs`` of runs with the same seed. Times are measured by ``ablation_times``:
    other work on the machine shows in those of the trials."""
    result, measured = {}, []
    for name in dict.fromkeys(run["setting"] for run in runs):
        own = [run for run in runs if run["setting"] == name]
        best, rates = chosen(own, first), sorted(run["rate"] for run in own if run["seed"] == first)
        result[name] = {"diverged": sum("diverged" in run for run in own)}
        if best:
            own = [run for run in own if run["rate"] == best["rate"] and run["seed"] != first]
            edge = {rates[0]: "lowest", rates[-1]: "highest"}.get(best["rate"])
            result[name] = {"learning_rate": best["rate"], "edge": edge, "parameters": best["parameters"]}
            result[name]["diverged"] = sum("diverged" in run for run in own)
            measured += [run for run in own if "diverged" not in run]
    seeds = {run["seed"] for run in measured if run["setting"] == BASE}
    for name, figures in shift_trials.summary(measured).items():
        own = [run for run in measured if run["setting"] == name]
        result[name] |= {"pairs": len({run["seed"] for run in own} & seeds), **figures}
    return result
