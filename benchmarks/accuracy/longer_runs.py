"""Single runs of a round's adapter over more than one epoch of AG News, for the page of the four rounds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from featherweight.recipe import Recipe
from featherweight.report.comparison.tables import Table, schedule_in_words
from featherweight.report.comparison.words import markdown_table

Record = dict[str, Any]


def longer(results: Path, backbones: Mapping[str, str]) -> str:
    """A table of these runs' results in ``results``, best on validation rows first, and their commands.

    ``backbones`` gives full names of some backbones. Empty where there are no such runs.
    """
    paths = sorted(results.glob("r[1-4]-*.json"))
    found = {path.stem: record for path in paths if _is_longer(record := json.loads(path.read_text("utf-8")))}
    if not found:
        return ""
    columns = ["run", "backbone", "on", "epochs", "learning rate", "schedule", "parameters", "validation accuracy %"]
    order = sorted(found, key=lambda name: -found[name]["evaluation"]["validation"]["accuracy"])
    rows = [_row(name, found[name], backbones) for name in order]
    elsewhere = "newsbriefs accuracy % (95% interval)"
    table = markdown_table(Table("", [*columns, "test accuracy % (95% interval)", elsewhere], rows, 6))
    commands = [f"- [{name}]({name}.json): `{found[name]['command']}`" for name in order]
    return f"{table}\n\n" + "\n".join(commands)


def _is_longer(record: Record) -> bool:
    training = record["recipe"]["training"]
    return training["epochs"] > 1 and training.get("max_steps") is None and bool(record["evaluation"].get("test"))


def _row(name: str, record: Record, backbones: Mapping[str, str]) -> list[str]:
    recipe = Recipe.model_validate(record["recipe"])
    judged, environment = record["evaluation"], record["environment"]
    return [
        name,
        backbones.get(recipe.backbone.name, recipe.backbone.name),
        environment.get("gpu", f"{environment['cores']} cores"),
        f"{recipe.training.epochs:g}",
        f"{recipe.training.learning_rate:g}",
        schedule_in_words(recipe),
        f"{record['weight']['total']:,}",
        _percent(judged["validation"]["accuracy"]),
        _with_interval(judged["test"]),
        _with_interval(judged["shift"].get("newsbriefs")),
    ]


def _with_interval(figures: Record | None) -> str:
    if figures is None:
        return ""
    low, high = figures["accuracy_interval"]
    return f"{_percent(figures['accuracy'])} ({_percent(low)} to {_percent(high)})"


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"
