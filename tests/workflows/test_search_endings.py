"""How a trial of a search ends without a result: alone or with the search, with its reason, its time and its files."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.searches import RATES, refuse_with_what_to_set, rows_of, searched, trials_by

from featherweight.errors import DiskError, FeatherweightError, UserError
from featherweight.hints import caller, on_the_command_line
from featherweight.recipe import Recipe
from featherweight.recipe.search_space import Choices, Range, SearchSpace
from featherweight.run.lock import TakenError
from featherweight.workflows import search as module
from featherweight.workflows import search_outcome, search_workers, training_process
from featherweight.workflows.search import run_search
from featherweight.workflows.search_study import database_errors_told
from featherweight.workflows.training_process import Ended, NotANumber, Refused, Stopped, train_in_a_process

pytest.importorskip("optuna")


def finished(folder: Path, value: float, seconds: float = 1.0) -> float:
    """Leave the result of a finished training in ``folder``, and return it."""
    folder.mkdir(parents=True)
    (folder / training_process.DONE).write_text(json.dumps({"value": value, "seconds": seconds}), "utf-8")
    return value


def test_values_that_the_training_refuses_end_the_trial_and_not_the_search(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(call: int, *_: Any) -> float:
        if call == 2:
            raise Refused("training.precision = 'fp16': needs a GPU\nUse fp32")
        return call / 10

    folders = trials_by(monkeypatch, train).folders
    run_search(tiny_recipe(), tmp_path / "out", space=RATES, trials=3, announce=lambda _: None)
    assert folders == ["0001", "0002", "0003"]
    assert [row["accuracy"] for row in rows_of(tmp_path / "out")] == ["0.1", "", "0.3"]
    assert rows_of(tmp_path / "out")[1]["note"] == "training.precision = 'fp16': needs a GPU"


def test_a_search_whose_trials_are_all_refused_ends_with_the_reason(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> float:
        raise Refused("the tokenizer is damaged")

    trials_by(monkeypatch, refuse)
    with pytest.raises(FeatherweightError, match="3 trials failed and none succeeded: the tokenizer is damaged"):
        run_search(tiny_recipe(), tmp_path / "many", space=RATES, trials=20, announce=lambda _: None)
    with pytest.raises(
        FeatherweightError, match=r"no trial was completed \(the tokenizer is damaged\); raise trials, or allow"
    ):
        run_search(tiny_recipe(), tmp_path / "few", space=RATES, trials=2, announce=lambda _: None)


@pytest.mark.parametrize(("change", "message"), [
    (lambda file: file.unlink(), "train.jsonl: no such file"),
    (lambda file: file.write_text("\n".join(file.read_text("utf-8").splitlines()[1:]), "utf-8"),
     "out: the training rows have changed since the search began"),
])  # fmt: skip
def test_an_error_of_all_trials_ends_the_search_and_the_trial_is_trained_again(
    tiny_recipe: Any,
    tiny_data: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path], object],
    message: str,
) -> None:
    file = Path(shutil.copy(tiny_data["train"], tmp_path))
    recipe, original = tiny_recipe(data={"train": str(file), "validation": str(tiny_data["test"])}), file.read_bytes()

    def train(call: int, folder: Path, _: Any) -> float:
        if call == 2:
            change(file)
            raise Refused("what the training says")
        return finished(folder, call / 10)

    folders = trials_by(monkeypatch, train).folders
    with pytest.raises(UserError, match=message):
        run_search(recipe, tmp_path / "out", space=RATES, trials=3, announce=lambda _: None)
    file.write_bytes(original)
    run_search(recipe, tmp_path / "out", space=RATES, trials=3, announce=lambda _: None)
    assert folders == ["0001", "0002", "0002", "0003"]
    assert [row["accuracy"] for row in rows_of(tmp_path / "out")] == ["0.1", "0.3", "0.4"]


def test_a_full_disk_ends_the_search_and_the_trial_is_trained_again(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(call: int, folder: Path, _: Any) -> float:
        if call == 2:
            raise DiskError(f"{folder}: cannot be written: No space left on device; free some space")
        return finished(folder, call / 10)

    folders = trials_by(monkeypatch, train).folders
    with pytest.raises(UserError, match="No space left on device"):
        run_search(tiny_recipe(), tmp_path / "out", space=RATES, trials=2, announce=lambda _: None)
    run_search(tiny_recipe(), tmp_path / "out", space=RATES, trials=2, announce=lambda _: None)
    assert folders == ["0001", "0002", "0002"]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_database_that_fails_ends_the_search_in_a_line_and_the_trial_is_trained_again(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    out = tmp_path / "out"

    def rename(old: str, new: str) -> None:
        with sqlite3.connect(out / "search.db") as database:
            database.execute(f"ALTER TABLE {old} RENAME TO {new}")

    def train(call: int, folder: Path, _: Any) -> float:
        if call == 2:
            rename("trial_values", "gone")
        return finished(folder, call / 10) if call != 3 else 0.3

    folders = trials_by(monkeypatch, train).folders
    if workers == 2:
        monkeypatch.setattr(module, "work_together", lambda search, _, work: _in_this_process(search, work))
    message = "the database of the search failed: .*no such table.*\nTo resume the search, run the same command again"
    with pytest.raises(FeatherweightError, match=message) as error:
        run_search(tiny_recipe(), out, space=RATES, trials=2, workers=workers, announce=lambda _: None)
    assert not isinstance(error.value, UserError)
    rename("gone", "trial_values")
    run_search(tiny_recipe(), out, space=RATES, trials=2, announce=lambda _: None)
    assert folders == ["0001", "0002", "0002"]
    assert [row["accuracy"] for row in rows_of(out)] == ["0.1", "0.3"]


def test_the_thread_that_marks_a_trial_as_alive_prints_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    from optuna.exceptions import StorageInternalError

    def fail(error: Exception) -> None:
        raise error

    before = threading.excepthook
    threading.excepthook = threading.__excepthook__  # pytest has one of its own
    try:
        with pytest.raises(FeatherweightError, match="the database of the search failed: gone"), database_errors_told():
            for error in (StorageInternalError("gone"), ValueError("a bug")):
                thread = threading.Thread(target=fail, args=(error,))
                thread.start()
                thread.join()
            raise StorageInternalError("gone")
    finally:
        threading.excepthook = before
    said = capsys.readouterr().err
    assert "a bug" in said and "gone" not in said


def _in_this_process(search: Any, work: Any) -> None:
    """Let a worker of a search run in this process, and raise its error."""
    here, there = multiprocessing.Pipe(duplex=False)
    search_workers._worker(search, 0, work, there, caller())
    there.close()
    search_workers._follow([here], search.announce)


def test_the_kind_of_a_refusal_reaches_the_caller(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error, expected in (
        (TakenError("in use"), TakenError),
        (DiskError("full"), DiskError),
        (UserError("no"), Refused),
    ):
        sent: list[Any] = []

        class Pipe:
            def __init__(self, messages: list[Any]) -> None:
                self.send, self.recv = messages.append, lambda: messages[0]

        monkeypatch.setattr(
            training_process, "train_for_validation", lambda *_, e=error, **__: (_ for _ in ()).throw(e)
        )
        pipe: Any = Pipe(sent)
        training_process._train(tiny_recipe().to_toml(), tmp_path / "trial", pipe, False, caller())
        with pytest.raises(UserError, match=f"^{error}$") as raised:
            training_process._follow(Pipe(sent), lambda *_: True)  # type: ignore[arg-type]
        assert type(raised.value) is expected


def test_new_processes_write_their_messages_for_the_user_of_the_command(tiny_recipe: Any, tmp_path: Path) -> None:
    recipe = tiny_recipe(training={"learning_rate": 1e30, "precision": "fp32"})
    with on_the_command_line():
        with pytest.raises(NotANumber, match=r"--set training\.learning_rate=5e\+29"):
            train_in_a_process(recipe, tmp_path / "trial", lambda *_: True)
        with pytest.raises(UserError, match=r"^set --set training\.epochs=3$"):
            search_workers.work_together(searched(recipe, tmp_path / "out"), 1, refuse_with_what_to_set)


@pytest.mark.parametrize("error", [
    Stopped("stopped at step 3 of 9"), NotANumber("no number"), Ended("no memory"), Refused("refused"),
    FeatherweightError("RuntimeError: a fault"), KeyboardInterrupt(),
], ids=lambda error: type(error).__name__)  # fmt: skip
def test_only_a_trial_that_will_be_resumed_keeps_its_checkpoint(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def train(call: int, folder: Path, _: Any) -> float:
        (folder / "checkpoint" / "step-3").mkdir(parents=True)
        raise error

    trials_by(monkeypatch, train)
    with pytest.raises((FeatherweightError, KeyboardInterrupt)):
        run_search(tiny_recipe(), tmp_path / "out", space=RATES, trials=1, announce=lambda _: None)
    kept = (tmp_path / "out" / "trials" / "0001" / "checkpoint").exists()
    assert kept == isinstance(error, KeyboardInterrupt)


def test_the_time_of_a_resumed_trial_counts_all_of_its_attempts(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 10_000, 10))
    monkeypatch.setattr(search_outcome.time, "perf_counter", lambda: next(clock))

    def train(call: int, folder: Path, _: Any) -> float:
        if call < 3:
            raise KeyboardInterrupt
        if call == 4:  # the search was killed before, so that only the training knows how long it has taken
            return finished(folder, 0.4, seconds=70)
        return call / 10

    trials_by(monkeypatch, train)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run_search(tiny_recipe(), tmp_path / "out", space=RATES, trials=2, announce=lambda _: None)
    run_search(tiny_recipe(), tmp_path / "out", space=RATES, trials=2, announce=lambda _: None)
    assert [row["seconds"] for row in rows_of(tmp_path / "out")] == ["30.0", "70.0"]


def test_the_first_trial_does_not_round_a_value_of_the_recipe(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[tuple[float, float]] = []

    def train(recipe: Recipe, *_: Any, **__: Any) -> float:
        tried.append((recipe.training.epochs, recipe.training.learning_rate))
        return 0.5

    monkeypatch.setattr(module, "train_in_a_process", train)
    epochs = {"training.epochs": Range(1, 3, whole=True)}
    for own in (1.5, 2.0):
        recipe = tiny_recipe(training={"epochs": own, "learning_rate": 0.01})
        for space in (SearchSpace(epochs), SearchSpace({**epochs, "training.learning_rate": Choices((0.01, 0.02))})):
            searched = module.Searched.of(module.without_test_rows(recipe), space)
            assert ("training.epochs" in searched.first_values()) == (own == 2.0)
    run_search(recipe, tmp_path / "out", space=SearchSpace(epochs), trials=1, announce=lambda _: None)
    assert tried == [(2.0, 0.01)]
