"""Searches for a better recipe within the same budget, on validation rows only, with Optuna.

Optuna proposes values, stops trials that fall behind, and keeps the trials in a database. Several workers, also on
several machines, share a search by sharing that database.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING

from featherweight.argument_checks import require_path, require_whole
from featherweight.budget.weigh import weigh
from featherweight.data.fingerprints import rows_fingerprint
from featherweight.errors import FeatherweightError, UserError, first_line
from featherweight.files import write_whole
from featherweight.formatting import counted
from featherweight.hints import Caller, called_with
from featherweight.recipe import Recipe
from featherweight.recipe.schema import require_recipe
from featherweight.recipe.search_space import SearchSpace
from featherweight.report.search.page import write_search
from featherweight.report.search.trials import (
    NOTE,
    ORIGIN,
    PARAMETERS,
    SECONDS,
    in_order,
    numbers_of,
    origin,
    shown_value,
    trial_rows,
)
from featherweight.run.lock import require_writable
from featherweight.workflows.search_proposal import Searched, require_searchable, suggested, winner, without_test_rows
from featherweight.workflows.search_study import (
    Search,
    alone,
    open_study,
    queue_again,
    quiet,
    require_optuna,
    resume_interrupted,
    storage_url,
)
from featherweight.workflows.training_process import (
    PARTS,
    Ended,
    NotANumber,
    Stopped,
    removed_if_refused,
    train_in_a_process,
)

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial, Trial

_FAILURES = 3
"""After this many failures before any success the search ends: the fault is not one of the proposal."""


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
        raise UserError("a search needs at least one trial and one worker; set --trials and --workers to 1 or more")
    if recipe.training.soup:
        raise UserError("training.soup: a soup trains nothing; search around the recipe of one of its runs")
    require_optuna()
    from featherweight.training.signals import end_on_signals

    out = Path(out)
    require_writable(out)
    searched = Searched.of(without_test_rows(recipe), space)
    splits = require_searchable(recipe, searched.recipe)
    url = storage_url(storage, out)
    rows = {"training": rows_fingerprint(splits.train), "validation": rows_fingerprint(splits.validation)}
    search = Search(searched, recipe, out, url, trials, announce, rows)
    with (
        end_on_signals(lambda: f"stopped; to resume the search in {out}, run the same command again"),
        quiet(),
        removed_if_refused(out / "search.db", out / "trials"),
        alone(search),
    ):
        study = open_study(search)
        if search.local:
            resume_interrupted(study)
        if workers == 1:
            work(search, study)
        else:
            _work_together(search, min(workers, trials))
        return _write_results(search, study, len(splits.validation))


def _write_results(search: Search, study: Study, validation_rows: int) -> Recipe:
    """Write best.toml, trials.csv and search.html, and return the best recipe.

    ``validation_rows`` is the number of rows that each trial was evaluated on. Raises FeatherweightError if no trial
    was completed.
    """
    rows = in_order(trial_rows(study.get_trials(deepcopy=False)), higher_is_better=search.best_by != "log_loss")
    if not rows or not rows[0].complete:
        remedy = "raise --trials, or allow more values in the section [search] of the recipe"
        raise FeatherweightError(f"{search.out}: no trial was completed; {remedy}")
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
        study.optimize(lambda trial: _objective(trial, search), n_trials=1, catch=(Ended,))
        optuna.storages.fail_stale_trials(study)
        _tell(search, study)


def _is_open(trials: list[FrozenTrial], wanted: int) -> bool:
    """Whether fewer than ``wanted`` trials have begun, or an interrupted trial waits to be resumed."""
    begun = {origin(trial) for trial in trials if trial.state.name != "WAITING"}
    return len(begun) < wanted or any(trial.state.name == "WAITING" and ORIGIN in trial.user_attrs for trial in trials)


def _objective(trial: Trial, search: Search) -> float:
    trial.set_user_attr(ORIGIN, origin(trial))
    try:
        return _trained(trial, search)
    except KeyboardInterrupt:
        queue_again(trial.study, trial.number)
        raise


def _trained(trial: Trial, search: Search) -> float:
    """The result of ``trial``. Raises TrialPruned, with a note at the trial, if it has none, and Ended."""
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
    weight = weigh(recipe, search.searched.architecture, search.searched.labels)
    trial.set_user_attr(PARAMETERS, weight.total)
    number = numbers_of(trial.study.get_trials(deepcopy=False))[origin(trial)]
    began, reported = time.perf_counter(), {PARTS}  # after its last evaluation a trial is not stopped early

    def goes_on(part: int, value: float) -> bool:
        if part in reported:
            return True
        reported.add(part)
        trial.report(value, part)
        return not trial.should_prune()

    try:
        return train_in_a_process(recipe, search.folder_of(number), goes_on)
    except (Stopped, NotANumber) as error:
        trial.set_user_attr(NOTE, str(error))
        raise optuna.TrialPruned(str(error)) from None
    except Ended as error:
        trial.set_user_attr(NOTE, str(error))
        raise
    finally:
        trial.set_user_attr(SECONDS, round(time.perf_counter() - began, 1))


def _tell(search: Search, study: Study) -> None:
    """Announce the result of the last trial. Raises FeatherweightError if several trials failed and none succeeded."""
    trials = study.get_trials(deepcopy=False)
    ended = [trial for trial in trials if trial.state.is_finished()]
    complete = [trial for trial in ended if trial.state.name == "COMPLETE"]
    failed = [trial for trial in ended if trial.state.name == "FAIL" and NOTE in trial.user_attrs]
    if len(failed) >= _FAILURES and not complete:
        raise FeatherweightError(
            f"the search stops, because {len(failed)} trials failed and none succeeded: {failed[-1].user_attrs[NOTE]}"
        )
    last = max(ended, key=lambda trial: trial.datetime_complete or datetime.min)
    note = str(last.user_attrs.get(NOTE, "failed"))
    result = search.shown(last.value or 0.0) if last.state.name == "COMPLETE" else note
    numbers = numbers_of(trials)
    best = f"; best {search.shown(study.best_value)}, trial {numbers[origin(study.best_trial)]}" if complete else ""
    values = ", ".join(f"{key.rpartition('.')[2]} {shown_value(value)}" for key, value in last.params.items())
    done = len(
        {origin(trial) for trial in ended} - {origin(trial) for trial in trials if not trial.state.is_finished()}
    )
    search.announce(f"{done} of {search.trials} done: trial {numbers[origin(last)]}, {result}{best} ({values})")


def _work_together(search: Search, workers: int) -> None:
    """Run ``workers`` processes that share the trials and the processor's cores. Raises the first error of a worker."""
    context = multiprocessing.get_context("spawn")
    pairs = [context.Pipe(duplex=False) for _ in range(workers)]
    own = replace(search, announce=print)  # each process gets a function that sends its lines here
    processes = [context.Process(target=_worker, args=(own, number, there)) for number, (_, there) in enumerate(pairs)]
    try:
        with _cores_for_each(workers):
            for process in processes:
                process.start()
        for _, there in pairs:
            there.close()
        _follow([here for here, _ in pairs], search.announce)
    except BaseException:
        for process in processes:
            if process.is_alive():
                process.terminate()
        raise
    finally:
        for process in processes:
            if process.pid:
                process.join()
    if ended := next((process for process in processes if process.exitcode), None):
        raise FeatherweightError(f"a worker ended with exit code {ended.exitcode}; to resume, run the search again")


def _follow(workers: list[Connection], announce: Callable[[str], None]) -> None:
    """Pass each line from a worker to ``announce`` until all workers have ended. Raises the error of a worker."""
    while workers:
        for one in wait(workers):
            assert isinstance(one, Connection)
            try:
                kind, text = one.recv()
            except EOFError:
                workers.remove(one)
                continue
            if kind != "line":
                raise (UserError if kind == "UserError" else FeatherweightError)(text)
            announce(text)


@contextmanager
def _cores_for_each(workers: int) -> Iterator[None]:
    """Within the context, each new process uses its share of the cores, unless the user has set a number of threads."""
    with ExitStack() as restored:
        if "OMP_NUM_THREADS" not in os.environ:
            os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // workers))
            restored.callback(os.environ.pop, "OMP_NUM_THREADS", None)
        yield


def _worker(search: Search, number: int, parent: Connection) -> None:
    """The function of a worker process: train trials; send ``parent`` each line to announce, or the error."""
    from featherweight.training.signals import Interrupted, end_on_signals

    search = replace(search, announce=lambda line: parent.send(("line", line)))
    try:
        with end_on_signals(lambda: "stopped"), quiet():
            work(search, open_study(search, number))
    except Interrupted:
        return
    except FeatherweightError as error:
        parent.send((type(error).__name__, str(error)))
