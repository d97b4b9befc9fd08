"""Stores with a trial of a search why it ended early, and how long it took."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from featherweight.data.fingerprints import differing_keys
from featherweight.errors import FeatherweightError, UserError, first_line
from featherweight.hints import elsewhere
from featherweight.report.search.trials import NOTE, REFUSED, SECONDS, origin
from featherweight.workflows.input_fingerprints import IN_WORDS
from featherweight.workflows.search_inputs import require_searchable
from featherweight.workflows.search_study import Search
from featherweight.workflows.training_process import NotANumber, Refused, Stopped, seconds_trained

if TYPE_CHECKING:
    from optuna.trial import Trial


@contextmanager
def noted(trial: Trial, search: Search, folder: Path) -> Iterator[None]:
    """Within the context, the reason why ``trial`` ends early is stored with it; its checkpoint in ``folder`` goes.

    Raises TrialPruned for a training that was stopped, and for values that it refused, if what all trials read is still
    there; otherwise UserError. Other errors are raised again. After a UserError the trial is to be trained again, and
    so it gets no note.
    """
    import optuna

    try:
        yield
    except (Stopped, NotANumber, Refused) as error:
        if isinstance(error, Refused):
            _require_unchanged_inputs(search)
            trial.set_user_attr(REFUSED, True)
        _end(trial, error, folder)
        raise optuna.TrialPruned(str(error)) from None
    except FeatherweightError as error:
        if not isinstance(error, UserError):
            _end(trial, error, folder)
        raise


def _end(trial: Trial, error: Exception, folder: Path) -> None:
    trial.set_user_attr(NOTE, first_line(error))
    shutil.rmtree(folder / "checkpoint", ignore_errors=True)


def _require_unchanged_inputs(search: Search) -> None:
    """Raise UserError if something that all trials read is missing or damaged, or has changed since the beginning."""
    _, now = require_searchable(search.original, search.searched.recipe, search.searched.space)
    if changed := differing_keys(search.inputs, now):
        what = IN_WORDS[changed[0]]
        raise UserError(
            f"{search.out}: the {what} have changed since the search began\nRestore the original, or {elsewhere()}"
        )


@contextmanager
def timed(trial: Trial, folder: Path) -> Iterator[None]:
    """Within the context, the duration of ``trial`` is measured; that of its earlier attempts is added.

    The training in ``folder`` may know of more: nobody measures an attempt that is killed.
    """
    from optuna.exceptions import UpdateFinishedTrialError

    attempts = [one for one in trial.study.get_trials(deepcopy=False) if origin(one) == origin(trial)]
    earlier, began = max(one.user_attrs.get(SECONDS, 0.0) for one in attempts), time.perf_counter()

    def store() -> None:
        seconds = earlier + time.perf_counter() - began
        trial.set_user_attr(SECONDS, round(max(seconds, seconds_trained(folder)), 1))

    try:
        yield
    except BaseException:
        with suppress(UpdateFinishedTrialError):  # it must not hide the error
            store()
        raise
    store()
