"""An audit of labels, and training without its suspects: `python benchmarks/run.py noise --data train.csv.gz`.

The first rows of the file are audited as `featherweight noise` does; the last ones are validation rows, and none of
them is removed. Then the recipe is trained on all audited rows and without the suspects, seed by seed. Test rows
are not read. `--judged FILE` is a CSV of a person's or a language model's reading: `row` as in suspects.csv, and
`verdict`, which is wrong, right or unclear (the given label). The same command again continues.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from accuracy.ablation import NO_TEST, trained
from accuracy.publish import without_paths
from harness.competition import say
from harness.recording import new_record, save

from featherweight.data.pairs import joined
from featherweight.data.sources import Rows, read_rows
from featherweight.errors import UserError
from featherweight.evaluation.significance import paired_bootstrap
from featherweight.recipe import Recipe
from featherweight.report.noise.contents import Audit
from featherweight.workflows.noise_audit import audit_labels

RECIPE = "agnews-minilm"
VERDICTS = ("wrong", "right", "unclear")
WHOLE, WITHOUT = "all rows", "without suspects"
"""What the two trainings of a seed are called in the result."""


def main(options: argparse.Namespace) -> None:
    """Audit, train, and save the result after each training."""
    if not options.data:
        raise UserError("noise needs a file of labelled rows: --data train.csv.gz")
    options.work.mkdir(parents=True, exist_ok=True)
    base = Recipe.load(RECIPE, [f"data.train={options.data}", *options.set, *NO_TEST])
    rows = read_rows(base.data.train, base.data)
    if (needed := options.rows + options.validation) > len(rows):
        need = f"--rows and --validation need {needed:,} rows, because no audited row may be a validation row"
        raise UserError(f"{options.data}: has {len(rows):,} rows; {need}")
    places = {"train": np.arange(options.rows), "validation": np.arange(len(rows) - options.validation, len(rows))}
    for name, place in places.items():
        _write(rows.take(place), options.work / f"{name}.parquet")
    recipe = own_rows(base, options.work)
    audit = audit_labels(recipe, options.work / "audit", folds=options.folds, announce=say)
    say(audit.headline)
    settings = {"recipe": base.name, "set": options.set, "folds": options.folds}
    data = {"train": base.data.train, "rows": options.rows, "validation_rows": options.validation}
    record = new_record("label-noise", options.name, settings=settings, data=data, seeds=options.seeds)
    record["summary"] = found(audit) | judged(options.judged, audit)
    right: dict[tuple[str, int], np.ndarray] = {}
    for seed in options.seeds:
        for name in (WHOLE, WITHOUT):
            figures, right[name, seed] = one(recipe, name, seed, options.work)
            record["runs"].append(figures)
        record["summary"] |= effect(right)
        path = save(without_paths(record, [base], dict(options.call)), options.results, whole=seed == options.seeds[-1])
        say(f"written: {path.name}")


def own_rows(base: Recipe, work: Path) -> Recipe:
    """The recipe with the rows that were written into ``work``."""
    data = {"train": str(work / "train.parquet"), "validation": str(work / "validation.parquet")}
    return base.with_values(data={**data, "text": ["text"], "label": "label", "clean": "none"})


def _write(rows: Rows, file: Path) -> None:
    assert rows.labels is not None
    labels = [rows.label_names[label] for label in rows.labels.tolist()]
    pd.DataFrame({"text": [joined(text) for text in rows.texts], "label": labels}).to_parquet(file)


def found(audit: Audit) -> dict[str, Any]:
    """Counts of the audit: suspects, the labels that are confused, texts that occur twice."""
    names, noise = audit.label_names, audit.noise
    confused = {f"{names[given]}, suggested {names[other]}": n for (given, other), n in noise.confusions.items()}
    return {
        "suspects": len(noise.suspects),
        "agreement": noise.accuracy,
        "confused": confused,
        "repeated": len(audit.near_duplicates),
        "contradictions": len(audit.contradictions),
    }


def judged(file: Path | None, audit: Audit) -> dict[str, Any]:
    """How many of the rows in ``file`` are wrong, right and unclear. Raises UserError for what is no suspect."""
    if file is None:
        return {}
    table = pd.read_csv(file)
    rank = {int(audit.places[suspect.row]) + 1: place for place, suspect in enumerate(audit.noise.suspects, 1)}
    if strange := [row for row in table["row"].tolist() if row not in rank]:
        raise UserError(f"{file}: row {strange[0]} is no suspect of this audit")
    if other := sorted(set(table["verdict"]) - set(VERDICTS)):
        raise UserError(f"{file}: verdict {other[0]!r}: use one of {', '.join(VERDICTS)}")
    counts = Counter(table["verdict"])
    ranks = {"first": min(map(rank.__getitem__, table["row"])), "last": max(map(rank.__getitem__, table["row"]))}
    return {"judged": {verdict: counts[verdict] for verdict in VERDICTS} | {"ranks": ranks}}


def one(recipe: Recipe, name: str, seed: int, work: Path) -> tuple[dict[str, Any], np.ndarray]:
    """Figures of one training on validation rows, and which of these rows are right, [rows]."""
    drop = [f"data.drop={work / 'audit' / 'suspects.csv'}"] if name == WITHOUT else []
    values = recipe.model_dump(mode="json", exclude_none=True)
    run = trained(Recipe.parse(values, recipe.name, [*drop, f"seed={seed}"]), work / f"{name.replace(' ', '-')}-{seed}")
    figures, rows = run.evaluation["validation"], run.environment["data"]["train"]["rows"]
    say(f"{name}, seed {seed}: {figures['accuracy']:.2%} on validation rows")
    table = pd.read_parquet(run.folder / "predictions.parquet")
    table = table[table["split"] == "validation"]
    return {
        "setting": name,
        "seed": seed,
        "rows": rows,
        "accuracy": figures["accuracy"],
        "interval": figures["accuracy_interval"],
        "log_loss": figures["log_loss"],
        "seconds": run.environment["training_seconds"],
    }, (table["label"] == table["predicted"]).to_numpy()


def effect(right: dict[tuple[str, int], np.ndarray]) -> dict[str, Any]:
    """Accuracy without the suspects less that with all rows, and its interval over the rows.

    ``right`` says which validation rows each training has right, [rows], by its name and seed; seeds are averaged.
    """
    means = [np.mean([rows for (name, _), rows in right.items() if name == one], axis=0) for one in (WITHOUT, WHOLE)]
    return {"accuracy_gain": paired_bootstrap(*means)}
