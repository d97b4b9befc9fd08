"""A prediction that takes minutes says how far it is, in every step of a run and in the commands after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.commands import Cli
from support.listeners import Heard
from support.verification import copy_beside_its_data

from featherweight import Run, evaluate_run, progress, verify_run
from featherweight.model import predict
from featherweight.workflows.train import train


@pytest.fixture(autouse=True)
def slow_predictions(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if each batch took a minute: a line follows each batch but the last, and a batch has few texts."""
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", -1.0)
    monkeypatch.setattr(predict, "_BATCH_TOKENS", 64)


def test_a_training_with_a_teacher(
    tiny_recipe: Any, finished_run: Run, tmp_path: Path, in_this_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEATHERWEIGHT_CACHE", str(tmp_path / "cache"))
    recipe = tiny_recipe(training={"max_steps": 2, "teacher": [str(finished_run.folder)]})
    heard = Heard()
    train(recipe, tmp_path / "run", listeners=[heard])
    for what in (f"teacher {finished_run.folder}", "validation", "test"):
        lines = [note for note in heard.notes if note.startswith(f"{what}: ")]
        assert lines, what
        assert all(" of " in line and line.endswith(" rows") for line in lines)


def test_verify_and_evaluate(finished_run: Run, tiny_data: dict[str, Path], cli: Cli) -> None:
    copy_beside_its_data(finished_run, tiny_data)
    lines: list[str] = []
    verify_run("run", lines.append)
    assert {line.split(":")[0] for line in lines} == {"validation", "test", "shift.jsonl"}
    answer = cli("verify", "run")
    assert answer.code == 0 and "test: " in answer.err and "test: " not in answer.out
    seen: list[tuple[int, int]] = []
    evaluate_run("run", tiny_data["test"], follow=lambda done, total: seen.append((done, total)))
    assert len(seen) > 1 and seen[-1] == (24, 24)
