"""Does a finished run hold what it claims? Its files, count, history and figures are looked at again, and compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from featherweight.adapter.storage import WEIGHTS, read_description
from featherweight.backbone.describe import architecture_of
from featherweight.backbone.folder import read_header
from featherweight.backbone.resolve import config_of
from featherweight.budget.weigh import weigh
from featherweight.data.fingerprints import resumed_elsewhere
from featherweight.environment import PACKAGES, describe_machine, versions
from featherweight.errors import UserError
from featherweight.recipe import Recipe
from featherweight.run.folder import Run
from featherweight.run.manifest import FILE, compare_with_manifest
from featherweight.verification.reproduction import Check, guarded, reevaluate, undecided_rows

__all__ = ["Check", "holds", "verdict", "verify_run"]

_ROUNDED = 1e-6  # the history keeps nine digits


def verify_run(folder: str | Path) -> list[Check]:
    """Look at every claim of the finished run in ``folder`` again, and change nothing there.

    ``pass`` holds; ``moved`` is within the tolerance for what has changed since (versions, machine); ``skipped`` cannot
    be looked at here; ``fail`` does not hold. Raises UserError where there is no finished run.
    """
    folder = Path(folder)
    _require_finished(folder)
    checks = [guarded("files", lambda: _files(folder))]
    try:
        run = Run(folder)
        _ = run.recipe, run.environment, run.weight, run.evaluation
    except UserError as error:
        return [*checks, Check("run", "fail", str(error))]
    surroundings = _surroundings(run)
    checks += [surroundings, guarded("recipe", lambda: _recipe(run)), guarded("weight", lambda: _weight(run))]
    checks.append(guarded("history", lambda: _history(run)))
    return checks + reevaluate(run, same_surroundings=surroundings.result == "pass")


def verdict(checks: Sequence[Check]) -> str:
    """All in one line."""
    by_result = {result: [c.name for c in checks if c.result == result] for result in ("fail", "moved", "skipped")}
    if by_result["fail"]:
        return f"does not hold: {', '.join(by_result['fail'])}"
    if not _predicted(checks):
        return f"is undecided, for nothing could be predicted again; not looked at: {', '.join(by_result['skipped'])}"
    words = "holds, but for what has moved within the tolerance" if by_result["moved"] else "holds"
    return words + (f"; not looked at: {', '.join(by_result['skipped'])}" if by_result["skipped"] else "")


def holds(checks: Sequence[Check]) -> bool:
    """Whether nothing failed, and at least one set of rows was predicted again."""
    return _predicted(checks) and not any(check.result == "fail" for check in checks)


def _predicted(checks: Sequence[Check]) -> bool:
    return any(check.predicted and check.result != "skipped" for check in checks)


def _require_finished(folder: Path) -> None:
    if (folder / FILE).is_file():
        return  # it was finished once, whatever has become of it
    run = Run(folder)
    if "baseline" in (run.environment if (folder / "environment.json").is_file() else {}):
        raise UserError(f"{folder}: is a baseline, of which no model is kept that could be looked at again")
    if not run.complete:
        raise UserError(
            f"{folder}: the run did not get to its end, so there is nothing to check; resume it with train --resume"
        )


def _files(folder: Path) -> Check:
    found = compare_with_manifest(folder)
    if found is None:
        return Check("files", "skipped", f"there is no {FILE}: an early run had none; or it was removed")
    foreign = [name for name in found.added if name.startswith("adapter/")]
    broken = {"changed": found.changed, "missing": found.missing, "added": foreign}
    wrong = [f"{what}: {_listed(names)}" for what, names in broken.items() if names]
    if wrong:
        return Check("files", "fail", "; ".join(wrong))
    beside = {
        "not the run's": [name for name in found.added if name not in foreign],
        "out of reach": found.out_of_reach,
    }
    notes = [f"{what}: {_listed(names)}" for what, names in beside.items() if names]
    return Check("files", "pass", "; ".join([f"{found.files - len(found.out_of_reach)} as written", *notes]))


def _listed(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _surroundings(run: Run) -> Check:
    """What a result depends on beside its files: another version or processor may move its last digits."""
    then, now = run.environment, {**versions(), **describe_machine(), "threads": _threads()}
    moved = [f"{key} {then[key]}, now {now[key]}" for key in now if key in then and then[key] != now[key]]
    moved += [f"{key} {then[key]}, now not installed" for key in PACKAGES if key in then and key not in now]
    if moved:
        return Check("surroundings", "moved", "; ".join(moved))
    return Check("surroundings", "pass", "the versions and the machine of the training")


def _threads() -> int:
    import torch

    return int(torch.get_num_threads())


def _recipe(run: Run) -> Check:
    """The adapter is rebuilt by the recipe beside it, which has to be the run's."""
    if Recipe.load(run.adapter / "recipe.toml") != run.recipe:
        return Check("recipe", "fail", "recipe.toml and adapter/recipe.toml differ")
    if run.environment.get("seed") != run.recipe.seed:
        return Check(
            "recipe", "fail", f"seed {run.recipe.seed}, but environment.json has {run.environment.get('seed')}"
        )
    return Check("recipe", "pass", "the one that the adapter was saved with")


def _weight(run: Run) -> Check:
    """weigh.json, the recipe weighed again, and the numbers that were really saved have to agree."""
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
    shares = [[part["parameters"] for part in weight["components"]] for weight in (run.weight, again)]
    if shares[0] != shares[1]:
        return Check("weight", "fail", f"weigh.json: the components are {shares[0]}; the recipe gives {shares[1]}")
    files = [run.adapter / name for name in WEIGHTS]
    saved = sum(header.parameters for file in files if file.is_file() for header in read_header(file).values())
    if saved != again["total"]:
        return Check("weight", "fail", f"the adapter holds {saved:,} numbers, not {again['total']:,} as weighed")
    over = again["total"] > again["budget"]
    return Check(
        "weight", "fail" if over else "pass", f"{saved:,} of a budget of {again['budget']:,}, weighed and saved"
    )


def _history(run: Run) -> Check:
    """Every step once and in order; the step that is called the best is the best; the figures are those of the end."""
    steps = [record["step"] for record in run.history if record["kind"] == "step"]
    if steps != list(range(1, len(steps) + 1)) or not steps:
        return Check("history", "fail", "history.jsonl: its steps do not count up from 1, each once")
    validations = [record for record in run.history if record["kind"] == "evaluation"]
    if any(record["step"] > len(steps) for record in validations):
        return Check("history", "fail", "history.jsonl: an evaluation lies after the last step")
    best = next((record for record in validations if record["step"] == run.evaluation.get("best_step")), None)
    claimed = run.evaluation.get("best_validation_accuracy")
    if best is None or abs(best["accuracy"] - claimed) > _ROUNDED:
        found = (
            f"step {run.evaluation.get('best_step')} has {best['accuracy']:.4f}"
            if best
            else "it has no such evaluation"
        )
        return Check("history", "fail", f"history.jsonl: {found}; evaluation.json calls it the best, with {claimed}")
    if better := next((record for record in validations if _is_better(record, best)), None):
        found = f"step {better['step']} with {better['accuracy']:.4f} is better than step {best['step']}"
        return Check("history", "fail", f"history.jsonl: {found}, the best by evaluation.json")
    return _final_accuracy(run, best if run.recipe.training.keep == "best" else validations[-1])


def _is_better(one: dict[str, Any], other: dict[str, Any]) -> bool:
    more = one["accuracy"] - other["accuracy"]
    return more > _ROUNDED or (abs(more) <= _ROUNDED and one["loss"] < other["loss"] - _ROUNDED)


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
    files = [run.adapter / name for name in WEIGHTS]
    names = [name for file in files if file.is_file() for name in read_header(file)]
    # The first number in a tensor's name is that of its layer; what is trained below the layers comes with layer 0.
    return not any(next(filter(str.isdecimal, name.split(".")), None) == "0" for name in names)


def _final_accuracy(run: Run, kept: dict[str, Any]) -> Check:
    figures = run.evaluation["validation"]
    steps = sum(record["kind"] == "step" for record in run.history)
    allowed = 0 if _evaluated_alike(run) else undecided_rows(run, "validation")
    if abs(round((kept["accuracy"] - figures["accuracy"]) * figures["rows"])) > allowed:
        found = f"had {kept['accuracy']:.4f} on the validation rows; evaluation.json has {figures['accuracy']:.4f}"
        return Check("history", "fail", f"history.jsonl: the step that was kept, {kept['step']}, {found}")
    return Check("history", "pass", f"{steps:,} steps, each once; the one that was kept has the claimed accuracy")
