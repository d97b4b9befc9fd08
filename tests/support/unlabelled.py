"""Rows for training, and test rows of a contest, as files of the working directory."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from featherweight.data.splits import Splits
from featherweight.recipe import Recipe

Rows = list[dict[str, Any]]
NEWS = [{"id": n, "keyword": "", "text": f"text {n}", "target": n % 2} for n in range(20)]
LEFT_OUT = "it is left out of the evaluation; classify it with: featherweight predict RUN"


def write(name: str, rows: Rows) -> str:
    """``rows`` as a CSV or JSON Lines file."""
    with Path(name).open("w", encoding="utf-8", newline="") as file:
        if name.endswith(".jsonl"):
            file.writelines(json.dumps(row) + "\n" for row in rows)
        else:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    return name


def fresh(**columns: Any) -> Rows:
    """Four test rows; a column that is a list has a value a row."""
    return [
        {"id": n, "text": f"new {n}"}
        | {name: value[n] if isinstance(value, list) else value for name, value in columns.items()}
        for n in range(4)
    ]


def recipe(shift: tuple[str, ...] = (), **data: Any) -> Recipe:
    values = {"train": "train.csv", "label": "target", "validation_size": 4, **data}
    return Recipe.parse({"name": "t", "data": values, "evaluation": {"shift": list(shift)}})


def notes(splits: Splits) -> list[str]:
    return [warning for warning in splits.warnings if "has no labels" in warning]
