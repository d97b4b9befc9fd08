"""Checks whether the files of a run are complete and consistent: manifest, versions, recipe, weight and history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from featherweight.adapter.storage import read_description, saved_tensors
from featherweight.backbone.describe import architecture_of
from featherweight.backbone.resolve import config_of
from featherweight.budget.weigh import weigh
from featherweight.data.fingerprints import resumed_elsewhere
from featherweight.errors import UserError
from featherweight.formatting import counted
from featherweight.recipe import Recipe
from featherweight.run.best import rank
from featherweight.run.folder import Run
from featherweight.run.manifest import FILE, compare_with_manifest
from featherweight.task.interface import task_of
from featherweight.verification.checks import Check
from featherweight.verification.evidence import Evidence, probabilities_in, tolerance_of

_ROUNDED = 1e-6  # the history has nine significant digits


def files(evidence: Evidence) -> Check:
    """Check that no file in the manifest has changed, and that the folder adapter/ has no other files."""
    compared = compare_with_manifest(evidence.folder)
    if compared is None:
        return Check("files", "skipped", f"{FILE} is missing: early versions did not write it, or it was removed")
    foreign = [name for name in compared.added if name.startswith("adapter/")]
    broken = {"changed": compared.changed, "missing": compared.missing, "added": foreign}
    wrong = [f"{what}: {_first_of(names)}" for what, names in broken.items() if names]
    if wrong:
        return Check("files", "fail", "; ".join(wrong))
    others = {
        "not part of the run": [name for name in compared.added if name not in foreign],
        "not on this machine": compared.out_of_reach,
    }
    notes = [f"{what}: {_first_of(names)}" for what, names in others.items() if names]
    return Check("files", "pass", "; ".join([f"{compared.files - len(compared.out_of_reach)} unchanged", *notes]))


def _first_of(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def readable(evidence: Evidence) -> Check | list[Check]:
    """An empty list if the files of the run can be read; else a failed check, after which no other check runs."""
    try:
        run = evidence.run
        _ = run.recipe, run.environment, run.weight, run.evaluation
    except UserError as error:
        return Check("run", "fail", str(error), ends=True)
    return []


def environment(evidence: Evidence) -> Check:
    """Compare versions and machine with those of the training; a change may alter the last digits of a result."""
    if evidence.environment_changes:
        return Check("environment", "differs", "; ".join(evidence.environment_changes))
    return Check("environment", "pass", "versions and machine are the same as in the training")


def recipe(evidence: Evidence) -> Check:
    """Check that adapter/recipe.toml, which is read to load the adapter, and recipe.toml of the run are equal.

    Their seed must also be the one in environment.json.
    """
    run = evidence.run
    # Not run.recipe: where a run was moved, it has the new path of the rows that the run keeps.
    if Recipe.load(run.adapter / "recipe.toml") != Recipe.load(run.folder / "recipe.toml"):
        return Check("recipe", "fail", "recipe.toml and adapter/recipe.toml differ")
    if run.environment.get("seed") != run.recipe.seed:
        return Check(
            "recipe",
            "fail",
            f"recipe.toml: seed = {run.recipe.seed}; environment.json has {run.environment.get('seed')}",
        )
    return Check("recipe", "pass", "recipe.toml and adapter/recipe.toml are equal")


def weight(evidence: Evidence) -> Check:
    """Check that weigh.json, a new count from the recipe, and the saved tensors have the same number of parameters."""
    run = evidence.run
    labels = len(read_description(run.adapter)["labels"])
    try:
        config = config_of(run.recipe.backbone)
    except UserError as error:
        return Check("weight", "skipped", f"the backbone is not available: {error}")
    again = weigh(run.recipe, architecture_of(config, run.recipe.backbone.roles), labels).as_dict()
    for key in ("total", "budget", "margin", "labels", "backbone_parameters"):
        if run.weight.get(key) != again[key]:
            return Check(
                "weight",
                "fail",
                f"weigh.json: its key {key!r} is {run.weight.get(key)!r}; the recipe gives {again[key]:,}",
            )
    written, computed = ([part["parameters"] for part in each["components"]] for each in (run.weight, again))
    if written != computed:
        return Check("weight", "fail", f"weigh.json: the components are {written}; the recipe gives {computed}")
    saved = sum(header.parameters for header in saved_tensors(run.adapter).values())
    if saved != again["total"]:
        return Check("weight", "fail", f"adapter/ holds {saved:,} parameters; weigh.json says {again['total']:,}")
    over = again["total"] > again["budget"]
    return Check(
        "weight", "fail" if over else "pass", f"{saved:,} saved parameters, of a budget of {again['budget']:,}"
    )


def history(evidence: Evidence) -> Check:
    """Check that history.jsonl has every step once and in order, and agrees with the best step in evaluation.json."""
    run = evidence.run
    steps = [record["step"] for record in run.history if record["kind"] == "step"]
    soup = bool(run.recipe.training.soup)
    if steps != list(range(1, len(steps) + 1)) or bool(steps) == soup:
        should = "it has steps, but a soup is not trained" if soup else "its steps are not 1, 2, 3 and so on, each once"
        return Check("history", "fail", f"history.jsonl: {should}")
    validations = [record for record in run.history if record["kind"] == "evaluation"]
    if any(record["step"] > len(steps) for record in validations):
        return Check("history", "fail", f"history.jsonl: an evaluation is of a step after the last step, {len(steps)}")
    best = next((record for record in validations if record["step"] == run.evaluation.get("best_step")), None)
    claimed = run.evaluation.get("best_validation_accuracy")
    if best is None or abs(best["accuracy"] - claimed) > _ROUNDED:
        written = f"step {best['step']} has {best['accuracy']:.4f}" if best else "it has no such evaluation"
        problem = f"history.jsonl: {written}; in evaluation.json it is the best step, with {claimed}"
        return Check("history", "fail", problem)
    best_by = run.recipe.evaluation.best_by
    if better := next((record for record in validations if _is_better(record, best, best_by)), None):
        figure = better["loss" if best_by == "log_loss" else best_by]
        steps_named = f"step {better['step']} with {figure:.4f} is better than step {best['step']}"
        return Check("history", "fail", f"history.jsonl: {steps_named}, the best step in evaluation.json")
    return _final_accuracy(evidence, best if run.recipe.training.keep == "best" else validations[-1])


def _is_better(record: dict[str, Any], best: dict[str, Any], best_by: str) -> bool:
    first, second = (one - other for one, other in zip(rank(record, best_by), rank(best, best_by), strict=True))
    return first > _ROUNDED or (abs(first) <= _ROUNDED and second > _ROUNDED)


def _must_predict_the_same(run: Run) -> bool:
    """Whether the final evaluation must predict the same labels as the evaluation during the training.

    Labels may differ by rounding if several processes shared the rows, if hidden states came from the prefix cache
    (where they were computed in other batches), if a GPU chose other kernels, or if the run was resumed on another
    machine.
    """
    one_process = run.environment.get("processes", 1) == 1 and run.environment.get("device") == "cpu"
    return one_process and not resumed_elsewhere(run.environment) and not _may_have_cached_states(run)


def _may_have_cached_states(run: Run) -> bool:
    """Whether the training may have used the prefix cache, the stored outputs of the frozen lowest layers.

    It may if the recipe does not exclude it, and layer 0 is frozen, since else there is nothing to store. Whether it
    really did is not recorded in a run.
    """
    training = run.recipe.training
    if training.prefix_cache == "off" or training.encoder_dropout:
        return False
    # The first number in a tensor's name is its layer. Tensors below the layers are trained only together with layer 0.
    first_numbers = (next(filter(str.isdecimal, name.split(".")), None) for name in saved_tensors(run.adapter))
    return "0" not in first_numbers


def _final_accuracy(evidence: Evidence, chosen: dict[str, Any]) -> Check:
    """Check that the accuracy of the ``chosen`` step is the final accuracy on the validation rows."""
    run = evidence.run
    figures = run.evaluation["validation"]
    steps = sum(record["kind"] == "step" for record in run.history)
    allowed = 0 if _must_predict_the_same(run) else undecided_rows(evidence, "validation")
    if abs(round((chosen["accuracy"] - figures["accuracy"]) * figures["rows"])) > allowed:
        differ = f"had the validation accuracy {chosen['accuracy']:.4f}; evaluation.json has {figures['accuracy']:.4f}"
        return Check("history", "fail", f"history.jsonl: step {chosen['step']}, whose adapter was saved, {differ}")
    found = (
        f"{counted(steps, 'step')}, each once; the saved step has" if steps else "no steps, as a soup has none; it has"
    )
    return Check("history", "pass", f"{found} the accuracy in evaluation.json")


def undecided_rows(evidence: Evidence, name: str) -> int:
    """Number of rows of the set ``name`` whose predicted labels may change by rounding.

    With one label per text, this is possible if the two largest probabilities differ by at most twice the tolerance;
    with several labels, if a probability is within the same distance of the threshold of its label.
    """
    table = evidence.predictions_of(name)
    labels = [column.removeprefix("p_") for column in table.columns if column.startswith("p_")]
    thresholds = [row["threshold"] for row in evidence.sets[name]["per_class"] if "threshold" in row]
    task = task_of(evidence.run.recipe).with_thresholds(thresholds)
    margins = task.margins(probabilities_in(table, labels))
    return int((margins <= 2 * tolerance_of(str(evidence.run.environment.get("precision", "fp32")))).sum())
