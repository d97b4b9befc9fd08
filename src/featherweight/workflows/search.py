"""Searches for a better recipe within the same budget, on validation rows only, with Optuna.

Optuna proposes values, stops trials that fall behind, and keeps the trials in a database. Several workers, also on
several machines, share a search by sharing that database.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from featherweight.argument_checks import require_path, require_whole
from featherweight.budget.weigh import weigh
from featherweight.errors import FeatherweightError, UserError, first_line
from featherweight.files import write_whole
from featherweight.formatting import counted
from featherweight.hints import Caller, called_with, flag
from featherweight.recipe import Recipe
from featherweight.recipe.schema import require_recipe
from featherweight.recipe.search_space import SearchSpace
from featherweight.report.search.page import write_search
from featherweight.report.search.trials import (
    NOTE,
    ORIGIN,
    PARAMETERS,
    REFUSED,
    in_order,
    numbers_of,
    origin,
    short_key,
    shown_value,
    trial_rows,
)
from featherweight.run.lock import TakenError, require_writable
from featherweight.workflows.input_fingerprints import of_one_backbone
from featherweight.workflows.search_inputs import require_searchable
from featherweight.workflows.search_outcome import noted, timed
from featherweight.workflows.search_proposal import Searched, suggested, winner, without_test_rows
from featherweight.workflows.search_study import (
    Search,
    alone,
    database_errors_told,
    open_study,
    queue_again,
    quiet,
    require_optuna,
    resume_interrupted,
    storage_url,
)
from featherweight.workflows.search_workers import work_together
from featherweight.workflows.training_process import (
    PARTS,
    Ended,
    removed_if_refused,
    train_in_a_process,
    wait_until_free,
)

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial, Trial

_FAILURES = 3
"""After this many failures before any success the search ends: the fault is not one of the proposal."""
_PATIENCE = 600.0
"""Seconds that a trial waits for an earlier training in its folder to end."""


@called_with(Caller.RECIPE)
def run_search(
    recipe: Recipe,
    out: str | Path,
    *,
    space: SearchSpace | None = None,
    trials: int = 20,
    storage: str | None = None,
    workers: int = 1,
    announce: Callable[[str], None] = print,
) -> Recipe:
    """Search the ``space`` around ``recipe`` and return the recipe of the best trial, which is also in ``out``.

    ``out`` gets best.toml, search.html, trials.csv and a folder for each trial. ``storage`` is an SQLAlchemy URL of the
    database of the trials; by default it is ``out``/search.db. The same call again resumes the search; ``trials`` is
    the number of all trials. Each trial trains on the training rows and is evaluated on the validation rows; test rows
    are never read. Raises UserError for wrong input, Interrupted at a signal.
    """
    require_recipe(recipe, "run_search")
    require_path(out, "out", "the path of a folder for the search")
    trials, workers = require_whole(trials, "trials", "20"), require_whole(workers, "workers", "2")
    if trials < 1 or workers < 1:
        both = f"{flag('--trials')} and {flag('--workers')}"
        raise UserError(f"a search needs at least one trial and one worker; set {both} to 1 or more")
    if recipe.training.soup:
        raise UserError("training.soup: a soup trains nothing; search around the recipe of one of its runs")
    require_optuna()
    from featherweight.training.signals import end_on_signals

    out = Path(out)
    require_writable(out)
    searched = Searched.of(without_test_rows(recipe), space)
    splits, inputs = require_searchable(recipe, searched.recipe, searched.space)
    search = Search(searched, recipe, out, storage_url(storage, out), trials, announce, inputs)
    with (
        end_on_signals(lambda: f"stopped; to resume the search in {out}, run the same command again"),
        quiet(),
        removed_if_refused(out / "search.db", out / "trials"),
        alone(search),
        database_errors_told(),
    ):
        study = open_study(search)
        if search.local:
            resume_interrupted(study)
        if workers == 1:
            work(search, study)
        else:
            work_together(search, min(workers, trials), work)
        return _write_results(search, study, len(splits.validation))


def _write_results(search: Search, study: Study, validation_rows: int) -> Recipe:
    """Write best.toml, trials.csv and search.html, and return the best recipe.

    ``validation_rows`` is the number of rows that each trial was evaluated on. Raises FeatherweightError if no trial
    was completed.
    """
    rows = in_order(trial_rows(study.get_trials(deepcopy=False)), higher_is_better=search.best_by != "log_loss")
    if not rows or not rows[0].complete:
        remedy = f"raise {flag('--trials')}, or allow more values in the section [search] of the recipe"
        reason = f" ({rows[-1].note})" if rows and rows[-1].note else ""
        raise FeatherweightError(f"{search.out}: no trial was completed{reason}; {remedy}")
    recipe = winner(search.searched, search.original, rows[0].values)
    write_whole(search.out / "best.toml", recipe.to_toml())
    read = f"All results are of {counted(validation_rows, 'validation row')}; test rows were not read."
    write_search(study, search.original, search.out, read)
    return recipe


def work(search: Search, study: Study) -> None:
    """Train trials until the wanted number is reached. Raises the errors of a training, and Interrupted."""
    import optuna

    optuna.storages.fail_stale_trials(study)  # a machine may have failed in one of the last trials
    while _is_open(study.get_trials(deepcopy=False), search.trials):
        ended = _next_trial(search, study)
        optuna.storages.fail_stale_trials(study)
        if ended:
            _tell(search, study)


def _next_trial(search: Search, study: Study) -> bool:
    """Train one trial, and return whether it has ended: a worker of another machine may have taken it over."""
    from optuna.exceptions import UpdateFinishedTrialError

    begun: list[Trial] = []
    raised: list[BaseException] = []

    def objective(trial: Trial) -> float:
        begun.append(trial)
        try:
            return _objective(trial, search)
        except BaseException as error:
            raised.append(error)
            raise

    try:
        study.optimize(objective, n_trials=1, catch=(Ended,))
    except ValueError as error:
        # Optuna's, about a trial that was declared dead meanwhile; it hides the error of the training.
        if not raised or raised[0] is error:
            raise
        if not isinstance(raised[0], UpdateFinishedTrialError):
            raise raised[0] from None
        number = numbers_of(study.get_trials(deepcopy=False))[origin(begun[0])]
        search.announce(
            f"trial {number} was taken over by another worker, because the database got no sign of life from this one; "
            "the search goes on"
        )
        return False
    return True


def _is_open(trials: list[FrozenTrial], wanted: int) -> bool:
    """Whether fewer than ``wanted`` trials have begun, or an interrupted trial waits to be resumed."""
    begun = {origin(trial) for trial in trials if trial.state.name != "WAITING"}
    return len(begun) < wanted or any(trial.state.name == "WAITING" and ORIGIN in trial.user_attrs for trial in trials)


def _objective(trial: Trial, search: Search) -> float:
    try:
        trial.set_user_attr(ORIGIN, origin(trial))
        return _trained(trial, search)
    except (KeyboardInterrupt, UserError):  # wrong input of all trials; the next call trains this trial again
        queue_again(trial.study, trial.number)
        raise


def _trained(trial: Trial, search: Search) -> float:
    """The result of ``trial``. Raises TrialPruned, with a note at the trial, if it has none, and Ended."""
    recipe = _proposed(trial, search)
    number = numbers_of(trial.study.get_trials(deepcopy=False))[origin(trial)]
    folder, reported = search.folder_of(number), {PARTS}  # after its last evaluation a trial is not stopped early

    def goes_on(part: int, value: float) -> bool:
        if part in reported:
            return True
        reported.add(part)
        trial.report(value, part)
        return not trial.should_prune()

    try:
        wait_until_free(folder, _PATIENCE, lambda: search.announce(f"trial {number} waits: {folder} is still in use"))
        with noted(trial, search, folder), timed(trial, folder):
            inputs = of_one_backbone(search.inputs, recipe.backbone.name)
            return train_in_a_process(recipe, folder, goes_on, inputs=inputs)
    except TakenError:
        raise TakenError(
            f"{folder}: a training of an earlier call still runs\n"
            "Wait until it has ended, and run the same command again"
        ) from None


def _proposed(trial: Trial, search: Search) -> Recipe:
    """The recipe with the values that Optuna proposes. Raises TrialPruned if they exclude each other, or do not fit."""
    import optuna

    values = suggested(trial, search.searched.space)
    try:
        recipe = search.searched.fitted(values)
    except UserError as error:  # values that exclude each other
        trial.set_user_attr(NOTE, first_line(error))
        raise optuna.TrialPruned from None
    if recipe is None:
        trial.set_user_attr(NOTE, "does not fit the budget, not even with rank 1")
        raise optuna.TrialPruned
    weight = weigh(recipe, search.searched.sizes_of(recipe).architecture, search.searched.labels)
    trial.set_user_attr(PARAMETERS, weight.total)
    return recipe


def _tell(search: Search, study: Study) -> None:
    """Announce the result of the last trial. Raises FeatherweightError if several trials failed and none succeeded."""
    trials = study.get_trials(deepcopy=False)
    ended = [trial for trial in trials if trial.state.is_finished()]
    complete = [trial for trial in ended if trial.state.name == "COMPLETE"]
    failed = [
        trial
        for trial in ended
        if NOTE in trial.user_attrs and (trial.state.name == "FAIL" or REFUSED in trial.user_attrs)
    ]
    if len(failed) >= _FAILURES and not complete:
        raise FeatherweightError(
            f"the search stops, because {len(failed)} trials failed and none succeeded: {failed[-1].user_attrs[NOTE]}"
        )
    last = max(ended, key=lambda trial: trial.datetime_complete or datetime.min)
    note = str(last.user_attrs.get(NOTE, "failed"))
    result = search.shown(last.value or 0.0) if last.state.name == "COMPLETE" else note
    numbers = numbers_of(trials)
    best = f"; best {search.shown(study.best_value)}, trial {numbers[origin(study.best_trial)]}" if complete else ""
    values = ", ".join(f"{short_key(key)} {shown_value(value)}" for key, value in last.params.items())
    done = len(
        {origin(trial) for trial in ended} - {origin(trial) for trial in trials if not trial.state.is_finished()}
    )
    search.announce(f"{done} of {search.trials} done: trial {numbers[origin(last)]}, {result}{best} ({values})")
