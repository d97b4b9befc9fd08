"""A run is found by a relative path, also after the program has changed its working folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from featherweight.run.folder import Run


@pytest.fixture
def relative(finished_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run in ``work/runs/one``, the working folder is ``work``, and the run was opened as ``runs/one``."""
    shutil.copytree(finished_run.folder, tmp_path / "work" / "runs" / "one")
    monkeypatch.chdir(tmp_path / "work")
    return Run("runs/one")


def test_a_run_is_read_from_the_same_folder_after_the_working_folder_has_changed(
    relative: Run, finished_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    (other / "runs" / "one").mkdir(parents=True)  # the same path leads to another folder
    monkeypatch.chdir(other)
    assert relative.folder == tmp_path / "work" / "runs" / "one"
    assert relative.complete
    assert relative.evaluation == finished_run.evaluation
    assert relative.weight == finished_run.weight
    assert relative.recipe == finished_run.recipe
    assert relative.adapter.is_dir()
    assert relative.history


def test_a_run_is_read_after_the_working_folder_was_removed(
    relative: Run, finished_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "short").mkdir()
    monkeypatch.chdir(tmp_path / "short")
    (tmp_path / "short").rmdir()
    assert relative.evaluation == finished_run.evaluation


def test_a_run_is_named_as_it_was_given_while_that_path_leads_to_it(
    relative: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert repr(relative) == "Run('runs/one')"
    monkeypatch.chdir(tmp_path)
    assert repr(relative) == f"Run({str(tmp_path / 'work' / 'runs' / 'one')!r})"
    monkeypatch.chdir(tmp_path / "work")
    assert relative.folder == Path("runs/one")
