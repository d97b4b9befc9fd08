"""Opens, resumes and shares the Optuna study of a search: its database and its sampler."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featherweight.errors import FeatherweightError, UserError, first_line
from featherweight.hints import elsewhere, flag, to_install
from featherweight.recipe import Recipe
from featherweight.report.search.trials import ORIGIN, origin
from featherweight.run.best import metric_of
from featherweight.run.lock import TakenError, only_user
from featherweight.workflows.input_fingerprints import IN_WORDS
from featherweight.workflows.search_proposal import Searched

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage
    from sqlalchemy import Connection, Engine

_HEARTBEAT = 30
"""Seconds between two signs of life of a trial. After four times as long without one, another worker takes it over."""


_WRITE_A_URL = "write a URL, such as sqlite:///search.db or postgresql://host/database"


@dataclass(frozen=True)
class Search:
    """One search: its recipe and search space, its folder, the URL of its database, and how many trials are wanted."""

    searched: Searched
    original: Recipe
    out: Path
    storage: str
    trials: int
    announce: Callable[[str], None] = print
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """``input_fingerprints`` of its trials; a search with other rows or other weights is not resumed."""

    @property
    def local(self) -> bool:
        """Whether the database is the file search.db in ``out``; then no other machine and no other search uses it."""
        return self.storage == storage_url(None, self.out)

    def folder_of(self, number: int) -> Path:
        """The folder of trial ``number``, as counted by ``numbers_of``."""
        return self.out / "trials" / f"{number:04}"

    @property
    def best_by(self) -> str:
        """The metric that the search optimises, as named by ``evaluation.best_by``."""
        return self.searched.recipe.evaluation.best_by

    def shown(self, value: float) -> str:
        """A value of the optimised metric, with the name of the metric."""
        metric = metric_of(self.best_by, several=self.original.task == "multi-label")
        return f"{metric.name} {metric.words(value)}"


def require_optuna() -> None:
    """Raise UserError, with what to install, if Optuna is missing."""
    try:
        import optuna  # noqa: F401
    except ModuleNotFoundError:
        raise UserError(f"a search needs Optuna: {to_install('optuna')}") from None


@contextmanager
def quiet() -> Iterator[None]:
    """Within the context, Optuna prints nothing about trials and experimental functions."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
    optuna.logging.set_verbosity(before)


@contextmanager
def database_errors_told() -> Iterator[None]:
    """Within the context, an error of the database is raised as FeatherweightError, for instance if it has stopped.

    The thread that marks a trial as alive meets such an error, too; its traceback is not printed.
    """
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    known, before = (StorageInternalError, SQLAlchemyError), threading.excepthook
    threading.excepthook = lambda one: None if isinstance(one.exc_value, known) else before(one)
    try:
        yield
    except FeatherweightError:
        raise
    except Exception as error:
        found: BaseException | None = error  # Optuna may hide the error of the database behind one of its own
        while found is not None and not isinstance(found, known):
            found = found.__cause__ or found.__context__
        if found is None:
            raise
        raise FeatherweightError(
            f"the database of the search failed: {first_line(found.__cause__ or found)}\n"
            "To resume the search, run the same command again"
        ) from None
    finally:
        threading.excepthook = before


def storage_url(storage: str | None, out: Path) -> str:
    """The SQLAlchemy URL of the database of the trials: ``storage``, or by default the file search.db in ``out``.

    ``postgresql://`` (or ``postgres://``, as providers write it) becomes ``postgresql+psycopg://``, which selects the
    driver. Raises UserError if ``storage`` is no URL, or names a database in memory, which no other process can read.
    """
    if storage is None:
        return f"sqlite:///{out / 'search.db'}"
    scheme, separator, place = storage.partition("://")
    if not separator or (scheme.partition("+")[0] == "sqlite" and place in ("", "/", "/:memory:")):
        raise UserError(f"{flag('--storage', storage)}: {_WRITE_A_URL}")
    return f"postgresql+psycopg://{place}" if scheme in ("postgresql", "postgres") else storage


def _opened(search: Search) -> BaseStorage:
    from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
    from sqlalchemy.exc import NoSuchModuleError

    url = search.storage
    # A database on a disk makes a worker wait while another writes; the default of 5 s is too short for a busy machine.
    arguments: dict[str, Any] = {"connect_args": {"timeout": 120}} if url.startswith("sqlite") else {}
    try:
        storage = RDBStorage(
            url,
            engine_kwargs=arguments,
            # Of a single machine, that would declare all trials dead after it has slept: ``resume_interrupted`` finds
            # trials that were killed.
            heartbeat_interval=None if search.local else _HEARTBEAT,
            grace_period=None if search.local else 4 * _HEARTBEAT,
            heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=2),
        )
        if url.startswith("sqlite"):
            _lock_whole_transactions(storage.engine)
        return storage
    except ImportError as error:
        known = url.startswith("postgresql+psycopg:")
        remedy = "For PostgreSQL: pip install 'psycopg[binary]'" if known else "Install it"
        lacking = first_line(error.__cause__ or error)
        raise UserError(
            f"{flag('--storage')}: the driver of this database is not installed: {lacking}\n{remedy}"
        ) from None
    except NoSuchModuleError:
        raise UserError(
            f"{flag('--storage')}: {url.partition('://')[0]!r} is no kind of database; {_WRITE_A_URL}"
        ) from None
    except Exception as error:  # SQLAlchemy has an error for each database and driver
        reason = str(error).strip().partition("\n")[0]
        raise UserError(
            f"{flag('--storage')}: cannot be opened: {reason}; check the URL, and that the database runs"
        ) from None


def _lock_whole_transactions(engine: Engine) -> None:
    """Make each transaction of an SQLite database lock it from the beginning, and not from the first change on.

    SQLite has no locks of rows. Two workers could both read that a trial is waiting, and then both begin it.
    """
    from sqlalchemy import event

    @event.listens_for(engine, "connect")
    def begin_none(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # Python's module begins no transactions; the next function does

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine.dispose()  # connections that were opened before


def open_study(search: Search, worker: int = 0) -> Study:
    """The study of ``search``: a new one, or the one to resume.

    ``worker`` is the number of this process among those of the search; each draws other random numbers. Raises
    UserError if the storage has a search of the same name with another recipe, space or data, or if the folder has a
    search of another name.
    """
    import optuna

    search.out.mkdir(parents=True, exist_ok=True)
    storage = _opened(search)
    others = [name for name in optuna.get_all_study_names(storage) if name != search.original.name]
    if search.local and others:
        raise UserError(f"{search.out}: holds a search called {others[0]!r}; {elsewhere()}")
    startup = min(10, max(2, search.trials // 3))
    study = optuna.create_study(
        study_name=search.original.name,
        storage=storage,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=2),
        direction="minimize" if search.best_by == "log_loss" else "maximize",
        load_if_exists=True,
    )
    _require_same_search(search, study)
    # Workers and resumed searches must not draw the same random numbers, or they would propose the same values again.
    drawn = search.original.seed * 1_000_003 + 101 * len(study.trials) + worker
    seed = drawn % 2**32 if search.local else None  # NumPy takes no larger seed
    study.sampler = optuna.samplers.TPESampler(multivariate=True, n_startup_trials=startup, seed=seed)
    if not study.trials:
        for values in search.searched.first_trials():
            study.enqueue_trial(values)
    return study


def _require_same_search(search: Search, study: Study) -> None:
    made_for = {"recipe": search.searched.recipe.to_toml(), "space": repr(search.searched.space), **search.inputs}
    for key, value in made_for.items():
        if study.user_attrs.get(key, value) != value:
            other = f"other {IN_WORDS[key]}" if key in IN_WORDS else f"another {key}"
            remedy = (
                elsewhere() if search.local else f"use another {flag('--storage')}, or give the recipe another name"
            )
            place = search.out if search.local else flag("--storage")
            raise UserError(f"{place}: holds a search called {search.original.name!r} with {other}; {remedy}")
        study.set_user_attr(key, value)


@contextmanager
def alone(search: Search) -> Iterator[None]:
    """Within the context, no other process can run a search with the file search.db in the same folder.

    Raises UserError if one does. Searches that share another database share their trials, and exclude nobody.
    """
    if not search.local:
        yield
        return
    with ExitStack() as held:
        try:
            held.enter_context(only_user(search.out))
        except TakenError:
            raise UserError(
                f"{search.out}: another search is running in this folder; wait for it, or {elsewhere()}\n"
                f"Trials run at the same time if a single search has {flag('--workers')}"
            ) from None
        yield


def queue_again(study: Study, number: int) -> None:
    """Queue the interrupted trial that Optuna calls ``number`` again, with the values that it has, or was to have.

    Nothing happens if the trial has ended: then another worker has taken it over, and has queued it.
    """
    trial = next(one for one in study.get_trials(deepcopy=False) if one.number == number)
    if trial.state.is_finished():
        return
    values = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
    study.enqueue_trial(values, user_attrs={ORIGIN: origin(trial)})


def resume_interrupted(study: Study) -> None:
    """Queue again the trials that ran when an earlier process was killed. No other process may use the database."""
    import optuna

    for trial in study.get_trials(deepcopy=False):
        if trial.state.name == "RUNNING":
            queue_again(study, trial.number)  # first, so that a kill in between does not lose the trial
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
