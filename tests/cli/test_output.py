"""Output where it is read by other programs: tables in full in pipes and files, and readers that leave early."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from featherweight.cli.tables import prediction_table
from featherweight.console import plain_console

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


@pytest.mark.parametrize("arguments", [["recipes"], ["--help"]])
def test_a_reader_that_leaves_early_is_no_failure(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)  # nobody reads what is written
    command = [sys.executable, "-m", "featherweight", *arguments]
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, env=environment, check=False)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, b"")
