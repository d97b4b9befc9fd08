"""The hidden folder of an export: what a kill leaves is removed by the next export, and nothing else ever is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.exports import in_this_process

import featherweight
from featherweight.errors import UserError
from featherweight.export import gate
from featherweight.export.staging import OLD, PART, remove_leftovers, staging_folder
from featherweight.training.signals import Interrupted
from featherweight.workflows import export as workflow
from featherweight.workflows.export import export_run

KILLED = """
import os, signal, sys
from pathlib import Path
from featherweight.export.staging import staging_folder
with staging_folder(Path(sys.argv[1]), sys.argv[2]) as folder:
    (folder / "model.onnx").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def kill(target: Path, suffix: str) -> None:
    """Kill a process that is writing an export."""
    environment = {**os.environ, "PYTHONPATH": str(Path(featherweight.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", KILLED, str(target), suffix], env=environment)
    assert done.returncode == -signal.SIGKILL


def test_what_a_kill_leaves_is_removed_and_nothing_else(tmp_path: Path) -> None:
    target, elsewhere = tmp_path / "o[n]nx", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "thesis.txt").write_text("mine", "utf-8")
    kept = [".o[n]nx.mine.part", ".onnx.abcdefgh.part", ".other.abcdefgh.part", ".o[n]nx.abcdefgh.part.txt"]
    for name in kept:
        (tmp_path / name).mkdir()
    (tmp_path / ".o[n]nx.abcdefgh.part").symlink_to(elsewhere)
    (tmp_path / ".o[n]nx.ijklmnop.part").write_text("a file", "utf-8")
    before = {path.name for path in tmp_path.iterdir()}
    kill(target, PART)
    assert len({path.name for path in tmp_path.iterdir()} - before) == 1
    with staging_folder(target, PART) as folder:
        remove_leftovers(target, PART)
        assert {path.name for path in tmp_path.iterdir()} - before == {folder.name}, "its process is alive"
    assert {path.name for path in tmp_path.iterdir()} == before
    assert (elsewhere / "thesis.txt").is_file()


def test_a_folder_that_is_taken_for_a_leftover_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from featherweight.export import staging

    locked, calls = staging._locked, list[Path]()

    def late(folder: Path) -> int:
        calls.append(folder)
        if len(calls) == 1:
            remove_leftovers(tmp_path / "onnx", PART)
        return locked(folder)

    monkeypatch.setattr(staging, "_locked", late)
    with staging_folder(tmp_path / "onnx", PART) as folder:
        assert folder.is_dir() and folder != calls[0]


def test_an_export_removes_what_killed_ones_have_left(run: Path, in_process: None, tmp_path: Path) -> None:
    for suffix in (PART, OLD):
        kill(tmp_path / "out", suffix)
    assert len([*tmp_path.iterdir()]) == 2
    export_run(run, "merged", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("force", [False, True])
def test_files_that_appear_during_an_export_stay(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, force: bool
) -> None:
    out = tmp_path / "out"

    def meanwhile(folder: Path, texts: Any) -> gate.Answer:
        out.mkdir()
        (out / "thesis.txt").write_text("mine", "utf-8")
        return in_this_process(folder, texts)

    monkeypatch.setattr(gate, "in_fresh_process", meanwhile)
    with pytest.raises(UserError, match=r"out=.*out\": exists; name a new folder$"):
        export_run(run, "merged", out, force=force)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (out / "thesis.txt").read_text("utf-8") == "mine"


def test_a_link_to_nowhere_is_refused_before_the_export(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "gone")
    monkeypatch.setattr(workflow, "_write", lambda *_: pytest.fail("a model was loaded"))
    with pytest.raises(UserError, match=r"out\": exists; name a new folder$"):
        export_run(run, "merged", tmp_path / "out")


def test_an_earlier_export_stays_if_it_cannot_be_replaced(
    run: Path, in_process: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    export_run(run, "merged", out)
    started = json.loads((out / "export.json").read_text("utf-8"))
    rename = Path.rename

    def interrupted(path: Path, to: Path) -> Path:
        if path == out:
            result = rename(path, to)
            os.kill(os.getpid(), signal.SIGTERM)  # the earlier export is aside, the new one not yet in its place
            return result
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(Interrupted):
        export_run(run, "merged", out, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert json.loads((out / "export.json").read_text("utf-8")) == started
