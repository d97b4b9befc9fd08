"""Runs gathered for a comparison: the same rows in all, those of one recipe together, the figures of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featherweight.errors import UserError
from featherweight.recipe import Recipe
from featherweight.run.figures import METRICS
from featherweight.run.folder import Run

SHIFT = "shift: "
"""What the key of a shift set's accuracy begins with."""


def changed_keys(recipes: Sequence[Recipe]) -> dict[str, list[Any]]:
    """The keys in which some recipes differ, such as ``training.learning_rate``, with the value of each recipe."""
    tables = [dict(_flat(recipe.model_dump(mode="json"))) for recipe in recipes]
    keys = dict.fromkeys(key for table in tables for key in table)
    values = {key: [table.get(key) for table in tables] for key in keys}
    return {key: each for key, each in values.items() if any(value != each[0] for value in each)}


def _flat(values: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield above + key, value


def require_each_once(runs: Sequence[Run]) -> None:
    """Raises UserError where there is no run, or one is there twice."""
    if not runs:
        raise UserError("there are no runs to compare; name some run folders")
    folders = [run.folder.resolve() for run in runs]
    twice = next((place for place, folder in enumerate(folders) if folder in folders[:place]), None)
    if twice is not None:
        raise UserError(f"{runs[twice].folder}: named twice; a run would count as two seeds")


def common_split(runs: Sequence[Run]) -> str:
    """``test``, or ``validation`` where no run has a test set; UserError where only some have."""
    without = [run for run in runs if not run.evaluation.get("test")]
    if without and len(without) < len(runs):
        other = next(run for run in runs if run not in without)
        raise UserError(f"{without[0].folder}: has no test set, while {other.folder} has one; they cannot be compared")
    return "validation" if without else "test"


def correct_rows(runs: Sequence[Run], split: str) -> dict[Path, NDArray[np.bool_]]:
    """Right (True) or wrong of each run's ``split`` rows, by folder; UserError unless all have the same rows."""
    correct, first = {}, None
    for run in runs:
        columns = _predictions(run, split)
        first = first or (run, columns)
        _require_same_rows(run, columns, *first, split)
        correct[run.folder] = np.array(columns["label"]) == np.array(columns["predicted"])
    return correct


def _predictions(run: Run, split: str) -> dict[str, list[Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = run.folder / "predictions.parquet"
    if not path.is_file():
        raise UserError(f"{path}: missing; the run did not get that far or the file was removed")
    try:
        columns = ["row", "text_key", "label", "predicted"]
        table = pq.read_table(path, columns=columns, filters=[("split", "=", split)])
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        first = str(error).strip().partition("\n")[0]
        raise UserError(f"{path}: damaged: {first}") from None
    if not table.num_rows:
        raise UserError(f"{path}: damaged: it has no {split} rows")
    for name in columns:
        kind = table.schema.field(name).type
        text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        if not (pa.types.is_integer(kind) if name == "row" else text):
            raise UserError(f"{path}: damaged: column {name!r} holds {kind}")
    return table.sort_by("row").to_pydict()


def _require_same_rows(run: Run, ours: dict[str, Any], other: Run, theirs: dict[str, Any], split: str) -> None:
    where = f"{run.folder}: its {split} rows are not those of {other.folder}"
    hint = "runs are compared on the same rows only"
    if split == "validation":
        hint += ", and without a test set each seed has validation rows of its own; name data.test and train anew"
    if len(ours["text_key"]) != len(theirs["text_key"]):
        raise UserError(f"{where}: {len(ours['text_key']):,} rows, not {len(theirs['text_key']):,}; {hint}")
    for key, what in (("text_key", "text"), ("label", "label")):
        places = (place for place, pair in enumerate(zip(ours[key], theirs[key], strict=True), 1) if len(set(pair)) > 1)
        if place := next(places, 0):
            raise UserError(f"{where}: row {place} has another {what}; {hint}")


def groups_of(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs of the same recipe but for seed and description, in the order in which they were named, seeds ascending.

    Raises UserError where two runs have the same recipe and seed.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        plain = run.recipe.with_values(seed=0, description="")
        group = groups.setdefault(f"{run.environment.get('baseline')} {plain.model_dump_json()}", [])
        double = next((other for other in group if other.recipe.seed == run.recipe.seed), None)
        if double:
            raise UserError(f"{run.folder}: the recipe and the seed of {double.folder}; name one of the two")
        group.append(run)
    return [sorted(group, key=lambda run: run.recipe.seed) for group in groups.values()]


def names_of(groups: Sequence[list[Run]]) -> list[str]:
    """The recipes' names; where two groups share one, with the keys in which they differ, or else the folder."""
    recipes = [group[0].recipe.with_values(seed=0, description="") for group in groups]
    kinds = [(recipe.name, group[0].environment.get("baseline")) for recipe, group in zip(recipes, groups, strict=True)]
    names = []
    for recipe, group, kind in zip(recipes, groups, kinds, strict=True):
        alike = [other for other, theirs in zip(recipes, kinds, strict=True) if theirs == kind]
        changed = {key: dict(_flat(recipe.model_dump(mode="json")))[key] for key in changed_keys(alike)}
        told = [f"{key.rpartition('.')[2]} {'none' if value == '' else value}" for key, value in changed.items()]
        plain = len(told) <= 2 and all(isinstance(value, (str, int, float)) for value in changed.values())
        title = group[0].environment.get("baseline_title", recipe.name)
        names.append(" ".join([title, *(told if plain else [f"({group[0].folder})"])]))
    return names


def differing(who: str, runs: Sequence[Run]) -> list[str]:
    """In what runs differ beside recipe and seed, a sentence each: rows of training, versions, precision."""
    packages = ("featherweight", "torch", "transformers", "peft", "accelerate")
    trained = [run.environment.get("data", {}).get("train", {}).get("rows") for run in runs]
    facts: dict[str, list[Any]] = {
        "numbers of training rows": ["unknown" if rows is None else f"{rows:,}" for rows in trained],
        **{f"versions of {package}": [run.environment.get(package) for run in runs] for package in packages},
        "precisions": [run.environment.get("precision") for run in runs],
    }
    return [
        f"{who} had different {what}: {', '.join(map(str, dict.fromkeys(values)))}."
        for what, values in facts.items()
        if len(set(values)) > 1
    ]


def uneven_shift_sets(runs: Sequence[Run]) -> list[str]:
    """A sentence for each shift set that does not have the same rows in all runs that were evaluated on it."""
    rows: dict[str, set[int]] = {}
    texts: dict[str, set[str]] = {}  # of the runs that know them
    for run in runs:
        judged = run.environment.get("judged") or {}
        for name, figures in (run.evaluation.get("shift") or {}).items():
            rows.setdefault(name, set()).add(figures["rows"])
            texts.setdefault(name, set()).update(filter(None, [judged.get(name, {}).get("texts")]))
    return [
        f"The shift set {name} had other rows in some runs: its column compares what does not compare."
        for name in rows
        if len(rows[name]) > 1 or len(texts[name]) > 1
    ]


def figures_of(runs: Sequence[Run], split: str) -> dict[str, tuple[float | None, ...]]:
    """The table's figures, one value a run; metrics that change with the temperature are taken after scaling."""
    columns: list[dict[str, float | None]] = []
    for run in runs:
        evaluation, environment = run.evaluation, run.environment
        columns.append({
            **{metric.key: metric.value(evaluation[split]) for metric in METRICS},
            "seconds": environment.get("training_seconds", environment.get("seconds")),
            "samples_per_second": _samples_per_second(run),
            "peak_memory_bytes": environment.get("peak_memory_bytes"),
            **{f"{SHIFT}{name}": figures["accuracy"] for name, figures in (evaluation.get("shift") or {}).items()},
        })  # fmt: skip
    keys = dict.fromkeys(key for column in columns for key in column)
    return {key: tuple(column.get(key) for column in columns) for key in keys}


def _samples_per_second(run: Run) -> float | None:
    """Training rows a second, evaluations not counted; None without a history."""
    history = run.history
    steps = [record for record in history if record.get("kind") == "step"]
    between = [r for r in history if r.get("kind") == "evaluation" and steps and r["step"] < steps[-1]["step"]]
    seconds = steps[-1]["seconds"] - sum(record["seconds"] for record in between) if steps else 0.0
    return sum(record["rows"] for record in steps) / seconds if seconds > 0 else None
