"""Prepares runs for a comparison: groups them by recipe, reads their values, and notes what else they differ in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from featherweight.errors import UserError
from featherweight.files import sha256_of
from featherweight.recipe import Recipe
from featherweight.run.cleanup import ROWS
from featherweight.run.figures import metrics_of
from featherweight.run.folder import Run

SHIFT = "shift: "
"""The prefix of the column key for the accuracy on a shift set."""


def changed_keys(recipes: Sequence[Recipe]) -> dict[str, list[Any]]:
    """The keys in which the recipes differ, such as ``training.learning_rate``, each with the values of all recipes."""
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
    """Raise UserError if there are no runs, or a run is listed twice."""
    if not runs:
        raise UserError("there are no runs to compare; pass the folders of finished runs")
    folders = [run.folder.resolve() for run in runs]
    twice = next((index for index, folder in enumerate(folders) if folder in folders[:index]), None)
    if twice is not None:
        raise UserError(f"{runs[twice].folder}: is listed twice and would count as two seeds; list it once")


def common_split(runs: Sequence[Run]) -> str:
    """``test``, or ``validation`` if no run has a test set. Raises UserError if only some runs have one."""
    without = [run for run in runs if not run.evaluation.get("test")]
    if without and len(without) < len(runs):
        other = next(run for run in runs if run not in without)
        raise UserError(
            f"{without[0].folder}: has no test set, but {other.folder} has one; compare only runs with a test set"
        )
    return "validation" if without else "test"


def _without_seeds(run: Run) -> Recipe:
    """The recipe of ``run`` without seeds and description, so that runs that differ only in these become equal.

    Of a soup (the averaged adapters of several runs) only the number of runs is kept. A run that was trained on rows in
    memory keeps them in its own folder: instead of their path it has their checksum, which other seeds have, too.
    """
    recipe = run.recipe
    soup = [f"run {number}" for number in range(len(recipe.training.soup))]
    rows = {part: f"rows {sha256_of(path)[:8]}" for part, path in _own_rows(run).items()}
    return recipe.with_values(seed=0, description="", data=rows, training={"order_seed": None, "soup": soup})


def _own_rows(run: Run) -> dict[str, Path]:
    """The files of rows in the folder of ``run`` that its recipe names, by part."""
    named = {part: getattr(run.recipe.data, part) for part in ROWS}
    own = {part: run.folder / name for part, name in ROWS.items() if (run.folder / name).is_file() and named[part]}
    return {part: path for part, path in own.items() if Path(named[part]).exists() and path.samefile(named[part])}


def _seeds_of(run: Run) -> tuple[int, int, tuple[str, ...]]:
    """The values that differ between the runs of a group: seed, order seed, and the sorted runs of a soup."""
    return run.recipe.seed, run.recipe.order_seed, tuple(sorted(run.recipe.training.soup))


def seeds_in_words(run: Run) -> str:
    """The seed of a run, such as "0"; if the order of its rows has another seed, both, such as "0/1"."""
    seed, order, _ = _seeds_of(run)
    return f"{seed}" if seed == order else f"{seed}/{order}"


def groups_of(runs: Sequence[Run]) -> list[list[Run]]:
    """The runs in groups; the recipes of a group differ only in ``seed``, ``training.order_seed`` and description.

    Groups have the order of their first runs; within a group, seeds ascend. Raises UserError if two runs have the same
    recipe and the same seeds.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        plain = _without_seeds(run)
        group = groups.setdefault(f"{run.environment.get('baseline')} {plain.model_dump_json()}", [])
        double = next((other for other in group if _seeds_of(other) == _seeds_of(run)), None)
        if double:
            raise UserError(f"{run.folder}: has the same recipe and seed as {double.folder}; pass only one of them")
        group.append(run)
    return [sorted(group, key=_seeds_of) for group in groups.values()]


def names_of(groups: Sequence[list[Run]]) -> list[str]:
    """A unique name for each group, by default the name of its recipe.

    If several groups have the same name, the keys in which they differ are appended with their values, such as ``base
    learning_rate 0.0003``. If more than two keys differ, or a value is no text or number, the folder of the group's
    first run is appended instead.
    """
    recipes = [_without_seeds(group[0]) for group in groups]
    kinds = [(recipe.name, group[0].environment.get("baseline")) for recipe, group in zip(recipes, groups, strict=True)]
    names = []
    for recipe, group, kind in zip(recipes, groups, kinds, strict=True):
        alike = [other for other, theirs in zip(recipes, kinds, strict=True) if theirs == kind]
        changed = {key: dict(_flat(recipe.model_dump(mode="json")))[key] for key in changed_keys(alike)}
        values = [f"{key.rpartition('.')[2]} {'none' if value == '' else value}" for key, value in changed.items()]
        short = len(values) <= 2 and all(isinstance(value, (str, int, float)) for value in changed.values())
        title = group[0].environment.get("baseline_title", recipe.name)
        names.append(" ".join([title, *(values if short else [f"({group[0].folder})"])]))
    return names


def differing(who: str, runs: Sequence[Run]) -> list[str]:
    """One sentence for each difference between ``runs`` that is neither in the recipe nor in the seeds.

    ``who`` is the subject of each sentence. Compared are the number of training rows, the package versions and the
    precision. An example: "The rounds had different versions of torch: 2.4.0, 2.5.1."
    """
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


def training_rows(runs: Sequence[Run]) -> tuple[int, ...]:
    """The numbers of training rows of ``runs``, each once, in ascending order; empty if none is recorded."""
    counts = {run.environment.get("data", {}).get("train", {}).get("rows") for run in runs}
    return tuple(sorted(counts - {None}))


def changed_data(rounds: Mapping[str, Sequence[Run]]) -> list[str]:
    """One sentence for each round that had other training rows than an earlier one, although their recipes are equal
    in seed and data.

    The file was changed between the trainings, so a difference of the rounds may come from that. ``rounds`` are runs
    by the name of their round. Runs without fingerprints, and runs with other tokenizers, are not compared.
    """
    first: dict[str, tuple[str, dict[str, Any]]] = {}
    notes: dict[tuple[str, str], str] = {}
    for name, runs in rounds.items():
        for run in runs:
            recipe, rows = run.recipe, run.environment.get("data", {}).get("train", {})
            marks = {key: rows[key] for key in ("fingerprint", "labels") if key in rows}
            key = repr(
                (recipe.task, recipe.seed, _without_seeds(run).data, recipe.backbone.name, recipe.adapter.start_from)
            )
            other, theirs = first.setdefault(key, (name, marks))
            if any(marks[mark] != theirs[mark] for mark in marks.keys() & theirs.keys()):
                notes[other, name] = (
                    f"{other} and {name} name the same data, but their training rows were not the same."
                )
    return list(notes.values())


def repeated_seeds(who: str, runs: Sequence[Run]) -> list[str]:
    """One sentence if some ``runs`` of a round have the same ``seed``; else none. ``who`` is the name of the round.

    Such runs begin with the same weights and have the same validation rows, so their results differ less than those of
    different seeds, and the variance between seeds is underestimated.
    """
    seeds = {run.recipe.seed for run in runs}
    if len(seeds) == len(runs):
        return []
    which = "Runs" if len(seeds) == 1 else "Some runs"
    return [
        f"{which} of {who} have the same seed, and differ only in training.order_seed or in the runs of a soup: other "
        "first weights and other validation rows would add to their variance."
    ]


def uneven_shift_sets(runs: Sequence[Run]) -> list[str]:
    """One sentence for each shift set whose rows are not the same in all runs."""
    rows: dict[str, set[int]] = {}
    texts: dict[str, set[str]] = {}  # fingerprints; early runs have none
    for run in runs:
        evaluated = run.environment.get("judged") or {}
        for name, metrics in (run.evaluation.get("shift") or {}).items():
            rows.setdefault(name, set()).add(metrics["rows"])
            texts.setdefault(name, set()).update(filter(None, [evaluated.get(name, {}).get("texts")]))
    return [
        f"The shift set {name} had different rows in some runs: its column is not comparable between runs."
        for name in rows
        if len(rows[name]) > 1 or len(texts[name]) > 1
    ]


def figures_of(runs: Sequence[Run], split: str) -> dict[str, tuple[float | None, ...]]:
    """The columns of the comparison table: for each key, such as ``accuracy``, one value per run.

    The metrics are those of ``split``, after temperature scaling; None if a run lacks the value.
    """
    columns: list[dict[str, float | None]] = []
    for run in runs:
        evaluation, environment = run.evaluation, run.environment
        columns.append({
            **{metric.key: metric.value(evaluation[split]) for metric in metrics_of(evaluation[split])},
            "seconds": environment.get("training_seconds", environment.get("seconds")),
            "samples_per_second": _samples_per_second(run),
            "peak_memory_bytes": environment.get("peak_memory_bytes"),
            **{f"{SHIFT}{name}": metrics["accuracy"] for name, metrics in (evaluation.get("shift") or {}).items()},
        })  # fmt: skip
    keys = dict.fromkeys(key for column in columns for key in column)
    return {key: tuple(column.get(key) for column in columns) for key in keys}


def _samples_per_second(run: Run) -> float | None:
    """Training rows per second, without the time of evaluations; None without a history."""
    history = run.history
    steps = [record for record in history if record.get("kind") == "step"]
    between = [r for r in history if r.get("kind") == "evaluation" and steps and r["step"] < steps[-1]["step"]]
    seconds = steps[-1]["seconds"] - sum(record["seconds"] for record in between) if steps else 0.0
    return sum(record["rows"] for record in steps) / seconds if seconds > 0 else None
