"""The report of a run: what its drawing leaves in the manifest, and how one that was cut off is finished."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support.commands import Cli, contents

from featherweight.report.run import page, plots
from featherweight.run.cleanup import DRAWN
from featherweight.run.folder import Run
from featherweight.run.manifest import compare_with_manifest
from featherweight.workflows.report import is_reported, report_run, run_pictures
from featherweight.workflows.train import train


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def as_listed(folder: Path) -> bool:
    """Whether every file is as the manifest has it, and it has every file."""
    found = compare_with_manifest(folder)
    return found is not None and not (found.missing or found.changed or found.added or found.out_of_reach)


def test_what_is_drawn_anew_is_listed_anew(run: Path) -> None:
    (run / "plots" / "summary.png").unlink()
    (run / "report.html").write_text("old", "utf-8")
    assert {path.name for path in report_run(run)} == {path.name for path in (run / "plots").iterdir()}
    assert is_reported(run) and as_listed(run)


@pytest.mark.parametrize("failing", ["draw_plots", "write_report"])
def test_a_drawing_that_failed_leaves_a_complete_run(run: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(plots if failing == "draw_plots" else page, failing, full)
        report_run(run)
    found = compare_with_manifest(run)
    assert found is not None and not found.changed and not found.missing and set(found.added) <= set(DRAWN)
    assert Run(run).complete and not is_reported(run)
    report_run(run)
    assert is_reported(run) and as_listed(run)


def test_a_resume_draws_what_was_not_drawn_and_trains_nothing(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(run)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(plots, "draw_plots", full)
        report_run(run)
    shutil.rmtree(run / "plots")
    (run / "report.html").unlink()
    monkeypatch.setattr("featherweight.workflows.train.fit_prepared", pytest.fail)
    assert train(Run(run).recipe, run, resume=True).complete
    assert contents(run).keys() == before.keys() and is_reported(run) and as_listed(run)


def test_the_command_line_finishes_it_as_well(run: Path, cli: Cli) -> None:
    (run / "report.html").unlink()
    assert Run(run).complete and not is_reported(run)
    assert cli("report", run).out.startswith("Report: run/report.html\n")
    assert is_reported(run) and as_listed(run)


def test_a_page_of_an_unfinished_run_completes_nothing(run: Path) -> None:
    for name in ("verification.json", "manifest.json"):
        (run / name).unlink()
    report_run(run)
    assert not Run(run).complete and not (run / "manifest.json").exists()


def test_a_run_of_an_early_version_without_a_manifest_is_complete(run: Path) -> None:
    (run / "manifest.json").unlink()
    assert Run(run).complete


def test_a_damaged_manifest_is_left_to_verify(run: Path) -> None:
    (run / "manifest.json").write_text(json.dumps({"files": 3}), "utf-8")
    assert is_reported(run)


def test_pictures_are_drawn_once_and_listed(run: Path) -> None:
    shutil.rmtree(run / "plots")
    (run / "manifest.json").write_text(json.dumps({"files": {}}), "utf-8")
    pictures = run_pictures(Run(run))
    assert sorted(pictures) == run_pictures(Run(run))
    listed = json.loads((run / "manifest.json").read_text("utf-8"))["files"]
    assert sorted(listed) == sorted(f"plots/{path.name}" for path in pictures)
