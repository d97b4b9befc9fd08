"""A training that diverges: every row of its step is in a file, and fp16 that never finds its way stops too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.commands import Cli

from featherweight.data.sources import Rows
from featherweight.run.folder import Run
from featherweight.training.divergence import MOST_SKIPPED, Diverged, diverged

RATE, FP32 = '["training.learning_rate=..."]', '["training.precision=fp32"]'
ROWS = Rows([f"text {n}" for n in range(40)], np.arange(40) % 2, ("bird", "fruit"), "data.csv")


def test_all_rows_of_the_step_are_written_and_the_first_named(tmp_path: Path) -> None:
    places = np.arange(39, 9, -1)
    error = diverged(tmp_path, "the loss is no number", 7, float("nan"), float("inf"), places, ROWS)
    assert str(error).startswith("step 7: the loss is no number; rows of the training split: 40, 39, 38")
    assert f"29 and 18 more; {tmp_path / 'diverged.json'} lists all of them" in str(error)
    found = json.loads((tmp_path / "diverged.json").read_text("utf-8"), parse_constant=pytest.fail)
    assert (found["step"], found["loss"], found["grad_norm"]) == (7, "nan", "inf")
    assert [row["row"] for row in found["rows"]] == [place + 1 for place in places]
    assert found["rows"][0] == {"row": 40, "label": "fruit", "text": "text 39"}


def test_ids_of_the_data_are_kept(tmp_path: Path) -> None:
    rows = Rows(["a", "b"], np.array([0, 1]), ("bird", "fruit"), "data.csv", ["x7", "x9"])
    diverged(tmp_path, "what", 1, 1.5, 2.5, np.array([1]), rows)
    found = json.loads((tmp_path / "diverged.json").read_text("utf-8"))
    assert found["rows"] == [{"row": 2, "id": "x9", "label": "fruit", "text": "b"}] and found["loss"] == 1.5


def test_a_disk_that_takes_no_file_still_gives_the_message(tmp_path: Path) -> None:
    error = diverged(tmp_path / "nowhere", "what", 1, 1.0, 1.0, np.array([1]), ROWS)
    what = "step 1: what; rows of the training split: 2"
    assert str(error) == f"{what}; lower the learning rate (overrides={RATE}), or compute in fp32 (overrides={FP32})"


def test_the_file_is_in_the_run_folder_and_gone_once_training_comes_past(
    cli: Cli, job: Path, in_this_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from featherweight.training import loop

    with monkeypatch.context() as patch:
        patch.setattr(loop, "over_processes", lambda accelerator, loss, correct: (loss * float("nan"), correct))
        answer = cli("train", job, "--out", "run")
    assert answer.code == 1 and "run/diverged.json lists all of them" in answer.err
    assert "; lower the learning rate (--set training.learning_rate=0.0025), or compute in fp32 (--set" in answer.err
    found = json.loads(Path("run/diverged.json").read_text("utf-8"))
    assert found["step"] == 1 and len(found["rows"]) == 8
    assert all(row["text"].split()[0] == {"bird": "crow", "fruit": "apple"}[row["label"]] for row in found["rows"])
    assert cli("train", job, "--out", "run", "--resume").code == 0
    assert Run("run").complete and not Path("run/diverged.json").exists()
    assert "diverged.json" not in Path("run/manifest.json").read_text("utf-8")


@pytest.mark.parametrize(("pattern", "ends"), [
    ([True] * 30, MOST_SKIPPED), ([True] * 19 + [False] + [True] * 10, 0),
])  # fmt: skip
def test_a_gradient_that_never_fits_fp16_ends_the_training(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: list[bool], ends: int
) -> None:
    from accelerate.optimizer import AcceleratedOptimizer
    from support.jobs import trained

    answers = iter(pattern)
    monkeypatch.setattr(AcceleratedOptimizer, "step_was_skipped", property(lambda self: next(answers)))
    recipe = tiny_recipe(training={"epochs": 10, "max_steps": 30})
    if not ends:
        assert trained(recipe, tmp_path / "run")[1].step == 30
        return
    with pytest.raises(Diverged, match=rf"^step {ends}: the gradient overflowed fp16 in {ends} steps in a row; rows"):
        trained(recipe, tmp_path / "run")
