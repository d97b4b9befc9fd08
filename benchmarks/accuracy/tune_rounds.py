"""Tune the learning rate of each round on validation rows, before the rounds are trained and compared.

    python benchmarks/run.py tune-rounds --backbone minilm --train train.csv.gz --test test.csv.gz

Each round is trained at each rate on all training rows (or on --rows of them, which is quicker and may mislead), in a
run folder of its own, and evaluated on validation rows. No test row is read: the test file is only written into the
recipes for the rounds themselves, OUT/chosen/ROUND.toml. To resume, run the same command: it skips what is finished.
Two of them may share one OUT, each with other rounds (--only). The figures go to docs/results/rounds-NAME-rates.json.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from accuracy.publish import curve_of, made_on, without_paths
from harness.recording import command, save

from featherweight.cli.rounds import EachRun
from featherweight.console import announce
from featherweight.data.source_tables import has_split
from featherweight.data.splits import load_splits
from featherweight.errors import UserError
from featherweight.evaluation.run_groups import correct_rows
from featherweight.evaluation.significance import paired_bootstrap
from featherweight.files import write_json, write_whole
from featherweight.recipe import Recipe
from featherweight.run.folder import Run
from featherweight.workflows.rounds import Planned, plan_rounds, train_planned

DIVERGED = "diverged.json"
"""In the folder of a trial whose loss stopped being a number: it is not tried again."""


@dataclass(frozen=True)
class Trial:
    """One rate of one round."""

    round: str
    rate: float
    run: Planned

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        return self.run.complete or self.diverged

    @property
    def diverged(self) -> bool:
        """Whether the loss stopped being a number."""
        return (self.run.folder / DIVERGED).is_file()


def main(options: argparse.Namespace) -> None:
    out = options.out or Path("runs") / f"rates-{Path(options.backbone).name}"
    files = {"data.train": options.train, "data.test": options.test}
    given = [f"backbone.name={options.backbone}", *(f"{key}={value}" for key, value in files.items() if value)]
    recipes = {recipe.name: recipe for recipe in (Recipe.load(name, options.set + given) for name in options.rounds)}
    only = options.only.split(",") if options.only else list(recipes)
    if unknown := [name for name in only if name not in recipes]:
        raise UserError(f"--only {','.join(unknown)}: no such round here; there are {', '.join(recipes)}")
    trials = plan_trials(recipes, options, out)
    _train([trial for trial in trials if trial.round in only])
    publish(recipes, trials, options, out)


def plan_trials(recipes: dict[str, Recipe], options: argparse.Namespace, out: Path) -> list[Trial]:
    """All trials, round by round. Raises UserError where one could see test rows, or its folder holds another run."""
    pairs = [(name, rate) for name in recipes for rate in sorted(set(options.rates))]
    made = [trial_recipe(recipes[name], rate, options) for name, rate in pairs]
    planned = plan_rounds(made, [options.seed], out)
    return [Trial(name, rate, run) for (name, rate), run in zip(pairs, planned, strict=True)]


def trial_recipe(recipe: Recipe, rate: float, options: argparse.Namespace) -> Recipe:
    """The round on fewer rows at another rate, and without a test set.

    A warm-up in steps keeps its share of the whole run: 500 steps would be most of a short trial.
    """
    data = {"test": None, "train_rows": options.rows}
    training = {"learning_rate": rate, "epochs": options.epochs, "max_steps": None}
    trial = recipe.with_values(
        name=f"{recipe.name}-{rate:g}", seed=options.seed, data=data, training=training, evaluation={"shift": []}
    )
    if has_split(trial.data, "test"):
        raise UserError(f"data.train: {trial.data.train} has a test split, which tuning must not read; name --train")
    if recipe.training.warmup >= 1:
        trial = trial.with_values(training={"warmup": warmup_share(recipe, trial)})
    return trial


def warmup_share(recipe: Recipe, trial: Recipe) -> float:
    """Share of the whole run's steps that its warm-up takes; the steps are counted as full batches."""
    rows = _rows_left(trial.with_values(name="all", data={"train_rows": None}, training={"learning_rate": 1}).to_toml())
    steps = recipe.training.max_steps or recipe.training.epochs * rows / recipe.training.batch_size
    return round(min(0.99, recipe.training.warmup / steps), 4)


@lru_cache
def _rows_left(recipe: str) -> int:
    """Training rows that are there beside the validation rows, by a recipe's TOML."""
    return len(load_splits(Recipe.parse(tomllib.loads(recipe))).train)


def _train(trials: Sequence[Trial]) -> None:
    from featherweight.training.loop import Diverged

    with ExitStack() as bars:
        for number, trial in enumerate(trials, 1):
            bars.close()
            state = "finished" if trial.finished else f"training in {trial.run.folder}"
            announce(f"{trial.round} at {trial.rate:g} (trial {number} of {len(trials)}): {state}")
            if trial.finished:
                continue
            try:
                train_planned(trial.run, [EachRun(bars)])
            except Diverged as error:
                write_json(trial.run.folder / DIVERGED, {"why": str(error)})


def publish(recipes: dict[str, Recipe], trials: Sequence[Trial], options: argparse.Namespace, out: Path) -> None:
    """Write the figures of all rounds whose trials are finished, and their recipes with the chosen rates."""
    done: dict[str, list[Trial]] = {}
    for name in recipes:
        found = [trial for trial in trials if trial.round == name]
        if all(trial.finished for trial in found):
            done[name] = found
        else:
            announce(f"{name}: not finished yet; left out of the result")
    if not done:
        return
    record = rates_record(done, options)
    (out / "chosen").mkdir(exist_ok=True)
    for name, choice in record["summary"].items():
        announce(_in_words(name, choice, record["runs"]))
        if choice["learning_rate"] is not None:
            tuned = recipes[name].with_values(training={"learning_rate": choice["learning_rate"]})
            write_whole(out / "chosen" / f"{name}.toml", tuned.to_toml())
    announce(f"Figures: {save(record, options.results)}")
    announce(f"Tuned recipes: {out / 'chosen'}; train them by `featherweight rounds {out / 'chosen'}/*.toml`")


def rates_record(done: dict[str, list[Trial]], options: argparse.Namespace) -> dict[str, Any]:
    """The result: every trial with its figures on validation rows, and the rate chosen for each round."""
    trials = [trial for found in done.values() for trial in found]
    runs = [Run(trial.run.folder) for trial in trials if not trial.diverged]
    data = {"train": trials[0].run.recipe.data.train}
    for name, part in runs[0].environment["data"].items() if runs else ():
        data |= {f"{name}_rows": part["rows"], f"{name}_fingerprint": part["fingerprint"]}
    rows = {name: [trial_row(trial) for trial in found] for name, found in done.items()}
    summary = {name: choice_of(own) for name, own in rows.items()}
    for name, found in done.items():
        _compare_with_chosen(found, rows[name], summary[name]["learning_rate"])
    settings = {"backbone": options.backbone, "rates": sorted(set(options.rates)), "rows": options.rows}
    settings |= {"epochs": options.epochs, "chosen_by": "validation accuracy; of equal ones the lower log loss"}
    record = {
        "benchmark": "rates",
        "name": f"rounds-{options.name or Path(options.backbone).name}-rates",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command(),
        **made_on(runs),
        "seeds": [options.seed],
        "data": data,
        "settings": {key: value for key, value in settings.items() if value is not None},
        "runs": [row for own in rows.values() for row in own],
        "summary": summary,
    }
    return without_paths(record, [trial.run.recipe for trial in trials], dict(options.call))


def trial_row(trial: Trial) -> dict[str, Any]:
    """One trial's figures, all on validation rows; a diverged one has none."""
    training = trial.run.recipe.training
    row = {"round": trial.round, "learning_rate": trial.rate, "diverged": trial.diverged}
    row |= {"schedule": training.schedule, "warmup": training.warmup, "accuracy": None}
    if trial.diverged:
        return row
    run = Run(trial.run.folder)
    figures = run.evaluation["validation"]
    return row | {key: figures[key] for key in ("accuracy", "accuracy_interval", "log_loss", "macro_f1")} | {
        "validation_curve": curve_of(run),
        "best_step": run.evaluation["best_step"],
        "steps": sum(record["kind"] == "step" for record in run.history),
        "parameters": run.weight["total"],
        "training_seconds": run.environment["training_seconds"],
    }  # fmt: skip


def choice_of(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The rate with the best validation accuracy, and whether it is the least or greatest that was tried."""
    evaluated = [row for row in rows if row["accuracy"] is not None]
    if not evaluated:
        return {"learning_rate": None, "edge": None}
    rates = sorted(row["learning_rate"] for row in rows)
    best = max(evaluated, key=lambda row: (row["accuracy"], -row["log_loss"]))["learning_rate"]
    edge = {rates[0]: "lowest", rates[-1]: "highest"}.get(best) if len(rates) > 1 else None
    return {"learning_rate": best, "edge": edge}


def _compare_with_chosen(trials: Sequence[Trial], rows: Sequence[dict[str, Any]], chosen: float | None) -> None:
    """How far each other rate is behind on the same validation rows, with its 95% interval: what chance might do."""
    runs = {trial.rate: Run(trial.run.folder) for trial in trials if not trial.diverged}
    right = correct_rows(list(runs.values()), "validation") if runs else {}
    for row in rows:
        if row["learning_rate"] in runs.keys() - {chosen}:
            pair = (right[runs[rate].folder] for rate in (row["learning_rate"], chosen))
            apart = paired_bootstrap(*pair)
            row["over_chosen"] = {key: apart[key] for key in ("difference", "low", "high")}


def _in_words(name: str, choice: dict[str, Any], rows: Sequence[dict[str, Any]]) -> str:
    shown = {row["learning_rate"]: row["accuracy"] for row in rows if row["round"] == name}
    tried = ", ".join(f"{rate:g}: {'diverged' if share is None else f'{share:.2%}'}" for rate, share in shown.items())
    if choice["learning_rate"] is None:
        return f"{name}: every rate diverged ({tried}); try lower ones by --rates"
    edge = f"; it is the {choice['edge']} rate tried, so try one beyond it as well by --rates" if choice["edge"] else ""
    return f"{name}: {choice['learning_rate']:g} is best on validation rows ({tried}){edge}"
