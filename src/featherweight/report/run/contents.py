"""Reads all files of a run folder once, for all plots; a missing file is reported as a note, not as an error."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featherweight.hints import steadier
from featherweight.recipe.loading import read_recipe
from featherweight.report.fonts import class_numbers, set_numbers
from featherweight.run.best import without_test_set
from featherweight.run.checked import require
from featherweight.run.doubts import doubts, remedies
from featherweight.run.figures import METRICS, SEVERAL_LABELS, Metric, score_of
from featherweight.run.folder import Run, read_history, read_json
from featherweight.run.schema import ShownRecipe

STEP_KEYS = ("step", "epoch", "loss", "accuracy", "micro_f1", "learning_rate", "seconds")


@dataclass(frozen=True)
class Contents:
    """The content of the files of one run; an empty dictionary or list if a file is missing."""

    folder: Path
    recipe_text: str
    """The recipe as TOML; empty for an adapter that was trained with PEFT."""
    recipe: dict[str, Any]
    environment: dict[str, Any]
    weigh: dict[str, Any]
    evaluation: dict[str, Any]
    verification: dict[str, Any]
    steps: dict[str, NDArray[np.float64]]
    """For each key of ``STEP_KEYS``, its values over the training steps; NaN if a step has no value."""
    validations: list[dict[str, Any]]

    @property
    def name(self) -> str:
        """The name of the recipe, or of the folder if the recipe has no name."""
        return str(self.recipe.get("name") or self.folder.resolve().name)

    @property
    def has_curves(self) -> bool:
        """Whether any training step or evaluation was recorded; a soup (averaged weights of runs) has none."""
        return bool(len(self.steps["step"]) or self.validations) and not self.soup

    @property
    def soup(self) -> dict[str, Any]:
        """The key ``soup`` of environment.json: the runs whose weights were averaged; empty for a trained run."""
        return self.environment.get("soup") or {}

    @property
    def evaluated(self) -> tuple[str, dict[str, Any]] | None:
        """Name and metrics of the set for the headline: the test set, else the validation set, else None."""
        for split in ("test", "validation"):
            if self.evaluation.get(split):
                return split, self.evaluation[split]
        return None

    @property
    def several(self) -> bool:
        """Whether a text may have several labels. The metrics of the evaluated set show it."""
        return self.evaluated is not None and "task" in self.evaluated[1]

    @property
    def score(self) -> Metric:
        """The headline metric of the run: micro-F1 if a text may have several labels, else accuracy."""
        evaluated = self.evaluated[1] if self.evaluated else {}
        return score_of(self.validations[0] if self.validations else evaluated)

    @property
    def shift(self) -> dict[str, dict[str, Any]]:
        """The metrics of the shift sets (texts from other distributions), by name."""
        return self.evaluation.get("shift") or {}

    @property
    def numbered_labels(self) -> dict[str, str]:
        """{label: text to show instead} for each label that no installed font can draw (see ``class_numbers``)."""
        return class_numbers([row["label"] for row in self.evaluated[1]["per_class"]]) if self.evaluated else {}

    @property
    def numbered_sets(self) -> dict[str, str]:
        """{name: text to show instead} for each shift set whose name no installed font can draw (``set_numbers``)."""
        return set_numbers([*self.shift])

    def with_drawable_names(self) -> Contents:
        """A copy of the contents with numbers instead of the labels and shift sets that no installed font can draw."""
        numbers, sets = self.numbered_labels, self.numbered_sets
        if self.evaluated is None or not (numbers or sets):
            return self
        split, figures = self.evaluated
        rows = [{**row, "label": numbers.get(row["label"], row["label"])} for row in figures["per_class"]]
        shift = {sets.get(name, name): found for name, found in self.shift.items()}
        changed = {split: {**figures, "per_class": rows}} | ({"shift": shift} if shift else {})
        return replace(self, evaluation=self.evaluation | changed)

    @property
    def best_by(self) -> str:
        """Key of the metric that decided which adapter is the best.

        Runs of earlier versions do not store it: then it is the key of ``score``.
        """
        named = self.evaluation.get("best_by")
        known = {metric.key for metric in (SEVERAL_LABELS if self.several else METRICS)}
        return named if named in known else self.score.key

    def missing(self) -> list[str]:
        """One note for each file or set that is missing: what the report lacks, and what adds it if anything does."""
        notes = []
        if not self.evaluated:
            notes.append(f"Not evaluated yet: {self._to_evaluate()} adds accuracy, confusion matrix and calibration.")
        elif self.evaluated[0] != "test":
            notes.append(without_test_set(self.recipe))
        if not self.has_curves and self.recipe_text and not self.soup:
            notes.append("No training history: history.jsonl is missing or empty, so there are no curves.")
        notes += [f"{name}.json is missing." for name in ("weigh", "environment") if not getattr(self, name)]
        return notes

    def _to_evaluate(self) -> str:
        """What evaluates this run, or the classifier that PEFT saved."""
        if not self.recipe_text:
            return "--data"
        return "the missing file evaluation.json" if Run(self.folder).complete else "the end of the training"

    def warnings(self) -> list[str]:
        """The warnings of the run, and further warnings that follow from its files."""
        commands = self.environment.get("remedies") or {}
        warnings = [
            f"{warning}: {commands[warning]}" if warning in commands else str(warning)
            for warning in self.environment.get("warnings") or []
        ]
        broken = int((~np.isfinite(self.steps["loss"])).sum())
        if broken:
            advice = steadier(self.recipe.get("training", {}).get("learning_rate"))
            steps = f"{broken:,} of {len(self.steps['loss']):,} steps"
            warnings.append(f"The training loss was not finite in {steps}. Train again, and {advice}.")
        if self.evaluated and (found := doubts(self.evaluated[1])):
            split, figures = self.evaluated
            warnings.append(f"{split.capitalize()} rows: {', and '.join(found)}. {remedies(figures, self.recipe)}.")
        if self._reloads_otherwise():
            warnings.append(
                "The reloaded adapter does not give the same logits as the trained model, so its predictions may "
                "differ from those of this report. `featherweight verify` counts the predictions that differ."
            )
        budget = self.weigh.get("budget")
        if budget is not None and self.weigh["total"] > budget:
            warnings.append(
                f"The run trained {self.weigh['total']:,} parameters, more than its budget of {budget:,}: do not "
                "report it as a result within this budget."
            )
        return warnings

    def _reloads_otherwise(self) -> bool:
        """Whether the logits of the reloaded adapter differ from those of the trained one by more than rounding.

        Early versions stored only whether the logits were identical; then any difference counts.
        """
        compared = self.verification.get("reloaded") or {}
        if (allowed := compared.get("allowed")) is not None:
            return compared["largest_difference"] > allowed
        return self.verification.get("identical") is False


def read_contents(run_folder: str | Path) -> Contents:
    """Read the files of ``run_folder``. Raises UserError if it is not a run folder or a file is damaged."""
    folder = Run(run_folder).folder
    parts = {
        name: read_json(folder / f"{name}.json") if os.path.lexists(folder / f"{name}.json") else {}
        for name in ("environment", "weigh", "evaluation", "verification")
    }
    steps, validations = _history(folder / "history.jsonl")
    path = folder / "recipe.toml"
    _, recipe = read_recipe(path)
    require(recipe, ShownRecipe, path)
    return Contents(folder, path.read_text("utf-8"), recipe, **parts, steps=steps, validations=validations)


def contents_of_peft(
    folder: Path,
    backbone: str,
    weigh: dict[str, Any],
    evaluation: dict[str, Any],
    environment: dict[str, Any],
    tensors: int,
) -> Contents:
    """The contents for a classifier that PEFT saved, which has no recipe and no history.

    ``tensors`` is the number of tensors in its file that were compared with the loaded model.
    """
    recipe = {"name": folder.resolve().name, "backbone": {"name": backbone}}
    steps = {key: np.zeros(0) for key in STEP_KEYS}
    return Contents(folder, "", recipe, environment, weigh, evaluation, {"tensors": tensors}, steps, [])


def _history(path: Path) -> tuple[dict[str, NDArray[np.float64]], list[dict[str, Any]]]:
    entries = read_history(path)
    steps = [entry for entry in entries if entry.get("kind") == "step"]
    columns = {
        key: np.array([np.nan if entry.get(key) is None else entry[key] for entry in steps], dtype=float)
        for key in STEP_KEYS
    }
    validations = [e for e in entries if e.get("kind") == "evaluation" and e.get("split", "validation") == "validation"]
    return columns, validations
