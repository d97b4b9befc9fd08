"""The job that all competitors do: the same rows in files, and the same settings as data."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from harness.competition import say
from harness.measuring import read_rows

from featherweight.data.sources import Rows
from featherweight.recipe import ROLES, Recipe
from featherweight.run.folder import Run

BATCH = 32
"""Rows in a batch, where a competitor has no reason for another number."""


@dataclass(frozen=True)
class Job:
    """Settings for the competitors' processes, and what the result says of the data and of the job."""

    settings: dict[str, Any]
    data: dict[str, Any]
    said: dict[str, Any]


def training_job(options: argparse.Namespace, folder: Path, *, epochs: float = 1.0) -> Job:
    """Write the rows into ``folder`` and return what a competitor has to know. Raises UserError on bad data."""
    # Imported here: competitors import this module too, and what their training loads counts in their time.
    from featherweight.adapter.build import adapted_linears
    from featherweight.backbone.describe import architecture_of
    from featherweight.backbone.resolve import resolve_backbone
    from featherweight.data.splits import load_splits

    roles = ROLES if options.roles == "all" else tuple(part.strip() for part in options.roles.split(","))
    settings: dict[str, Any] = {"backbone": options.backbone, "roles": list(roles), "rank": options.rank}
    settings |= {"max_length": options.max_length, "seed": options.seed}
    data = {"train": options.data, "test": options.test, "clean": options.clean, "train_rows": options.rows}
    recipe = recipe_of(settings, data | {"validation_size": options.validation_rows or 0.15})
    splits = load_splits(recipe)
    train = recombined(splits.train, options.rows or len(splits.train), options.seed)
    backbone = resolve_backbone(recipe.backbone)
    architecture = architecture_of(backbone.config)
    parts = {"train": train, "validation": splits.validation, "test": splits.test}
    settings |= {
        "files": {name: write_rows(part, folder / f"{name}.jsonl") for name, part in parts.items() if part},
        "labels": list(train.label_names),
        "backbone": options.backbone if backbone.source == "wheel" else str(backbone.folder),
        "backbone_folder": str(backbone.folder),
        "target_modules": [f"{architecture.prefix}.{name}" for name in adapted_linears(recipe.adapter, architecture)],
        "head_modules": [name.rpartition(".")[2] for name in architecture.head_modules],
        "epochs": epochs,
        "batch_size": BATCH,
        "learning_rate": options.learning_rate,
        "warmup": 0.06,
        "precision": options.precision,
        "device": "cpu",
    }
    said = {"backbone": Path(options.backbone).name, "roles": settings["roles"], "rank": options.rank}
    return Job(settings, _describe(options, parts, len(splits.train)), said)


def recipe_of(job: dict[str, Any], data: dict[str, Any], training: dict[str, Any] | None = None) -> Recipe:
    """The job as a recipe, values that are None left out; what is not said here is Featherweight's default."""
    lora = {"roles": job["roles"], "rank": job["rank"], "layers": job.get("layers", "all")}
    data = {key: value for key, value in data.items() if value is not None} | {"max_length": job["max_length"]}
    adapter = {"head": "native", "lora": [lora]}
    values = {"name": "benchmark", "budget": 10**9, "seed": job["seed"], "data": data, "adapter": adapter}
    return Recipe.parse({**values, "backbone": {"name": job["backbone"]}, "training": training or {}}, "benchmark")


def recombined(rows: Rows, wanted: int, seed: int) -> Rows:
    """``wanted`` rows: those that there are, then new ones made of the first half of one and the second of another.

    Both halves come from rows of one class, so that lengths and classes stay as they are and texts differ.
    """
    if wanted <= len(rows) or rows.labels is None:
        return rows
    random = np.random.default_rng(seed)
    places = [np.flatnonzero(rows.labels == number) for number in range(len(rows.label_names))]
    firsts = random.integers(len(rows), size=wanted - len(rows))
    words = [text.split() for text in rows.texts]
    halves = ((words[first], words[random.choice(places[rows.labels[first]])]) for first in firsts)
    texts = [" ".join(head[: len(head) // 2] + tail[len(tail) // 2 :]) for head, tail in halves]
    return Rows([*rows.texts, *texts], np.append(rows.labels, rows.labels[firsts]), rows.label_names, rows.origin)


def write_rows(rows: Rows, path: Path, count: int | None = None) -> str:
    """Write the first ``count`` rows (default: all) as JSON lines, labels where there are any; the path as text."""
    import pandas as pd

    columns = {"text": rows.texts}
    if rows.labels is not None:
        columns["label"] = rows.names_of(rows.labels)
    table = pd.DataFrame(columns)[:count]  # all rows if there is no count
    table.to_json(path, orient="records", lines=True, force_ascii=False)
    return str(path)


def long_files(common: dict[str, Any], length: int, count: int, folder: Path) -> dict[str, str]:
    """Files of ``count`` training rows and a few validation rows, all of ``length`` tokens or more, to be cut alike."""
    names, words = common["labels"], dict[str, list[str]]()
    for text, label in zip(*read_rows(common["files"]["train"]), strict=True):
        words.setdefault(label, []).extend(text.split())

    def row(number: int) -> str:
        label = names[number % len(names)]
        begin = number * 7 % max(1, len(words[label]) - length)  # a word is a token at least
        return json.dumps({"text": " ".join(words[label][begin : begin + length]), "label": label}) + "\n"

    files = {}
    for part, rows in {"train": count, "validation": 2 * len(names)}.items():
        path = folder / f"length-{length}-{part}-{rows}.jsonl"
        path.write_text("".join(map(row, range(rows))), "utf-8")
        files[part] = str(path)
    return files


def train_run(options: argparse.Namespace, folder: Path) -> Run:
    """A classifier with a native head, trained on the news briefs."""
    from featherweight import train

    job = {"backbone": options.backbone, "roles": ["query", "value"], "rank": 8}
    job |= {"max_length": options.max_length, "seed": options.seed}
    training = {"epochs": getattr(options, "epochs", 1.0), "evaluate_every": 10**9}
    say("training a classifier first")
    return train(recipe_of(job, {}, training), folder)


def _describe(options: argparse.Namespace, parts: dict[str, Rows | None], real: int) -> dict[str, Any]:
    counts = {f"{name}_rows": len(part) for name, part in parts.items() if part is not None}
    if counts["train_rows"] > real:
        counts["recombined_rows"] = counts["train_rows"] - real
    test = {"test": Path(options.test).name} if options.test else {}
    return {"name": Path(options.data).name, **test, **counts}
