"""The job that all competitors do: the same rows in files, and the same settings as data."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.competition import say

from featherweight.data.sources import Rows
from featherweight.recipe import ROLES, Recipe
from featherweight.run.folder import Run

BATCH = 32
"""Rows in a batch, where a competitor has no reason for another number."""


@dataclass(frozen=True)
class Job:
    """Settings for the competitors' processes, and what the result says of the data."""

    settings: dict[str, Any]
    data: dict[str, Any]


def add_turns(parser: argparse.ArgumentParser, repeats: int = 3, only: str = "competitors") -> None:
    """The options that say how many turns there are, and who competes."""
    parser.add_argument("--repeats", type=int, default=repeats, help="turns (default: %(default)s)")
    parser.add_argument("--only", help=f"these {only} alone, by commas (default: all)")


def add_job_options(parser: argparse.ArgumentParser) -> None:
    """The options that say what is trained on what."""
    parser.add_argument("--backbone", default="minilm", help="minilm, mpnet, or a local folder (default: minilm)")
    parser.add_argument("--data", default="newsbriefs", help="newsbriefs or a labelled file (default: newsbriefs)")
    parser.add_argument("--test", help="a file of test rows, for the accuracy at the end; by default what the data has")
    parser.add_argument("--clean", choices=("none", "ag_news"), default="none", help="text repair (default: none)")
    parser.add_argument("--rows", type=int, help="training rows (default: all); more than there are get recombined")
    parser.add_argument("--validation-rows", type=int, help="validation rows (default: 15%%)")
    parser.add_argument("--roles", default="query,value", help="adapted layers, or all (default: query,value)")
    parser.add_argument("--rank", type=int, default=8, help="LoRA rank; alpha is twice the rank (default: 8)")
    parser.add_argument("--learning-rate", type=float, default=5e-4, help="of all but full fine-tuning (default: 5e-4)")
    parser.add_argument("--max-length", type=int, default=256, help="tokens kept of a text (default: 256)")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16", "fp16"), default="auto",
                        help="of the tuned competitors; auto: as Featherweight chooses (default: auto)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of the rows' choice and the first repeat (default: 0)")


def training_job(options: argparse.Namespace, folder: Path, *, epochs: float = 1.0) -> Job:
    """Write the rows into ``folder`` and return what a competitor has to know. Raises UserError on bad data."""
    from featherweight.adapter.build import adapted_linears
    from featherweight.backbone.describe import architecture_of
    from featherweight.backbone.resolve import resolve_backbone
    from featherweight.data.splits import load_splits

    recipe = job_recipe(options)
    splits = load_splits(recipe)
    train = recombined(splits.train, options.rows or len(splits.train), options.seed)
    backbone = resolve_backbone(recipe.backbone)
    architecture = architecture_of(backbone.config)
    parts = {"train": train, "validation": splits.validation, "test": splits.test}
    settings = {
        "files": {name: write_rows(part, folder / f"{name}.jsonl") for name, part in parts.items() if part},
        "labels": list(train.label_names),
        "backbone": options.backbone if backbone.source == "wheel" else str(backbone.folder),
        "backbone_folder": str(backbone.folder),
        "roles": list(_roles(options.roles)),
        "rank": options.rank,
        "target_modules": [f"{architecture.prefix}.{name}" for name in adapted_linears(recipe.adapter, architecture)],
        "head_modules": [name.rpartition(".")[2] for name in architecture.head_modules],
        "epochs": epochs,
        "batch_size": BATCH,
        "learning_rate": options.learning_rate,
        "warmup": 0.06,
        "max_length": options.max_length,
        "precision": options.precision,
        "device": "cpu",
    }
    return Job(settings, _describe(options, parts, len(splits.train)))


def job_recipe(options: argparse.Namespace) -> Recipe:
    """The job as a recipe, from which the rows and the adapted layers are taken. Raises UserError."""
    data: dict[str, Any] = {"train": options.data, "test": options.test, "clean": options.clean}
    data |= {"train_rows": options.rows, "validation_size": options.validation_rows or 0.15}
    data["max_length"] = options.max_length
    lora = {"roles": _roles(options.roles), "rank": options.rank}
    return Recipe.parse(
        {
            "name": "benchmark",
            "budget": 10**9,
            "seed": options.seed,
            "data": {key: value for key, value in data.items() if value is not None},
            "backbone": {"name": options.backbone},
            "adapter": {"head": "native", "lora": [lora]},
        },
        "benchmark",
    )


def recombined(rows: Rows, wanted: int, seed: int) -> Rows:
    """``wanted`` rows: those that there are, then new ones made of the first half of one and the second of another.

    Both halves come from rows of one class, so that lengths and classes stay as they are and texts differ.
    """
    import numpy as np

    if wanted <= len(rows) or rows.labels is None:
        return rows
    random = np.random.default_rng(seed)
    places = [np.flatnonzero(rows.labels == number) for number in range(len(rows.label_names))]
    texts, labels = list(rows.texts), rows.labels.tolist()
    words = [text.split() for text in rows.texts]
    for first in random.integers(len(rows), size=wanted - len(rows)).tolist():
        label = int(rows.labels[first])
        second = int(random.choice(places[label]))
        head, tail = words[first], words[second]
        texts.append(" ".join(head[: len(head) // 2] + tail[len(tail) // 2 :]))
        labels.append(label)
    return Rows(texts, np.array(labels), rows.label_names, rows.origin)


def shared_settings(options: argparse.Namespace, job: Job) -> dict[str, Any]:
    """What the result of a suite says of its job."""
    return {"backbone": backbone_label(options.backbone), "roles": job.settings["roles"], "rank": options.rank}


def backbone_label(name: str) -> str:
    """What results call the backbone: its short name, or the last part of its folder."""
    return Path(name).name


def _roles(text: str) -> tuple[str, ...]:
    return ROLES if text == "all" else tuple(part.strip() for part in text.split(","))


def write_rows(rows: Rows, path: Path, count: int | None = None) -> str:
    """Write the first ``count`` rows (default: all) as JSON lines, labels where there are any; the path as text."""
    labels: list[dict[str, str]] = [{} for _ in rows.texts]
    if rows.labels is not None:
        labels = [{"label": rows.label_names[number]} for number in rows.labels.tolist()]
    with path.open("w", encoding="utf-8") as file:
        for text, label in list(zip(rows.texts, labels, strict=True))[:count]:
            file.write(json.dumps({"text": text, **label}, ensure_ascii=False) + "\n")
    return str(path)


def long_rows(common: dict[str, Any], length: int, count: int, folder: Path) -> str:
    """A file of ``count`` rows of at least ``length`` tokens, so that all are cut to the same length."""
    source = [json.loads(line) for line in Path(common["files"]["train"]).read_text("utf-8").splitlines()]
    labels = common["labels"]
    by_label = {label: " ".join(row["text"] for row in source if row["label"] == label).split() for label in labels}
    path = folder / f"length-{length}-{count}.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            label = labels[number % len(labels)]
            words = by_label[label]
            begin = number * 7 % max(1, len(words) - length)  # a word is a token at least
            file.write(json.dumps({"text": " ".join(words[begin : begin + length]), "label": label}) + "\n")
    return str(path)


def train_run(options: argparse.Namespace, folder: Path) -> Run:
    """A classifier with a native head, trained on the news briefs."""
    from featherweight import Recipe, train

    values = {
        "name": "benchmark",
        "seed": options.seed,
        "data": {"max_length": options.max_length},
        "backbone": {"name": options.backbone},
        "adapter": {"head": "native"},
        "training": {"epochs": options.epochs, "evaluate_every": 10**9},
    }
    say("training a classifier first")
    return train(Recipe.parse(values, "benchmark"), folder)


def _describe(options: argparse.Namespace, parts: dict[str, Rows | None], real: int) -> dict[str, Any]:
    counts = {f"{name}_rows": len(part) for name, part in parts.items() if part is not None}
    recombined_rows = max(0, counts["train_rows"] - real)
    return {
        "name": Path(options.data).name,
        **({"test": Path(options.test).name} if options.test else {}),
        **counts,
        **({"recombined_rows": recombined_rows} if recombined_rows else {}),
    }
