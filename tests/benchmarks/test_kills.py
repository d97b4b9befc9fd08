"""Runs that are killed, at every place and at any moment, and resumed come to the same as runs left in peace."""

from __future__ import annotations

import importlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NOTHING = (
    "lost_steps", "doubled_lines", "torn_lines", "other_records", "differing_files", "differing_bytes", "leftovers",
    "half_written_files",
)  # fmt: skip
Load = Callable[[str], ModuleType]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Imports a module of the benchmarks as the scripts themselves do."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


@pytest.mark.slow
def test_no_kill_loses_or_changes_anything(load: Load, tmp_path: Path) -> None:
    # A process of its own: it forks, for which torch must never have had more than one thread.
    command = [sys.executable, str(ROOT / "benchmarks" / "run.py"), "kills", "--kills", "36"]
    done = subprocess.run([*command, "--results", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    (path,) = tmp_path.rglob("reliability-kills.json")
    found = json.loads(path.read_text("utf-8"))["summary"]
    assert found["failures"] == []
    assert {aim: found[aim] for aim in NOTHING} == dict.fromkeys(NOTHING, 0)
    assert found["kills"] >= 36 and found["resumes"] >= 36
    assert found["places_without_a_kill"] == []
    assert found["by_way"].keys() == {"place", "half-written", "moment"}
    assert found["mid_epoch"] and found["histories_found_torn"] and found["full_disks"] and found["second_processes"]


def a_run(folder: Path) -> Path:
    """The files of a run that a comparison looks at."""
    (folder / "adapter").mkdir(parents=True)
    (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"weights")
    records = [{"kind": "step", "step": step, "loss": 0.5, "seconds": step / 3} for step in range(1, 6)]
    (folder / "history.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    (folder / "evaluation.json").write_text('{"test": 1}', "utf-8")
    return folder


def spoil(folder: Path, how: str) -> None:
    history = folder / "history.jsonl"
    lines = history.read_text("utf-8").splitlines(keepends=True)
    match how:
        case "lost_steps":
            history.write_text("".join(lines[:2] + lines[3:]), "utf-8")
        case "doubled_lines":
            history.write_text("".join(lines + lines[-1:]), "utf-8")
        case "torn_lines":
            history.write_text("".join(lines) + lines[-1][:9], "utf-8")
        case "other_records":
            history.write_text("".join(lines).replace("0.5", "0.25"), "utf-8")
        case "differing_bytes":
            (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"waits!")
        case "differing_files":
            (folder / "evaluation.json").unlink()
        case "leftovers":
            (folder / "report.html.part").write_text("<", "utf-8")


@pytest.mark.parametrize(("how", "count"), [
    ("lost_steps", 1), ("doubled_lines", 1), ("torn_lines", 1), ("other_records", 1), ("differing_bytes", 5),
    ("differing_files", 1), ("leftovers", 1),
])  # fmt: skip
def test_a_comparison_notices_every_kind_of_loss(load: Load, tmp_path: Path, how: str, count: int) -> None:
    compare = load("reliability.outcome")
    whole = compare.outcome(a_run(tmp_path / "whole" / "run").parent)
    again = a_run(tmp_path / "again" / "run")
    assert not compare.unlike(compare.outcome(again.parent), whole)
    spoil(again, how)
    assert compare.unlike(compare.outcome(again.parent), whole)[how] == count


def test_half_written_files_are_noticed_under_their_own_names_alone(load: Load, tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    (run / "adapter" / "adapter_model.safetensors").unlink()
    (run / "adapter.part").mkdir()
    (run / "adapter.part" / "featherweight.json").write_text('{"lab', "utf-8")
    (run / "history.jsonl").write_text('{"kind": "step", "step": 1}\n{"kind": "st', "utf-8")
    half_written = load("reliability.outcome").half_written
    assert list(half_written(run)) == []
    (run / "recipe.toml").write_text("[data", "utf-8")
    (run / "evaluation.json").write_text('{"test": ', "utf-8")
    assert list(half_written(run)) == ["evaluation.json", "recipe.toml"]


def test_kills_come_to_every_place_and_to_any_moment(load: Load) -> None:
    campaign, killed = load("reliability.kills"), load("reliability.killed")
    places = ["writing results", "renaming results", killed.STEPPED, killed.LINE, killed.RELOAD]
    tally, planned = campaign.Tally(40, missed={killed.LINE}), []
    for number in range(40):
        planned.append(campaign.next_kill(dict.fromkeys(places, 7), number % 3, 3.0, tally, random.Random(number)))
        tally.aimed_at[planned[-1].place] += 1
    assert [kill.place for kill in planned[:3]] == ["writing results", "renaming results", killed.STEPPED]
    assert {kill.place for kill in planned} == {*places, ""}
    assert sum(kill.tear for kill in planned) >= 2 and sum(kill.seconds > 0 for kill in planned) >= 10
    assert 7 >= max(kill.number for kill in planned) > 1
    assert {(kill.number, kill.tear) for kill in planned if kill.place == killed.LINE} == {(1, True)}


def test_a_campaign_goes_on_until_every_place_had_its_kill_or_too_many_runs_have_ended(load: Load) -> None:
    tally = load("reliability.kills").Tally(1, [{"place": "a"}], places={"a", "b"})
    assert tally.left
    tally.counts["runs_ended"] = 51
    assert not tally.left
    assert not load("reliability.kills").Tally(1, [{"place": "a"}], places={"a"}).left


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_dies_where_its_files_are_written_and_at_its_events(load: Load, tmp_path: Path) -> None:
    killed = load("reliability.killed")
    for name in ("cli.main", "workflows.rounds", "report.run.plots", "report.run.page", "verification.reload"):
        load(f"featherweight.{name}")  # once, and not in each process
    places = ["writing results", "renaming results", "writing checkpoint", "renaming checkpoint",
              "after renaming checkpoint", "reading checkpoint", killed.STEPPED, killed.LINE]  # fmt: skip

    def command(watch: Any) -> None:
        run = Path("run")
        (run / "checkpoint" / "part").mkdir(parents=True)
        (run / "history.jsonl").write_text("{}\n", "utf-8")
        (run / "checkpoint" / "part" / "state.json").write_text("{}", "utf-8")
        (run / "checkpoint" / "part").rename(run / "checkpoint" / "step-1")
        (run / "checkpoint" / "step-1" / "state.json").read_text("utf-8")
        watch.stepped({"step": 7})
        (run / "evaluation.json.part").write_text('{"test": 1}', "utf-8")
        (run / "evaluation.json.part").rename(run / "evaluation.json")
        Path("elsewhere.json").write_text("{}", "utf-8")
        (run / ".lock").touch()

    for number, kill in enumerate([killed.Kill(), *map(killed.Kill, places), killed.Kill(killed.LINE, tear=True)]):
        folder = tmp_path / str(number)
        folder.mkdir()
        ended = killed.Child(command, folder, kill).end()
        assert ended.code == (-9 if kill.place else 0), ended.message
        assert not kill.place or ended.place == kill.place
        torn = [path for path in (folder / "run").glob("history.jsonl") if path.read_bytes() != b"{}\n"]
        assert bool(torn) == kill.tear
    assert json.loads((tmp_path / "0" / "places.json").read_text("utf-8")).keys() >= set(places)
    assert ended.step == 7


def a_result(name: str, **more: Any) -> dict[str, Any]:
    machine = {"processor": "some", "cores": 2, "load_before": 0.5, "load_after": 3.0}
    versions = {"python": "3.11", "torch": "2.13", "transformers": "5.23", "peft": "0.21"}
    return {"benchmark": name, "name": name, "date": "2026-01-01T00:00:00", "commit": "abc", "machine": machine,
            "versions": versions, **more}  # fmt: skip


def test_the_page_has_what_there_is(load: Load) -> None:
    written = load("pages.write").reliability
    assert written([]) == ""
    bad = a_result(
        "reliability-bad-inputs",
        runs=[{"test": f"test_bad_input: test_{n}", "passed": n} for n in (4, 9)] + [{"test": "x: y", "failed": 1}],
        summary={"cases": 14, "passed": 13, "failed": 1},
    )
    found = {"date": "2026-11-02", "seconds": 600, "executions": 2_000_000, "crashes_found": 1, "crashes_left": 0}
    fuzzed = a_result("reliability-fuzz", settings={"minutes": 10}, targets={"recipe": found}, summary=found)
    fuzzed["versions"]["atheris"] = "3.0"
    text = written([fuzzed, bad])
    assert "14 cases: 13 passed, 1 failed, 0 skipped" in text
    assert "| bad input | 13 | 0 |" in text and "| x | 0 | 1 |" in text
    assert "load 0.5 before and 3.0 after; the machine was shared" in text
    assert "| recipe | 10.0 | 2,000,000 | 1 | 0 | 2026-11-02 |" in text
    assert "## Kills" not in text and text.index("## Bad inputs") < text.index("## Fuzzing")


def test_the_published_page_says_what_the_results_say(load: Load) -> None:
    page = load("pages.write").reliability(load("harness.recording").load_all())
    assert page == (ROOT / "docs" / "results" / "reliability.md").read_text("utf-8")


def test_the_share_of_checkpoints_is_of_the_interval_that_comes_first(load: Load) -> None:
    run = {"trainable": 1, "bytes": 1, "load_seconds": [0.1], "start_seconds": [5.0], "resume_seconds": [5.2]}
    quick = {**run, "step_seconds": [0.1], "checkpoint_seconds": [1.0, 1.0, 4.0]}
    summary = load("suites.checkpoint_cost").share_of(quick)
    assert (summary["interval_seconds"], summary["share"]) == (100.0, pytest.approx(1 / 101))
    assert summary["worst_share"] == pytest.approx(4 / 104)
    assert load("suites.checkpoint_cost").share_of({**quick, "step_seconds": [2.0]})["interval_seconds"] == 300
