"""A signal ends a training wherever it comes: in one line that says how to go on, with nothing lost or left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.commands import Cli

from featherweight.recipe import Recipe
from featherweight.run.folder import Run, read_history
from featherweight.training.signals import Interrupted, end_on_signals, stop_on_signals
from featherweight.verification.reload import reload_check
from featherweight.workflows.report import is_reported

SIGNALS = pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])


@pytest.fixture(autouse=True)
def handlers_come_back() -> Any:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def signalling(number: int, function: Callable[..., Any] | None = None) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        done = function(*arguments, **named) if function else None
        os.kill(os.getpid(), number)
        return done

    return call


def stopped(cli: Cli, job: Path, code: int, *more: str) -> str:
    answer = cli("train", job, "--out", "run", *more)
    assert answer.code == code, answer
    assert len(answer.err.splitlines()) == 1 and "Traceback" not in answer.err
    return answer.err


@SIGNALS
@pytest.mark.parametrize("place", ["training.loop._evaluate", "training.loop.save_checkpoint"])
def test_in_the_last_step(
    cli: Cli, job: Path, in_this_process: None, monkeypatch: pytest.MonkeyPatch, place: str, number: int, code: int
) -> None:
    from featherweight.training import loop

    with monkeypatch.context() as patch:
        patch.setattr(f"featherweight.{place}", signalling(number, getattr(loop, place.rpartition(".")[2])))
        message = stopped(cli, job, code)
    assert message.strip() in (
        "featherweight: stopped after step 2; to resume, run the same command with --resume --out run",
        "featherweight: stopped; to resume, run the same command with --resume --out run",
    )
    assert not Path("run/adapter").exists()
    with monkeypatch.context() as patch:
        patch.setattr("featherweight.training.loop._one_step", pytest.fail)
        assert cli("train", job, "--out", "run", "--resume").code == 0
    assert Run("run").complete
    assert [record["step"] for record in read_history(Path("run/history.jsonl")) if record["kind"] == "step"] == [1, 2]


@SIGNALS
@pytest.mark.parametrize(("place", "complete"), [
    ("verification.reload.reload_check", False), ("workflows.train._evaluate", False),
    ("report.run.plots.draw_plots", True), ("report.run.page.write_report", True),
])  # fmt: skip
def test_after_the_steps(
    cli: Cli, job: Path, in_this_process: None, monkeypatch: pytest.MonkeyPatch, place: str, complete: bool,
    number: int, code: int,
) -> None:  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr(f"featherweight.{place}", signalling(number))
        message = stopped(cli, job, code)
    assert message == "featherweight: stopped; to resume, run the same command with --resume --out run\n"
    assert Run("run").complete is complete and not is_reported(Path("run")) and not Path("run/.lock").exists()
    assert cli("train", job, "--out", "run", "--resume").code == 0
    assert Run("run").complete and is_reported(Path("run"))


@SIGNALS
def test_before_the_steps(cli: Cli, job: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: int) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("featherweight.workflows.train.prepare", signalling(number))
        message = stopped(cli, job, code)
    assert message == "featherweight: stopped before the training began; run the same command again\n"
    assert not Path("run").exists()
    with monkeypatch.context() as patch:
        patch.setattr("featherweight.workflows.train.fit_prepared", signalling(number))
        assert "to resume, run the same command with --resume --out run" in stopped(cli, job, code)
    assert Path("run/recipe.toml").is_file()


def test_the_process_of_the_proof_is_not_left_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finished_run: Run
) -> None:
    begun: list[subprocess.Popen[str]] = []

    class Sleeping(subprocess.Popen):
        def __init__(self, command: list[str], **named: Any) -> None:
            super().__init__([sys.executable, "-c", "import time; time.sleep(600)"], **named)
            begun.append(self)
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()

    monkeypatch.setattr(subprocess, "Popen", Sleeping)
    question = (finished_run.folder, ["apple"], np.zeros((1, 3)), "fp32")
    with (
        pytest.raises(Interrupted) as ended,
        end_on_signals(lambda: "stopped"),
        reload_check(*question) as check,
    ):
        check()
    assert ended.value.exit_code == 143
    assert begun[0].poll() is not None


def test_a_library_cannot_take_a_signal_for_a_failure() -> None:
    with pytest.raises(Interrupted, match="how to go on") as ended, end_on_signals(lambda: "how to go on"):
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0)
        except Exception:
            pass
    assert ended.value.exit_code == 130


def test_a_mark_that_nobody_asked_after_is_passed_on() -> None:
    with pytest.raises(Interrupted), end_on_signals(lambda: "stopped"), stop_on_signals():
        os.kill(os.getpid(), signal.SIGTERM)
    with end_on_signals(lambda: "stopped"), stop_on_signals() as asked:
        os.kill(os.getpid(), signal.SIGTERM)
        assert asked() == signal.SIGTERM


def test_no_signal_changes_nothing_where_patience_is_over(tiny_recipe: Any, tmp_path: Path) -> None:
    from support.jobs import trained

    patient = {"early_stopping": 1, "evaluate_every": 1, "learning_rate": 1e-12, "epochs": 5}
    recipe: Recipe = tiny_recipe(training=patient)
    assert trained(recipe, tmp_path / "run")[1].step == 2
