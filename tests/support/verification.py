"""A finished run beside its data, ways to spoil it, and what `verify` finds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from featherweight.run.folder import Run
from featherweight.run.manifest import write_manifest
from support.commands import Answer, Cli

Spoil = Callable[[Path], None]


def copy_beside_its_data(finished_run: Run, tiny_data: dict[str, Path]) -> Path:
    """Copy a finished run into the working directory, and its data too, to be spoilt."""
    shutil.copytree(finished_run.folder, "run", symlinks=True)
    for name, path in tiny_data.items():
        shutil.copy(path, f"{name}.jsonl")
    recipe = finished_run.recipe.with_values(
        data={"train": "train.jsonl", "test": "test.jsonl"}, evaluation={"shift": ["shift.jsonl"]}
    )
    for file in (Path("run/recipe.toml"), Path("run/adapter/recipe.toml")):
        file.write_text(recipe.to_toml(), "utf-8")
    place = str(tiny_data["shift"])
    evaluation = Path("run/evaluation.json")
    evaluation.write_text(evaluation.read_text("utf-8").replace(json.dumps(place), '"shift.jsonl"'), "utf-8")
    table = pd.read_parquet("run/predictions.parquet")
    table["split"] = table["split"].replace(place, "shift.jsonl")
    table.to_parquet("run/predictions.parquet", index=False)
    write_manifest(Path("run"))
    return Path("run")


def results(answer: Answer) -> dict[str, tuple[str, str]]:
    """Result and finding of each check."""
    return {check["check"]: (check["result"], check["found"]) for check in json.loads(answer.out)["checks"]}


def failed(cli: Cli, check: str, *naming: str) -> dict[str, tuple[str, str]]:
    """Verify the run, and expect this check to fail for a reason that names the right things."""
    answer = cli("verify", "run", "--json")
    found = results(answer)
    assert answer.code == 1, answer
    assert found[check][0] == "fail", found
    for part in naming:
        assert part in found[check][1], found[check]
    assert f"failed: {', '.join(n for n, (r, _) in found.items() if r == 'fail')}" in answer.out
    return found


def rewrite(file: str, change: Callable[[Any], None]) -> Spoil:
    """Change a JSON file of the run, and the manifest with it: only what the file says can give it away."""

    def spoil(folder: Path) -> None:
        values = json.loads((folder / file).read_text("utf-8"))
        change(values)
        (folder / file).write_text(json.dumps(values), "utf-8")
        write_manifest(folder)

    return spoil
