"""A run folder that an earlier version wrote: evaluated, verified, compared, resumed and read by this one."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from support.commands import Cli
from support.old_run import placed_here

from featherweight import Run

NEAR = 1e-4
"""Another processor or library rounds elsewhere; what is compared is far from every border."""


@pytest.fixture
def old(cli: Cli) -> Path:
    """The old folder's contents in the working directory, under paths of this machine."""
    return placed_here()


def test_it_is_evaluated_to_the_figures_that_it_holds(cli: Cli, old: Path) -> None:
    held = json.loads((old / "finished" / "evaluation.json").read_text("utf-8"))
    assert f"{held['test']['accuracy']:.2%}" in cli("evaluate", "finished").out
    anew = cli("evaluate", "finished", "--data", "test.csv")
    assert anew.code == 0
    assert f"accuracy {held['test']['accuracy']:.2%}" in anew.out
    assert f"log loss {held['test']['log_loss_scaled']:.3f}" in anew.out


def test_it_holds_what_it_claims(cli: Cli, old: Path) -> None:
    answer = cli("verify", "finished")
    assert answer.code == 0, answer.out + answer.err


def test_its_predictions_are_the_same(cli: Cli, old: Path) -> None:
    assert cli("predict", "finished", "test.csv", "-o", "anew.csv").code == 0
    then, now = (list(csv.DictReader((old / name).open(encoding="utf-8"))) for name in ("predictions.csv", "anew.csv"))
    assert len(then) == len(now) == 30
    for before, after in zip(then, now, strict=True):
        assert before.keys() == after.keys()
        assert (before["row"], before["label"]) == (after["row"], after["label"])
        for name in ("p_bird", "p_fruit", "p_metal"):
            assert float(after[name]) == pytest.approx(float(before[name]), abs=NEAR)


def test_it_is_compared_and_reported(cli: Cli, old: Path) -> None:
    assert cli("compare", "finished", "-o", "comparison").code == 0
    assert cli("report", "finished").code == 0
    assert "87.5" in (old / "finished" / "report.html").read_text("utf-8")


def test_one_that_was_stopped_goes_on_to_the_same_end(cli: Cli, old: Path) -> None:
    answer = cli("train", "job.toml", "--out", "stopped", "--resume")
    assert answer.code == 0, answer.err
    finished, stopped = Run("finished"), Run("stopped")
    assert stopped.complete
    steps = [[record for record in run.history if record["kind"] == "step"] for run in (finished, stopped)]
    assert [record["step"] for record in steps[1]] == list(range(1, 73))
    for key in ("learning_rate", "rows", "tokens", "epoch"):
        assert [record[key] for record in steps[1]] == [record[key] for record in steps[0]]
    # Each step makes a difference in the last digits larger: the first ones after the resume are near, the others less.
    losses = np.array([[record["loss"] for record in records] for records in steps])
    assert losses[1][:40] == pytest.approx(losses[0][:40], abs=NEAR)
    assert losses[1] == pytest.approx(losses[0], abs=0.05)
    assert stopped.weight == finished.weight
