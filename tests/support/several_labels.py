"""Small made-up data with several labels a text, in the shape of well-known sets."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from featherweight.data.sources import Rows
from featherweight.evaluation.results import write_evaluation
from featherweight.recipe import EvaluationRecipe, Recipe
from featherweight.run.manifest import write_manifest
from featherweight.task.multi_label import MultiLabel
from support.made_up_runs import history, weigh

TOXIC = ("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate")
"""The columns of Jigsaw's contest."""
_EMOTIONS = """
admiration amusement anger annoyance approval caring confusion curiosity desire disappointment disapproval disgust
embarrassment excitement fear gratitude grief joy love nervousness optimism pride realization relief remorse sadness
surprise neutral
"""
EMOTIONS = tuple(_EMOTIONS.split())
"""Those of GoEmotions."""


def texts_with_labels(names: tuple[str, ...], rows: int, seed: int, share: float) -> list[tuple[str, list[str]]]:
    """Texts with words of each of their labels; a label has about this ``share`` of the rows, and two at least."""
    draw = random.Random(seed)
    found = []
    for row in range(rows):
        labels = [name for place, name in enumerate(names) if draw.random() < share or row // 2 == place]
        words = [word for name in labels for word in (name[:4], name[-4:])] or ["plain"]
        draw.shuffle(words)
        found.append((" ".join(words) + f" {row}", labels))
    return found


def write_jigsaw(path: Path, rows: int, seed: int = 0) -> Path:
    """A CSV with an id, a text and six columns of 0 and 1; half of the rows have no label."""
    pairs = texts_with_labels(TOXIC, rows, seed, 0.12)
    table = [
        {"id": f"{row:04x}", "comment_text": text, **{name: int(name in labels) for name in TOXIC}}
        for row, (text, labels) in enumerate(pairs)
    ]
    pd.DataFrame(table).to_csv(path, index=False)
    return path


def write_emotions(path: Path, rows: int, seed: int = 0) -> Path:
    """JSON Lines with lists of labels, out of 28."""
    pairs = texts_with_labels(EMOTIONS, rows, seed, 0.04)
    path.write_text("".join(json.dumps({"text": text, "labels": labels}) + "\n" for text, labels in pairs), "utf-8")
    return path


def jigsaw_sections(folder: Path, rows: int = 80) -> dict[str, Any]:
    """The keys of a recipe that reads such files, which are made in ``folder``."""
    train, test = (write_jigsaw(folder / f"{name}.csv", rows, seed) for seed, name in enumerate(("train", "test")))
    data = {"train": str(train), "test": str(test), "text": ["comment_text"], "label": list(TOXIC)}
    return {"task": "multi-label", "data": {**data, "validation_size": 24}}


def emotion_sections(folder: Path, rows: int = 120) -> dict[str, Any]:
    """The same for the emotions."""
    train, test = (write_emotions(folder / f"{name}.jsonl", rows, seed) for seed, name in enumerate(("train", "test")))
    return {
        "task": "multi-label",
        "data": {"train": str(train), "test": str(test), "label": "labels", "validation_size": 30},
    }


def labelled_texts(rows: int, names: tuple[str, ...], seed: int = 0) -> Rows:
    """Rows with several labels that made-up runs share; the first one has all."""
    draw = np.random.default_rng(seed)
    labels = (draw.random((rows, len(names))) < np.linspace(0.3, 0.05, len(names))).astype(np.int8)
    labels[0] = 1
    return Rows([f"text {seed} {row}" for row in range(rows)], labels, names, "made up")


def made_up_logits(rows: Rows, skill: float, seed: int) -> np.ndarray:
    """The higher the ``skill``, the further apart are the labels that are there and those that are not."""
    assert rows.labels is not None
    return np.random.default_rng(seed).normal(skill * (2.0 * rows.labels - 1), 1.0)


def fabricate_several(
    folder: Path, recipe: Recipe, skill: float, *, names: tuple[str, ...] = TOXIC, baseline: str | None = None
) -> Path:
    """Write the files that report and comparison read of one run on several labels."""
    folder.mkdir(parents=True)
    seed = recipe.seed + sum(map(ord, recipe.name))
    validation, test = labelled_texts(120, names, 100 + recipe.seed), labelled_texts(400, names)
    logits = {
        "validation": made_up_logits(validation, skill, seed),
        "test": made_up_logits(test, skill, seed + 1),
    }
    assert validation.labels is not None
    task = MultiLabel().fitted(logits["validation"], validation.labels, 1.2)
    shift = labelled_texts(90, names, 5)
    settings = EvaluationRecipe(mistakes=6)
    pairs = {"validation": (validation, logits["validation"]), "test": (test, logits["test"])}
    shifted = {"typos": (shift, made_up_logits(shift, skill - 0.5, seed))}
    write_evaluation(folder, pairs, shifted, 1.2, settings, task, best_step=90, best_by="micro_f1",
                     best_validation_micro_f1=0.9)  # fmt: skip
    environment: dict[str, Any] = {
        "featherweight": "0.1.0", "processor": "AMD EPYC", "cores": 2, "seed": recipe.seed, "training_seconds": 60.0,
        "started": "2026-03-02T09:15:00+00:00", "data": {"train": {"rows": 900}},
    }  # fmt: skip
    if baseline:
        environment |= {"baseline": recipe.name, "baseline_title": baseline, "notes": [f"{baseline}: C = 1."]}
    else:
        lines = [json.loads(line) for line in history(90, 15, seed).splitlines()]
        kept = [{**line, "micro_f1": line["accuracy"]} for line in lines]
        (folder / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in kept), "utf-8")
    (folder / "recipe.toml").write_text(recipe.to_toml(), "utf-8")
    files = {"environment": environment, "weigh": weigh(labels=len(names)), "verification": {"identical": True}}
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content), "utf-8")
    (folder / "report.html").write_text("<!doctype html>", "utf-8")
    write_manifest(folder)
    return folder
