"""The job that all contestants do: the same rows in files, and the same settings as data."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.competition import say
from harness.recording import RESULTS

from featherweight.data.sources import Rows
from featherweight.errors import FeatherweightError
from featherweight.recipe import ROLES, Recipe

BATCH = 32
"""Rows in a batch, where a contestant has no reason for another number."""


@dataclass(frozen=True)
class Job:
    """Settings for the contestants' processes, and what the result says of the data."""

    settings: dict[str, Any]
    data: dict[str, Any]


def result_options(description: str | None, name: str, *, repeats: int = 3) -> argparse.ArgumentParser:
    """A benchmark's parser with the options that all have: turns, and where the result goes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=repeats, help=f"turns (default: {repeats})")
    parser.add_argument("--name", help=f"name of the result (default: {name})")
    parser.add_argument("--results", type=Path, default=RESULTS, help=argparse.SUPPRESS)
    return parser


def written(path: Path) -> None:
    """Say which result was written and what comes next."""
    say(f"written: {path.name}; python benchmarks/tables.py makes the page")


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
                        help="of the tuned contestants; auto: as Featherweight chooses (default: auto)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of the rows' choice and the first repeat (default: 0)")


def training_job(options: argparse.Namespace, folder: Path, *, rows: int | None, epochs: float) -> Job:
    """Write the rows into ``folder`` and return what a contestant has to know. Raises UserError on bad data."""
    from featherweight.adapter.build import adapted_linears
    from featherweight.backbone.describe import architecture_of
    from featherweight.backbone.resolve import resolve_backbone
    from featherweight.data.splits import load_splits

    recipe = job_recipe(options)
    splits = load_splits(recipe)
    train = recombined(splits.train, rows or len(splits.train), options.seed)
    backbone = resolve_backbone(recipe.backbone)
    architecture = architecture_of(backbone.config)
    parts = {"train": train, "validation": splits.validation, "test": splits.test}
    settings = {
        "files": {name: _write_rows(part, folder / f"{name}.jsonl") for name, part in parts.items() if part},
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


def backbone_label(name: str) -> str:
    """What results call the backbone: its short name, or the last part of its folder."""
    return Path(name).name


def without_tracebacks(main: Callable[[], None]) -> None:
    """Run a benchmark's main function; what a person did wrong is said in one line, exit code 2 (1 for a failure)."""
    try:
        main()
    except FeatherweightError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def _roles(text: str) -> tuple[str, ...]:
    return ROLES if text == "all" else tuple(part.strip() for part in text.split(","))


def _write_rows(rows: Rows, path: Path) -> str:
    names = rows.label_names
    labels = rows.labels.tolist() if rows.labels is not None else []
    with path.open("w", encoding="utf-8") as file:
        for text, label in zip(rows.texts, labels, strict=True):
            file.write(json.dumps({"text": text, "label": names[label]}, ensure_ascii=False) + "\n")
    return str(path)


def _describe(options: argparse.Namespace, parts: dict[str, Rows | None], real: int) -> dict[str, Any]:
    counts = {f"{name}_rows": len(part) for name, part in parts.items() if part is not None}
    recombined_rows = max(0, counts["train_rows"] - real)
    return {
        "name": Path(options.data).name,
        **({"test": Path(options.test).name} if options.test else {}),
        **counts,
        **({"recombined_rows": recombined_rows} if recombined_rows else {}),
    }
