"""Trains in a new process, whose memory is free again at its end: a trial of a search, or a fold of an audit.

The process trains on the training rows and evaluates on the validation rows; it reads no test rows. It sends each
evaluation to the caller, which answers whether to go on. It saves no adapter and no report; its folder has recipe,
history and, until it ends, a checkpoint. It also has the recipe as the caller gave it, and the fingerprints of rows and
weights, so that no training of another recipe, or of other rows or weights, is resumed.
"""

from __future__ import annotations

import multiprocessing
import shutil
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featherweight.errors import DiskError, FeatherweightError, UserError, lacks_memory
from featherweight.files import read_object, write_json, write_whole
from featherweight.hints import Caller, called_from, caller
from featherweight.recipe import Recipe
from featherweight.run.best import figure, rank
from featherweight.run.cleanup import remove
from featherweight.run.folder import read_history
from featherweight.run.lock import TakenError, locked, only_user

if TYPE_CHECKING:
    from featherweight.training.listeners import Listener, Record

PARTS = 10
"""An evaluation is compared with those of other trials in the same tenth of the training: trials with different batch
sizes are evaluated at different steps."""
ASKED, INPUTS, DONE, LOGITS = "asked.toml", "inputs.json", "trial.json", "logits.npy"
"""The recipe that was asked for, the fingerprints of rows and weights, the result of a finished training, and the
logits of its validation rows, in its folder."""


@contextmanager
def removed_if_refused(record: Path, trainings: Path, unfinished: Path | None = None) -> Iterator[None]:
    """Within the context, an error removes what this call has written, so that the user can correct and repeat it.

    Otherwise the corrected call would be refused, because the folder would have a search or audit with other settings.
    Nothing is removed if the folder was begun by an earlier call, or has a finished training; after another error than
    UserError also if a training has begun. ``record`` is the file with the settings of the search or audit (such as
    ``search.db``), ``trainings`` the folder of its trainings, and ``unfinished`` a folder in it that is removed with
    its files.
    """
    out, begun = record.parent, record.is_file()
    new = [path for path in (out, *out.parents) if not path.exists()]
    try:
        yield
    except Exception as error:
        if not begun and not any(trainings.rglob(DONE if isinstance(error, UserError) else "*")):
            record.unlink(missing_ok=True)
            if unfinished is not None:
                shutil.rmtree(unfinished, ignore_errors=True)
            for path in (trainings, *new):
                with suppress(OSError):  # missing, or with other files of the user
                    path.rmdir()
        raise


class Stopped(Exception):
    """The exception for a training that the caller stopped, for instance because other trials were better."""


class Refused(UserError):
    """The exception for a training that the process has refused as wrong input, such as values that do not fit."""


class NotANumber(FeatherweightError):
    """The exception for a training whose loss is not finite."""


class Ended(FeatherweightError):
    """The exception for a process that ended without a result, or whose memory was full."""


def train_in_a_process(
    recipe: Recipe,
    folder: Path,
    goes_on: Callable[[int, float], bool],
    *,
    logits: bool = False,
    inputs: Mapping[str, Any] | None = None,
) -> float:
    """Train ``recipe`` in a new process, with its files in ``folder``, and return the metric ``evaluation.best_by``.

    It is measured on the validation rows, for the adapter that ``training.keep`` selects. After each evaluation
    ``goes_on`` is called with the progress in tenths of the training (0 to 10) and the metric, and returns whether to
    continue; if not, Stopped is raised. With ``logits`` the logits of the validation rows are written into ``folder``,
    float64 [rows, classes]. An interrupted training of ``recipe`` in ``folder`` is resumed; that of another recipe is
    removed, and with ``inputs``, the fingerprints of rows and weights, also that of others. Raises NotANumber, Ended,
    TakenError if another process trains in ``folder``, Refused for other wrong input, and the errors of a training.
    """
    _remove_another(folder, recipe, inputs)
    if (folder / DONE).is_file():
        return float(read_object(folder / DONE)["value"])
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_train, args=(recipe.to_toml(), folder, there, logits, caller()))
    process.start()
    there.close()
    try:
        return _follow(here, goes_on)
    except EOFError:
        process.join()
        raise Ended(
            f"{folder}: the process of the training ended with exit code {process.exitcode}, perhaps for lack of "
            "memory; a smaller training.batch_size needs less"
        ) from None
    finally:
        # After a signal or an error the process still trains; it then writes a checkpoint and ends.
        if process.is_alive():
            process.terminate()
        process.join()


def wait_until_free(folder: Path, seconds: float, begins: Callable[[], None]) -> None:
    """Wait until no process trains in ``folder``, at most ``seconds``; ``begins`` is called before the wait.

    A training whose caller was killed goes on until it has made a step, or evaluates. Raises TakenError if it is too
    long.
    """
    end, waits = time.monotonic() + seconds, False
    while folder.is_dir():
        try:
            with only_user(folder):
                return
        except TakenError:
            if time.monotonic() >= end:
                raise
        if not waits:
            begins()
        waits = True
        time.sleep(1)


def seconds_trained(folder: Path) -> float:
    """The duration of the finished training in ``folder`` with all of its parts; 0 if none has finished."""
    return float(read_object(folder / DONE)["seconds"]) if (folder / DONE).is_file() else 0.0


def _remove_another(folder: Path, recipe: Recipe, inputs: Mapping[str, Any] | None) -> None:
    """Remove the training in ``folder`` unless it is of ``recipe`` and ``inputs``. Raises TakenError if it runs."""
    asked = folder / ASKED
    if not folder.is_dir():
        return
    if asked.is_file() and asked.read_text("utf-8") == recipe.to_toml():
        with suppress(UserError):  # the file is missing or damaged
            if not inputs or read_object(folder / INPUTS) == inputs:
                return
    with only_user(folder):
        remove(path for path in folder.iterdir() if path.name != ".lock")


def _follow(connection: Connection, goes_on: Callable[[int, float], bool]) -> float:
    errors = {
        "stopped": Stopped, "not a number": NotANumber, "no memory": Ended, "taken": TakenError, "disk": DiskError,
        "refused": Refused, "failed": FeatherweightError,
    }  # fmt: skip
    while True:
        kind, *content = connection.recv()
        if kind == "evaluated":
            connection.send(goes_on(*content))
        elif kind == "done":
            return float(content[0])
        else:
            raise errors[kind](content[0])


def _train(recipe: str, folder: Path, connection: Connection, logits: bool, user: Caller) -> None:
    """The function of the new process: train, and send each evaluation, and the result or the error, to the caller.

    Messages are written for ``user``.
    """
    from featherweight.training.loop import Diverged
    from featherweight.training.signals import Interrupted

    try:
        read = Recipe.parse(tomllib.loads(recipe))
        reporter = _Reporter(read.evaluation.best_by, connection)
        with called_from(user):
            connection.send(("done", train_for_validation(read, folder, [reporter], logits=logits)))
    except Stopped as stop:
        connection.send(("stopped", str(stop)))
    except Diverged as error:
        connection.send(("not a number", str(error)))
    except Interrupted:
        return
    except UserError as error:
        kind = "taken" if isinstance(error, TakenError) else "disk" if isinstance(error, DiskError) else "refused"
        connection.send((kind, str(error)))
    except Exception as error:
        if lacks_memory(error):
            connection.send(("no memory", f"{folder}: not enough memory; a smaller training.batch_size needs less"))
            return
        connection.send(("failed", f"{type(error).__name__}: {error}"))


def train_for_validation(
    recipe: Recipe, folder: Path, listeners: Sequence[Listener] = (), *, logits: bool = False
) -> float:
    """Train ``recipe`` in ``folder``, and return the metric ``evaluation.best_by`` of the adapter that it keeps.

    An interrupted training is resumed. After a finished training, the folder keeps the recipe, the history and the
    result, and with ``logits`` also the logits of the validation rows.
    """
    from featherweight.cache import cache_folder
    from featherweight.workflows.fitting import fit_prepared
    from featherweight.workflows.input_fingerprints import input_fingerprints
    from featherweight.workflows.prepare import prepare

    with locked(folder):
        prepared = prepare(recipe)
        write_whole(folder / "recipe.toml", prepared.recipe.to_toml())
        made_from = (prepared.recipe, prepared.splits, prepared.backbone, prepared.teachers)
        write_json(folder / INPUTS, input_fingerprints(*made_from))
        write_whole(folder / ASKED, recipe.to_toml())
        state, of_validation = fit_prepared(prepared, folder, listeners, resume=True)
        best_by = recipe.evaluation.best_by
        records = [record for record in read_history(folder / "history.jsonl") if record["kind"] == "evaluation"]
        kept = records[-1] if recipe.training.keep == "last" else max(records, key=lambda one: rank(one, best_by))
        value = figure(kept, best_by)
        if logits:
            if of_validation is None:
                of_validation = prepared.model.logits(prepared.splits.validation, cache=cache_folder())
            np.save(folder / LOGITS, of_validation, allow_pickle=False)
        write_json(folder / DONE, {"value": value, "seconds": state.seconds})
        shutil.rmtree(folder / "checkpoint", ignore_errors=True)
    return value


class _Reporter:
    """A listener that sends each evaluation to the caller, and raises Stopped if the caller requests it."""

    def __init__(self, best_by: str, connection: Connection) -> None:
        self._best_by, self._connection = best_by, connection
        self._steps = 1

    def started(self, total_steps: int, first_step: int, notes: Sequence[str]) -> None:
        """Store the number of steps."""
        self._steps = total_steps

    def noted(self, message: str) -> None:
        """Do nothing: the caller has many trainings, and reports only their results."""

    def stepped(self, record: Record) -> None:
        """Do nothing: only evaluations are sent."""

    def evaluated(self, record: Record, best: bool) -> None:
        """Send the metric to the caller, and raise Stopped if it answers that the training should end."""
        part = PARTS * int(record["step"]) // self._steps
        self._connection.send(("evaluated", part, figure(record, self._best_by)))
        if not self._connection.recv():
            raise Stopped(f"stopped at step {record['step']} of {self._steps}")
