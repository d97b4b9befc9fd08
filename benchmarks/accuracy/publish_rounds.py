"""Publish finished rounds: `python benchmarks/run.py publish-rounds runs/rounds-minilm --name minilm`.

The folder is that of `featherweight rounds`. Its figures go to docs/results/rounds-NAME.json: recipes, seeds, sizes and
fingerprints of the data, machine, versions, dates, every run's figures and every pair's difference, and no texts.
The pictures go to docs/images, and the page docs/results/four-rounds.md is made anew from all such files; without a
folder that is all that is done.
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from accuracy import four_rounds
from accuracy.publish import made_on, recipe_values, without_paths
from harness.recording import save

from featherweight.errors import UserError
from featherweight.evaluation.comparison import Comparison, compare_runs
from featherweight.evaluation.round import Round
from featherweight.evaluation.run_groups import SHIFT
from featherweight.files import write_whole
from featherweight.report.comparison.page import write_comparison
from featherweight.report.comparison.tables import lora_in_words, schedule_in_words, tables
from featherweight.report.comparison.words import headline
from featherweight.run.folder import Run, read_json
from featherweight.workflows.baseline_models import TITLES
from featherweight.workflows.baselines import is_complete

_KEPT = ("accuracy", "accuracy_interval", "macro_f1", "log_loss_scaled", "calibration_error_scaled", "rows")


def main(options: argparse.Namespace) -> None:
    images = options.docs / "images"
    results = options.docs / "results"
    if options.folder:
        comparison = compare_runs(finished_runs(options.folder))
        name = options.name or options.folder.resolve().name.removeprefix("rounds-")
        print(save(rounds_record(comparison, name, dict(options.call)), results))
        for path in copy_pictures(comparison, options.folder, images, name):
            print(path)
    page = results / four_rounds.PAGE
    write_whole(page, four_rounds.made_anew(page.read_text("utf-8"), results))
    print(page)


def finished_runs(folder: Path) -> list[Path]:
    """The run folders of all rounds and baselines; unfinished ones are named and left out. UserError where none is."""
    finished = []
    for path in (path.parent for one in ("*/seed-*", "baselines/*") for path in folder.glob(f"{one}/recipe.toml")):
        if is_complete(path) if path.parent.name == "baselines" else Run(path).complete:
            finished.append(path)
        else:
            print(f"left out, because it is not finished: {path}")
    if not finished:
        raise UserError(f"{folder}: there is no finished run in it (ROUND/seed-N); name the --out of `rounds`")
    return sorted(finished, key=lambda path: (path.parent.name == "baselines", path.parent.name, Run(path).recipe.seed))


def rounds_record(comparison: Comparison, name: str, names: dict[str, str]) -> dict[str, Any]:
    """The result as plain values; ``names`` says what data files are called."""
    runs = [run for one in comparison.rounds for run in one.runs]
    own = comparison.own or comparison.rounds
    first = own[0].runs[0]
    data, parts = first.recipe.data, first.environment["data"]
    kinds = {one.baseline for one in comparison.baselines}
    options = f"--seeds {max(len(one.seeds) for one in own)}" + (" --baselines" if comparison.baselines else "")
    record = {
        "benchmark": "rounds",
        "name": f"rounds-{name}",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": f"featherweight rounds {' '.join(f'{one.recipe.name}.toml' for one in own)} {options}",
        # Full fine-tuning takes the most time of all, and a probe reads every row with the backbone; some are left out.
        "baselines_left_out": [title for kind, title in TITLES.items() if comparison.baselines and kind not in kinds],
        **made_on(runs),
        "seeds": sorted({seed for one in own for seed in one.seeds}),
        "data": {
            "train": data.train,
            "test": data.test or data.train,
            "test_rows": comparison.rows,
            **{f"{name}_rows": part["rows"] for name, part in parts.items()},
        },
        "settings": {"backbone": first.recipe.backbone.name, "split": comparison.split},
        "rounds": [_round(one) for one in comparison.rounds],
        "runs": [_run(one, run, comparison.split) for one in comparison.rounds for run in one.runs],
        "differences": [asdict(pair) for pair in comparison.differences],
        "against_baselines": [asdict(pair) for pair in comparison.against_baselines],
        "summary": {"headline": headline(comparison), "notes": [*comparison.notes, *comparison.baseline_notes]},
        "tables": [asdict(table) for table in tables(comparison)],
    }
    return without_paths(record, [run.recipe for run in runs], names)


def _round(one: Round) -> dict[str, Any]:
    """One round over its seeds: what it is, and the mean and spread of each figure."""
    recipe = one.recipe
    words = {} if one.baseline else {"lora": lora_in_words(recipe), "schedule": schedule_in_words(recipe)}
    return {
        "round": one.name,
        "baseline": one.baseline,
        "parameters": one.parameters,
        "seeds": list(one.seeds),
        "accuracy_interval": one.interval,
        "figures": {key: {"mean": one.mean(key), "spread": one.spread(key)} for key in one.figures},
        **words,
        "recipe": recipe_values(recipe),
    }


def _run(one: Round, run: Run, split: str) -> dict[str, Any]:
    evaluation, environment = run.evaluation, run.environment
    sets = {split: evaluation[split], "validation": evaluation["validation"]}
    sets |= {SHIFT + name: figures for name, figures in (evaluation.get("shift") or {}).items()}
    proof = run.folder / "verification.json"
    return {
        "round": one.name,
        "seed": run.recipe.seed,
        "begun": environment.get("started"),
        "figures": {name: {key: figures[key] for key in _KEPT if key in figures} for name, figures in sets.items()},
        **{key: evaluation[key] for key in ("best_step", "best_validation_accuracy") if key in evaluation},
        **{key: environment[key] for key in ("training_seconds", "peak_memory_bytes") if key in environment},
        "data": {name: environment["data"][name].get("fingerprint") for name in ("train", "validation")},
        **({"identical_when_reloaded": read_json(proof)["identical"]} if proof.is_file() else {}),
    }


def copy_pictures(comparison: Comparison, folder: Path, images: Path, name: str) -> list[Path]:
    """Draw the comparison's pictures anew and copy those that the page shows; returns the copies."""
    images.mkdir(parents=True, exist_ok=True)
    written = [path for path in write_comparison(comparison, folder) if path.suffix == ".png"]
    return [
        shutil.copyfile(path, images / f"rounds-{name}-{path.stem}.png")
        for path in written
        if path.stem in four_rounds.LEGENDS
    ]
