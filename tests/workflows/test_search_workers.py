"""What becomes of a trial that another process has, or seems to have: it is neither lost nor trained twice at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from support.searches import RATES, GoesOn, rows_of, searched, trials_by

from featherweight.errors import UserError
from featherweight.run.lock import only_user
from featherweight.workflows import search as module
from featherweight.workflows.search import run_search
from featherweight.workflows.search_proposal import suggested
from featherweight.workflows.search_study import Search, open_study

pytest.importorskip("optuna")


def age_heartbeats(database: Path) -> None:
    """Make the last sign of life of all trials ten minutes old, as after a machine has slept."""
    with sqlite3.connect(database, timeout=60) as connection:
        connection.execute("UPDATE trial_heartbeats SET heartbeat = datetime(heartbeat, '-600 seconds')")
    connection.close()


def declare_dead(search: Search, database: Path) -> None:
    """Do what another worker does that finds no sign of life of the trial that runs."""
    import optuna

    study = open_study(search)
    running = [trial._trial_id for trial in study.trials if trial.state.name == "RUNNING"]
    while study._storage._get_stale_trial_ids(study._study_id) != running:  # type: ignore[attr-defined]
        age_heartbeats(database)  # the first sign of life may still be on its way
    optuna.storages.fail_stale_trials(study)


def test_a_trial_of_a_local_search_is_not_dead_because_the_machine_has_slept(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = searched(tiny_recipe(), tmp_path / "out")
    study = open_study(search)
    sibling = study.ask()  # another worker trains it
    suggested(sibling, RATES)
    study._storage.record_heartbeat(sibling._trial_id)  # type: ignore[attr-defined]
    age_heartbeats(tmp_path / "out" / "search.db")
    tried = trials_by(monkeypatch, lambda call, *_: call / 10)
    module.work(search, study)
    assert tried.folders == ["0002"]
    assert [trial.state.name for trial in study.trials] == ["RUNNING", "COMPLETE"]


@pytest.mark.parametrize("ends", [lambda goes_on: goes_on(3, 0.5), lambda goes_on: 0.5], ids=["evaluates", "has ended"])
def test_a_worker_goes_on_after_its_trial_was_taken_over(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: Callable[[GoesOn], float]
) -> None:
    database, lines = tmp_path / "shared.db", []
    search = searched(tiny_recipe(), tmp_path / "out", f"sqlite:///{database}")

    def train(call: int, _: Path, goes_on: GoesOn) -> float:
        if call == 1:
            declare_dead(search, database)
            return ends(goes_on)
        return call / 10

    tried = trials_by(monkeypatch, train)
    shared = {"space": RATES, "trials": 2, "storage": search.storage}
    run_search(tiny_recipe(), tmp_path / "out", **shared, announce=lines.append)
    assert tried.folders == ["0001", "0001", "0002"] and tried.rates[0] == tried.rates[1]
    assert lines[0].startswith("trial 1 was taken over by another worker") and len(lines) == 3
    assert [row["accuracy"] for row in rows_of(tmp_path / "out")] == ["0.2", "0.3"]


def test_a_signal_ends_a_worker_whose_trial_was_taken_over(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "shared.db"
    search = searched(tiny_recipe(), tmp_path / "out", f"sqlite:///{database}")

    def train(*_: Any) -> float:
        declare_dead(search, database)
        raise KeyboardInterrupt

    trials_by(monkeypatch, train)
    with pytest.raises(KeyboardInterrupt):
        run_search(tiny_recipe(), tmp_path / "out", space=RATES, trials=2, storage=search.storage)
    assert [trial.state.name for trial in open_study(search).trials] == ["FAIL", "WAITING"], "it is queued once"


def test_a_trial_waits_for_the_training_that_a_killed_search_has_left(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = open_study(searched(tiny_recipe(), tmp_path / "out")).ask()
    rate = suggested(left, RATES)["training.learning_rate"]
    orphan, lines = only_user(tmp_path / "out" / "trials" / "0001"), []
    orphan.__enter__()

    def announce(line: str) -> None:
        lines.append(line)
        if "waits" in line:
            orphan.__exit__(None, None, None)

    tried = trials_by(monkeypatch, lambda call, *_: call / 10)
    run_search(tiny_recipe(), tmp_path / "out", space=RATES, trials=1, announce=announce)
    assert (tried.folders, tried.rates) == (["0001"], [rate]) and rows_of(tmp_path / "out")[0]["accuracy"] == "0.1"
    assert lines[0].startswith("trial 1 waits: ") and len(lines) == 2


def test_a_trial_whose_folder_stays_in_use_is_trained_by_the_next_call(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = open_study(searched(tiny_recipe(), tmp_path / "out")).ask()
    rate = suggested(left, RATES)["training.learning_rate"]
    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    tried = trials_by(monkeypatch, lambda call, *_: call / 10)
    with (
        only_user(tmp_path / "out" / "trials" / "0001"),
        pytest.raises(
            UserError, match="0001: a training of an earlier call still runs\nWait until it has ended, and run"
        ),
    ):
        run_search(tiny_recipe(), tmp_path / "out", space=RATES, trials=1, announce=lambda _: None)
    run_search(tiny_recipe(), tmp_path / "out", space=RATES, trials=1, announce=lambda _: None)
    assert (tried.folders, tried.rates) == (["0001"], [rate])


def test_two_workers_never_begin_the_same_waiting_trial(tiny_recipe: Any, tmp_path: Path) -> None:
    from optuna.trial import TrialState

    search = searched(tiny_recipe(), tmp_path / "out")
    one, other = open_study(search), open_study(search, 1)
    (waiting,) = one.get_trials(states=(TrialState.WAITING,))
    begun: list[bool] = []

    def begin(study: Any) -> None:
        begun.append(study._storage._backend.set_trial_state_values(waiting._trial_id, TrialState.RUNNING))

    second = Thread(target=begin, args=(other,))

    def meanwhile(*_: Any) -> None:  # the first worker has read that the trial is waiting, and has not begun it
        second.start()
        second.join(1)

    one._storage._backend.check_trial_is_updatable = meanwhile  # type: ignore[attr-defined]
    begin(one)
    second.join()
    assert begun == [True, False]
