"""Trains by a recipe and writes a finished run folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featherweight.argument_checks import list_of, require_path
from featherweight.cache import cache_folder
from featherweight.data.fingerprints import require_same_recipe, what_has_changed
from featherweight.data.kept_tables import tables_kept
from featherweight.data.sources import Rows
from featherweight.environment import is_first_process, release_gpu_memory
from featherweight.errors import UserError
from featherweight.files import write_json, write_whole
from featherweight.formatting import counted, listed
from featherweight.hints import Caller, called_from, for_command_line, to_resume, to_resume_here
from featherweight.progress import RowProgress
from featherweight.recipe import Recipe
from featherweight.run.cleanup import DRAWN, PAGE
from featherweight.run.folder import Run
from featherweight.run.lock import choose_folder, chosen_and_reserved, is_complete_run, locked
from featherweight.run.manifest import FILE as MANIFEST
from featherweight.run.manifest import missing_from, remake_manifest, write_manifest
from featherweight.task.interface import Task, task_of
from featherweight.training.listeners import Listener, notify
from featherweight.training.signals import end_on_signals
from featherweight.workflows.environment import describe_run, gpu_peak, most_memory
from featherweight.workflows.fitting import fit_prepared
from featherweight.workflows.phases import CHECK, EVALUATION, LOADING, REPORT, SOUP, TRAINING, Phases
from featherweight.workflows.prepare import Prepared, prepare
from featherweight.workflows.request import Request, requested
from featherweight.workflows.rows_in_memory import rows_named

if TYPE_CHECKING:
    from featherweight.training.job import LoopState


def train(
    recipe: Any,
    out: str | Path | None = None,
    *,
    listeners: Sequence[Listener] = (),
    resume: bool = False,
    test: Any = None,
    text: str | Sequence[str] = (),
    label: str | Sequence[str] | None = None,
    budget: int | str | None = None,
    backbone: str | os.PathLike[str] | None = None,
    overrides: Sequence[str] = (),
) -> Run:
    """Train, evaluate, save, check and report, and return the finished run.

    ``recipe`` is a Recipe, or the data to make a recipe for: the name of a file, folder or data set, a DataFrame, an
    Arrow table, a Dataset or DatasetDict, a list of dicts or of pairs of text and label, or a dict of columns. With
    data, ``test`` are the test rows (in any of these forms), ``text`` and ``label`` are column names (guessed if
    missing), and ``overrides`` are texts such as ``"training.epochs=2"``. Rows in memory are written into the run
    folder.

    ``out`` is the run folder (by default the next free ``runs/<name>``). Raises UserError for wrong input, before
    anything is written. Raises Interrupted or Diverged during the training; the run folder can then be resumed.
    """
    options = {"test": test, "text": text, "label": label, "budget": budget, "backbone": backbone}
    caller = Caller.RECIPE if isinstance(recipe, Recipe) else Caller.ARGUMENTS
    with called_from(caller), tables_kept():
        return _train_request(requested(recipe, overrides=overrides, **options), out, listeners, resume)


def _train_request(request: Request, out: str | Path | None, listeners: Sequence[Listener], resume: bool) -> Run:
    if out is not None:
        require_path(out, "out", "the path of a new run folder")
    listeners = list_of(listeners, "listeners=...", "listeners, such as [progress]")
    # Of several processes the first one locks the folder and prints messages.
    first, folder = is_first_process(), choose_folder(request.name, out, resume=resume)
    # During the steps a signal waits for a checkpoint; before and after them the process can end at once.
    held = chosen_and_reserved(request.name, out, resume=resume) if first else nullcontext(folder)
    with (
        end_on_signals(lambda: _how_to_resume(folder, request.recipe)),
        held as folder,
        rows_named(request.names(folder)),
    ):
        request = request.settled(folder)
        assert request.recipe is not None
        if first:
            # Also said for a mistyped folder; scripts that always resume begin their first training so.
            new = [f"{folder} holds no training to resume: a new one begins"] if resume and not _begun(folder) else []
            _tell(listeners, [*new, *request.notes])
        return _train(request.recipe, folder, listeners if first else (), resume)


def _tell(listeners: Sequence[Listener], notes: Sequence[str]) -> None:
    """Send ``notes`` to the listeners; print them on standard error if there are no listeners."""
    for note in notes:
        if listeners:
            notify(listeners, note)
        else:
            print(f"note: {note}", file=sys.stderr)


def _train(recipe: Recipe, folder: Path, listeners: Sequence[Listener], resume: bool) -> Run:
    started, phases = datetime.now(UTC), Phases()
    phases.begin(LOADING)
    notify(listeners, f"{recipe.name}: loading {recipe.backbone.name} and {recipe.data.train}")
    prepared = prepare(recipe)
    accelerator = prepared.accelerator
    if accelerator.num_processes > 1:
        from accelerate.utils import broadcast_object_list

        (folder,) = broadcast_object_list([folder])
    if resume:
        require_same_recipe(folder, prepared.recipe)
        if is_complete_run(folder):
            return _completed(folder, listeners)
    from featherweight.training.checkpoint import require_undamaged

    if accelerator.is_main_process:
        if resume:
            require_undamaged(folder / "checkpoint")
            prepared.splits.warnings.extend(what_has_changed(folder, describe_run(prepared, started)))
        _write_beginnings(prepared, folder, started)
    accelerator.wait_for_everyone()
    phases.begin(SOUP if prepared.ingredients else TRAINING)
    state, validation = fit_prepared(prepared, folder, [*listeners, phases], resume)
    if accelerator.is_main_process:
        finish(prepared, folder, state, validation, started, phases, listeners)
    accelerator.wait_for_everyone()
    return Run(folder)


def _begun(folder: Path) -> bool:
    """Whether a training has begun in ``folder``."""
    return (folder / "recipe.toml").is_file()


def _how_to_resume(folder: Path, recipe: Recipe | None) -> str:
    if _begun(folder):
        if recipe is not None and recipe.training.soup:
            return f"stopped; to finish it: {to_resume(folder)}"
        return f"stopped; to resume, {to_resume_here(folder)}"
    again = "run the same command again" if for_command_line() else "call train again"
    return f"stopped before the training began; {again}"


def _completed(folder: Path, listeners: Sequence[Listener]) -> Run:
    """The complete run in ``folder``. If its report or manifest is missing, it is written first.

    A new manifest takes the files as they are now, and so cannot show earlier changes; the user is told to verify them.
    Raises UserError if files of the adapter are missing.
    """
    from featherweight.workflows.report import is_reported, report_run

    if not is_first_process():
        return Run(folder)
    if not (folder / MANIFEST).is_file():
        with locked(folder):
            remake_manifest(folder)
        note = f"{folder}: complete, but {MANIFEST} was missing: it was written again from the current files"
        notify(listeners, f"{note}; to check them: featherweight verify {folder}")
    if lost := [name for name in missing_from(folder, "adapter") if name not in DRAWN]:
        missing = f"{listed(lost, 4)} {'is' if len(lost) == 1 else 'are'} missing"
        raise UserError(
            f"{folder}: the training is complete, but {missing}\n"
            "Restore what is missing from a copy, or train again in another folder"
        )
    if not is_reported(folder):
        with locked(folder):
            report_run(folder, lambda line: notify(listeners, line))
    return Run(folder)


def finish(
    prepared: Prepared,
    folder: Path,
    state: LoopState,
    logits: np.ndarray | None,
    started: datetime,
    phases: Phases,
    listeners: Sequence[Listener] = (),
) -> None:
    """Finish a run after its last step: save the adapter, check that it can be loaded, evaluate it, write the report.

    Before, the temperature that calibrates the probabilities is fitted on the validation rows, with their ``logits``
    [rows, classes], which are computed if None.
    """
    from featherweight.evaluation.calibration import fit_temperature

    model, validation = prepared.model, prepared.splits.validation
    assert validation.labels is not None
    phases.begin(EVALUATION)
    if logits is None:
        notify(listeners, f"evaluating {counted(len(validation), 'validation row')}")
        progress = RowProgress(partial(notify, listeners), "validation", len(validation))
        logits = model.logits(validation, cache=cache_folder(), advance=progress)
    task = task_of(prepared.recipe)
    temperature = fit_temperature(logits, validation.labels, task)
    task = task.fitted(logits, validation.labels, temperature)
    checked, others = _save_and_check(prepared, folder, temperature, task, phases, listeners)
    phases.begin(EVALUATION)
    _evaluate(prepared, folder, state, logits, others, temperature, task)
    environment = describe_run(prepared, started) | {
        "seconds": round(state.seconds_before + phases.total(), 2),
        "training_seconds": round(state.seconds, 2),
        "peak_memory_bytes": most_memory(folder),
        **gpu_peak(model.engine.device),
    }
    phases.begin(REPORT)
    _complete(folder, environment, checked, listeners)
    notify(listeners, phases.in_words())


def _save_and_check(
    prepared: Prepared, folder: Path, temperature: float, task: Task, phases: Phases, listeners: Sequence[Listener]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Save the adapter and check it in a new process; return the result of the check, and logits of other sets.

    These logits, of the test and shift sets by name, are computed while the new process starts.
    """
    from featherweight.adapter.storage import save_adapter
    from featherweight.model.probes import write_probes
    from featherweight.verification.reload import reload_check

    phases.begin(CHECK)
    notify(listeners, "saving the adapter, and comparing it with the trained model in a fresh process")
    model, validation = prepared.model, prepared.splits.validation
    fit: dict[str, Any] = {"temperature": temperature, "thresholds": task.thresholds}
    save_adapter(model.network, folder / "adapter", prepared.recipe, prepared.backbone, model.tokenizer, **fit)
    write_probes(folder / "adapter", model, pairs=prepared.recipe.data.join == "pair")
    sample = list(validation.texts[:64])
    live = model.logits(Rows(sample, None, validation.label_names, "validation"), cache=cache_folder())
    release_gpu_memory()  # the new process loads the model on the same GPU
    with reload_check(folder, sample, live, model.engine.precision) as check:
        phases.begin(EVALUATION)  # while the new process starts, which takes seconds
        others = _other_logits(prepared, listeners)
        phases.begin(CHECK)
        return check(), others


def _complete(
    folder: Path, environment: dict[str, Any], checked: dict[str, Any], listeners: Sequence[Listener]
) -> None:
    """Write environment.json, verification.json, the manifest and the report, which complete a run."""
    from featherweight.workflows.report import report_run

    notify(listeners, "writing the report")
    write_json(folder / "environment.json", environment)
    # The next two files, in this order, make the run complete (`Run.complete`). Files that an earlier version took as
    # the sign of a complete run, and a report of the unfinished run, must be removed before.
    for name in (MANIFEST, PAGE):
        (folder / name).unlink(missing_ok=True)
    write_json(folder / "verification.json", checked)
    write_manifest(folder)
    report_run(folder, lambda line: notify(listeners, line))


def _other_logits(prepared: Prepared, listeners: Sequence[Listener]) -> dict[str, np.ndarray]:
    """Logits [rows, classes] of the test set and of each shift set, by name of the set."""
    from featherweight.workflows.evaluate import other_sets

    logits = {}
    for name, rows in other_sets(prepared.splits).items():
        notify(listeners, f"evaluating {counted(len(rows), 'row')}: {name}")
        progress = RowProgress(partial(notify, listeners), name, len(rows))
        logits[name] = prepared.model.logits(rows, cache=cache_folder(), advance=progress)
    return logits


def _evaluate(
    prepared: Prepared,
    folder: Path,
    state: LoopState,
    validation: np.ndarray,
    others: Mapping[str, np.ndarray],
    temperature: float,
    task: Task,
) -> None:
    from featherweight.workflows.evaluate import evaluate_splits

    settings = prepared.recipe.evaluation
    best = state.found(settings.best_by)
    evaluate_splits(folder, prepared.splits, validation, others, temperature, settings, task, **best)


def _write_beginnings(prepared: Prepared, folder: Path, started: datetime) -> None:
    write_whole(folder / "recipe.toml", prepared.recipe.to_toml())
    write_json(folder / "weigh.json", prepared.weight.as_dict())
    write_json(folder / "environment.json", describe_run(prepared, started))
