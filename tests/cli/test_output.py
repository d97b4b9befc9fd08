"""Output where it is read by other programs: tables in full in pipes and files, and readers that leave early."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from featherweight import console
from featherweight.cli.tables import per_class_table, prediction_table
from featherweight.console import LineFollower, plain_console
from featherweight.evaluation.metrics import evaluate

SOURCE = Path(__file__).parents[2] / "src"
LONG = "activate_my_card_balance_not_updated_after_cheque_or_cash_deposit"


@pytest.mark.parametrize("names", [(LONG, "short"), (LONG, *"bcdefgh"), ("x" * 300, "y" * 300, "z")])
def test_a_table_in_a_pipe_is_not_cut(capsys: pytest.CaptureFixture[str], names: tuple[str, ...]) -> None:
    shares = {name: 0.7 if name == names[0] else 0.3 / (len(names) - 1) for name in names}
    plain_console().print(
        prediction_table(["please freeze my card"], [SimpleNamespace(label=names[0], probabilities=shares)])
    )  # type: ignore[list-item]
    header, row = capsys.readouterr().out.splitlines()
    assert "please freeze my card" in row and row.count(names[0]) >= 1 and "0.7000" in row
    assert "…" not in header + row


def test_the_table_has_a_dash_for_a_recall_without_rows(capsys: pytest.CaptureFixture[str]) -> None:
    logits = np.array([[3.0, 0, 0], [0, 3, 0], [0, 0, 3]])
    figures = evaluate(logits, np.array([0, 1, 1]), ("a", "b", "absent"))
    plain_console().print(per_class_table(figures))
    row = capsys.readouterr().out.splitlines()[-1].split()
    assert row == ["absent", "0.0000", "0.00-0.79", "–", "0.0000", "0.00-0.88", "0"]


@pytest.mark.parametrize(("several", "width", "intervals"), [
    (False, 77, 3), (False, 76, 1), (True, 99, 3), (True, 98, 1), (True, 80, 1),
])  # fmt: skip
def test_numbers_are_not_cut_in_a_narrow_terminal(several: bool, width: int, intervals: int) -> None:
    logits = np.array([[3.0, 0], [0, 3]])
    figures = evaluate(logits, np.array([0, 1]), ("a long name of a class", "b"))
    if several:
        figures |= {"task": "multi-label"}
        for row in figures["per_class"]:
            row |= {"average_precision": 0.5, "threshold": 0.25}
    terminal = Console(width=width, force_terminal=True, color_system=None, file=StringIO())
    terminal.print(per_class_table(figures, terminal.width))
    assert isinstance(terminal.file, StringIO)
    said = terminal.file.getvalue()
    assert "…" not in said and said.count("95%") == intervals
    assert len(re.findall(r" \d\.\d\d-\d\.\d\d ", said)) == 2 * intervals


def test_a_recipe_in_a_file_is_utf_8_whatever_the_locale(tmp_path: Path) -> None:
    rows = "".join(f"ein Text Nummer {number},{'ab'[number % 2]}\n" for number in range(8))
    (tmp_path / "größe.csv").write_text("text,label\n" + rows, "utf-8")
    command = [sys.executable, "-m", "featherweight", "new", "größe.csv", "--backbone", "roberta-base"]
    environment = os.environ | {"PYTHONPATH": str(SOURCE), "PYTHONIOENCODING": "ascii"}
    said = subprocess.run(command, capture_output=True, cwd=tmp_path, env=environment, check=True).stdout
    assert tomllib.loads(said.decode("utf-8"))["data"]["train"] == "größe.csv"


@pytest.mark.parametrize("arguments", [["recipes"], ["--help"]])
def test_a_reader_that_leaves_early_is_no_failure(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)  # nobody reads what is written
    command = [sys.executable, "-m", "featherweight", *arguments]
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, env=environment, check=False)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_full_disk_behind_standard_output_is_told() -> None:
    command = [sys.executable, "-m", "featherweight", "recipes"]
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=environment, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith(b"featherweight: the output: cannot be written: No space left on device;")


def test_closed_standard_streams_are_no_failure() -> None:
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-m", "featherweight", "recipes"]
    closed = ["sh", "-c", 'exec "$@" <&- >&-', "sh", *command]
    ended = subprocess.run(closed, stderr=subprocess.PIPE, env=environment, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_log_has_a_line_a_minute_and_says_how_long_the_training_will_take(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(console.time, "perf_counter", lambda: now[0])
    follower = LineFollower()
    follower.started(1000, 400, [])  # resumed after step 400
    for step in range(401, 501):
        now[0] += 7 if step > 402 else 31  # the steps 401 and 402 take a minute, and the estimate then waits
        follower.stepped({"step": step, "loss": 1.0, "accuracy": 0.5, "tokens": 100})
    lines = capsys.readouterr().out.splitlines()
    steps = [int(line.split()[1].partition("/")[0]) for line in lines]
    assert steps[:3] == [402, 411, 420] and steps[-1] == 500
    assert "left" not in lines[0]
    assert lines[1].endswith("  1 h 52 min left")  # (62 + 9 * 7) / 11 seconds a step, 589 steps


def test_the_last_line_of_a_log_promises_no_more_time(capsys: pytest.CaptureFixture[str]) -> None:
    follower = LineFollower()
    follower.started(20, 0, [])
    for step in range(1, 21):
        follower.stepped({"step": step, "loss": 1.0, "accuracy": 0.5, "tokens": 100})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10 and lines[-2].endswith("0 s left") and lines[-1].endswith("tokens/s")
