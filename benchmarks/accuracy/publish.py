"""Write what finished runs claim as committed result files: `python benchmarks/run.py publish runs/NAME ...`.

A file holds the resolved recipe, machine, versions, seeds, data sizes, date and figures, and no text of the data.
The table in docs/results/README.md is then made anew from all the files.
"""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pages.write import filled, rendered

from featherweight.errors import UserError
from featherweight.files import write_json, write_whole
from featherweight.recipe import Recipe, built_in_recipes
from featherweight.run.folder import Run

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results"
PAGES = {RESULTS / "README.md": ""}
_LEFT_OUT = ("mistakes", "reliability", "reliability_scaled")


def main(arguments: argparse.Namespace) -> None:
    """Publish each named run under its folder's name."""
    arguments.out.mkdir(parents=True, exist_ok=True)
    for folder in arguments.runs:
        target = arguments.out / f"{folder.name}.json"
        write_json(target, result(Run(folder), dict(arguments.call)))
        print(target)
    if arguments.out == RESULTS:
        for page, folder in PAGES.items():
            write_whole(page, with_table(page.read_text("utf-8"), folder))


def with_table(page: str, folder: str) -> str:
    """The page with its table of results made anew; ``folder`` leads from the page to the result files."""
    runs = {path.stem: json.loads(path.read_text("utf-8")) for path in run_files()}
    return filled(page, "results", rendered("results.md", runs=runs, folder=folder).strip())


def run_files() -> list[Path]:
    """The committed results of single runs; those of several (rounds and rates) have a page of their own."""
    return [path for path in sorted(RESULTS.glob("*.json")) if "evaluation" in json.loads(path.read_text("utf-8"))]


def result(run: Run, names: dict[str, str]) -> dict[str, Any]:
    """The run as one object: recipe, environment, weight, figures without texts, proof of the saved adapter.

    Data files go by their name in ``names``, or else by their own without its folder.
    """
    proof = json.loads((run.folder / "verification.json").read_text("utf-8"))
    return {
        "recipe": recipe_without_paths(run.recipe, names),
        "command": command(run.recipe),
        "environment": _environment(run.environment, names),
        "weight": run.weight,
        "evaluation": _figures(run.evaluation, names),
        "validation_curve": curve_of(run),
        "verification": proof,
    }


def curve_of(run: Run) -> list[dict[str, Any]]:
    """Accuracy and loss on validation rows at each evaluation."""
    evaluations = [record for record in run.history if record["kind"] == "evaluation"]
    return [{key: record[key] for key in ("step", "accuracy", "loss")} for record in evaluations]


_MACHINES_OWN = ("working_folder", "judged")  # paths, which are nobody's business


def _environment(values: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    kept = {key: value for key, value in values.items() if key not in _MACHINES_OWN}
    backbone = kept["backbone"]
    return {**kept, "backbone": {**backbone, "name": source_name(backbone["name"], names)}}


def _figures(values: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    kept = {key: value for key, value in values.items() if key not in _LEFT_OUT}
    return {
        source_name(key, names): _figures(value, names) if isinstance(value, dict) else value
        for key, value in kept.items()
    }


def recipe_without_paths(recipe: Recipe, names: dict[str, str]) -> dict[str, Any]:
    """The recipe as plain values, its files by their names alone."""
    values = recipe.model_dump(mode="json", exclude_none=True)
    for key in ("train", "test", "validation"):
        if key in values["data"]:
            values["data"][key] = source_name(values["data"][key], names)
    values["backbone"]["name"] = source_name(values["backbone"]["name"], names)
    values["evaluation"]["shift"] = [source_name(name, names) for name in values["evaluation"]["shift"]]
    return values


def source_name(source: str, names: dict[str, str]) -> str:
    """A file by its name alone: where it lay on the machine is nobody's business."""
    name = Path(source).name if Path(source).exists() or source.startswith((".", "/")) else source
    return names.get(source, names.get(name, name))


def made_on(runs: Sequence[Run]) -> dict[str, Any]:
    """Machines, versions and first and last day of some runs; one each as a rule, and more where they differ."""
    environments = [run.environment for run in runs]
    days = sorted(str(environment["started"])[:10] for environment in environments)
    machine = ("system", "processor", "cores", "threads", "device", "precision")
    versions = ("python", "featherweight", "torch", "transformers", "peft", "accelerate", "tokenizers", "numpy")
    return {
        "begun": list(dict.fromkeys([*days[:1], *days[-1:]])),
        "machine": _each_once(environments, machine),
        "versions": _each_once(environments, versions),
    }


def _each_once(environments: Sequence[dict[str, Any]], keys: Sequence[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for environment in environments:
        chosen = {key: environment[key] for key in keys if key in environment}
        if chosen not in found:
            found.append(chosen)
    return found


def command(recipe: Recipe) -> str:
    """The command that trains ``recipe`` again: a built-in one with what was set; files by their names alone."""
    if recipe.name not in built_in_recipes():
        return f"featherweight train {recipe.name}.toml (the recipe above)"
    values = recipe_without_paths(recipe, {})
    changed = _changes(Recipe.load(recipe.name).model_dump(mode="json", exclude_none=True), values)
    settings = [f"--set {shlex.quote(f'{key}={value}')}" for key, value in changed.items()]
    return " ".join(["featherweight train", recipe.name, *settings])


def _changes(before: Any, after: Any, key: str = "") -> dict[str, str]:
    """Each key whose value differs, with what ``--set`` takes for it; nothing for a key that is taken away."""
    if isinstance(after, list) and all(isinstance(item, dict) for item in [*after, *before]):
        # Layers that get LoRA: tables that --set reaches by their number.
        if len(after) < len(before):
            raise UserError(f"publish: {key} has fewer tables than the built-in recipe, which no --set says")
        before, after = dict(enumerate(before)), dict(enumerate(after))
    if not isinstance(after, dict):
        if isinstance(after, float) and after.is_integer():
            after = int(after)
        return {} if before == after else {key: after if isinstance(after, str) else json.dumps(after)}
    found: dict[str, str] = {}
    for name in before.keys() - after.keys():
        found[f"{key}.{name}".lstrip(".")] = ""
    for name, value in after.items():
        found |= _changes(before.get(name, {} if isinstance(value, dict) else None), value, f"{key}.{name}".lstrip("."))
    return found
