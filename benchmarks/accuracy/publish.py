"""Write what finished runs claim as committed result files: `python benchmarks/run.py publish runs/NAME ...`.

A file holds the resolved recipe, machine, versions, seeds, data sizes, date and figures, and no text of the data.
The table in docs/results/README.md is then made anew from all the files.
"""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from harness.recording import read_results
from pages.paired import right_rows
from pages.write import filled, rendered

from featherweight import formatting
from featherweight.budget.plan import resolve_auto
from featherweight.errors import UserError
from featherweight.files import write_json, write_whole
from featherweight.recipe import Recipe, built_in_recipes
from featherweight.run.folder import Run, read_json
from featherweight.workflows.resolve import backbone_architecture

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results"
PAGE = RESULTS / "README.md"
_LEFT_OUT = ("mistakes", "reliability", "reliability_scaled")
_MACHINES_OWN = ("working_folder", "judged")  # paths of the machine, which are not published


def main(arguments: argparse.Namespace) -> None:
    """Publish each named run under its folder's name."""
    arguments.out.mkdir(parents=True, exist_ok=True)
    for folder in arguments.runs:
        target = arguments.out / f"{folder.name}.json"
        write_json(target, result(Run(folder), dict(arguments.call), arguments.built_in))
        print(target)
    if arguments.out == RESULTS:
        write_whole(PAGE, with_table(PAGE.read_text("utf-8")))


def with_table(page: str) -> str:
    """The page with its table of results made anew."""
    runs = {path.stem: record for path, record in run_files().items()}
    return filled(page, results=rendered("results.md", runs=runs).strip())


def run_files() -> dict[Path, dict[str, Any]]:
    """The committed results of single runs; those of several (rounds and rates) have a page of their own."""
    return {path: record for path, record in read_results(RESULTS).items() if "evaluation" in record}


def result(run: Run, names: dict[str, str], built_in: str | None = None) -> dict[str, Any]:
    """The run as one object: recipe, environment, weight, figures without texts, proof of the saved adapter.

    Data files go by their name in ``names``, or else by their own without its folder. ``built_in`` is the built-in
    recipe that the run was made from, if the run's recipe has another name.
    """
    evaluations = [record for record in run.history if record["kind"] == "evaluation"]
    values = {
        "recipe": recipe_values(run.recipe),
        "command": command(run.recipe, built_in),
        "environment": {key: value for key, value in run.environment.items() if key not in _MACHINES_OWN},
        "weight": run.weight,
        "evaluation": _figures(run.evaluation),
        "validation_curve": [{key: one[key] for key in ("step", "accuracy", "loss")} for one in evaluations],
        "verification": read_json(run.folder / "verification.json"),
    }
    if run.evaluation.get("test") and run.recipe.task != "multi-label":
        values["test_right"] = right_rows(run)
    return without_paths(values, [run.recipe], names)


def recipe_values(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain values."""
    return recipe.model_dump(mode="json", exclude_none=True)


def without_paths(values: dict[str, Any], recipes: Iterable[Recipe], names: dict[str, str]) -> dict[str, Any]:
    """``values`` with what ``recipes`` read (rows, backbones, runs) by its name alone, wherever it stands.

    Other paths lose their folders, too. Keys are texts like all others.
    """
    sources: set[str | None] = set()
    for recipe in recipes:
        data, training = recipe.data, recipe.training
        sources |= {data.train, data.test, data.validation, data.drop, *recipe.evaluation.shift}
        sources |= {recipe.backbone.name, recipe.adapter.start_from, *training.teacher, *training.soup}
    text = json.dumps(values)
    for source in sorted((source for source in sources if source is not None), key=len, reverse=True):
        # A file goes by its name alone: its path on the machine is not published.
        name = Path(source).name if Path(source).exists() or source.startswith((".", "/")) else source
        name = names.get(source, names.get(name, name))
        # A path cannot be mistaken; a mere name is one only where nothing stands beside it.
        around = "" if "/" in source else '"'
        found, shown = (around + json.dumps(one)[1:-1] + around for one in (source, name))
        text = text.replace(found, shown)
    return _without_folders(json.loads(text))


def _without_folders(value: Any) -> Any:
    """``value`` with ``formatting.without_paths`` of every text, at any depth, keys included."""
    if isinstance(value, dict):
        return {formatting.without_paths(key): _without_folders(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_folders(each) for each in value]
    return formatting.without_paths(value) if isinstance(value, str) else value


def made_on(runs: Sequence[Run]) -> dict[str, Any]:
    """Machines, versions and first and last day of some runs; one each as a rule, and more where they differ."""
    environments = [run.environment for run in runs]
    days = sorted(str(environment["started"])[:10] for environment in environments)
    machine = ("system", "processor", "cores", "threads", "device", "precision")
    versions = ("python", "featherweight", "torch", "transformers", "peft", "accelerate", "tokenizers", "numpy")

    def each_once(keys: Sequence[str]) -> list[dict[str, Any]]:
        chosen = [{key: one[key] for key in keys if key in one} for one in environments]
        return [one for place, one in enumerate(chosen) if one not in chosen[:place]]

    return {
        "begun": list(dict.fromkeys([*days[:1], *days[-1:]])),
        "machine": each_once(machine),
        "versions": each_once(versions),
    }


def command(recipe: Recipe, name: str | None = None) -> str:
    """The command that trains ``recipe`` again: a built-in one with what was set; files by their names alone.

    ``name`` is the built-in recipe, by default that of the recipe's own name.
    """
    name = name or recipe.name
    if name not in built_in_recipes():
        return f"featherweight train {recipe.name}.toml (the recipe above)"
    built_in = Recipe.load(name)
    before, after = recipe_values(built_in), without_paths(recipe_values(recipe), [recipe], {})
    tables = {}
    if built_in.adapter.lora == "auto":
        del before["adapter"]["lora"]
        made = after["adapter"].pop("lora")
        if recipe_values(_resolved(built_in, recipe))["adapter"]["lora"] != made:
            if name == recipe.name:
                raise UserError(f"publish: {name} has adapter.lora = auto, and the run has other tables; rename it")
            tables = {"adapter.lora": made}
    elif len(recipe.adapter.lora) < len(built_in.adapter.lora):
        raise UserError("publish: adapter.lora has fewer tables than the built-in recipe, which no --set says")
    before, after = _flat(before), _flat(after)
    changed = {key: after.get(key, "") for key in before | after if after.get(key, "") != before.get(key)} | tables
    if not after.get("description"):  # --set takes it away where it sets other rows or another backbone
        changed.pop("description", None)
    settings = [f"--set {shlex.quote(f'{key}={_in_toml(value)}')}" for key, value in changed.items()]
    return " ".join(["featherweight train", name, *settings])


def _resolved(built_in: Recipe, recipe: Recipe) -> Recipe:
    """``built_in`` with the LoRA tables that ``auto`` gives for the backbone and the budget of ``recipe``."""
    chosen = built_in.with_values(backbone=recipe.backbone.model_dump(), budget=recipe.budget)
    return resolve_auto(chosen, backbone_architecture(recipe.backbone), len(recipe.data.labels))


def _flat(value: Any, key: str = "") -> dict[str, Any]:
    """Values by what ``--set`` calls them; layers that get LoRA are tables that it reaches by their number."""
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        value = dict(enumerate(value))
    if not isinstance(value, dict):
        return {key: value}
    return {k: v for name, inner in value.items() for k, v in _flat(inner, f"{key}.{name}".lstrip(".")).items()}


def _in_toml(value: Any) -> str:
    if isinstance(value, list) and value and all(isinstance(table, dict) for table in value):
        tables = [", ".join(f"{key}={json.dumps(each)}" for key, each in table.items()) for table in value]
        return f"[{', '.join(f'{{{table}}}' for table in tables)}]"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) else json.dumps(value)


def _figures(values: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in values.items() if key not in _LEFT_OUT}
    return {key: _figures(value) if isinstance(value, dict) else value for key, value in kept.items()}
