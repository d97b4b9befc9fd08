"""Small made-up data with several labels a text, in the shape of well-known sets."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pandas as pd

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
