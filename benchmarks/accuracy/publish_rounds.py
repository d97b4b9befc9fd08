"""Publish finished rounds: `python benchmarks/run.py publish-rounds runs/rounds-minilm --name minilm`.

The folder is that of `featherweight rounds`. Its figures go to docs/results/rounds-NAME.json: recipes, seeds, sizes and
fingerprints of the data, machine, versions, dates, every run's figures and every pair's difference, and no texts.
The pictures go to docs/images, and the page docs/results/four-rounds.md is made anew from all such files; without a
folder that is all that is done.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from accuracy import four_rounds
from accuracy.publish import made_on, recipe_without_paths, source_name
from harness.recording import save

from featherweight.errors import UserError
from featherweight.evaluation.comparison import Comparison, Round, compare_runs
from featherweight.evaluation.run_groups import SHIFT
from featherweight.files import write_whole
from featherweight.report.comparison.page import write_comparison
from featherweight.report.comparison.tables import Table, lora_in_words, schedule_in_words, tables
from featherweight.report.comparison.words import headline
from featherweight.run.folder import Run, read_json
from featherweight.workflows.baselines import TITLES, is_complete

PICTURES = ("rounds", "accuracy", "loss", "frontier", "shift")
_KEPT = ("accuracy", "accuracy_interval", "macro_f1", "log_loss_scaled", "calibration_error_scaled", "rows")
Names = dict[str, str]


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
    found = [path.parent for pattern in ("*/seed-*", "baselines/*") for path in folder.glob(f"{pattern}/recipe.toml")]
    finished = [path for path in found if _is_finished(path)]
    for path in found:
        if path not in finished:
            print(f"left out, because it is not finished: {path}")
    if not finished:
        raise UserError(f"{folder}: there is no finished run in it (ROUND/seed-N); name the --out of `rounds`")
    return sorted(finished, key=lambda path: (path.parent.name == "baselines", path.parent.name, _seed(path)))


def _is_finished(path: Path) -> bool:
    return is_complete(path) if path.parent.name == "baselines" else Run(path).complete


def _seed(path: Path) -> int:
    number = path.name.removeprefix("seed-")
    return int(number) if number.isdigit() else 0


def rounds_record(comparison: Comparison, name: str, names: Names) -> dict[str, Any]:
    """The result as plain values; ``names`` says what data files are called."""
    runs = [run for one in comparison.rounds for run in one.runs]
    own = comparison.own or comparison.rounds
    first = own[0].runs[0]
    kinds = {one.baseline for one in comparison.baselines}
    options = f"--seeds {max(len(one.seeds) for one in own)}" + (" --baselines" if comparison.baselines else "")
    return {
        "benchmark": "rounds",
        "name": f"rounds-{name}",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": f"featherweight rounds {' '.join(f'{one.recipe.name}.toml' for one in own)} {options}",
        # Full fine-tuning takes the most time of all, and a probe reads every row with the backbone; some are left out.
        "baselines_left_out": [title for kind, title in TITLES.items() if comparison.baselines and kind not in kinds],
        **made_on(runs),
        "seeds": sorted({seed for one in own for seed in one.seeds}),
        "data": _data(comparison, first, names),
        "settings": {"backbone": source_name(first.recipe.backbone.name, names), "split": comparison.split},
        "rounds": [_round(comparison, one, names) for one in comparison.rounds],
        "runs": [_run(one, run, comparison.split, names) for one in comparison.rounds for run in one.runs],
        "differences": [asdict(pair) for pair in comparison.differences],
        "against_baselines": [asdict(pair) for pair in comparison.against_baselines],
        "summary": {"headline": headline(comparison), "notes": [*comparison.notes, *comparison.baseline_notes]},
        "tables": [_table(table, comparison.shift_sets, names) for table in tables(comparison)],
    }


def _data(comparison: Comparison, first: Run, names: Names) -> dict[str, Any]:
    data = first.recipe.data
    parts = first.environment["data"]
    return {
        "train": source_name(data.train, names),
        "test": source_name(data.test or data.train, names),
        "test_rows": comparison.rows,
        **{f"{name}_rows": part["rows"] for name, part in parts.items()},
    }


def _round(comparison: Comparison, one: Round, names: Names) -> dict[str, Any]:
    """One round over its seeds: what it is, and the mean and spread of each figure."""
    recipe, own = one.recipe, one.baseline is None
    figures = {
        _short(key, names): {"mean": one.mean(key), "spread": one.spread(key)}
        for key in one.figures
    }  # fmt: skip
    return {
        "round": one.name,
        "baseline": one.baseline,
        "parameters": one.parameters,
        "seeds": list(one.seeds),
        "accuracy_interval": one.interval,
        "figures": figures,
        **({"lora": lora_in_words(recipe), "schedule": schedule_in_words(recipe)} if own else {}),
        "recipe": recipe_without_paths(recipe, names),
    }


def _run(one: Round, run: Run, split: str, names: Names) -> dict[str, Any]:
    evaluation, environment = run.evaluation, run.environment
    sets = {split: evaluation[split], "validation": evaluation["validation"]}
    sets |= {_short(SHIFT + name, names): figures for name, figures in (evaluation.get("shift") or {}).items()}
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


def _table(table: Table, shift_sets: Sequence[str], names: Names) -> dict[str, Any]:
    columns = table.columns
    for name in shift_sets:
        columns = [column.replace(name, source_name(name, names)) for column in columns]
    return asdict(table) | {"columns": columns}


def _short(key: str, names: Names) -> str:
    """A figure's key in which a shift set goes by its name alone."""
    return SHIFT + source_name(key.removeprefix(SHIFT), names) if key.startswith(SHIFT) else key


def copy_pictures(comparison: Comparison, folder: Path, images: Path, name: str) -> list[Path]:
    """Draw the comparison's pictures anew and copy those that the page shows; returns the copies."""
    written = {path.stem: path for path in write_comparison(comparison, folder) if path.suffix == ".png"}
    images.mkdir(parents=True, exist_ok=True)
    return [
        shutil.copyfile(written[picture], images / f"rounds-{name}-{picture}.png")
        for picture in PICTURES
        if picture in written
    ]
