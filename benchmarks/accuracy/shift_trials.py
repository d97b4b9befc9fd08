"""Settings of the recipe newsbriefs under a simulated shift: `python benchmarks/run.py shift-trials`.

The 960 training rows are divided into parts. `clusters`: k-means within each class on the states of the frozen
backbone, so that the topics held out differ from those trained on. `folds`: at random. Each setting trains on all parts
but one and is judged on that one; gains over the recipe as it is are paired by part and seed. No other data is read.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from harness.competition import named
from harness.recording import RESULTS, earlier, new_record, save
from sklearn.cluster import KMeans

from featherweight.data.folds import fold_numbers
from featherweight.data.sources import Rows, read_rows
from featherweight.recipe import Recipe
from featherweight.task.interface import task_of
from featherweight.workflows.baseline_models import frozen_features
from featherweight.workflows.fitting import fit_prepared
from featherweight.workflows.noise_audit import fold_recipe
from featherweight.workflows.prepare import prepare

RECIPE = "newsbriefs"
_DROPOUT = ["training.encoder_dropout=true", "adapter.dropout=0.1"]
SETTINGS: dict[str, list[str]] = {
    "recipe": [],
    "upper half": ["adapter.lora.0.layers=upper-half"],
    "head alone": ["adapter.lora=[]", "training.epochs=30", "training.learning_rate=0.01"],
    "half the rate": ["training.learning_rate=5e-4"],
    "twice the rate": ["training.learning_rate=2e-3"],
    "smoothing": ["training.label_smoothing=0.1"],
    "dropout": _DROPOUT,
    "top 2 layers": ["adapter.lora.0.layers=top-2"],
    "one epoch": ["training.epochs=1"],
    "four epochs": ["training.epochs=4"],
    "r-drop": ["training.r_drop=0.5", "adapter.dropout=0.1"],
    "average": ["training.average=0.97"],
    "query and value": ['adapter.lora.0.roles=["query", "value"]'],
    "native head": ["adapter.head=native"],
    "first token": ["adapter.pooling=first"],
    "rank 24": ["adapter.lora.0.rank=24"],
    "batch of 32": ["training.batch_size=32"],
    "dropout and twice the rate": [*_DROPOUT, "training.learning_rate=2e-3"],
    "dropout and four epochs": [*_DROPOUT, "training.epochs=4"],
}


def main(arguments: argparse.Namespace) -> None:
    """Train what the result does not have yet, setting by setting, and save after each training."""
    rows, count, division = read_rows(RECIPE, Recipe.load(RECIPE).data), arguments.parts, arguments.division
    parts = clusters(rows, count) if division == "clusters" else fold_numbers(rows, count, 0)
    said = {"recipe": RECIPE, "division": division, "parts": count, "changes": SETTINGS}
    data = {"train": RECIPE, "rows_of_parts": np.bincount(parts).tolist()}
    record = new_record("shift-trials", f"shift-trials-{division}", settings=said, data=data, seeds=arguments.seeds)
    file = RESULTS / arguments.machine / f"{record['name']}.json"
    record["runs"] = earlier(file)["runs"]
    done = [(run["setting"], run["part"], run["seed"]) for run in record["runs"]]
    names = named(arguments.only, SETTINGS, "setting")
    wanted = [(name, part, seed) for seed in arguments.seeds for name in names for part in range(count)]
    for name, part, seed in wanted:
        if (name, part, seed) not in done:
            run = trial(rows, parts, part, [*SETTINGS[name], f"seed={seed}"])
            record["runs"].append({"setting": name, "part": part, "seed": seed} | run)
            record["seeds"] = sorted({run["seed"] for run in record["runs"]})
            record["summary"] = summary(record["runs"])
            save(record, file.parent)
            print(name, part, seed, run, flush=True)


def clusters(rows: Rows, count: int) -> np.ndarray:
    """The part of each row, [rows]: its cluster among the rows of its class, the clusters sorted by their size."""
    assert rows.labels is not None
    states = frozen_features(Recipe.load(RECIPE, ["training.precision=fp32"]))(rows)
    parts = np.zeros(len(rows), np.int64)
    for label in range(len(rows.label_names)):
        own = np.flatnonzero(rows.labels == label)
        found = KMeans(count, n_init=10, random_state=0).fit_predict(states[own])
        parts[own] = np.argsort(np.argsort(-np.bincount(found)))[found]
    return parts


def trial(rows: Rows, parts: np.ndarray, part: int, changes: list[str]) -> dict[str, Any]:
    """Train on all parts but ``part``; accuracy, log loss and size of that part, and seconds of the training."""
    recipe, held_out = Recipe.load(RECIPE, changes), np.flatnonzero(parts == part)
    with TemporaryDirectory() as temporary:
        fold = fold_recipe(recipe, rows, np.flatnonzero(parts != part), held_out, Path(temporary))
        started, prepared = time.perf_counter(), prepare(fold)
        fit_prepared(prepared, Path(temporary), [], False)
        logits, labels = prepared.model.logits(prepared.splits.validation), prepared.splits.validation.labels
    assert labels is not None
    losses = task_of(recipe).log_losses(logits, labels)
    figures = {"accuracy": float(np.mean(logits.argmax(1) == labels)), "log_loss": float(losses.mean())}
    return figures | {"rows": len(labels), "seconds": time.perf_counter() - started}


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """For each setting the means, and its mean difference from the recipe over the same parts and seeds.

    The standard error of the difference is over the parts, or with one part over the seeds: seeds of the same part are
    judged on the same rows, and are no independent trials.
    """
    table = pd.DataFrame(runs, columns=["setting", "part", "seed", "accuracy", "log_loss", "seconds"])
    by_setting = table.groupby("setting", sort=False)
    means = by_setting[["accuracy", "log_loss", "seconds"]].mean().assign(runs=by_setting.size())
    for key in ("accuracy", "log_loss"):
        figures = table.pivot(index=["part", "seed"], columns="setting", values=key)
        gains = figures.sub(figures.get("recipe", np.nan), axis=0)
        trials = gains.groupby(level="part").mean() if gains.index.unique("part").size > 1 else gains
        means[f"{key}_gain"], means[f"{key}_gain_error"] = gains.mean(), trials.sem()
    return json.loads(means.to_json(orient="index", double_precision=15))
