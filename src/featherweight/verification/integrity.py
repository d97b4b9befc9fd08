"""Checks of what the run's files say of each other: manifest, versions, recipe, weight and history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from featherweight.adapter.storage import read_description, saved_tensors
from featherweight.backbone.describe import architecture_of
from featherweight.backbone.resolve import config_of
from featherweight.budget.weigh import weigh
from featherweight.data.fingerprints import resumed_elsewhere
from featherweight.errors import UserError
from featherweight.recipe import Recipe
from featherweight.run.best import rank
from featherweight.run.folder import Run
from featherweight.run.manifest import FILE, compare_with_manifest
from featherweight.verification.checks import Check
from featherweight.verification.evidence import Evidence, probabilities_in, tolerance_of

_ROUNDED = 1e-6  # the history keeps nine digits


def files(evidence: Evidence) -> Check:
    """Every file is as the manifest lists it, and none was added to the adapter."""
    compared = compare_with_manifest(evidence.folder)
    if compared is None:
        return Check("files", "skipped", f"there is no {FILE}: an early run had none; or it was removed")
    foreign = [name for name in compared.added if name.startswith("adapter/")]
    broken = {"changed": compared.changed, "missing": compared.missing, "added": foreign}
    wrong = [f"{what}: {_first_of(names)}" for what, names in broken.items() if names]
    if wrong:
        return Check("files", "fail", "; ".join(wrong))
    beside = {
        "not the run's": [name for name in compared.added if name not in foreign],
        "out of reach": compared.out_of_reach,
    }
    notes = [f"{what}: {_first_of(names)}" for what, names in beside.items() if names]
    return Check("files", "pass", "; ".join([f"{compared.files - len(compared.out_of_reach)} as written", *notes]))


def _first_of(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def readable(evidence: Evidence) -> Check | list[Check]:
    """No check where the run's files can be read; else a failed one, which ends the checks."""
    try:
        run = evidence.run
        _ = run.recipe, run.environment, run.weight, run.evaluation
    except UserError as error:
        return Check("run", "fail", str(error), ends=True)
    return []


def surroundings(evidence: Evidence) -> Check:
    """What a result depends on beside its files: another version or processor may move its last digits."""
    if evidence.moved:
        return Check("surroundings", "moved", "; ".join(evidence.moved))
    return Check("surroundings", "pass", "the versions and the machine of the training")


def recipe(evidence: Evidence) -> Check:
    """The adapter is rebuilt by the recipe beside it, which has to be the run's."""
    run = evidence.run
    if Recipe.load(run.adapter / "recipe.toml") != run.recipe:
        return Check("recipe", "fail", "recipe.toml and adapter/recipe.toml differ")
    if run.environment.get("seed") != run.recipe.seed:
        return Check(
            "recipe", "fail", f"seed {run.recipe.seed}, but environment.json has {run.environment.get('seed')}"
        )
    return Check("recipe", "pass", "the one that the adapter was saved with")


def weight(evidence: Evidence) -> Check:
    """weigh.json, the recipe weighed again, and the numbers that were really saved have to agree."""
    run = evidence.run
    labels = len(read_description(run.adapter)["labels"])
    try:
        config = config_of(run.recipe.backbone)
    except UserError as error:
        return Check("weight", "skipped", f"the backbone is not at hand: {error}")
    again = weigh(run.recipe, architecture_of(config, run.recipe.backbone.roles), labels).as_dict()
    for key in ("total", "budget", "margin", "labels", "backbone_parameters"):
        if run.weight.get(key) != again[key]:
            return Check(
                "weight", "fail", f"weigh.json: {key} is {run.weight.get(key)!r}; the recipe gives {again[key]:,}"
            )
    shares = [[part["parameters"] for part in each["components"]] for each in (run.weight, again)]
    if shares[0] != shares[1]:
        return Check("weight", "fail", f"weigh.json: the components are {shares[0]}; the recipe gives {shares[1]}")
    saved = sum(header.parameters for header in saved_tensors(run.adapter).values())
    if saved != again["total"]:
        return Check("weight", "fail", f"the adapter holds {saved:,} numbers, not {again['total']:,} as weighed")
    over = again["total"] > again["budget"]
    return Check(
        "weight", "fail" if over else "pass", f"{saved:,} of a budget of {again['budget']:,}, weighed and saved"
    )


def history(evidence: Evidence) -> Check:
    """Every step once and in order; the step that is called the best is the best; the figures are those of the end."""
    run = evidence.run
    steps = [record["step"] for record in run.history if record["kind"] == "step"]
    if steps != list(range(1, len(steps) + 1)) or not steps:
        return Check("history", "fail", "history.jsonl: its steps do not count up from 1, each once")
    validations = [record for record in run.history if record["kind"] == "evaluation"]
    if any(record["step"] > len(steps) for record in validations):
        return Check("history", "fail", "history.jsonl: an evaluation lies after the last step")
    best = next((record for record in validations if record["step"] == run.evaluation.get("best_step")), None)
    claimed = run.evaluation.get("best_validation_accuracy")
    if best is None or abs(best["accuracy"] - claimed) > _ROUNDED:
        written = f"step {best['step']} has {best['accuracy']:.4f}" if best else "it has no such evaluation"
        return Check("history", "fail", f"history.jsonl: {written}; evaluation.json calls it the best, with {claimed}")
    best_by = run.recipe.evaluation.best_by
    if better := next((record for record in validations if _is_better(record, best, best_by)), None):
        figure = better["loss" if best_by == "log_loss" else best_by]
        steps_named = f"step {better['step']} with {figure:.4f} is better than step {best['step']}"
        return Check("history", "fail", f"history.jsonl: {steps_named}, the best by evaluation.json")
    return _final_accuracy(evidence, best if run.recipe.training.keep == "best" else validations[-1])


def _is_better(record: dict[str, Any], best: dict[str, Any], best_by: str) -> bool:
    first, second = (one - other for one, other in zip(rank(record, best_by), rank(best, best_by), strict=True))
    return first > _ROUNDED or (abs(first) <= _ROUNDED and second > _ROUNDED)


def _evaluated_alike(run: Run) -> bool:
    """Whether training and final evaluation ran the same operations in the same order, so that no label may differ.

    Several processes share the rows out, kept states of frozen layers may come from other batches, a GPU may pick
    other kernels, and a run that was resumed elsewhere may have its best step from another machine.
    """
    one_process = run.environment.get("processes", 1) == 1 and run.environment.get("device") == "cpu"
    return one_process and not resumed_elsewhere(run.environment) and not _may_have_kept_states(run)


def _may_have_kept_states(run: Run) -> bool:
    """Whether states of frozen layers may have been kept. A run leaves no record of that; without such layers, none."""
    training = run.recipe.training
    if training.prefix_cache == "off" or training.encoder_dropout:
        return False
    # The first number in a tensor's name is that of its layer; what is trained below the layers comes with layer 0.
    first_numbers = (next(filter(str.isdecimal, name.split(".")), None) for name in saved_tensors(run.adapter))
    return "0" not in first_numbers


def _final_accuracy(evidence: Evidence, chosen: dict[str, Any]) -> Check:
    """The adapter of the ``chosen`` evaluation is the one that was evaluated at the end."""
    run = evidence.run
    figures = run.evaluation["validation"]
    steps = sum(record["kind"] == "step" for record in run.history)
    allowed = 0 if _evaluated_alike(run) else undecided_rows(evidence, "validation")
    if abs(round((chosen["accuracy"] - figures["accuracy"]) * figures["rows"])) > allowed:
        differ = f"had {chosen['accuracy']:.4f} on the validation rows; evaluation.json has {figures['accuracy']:.4f}"
        return Check("history", "fail", f"history.jsonl: the step whose adapter was saved, {chosen['step']}, {differ}")
    return Check("history", "pass", f"{steps:,} steps, each once; the saved adapter's step has the claimed accuracy")


def undecided_rows(evidence: Evidence, name: str) -> int:
    """Rows of the set ``name`` whose two most probable labels may change places by rounding (twice ``TOLERANCE``)."""
    table = evidence.predictions_of(name)
    labels = [column.removeprefix("p_") for column in table.columns if column.startswith("p_")]
    ascending = np.sort(probabilities_in(table, labels), axis=1)
    apart = ascending[:, -1] - ascending[:, -2]
    return int((apart <= 2 * tolerance_of(str(evidence.run.environment.get("precision", "fp32")))).sum())
