"""Write what a finished run claims as one committed result file: `python benchmarks/publish.py runs/NAME`.

The file holds the resolved recipe, machine, versions, seeds, data sizes, date and figures, and no text of the data.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from featherweight.recipe import Recipe
from featherweight.run import Run, write_json

RESULTS = Path(__file__).parents[1] / "docs" / "results"
_LEFT_OUT = ("mistakes", "reliability", "reliability_scaled")


def main() -> None:
    """Publish each named run under its folder's name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, help="finished run folders")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the result files")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for folder in arguments.runs:
        target = arguments.out / f"{folder.name}.json"
        write_json(target, result(Run(folder)))
        print(target)


def result(run: Run) -> dict[str, Any]:
    """The run as one object: recipe, environment, weight, figures without texts, proof of the saved adapter."""
    proof = json.loads((run.folder / "verification.json").read_text("utf-8"))
    evaluations = [record for record in run.history if record["kind"] == "evaluation"]
    return {
        "recipe": _without_paths(run.recipe),
        "command": _command(run.recipe),
        "environment": run.environment,
        "weight": run.weight,
        "evaluation": _figures(run.evaluation),
        "validation_curve": [{key: record[key] for key in ("step", "accuracy", "loss")} for record in evaluations],
        "verification": proof,
    }


def _figures(values: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in values.items() if key not in _LEFT_OUT}
    return {
        Path(key).name if key.startswith((".", "/")) else key: _figures(value) if isinstance(value, dict) else value
        for key, value in kept.items()
    }


def _without_paths(recipe: Recipe) -> dict[str, Any]:
    values = recipe.model_dump(mode="json", exclude_none=True)
    for key in ("train", "test", "validation"):
        if key in values["data"]:
            values["data"][key] = _short(values["data"][key])
    values["evaluation"]["shift"] = [_short(name) for name in values["evaluation"]["shift"]]
    return values


def _short(source: str) -> str:
    """A file by its name alone: where it lay on the machine is nobody's business."""
    return Path(source).name if Path(source).exists() or source.startswith((".", "/")) else source


def _command(recipe: Recipe) -> str:
    return f"featherweight train {recipe.name} (the recipe above, data files by name)"


if __name__ == "__main__":
    main()
