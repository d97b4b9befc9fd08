"""Baselines to compare recipes with: TF-IDF models, a linear probe on the frozen backbone, and full fine-tuning.

Each baseline is trained and evaluated on the rows of a recipe, and gets a run folder that a comparison can read.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from featherweight.backbone.resolve import resolve_backbone
from featherweight.data.fingerprints import changed_part, evaluation_fingerprints, rows_fingerprint
from featherweight.data.splits import Splits, load_splits
from featherweight.environment import describe_machine, forget_peak_memory, peak_memory_bytes, versions
from featherweight.errors import UserError
from featherweight.files import write_json, write_whole
from featherweight.hints import elsewhere
from featherweight.recipe import Recipe
from featherweight.run.folder import FORMAT, Run, read_json
from featherweight.run.lock import locked
from featherweight.task.interface import task_of
from featherweight.training.listeners import Listener, notify
from featherweight.workflows.baseline_models import (
    HIGHEST_RATE,
    ON_THE_BACKBONE,
    TITLES,
    Fitted,
    bag_of_words,
    fine_tuned,
    probe,
)
from featherweight.workflows.environment import describe_backbone
from featherweight.workflows.prepare import adaptation_notes

RATE_SHARE = 0.1
"""Learning rate of full fine-tuning as a fraction of that of the rounds: LoRA needs about ten times as much."""
BEGUN = "begun.json"
"""While full fine-tuning is unfinished: the fingerprints of what it began with, because it can be resumed."""


def run_baseline(kind: str, recipe: Recipe, folder: Path, listeners: Sequence[Listener] = ()) -> Run:
    """Train and evaluate the baseline ``kind`` (a key of ``TITLES``) on the data of ``recipe``; no model is saved.

    A finished baseline in ``folder`` is not trained again, and an interrupted full fine-tuning is resumed. Raises
    UserError if the baseline there belongs to another recipe, to other rows, or to other weights of the backbone.
    """
    require_same_baselines({kind: folder}, recipe)
    recipe = baseline_recipe(kind, recipe)
    if is_complete(folder):
        return Run(folder)
    from featherweight.model.engine import bound_memory

    bound_memory()
    forget_peak_memory()
    started, splits, clock = datetime.now(UTC), load_splits(recipe), time.perf_counter()
    backbone = resolve_backbone(recipe.backbone) if kind in ON_THE_BACKBONE else None
    adapted = adaptation_notes(backbone, splits) if backbone else []
    splits.warnings.extend(adapted)
    for note in adapted:
        notify(listeners, note)
    with locked(folder):
        write_whole(folder / "recipe.toml", recipe.to_toml())
        described: dict[str, Any] = {"backbone": describe_backbone(backbone)} if backbone else {}
        if kind == "full-fine-tuning":
            write_json(folder / BEGUN, _fingerprints(splits) | described)
            fitted = fine_tuned(recipe, splits, folder, listeners)
        elif kind == "linear-probe":
            fitted = probe(recipe, splits)
        else:
            fitted = bag_of_words(kind, recipe, splits)
        seconds = fitted.seconds or time.perf_counter() - clock
        _evaluate(folder, recipe, splits, fitted)
        # Written last, for `is_complete`.
        notes = [fitted.note, *(f"{TITLES[kind]}: {note}." for note in adapted)]
        described["notes"] = notes
        write_json(folder / "environment.json", _environment(kind, recipe, splits, started, seconds) | described)
        shutil.rmtree(folder / "checkpoint", ignore_errors=True)
        (folder / BEGUN).unlink(missing_ok=True)
    return Run(folder)


def is_complete(folder: Path) -> bool:
    """Whether the baseline in ``folder`` is trained and evaluated."""
    return (folder / "environment.json").is_file()


def require_same_baselines(folders: Mapping[str, Path], recipe: Recipe) -> None:
    """Raise UserError if one of ``folders`` has a baseline of another recipe, other rows, or another backbone.

    The keys of ``folders`` are kinds of baselines, as in ``TITLES``. An unfinished baseline counts if it has a
    checkpoint; otherwise it would be trained anew.
    """
    recipes = {kind: baseline_recipe(kind, recipe) for kind in folders}
    begun = {kind: folder for kind, folder in folders.items() if (folder / "recipe.toml").is_file()}
    for kind, folder in begun.items():
        if Run(folder).recipe != recipes[kind]:
            raise _taken(folder, "another recipe (baselines take the first recipe and the first seed)")
    known = {kind: _trained_on(folder) for kind, folder in begun.items()}
    fingerprints = _fingerprints(load_splits(recipe)) if any(known.values()) else {}
    needed = any(known[kind] for kind in known.keys() & ON_THE_BACKBONE)
    sha256 = resolve_backbone(recipe.backbone).sha256 if needed else None
    for kind, folder in begun.items():
        if changed_part(known[kind], fingerprints):
            raise _taken(folder, "rows that have changed since")
        trained_on = (known[kind].get("backbone") or {}).get("sha256", sha256)  # early versions did not store it
        if kind in ON_THE_BACKBONE and trained_on != sha256:
            raise _taken(folder, "a backbone whose weights have changed since")


def _trained_on(folder: Path) -> dict[str, Any]:
    """Fingerprints of rows and backbone of a finished or resumable baseline; {} if it would be trained anew."""
    if is_complete(folder):
        return Run(folder).environment
    if not (folder / BEGUN).is_file():
        return {}
    from featherweight.training.checkpoint import has_checkpoint

    return read_json(folder / BEGUN) if has_checkpoint(folder / "checkpoint") else {}


def _taken(folder: Path, whose: str) -> UserError:
    return UserError(f"{folder}: holds a baseline of {whose}\nMove that folder away, or {elsewhere()}")


def _fingerprints(splits: Splits) -> dict[str, Any]:
    parts = {"train": splits.train, "validation": splits.validation}
    return {
        "data": {name: rows_fingerprint(rows) for name, rows in parts.items()},
        "judged": evaluation_fingerprints(splits),
    }


def baseline_recipe(kind: str, recipe: Recipe) -> Recipe:
    """The recipe to store with the baseline ``kind``: ``recipe`` without LoRA, teachers and soup.

    For full fine-tuning it also has another learning rate and schedule, and the dropout of the backbone.
    """
    changes: dict[str, Any] = {"name": kind, "description": f"Baseline: {TITLES[kind]}; not to be trained by itself."}
    changes["adapter"] = {"lora": [], "bias": "none", "dora": False, "initialisation": "default"}
    changes["training"] = {"teacher": [], "soup": []}
    if kind == "full-fine-tuning":
        rate = min(HIGHEST_RATE, float(f"{recipe.training.learning_rate * RATE_SHARE:.3g}"))
        changes["training"] |= {"learning_rate": rate, "schedule": "linear", "warmup": 0.06, "encoder_dropout": True}
        # A checkpoint is four times as large as the whole model, so it is written only once an hour.
        changes["training"] |= {"checkpoint_steps": 1_000_000, "checkpoint_seconds": 1800}
    return recipe.with_values(**changes)


def _evaluate(folder: Path, recipe: Recipe, splits: Splits, fitted: Fitted) -> None:
    from featherweight.evaluation.calibration import fit_temperature
    from featherweight.workflows.evaluate import evaluate_splits, other_sets

    assert splits.validation.labels is not None
    validation, labels, task = fitted.logits(splits.validation), splits.validation.labels, task_of(recipe)
    temperature = fit_temperature(validation, labels, task)
    task = task.fitted(validation, labels, temperature)
    others = {name: fitted.logits(rows) for name, rows in other_sets(splits).items()}
    evaluate_splits(folder, splits, validation, others, temperature, recipe.evaluation, task, **fitted.evaluation)
    write_json(folder / "weigh.json", {"total": fitted.parameters})


def _environment(kind: str, recipe: Recipe, splits: Splits, started: datetime, seconds: float) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "baseline": kind,
        "baseline_title": TITLES[kind],
        **versions(),
        **describe_machine(),
        "seed": recipe.seed,
        "started": started.isoformat(timespec="seconds"),
        "training_seconds": round(seconds, 2),
        "peak_memory_bytes": peak_memory_bytes(),
        **_fingerprints(splits),
        "warnings": splits.warnings,
    }
