"""`verify` where data, libraries, files or the report have changed since the training, or something is not at hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.commands import Cli, refused
from support.verification import copy_beside_its_data, failed, results, rewrite

from featherweight.recipe import Recipe
from featherweight.run import manifest
from featherweight.run.folder import Run
from featherweight.run.manifest import write_manifest


@pytest.fixture
def run(cli: Cli, finished_run: Run, tiny_data: dict[str, Path]) -> Path:
    return copy_beside_its_data(finished_run, tiny_data)


def test_changed_data_are_named_and_lost_ones_skipped(run: Path, cli: Cli) -> None:
    lines = Path("test.jsonl").read_text("utf-8").splitlines()
    changed = json.dumps({**json.loads(lines[4]), "text": "something else"})
    Path("test.jsonl").write_text("\n".join([*lines[:4], changed, *lines[5:]]) + "\n", "utf-8")
    failed(cli, "test", "test.jsonl: ", "row 5 has another text")
    relabelled = json.dumps({**json.loads(lines[4]), "label": json.loads(lines[5])["label"]})
    Path("test.jsonl").write_text("\n".join([*lines[:4], relabelled, *lines[5:]]) + "\n", "utf-8")
    failed(cli, "test", "test.jsonl: ", "row 5 has another label")
    Path("test.jsonl").write_text("\n".join(lines[:-1]) + "\n", "utf-8")
    failed(cli, "test", "test.jsonl: has changed: 23 rows, not 24")
    Path("test.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    train = Path("train.jsonl").read_text("utf-8")
    Path("train.jsonl").write_text(train.replace(" train", " training"), "utf-8")
    failed(cli, "training rows", "train.jsonl: has changed since the training: its texts differ")
    Path("train.jsonl").unlink()
    Path("shift.jsonl").unlink()
    answer = cli("verify", "run", "--json")
    found = results(answer)
    assert answer.code == 0
    assert found["test"][0] == "pass"
    for name in ("validation", "training rows", "shift.jsonl"):
        assert found[name][0] == "skipped"
        assert "jsonl: no such file" in found[name][1]
    assert "passed; skipped: training rows, validation, shift.jsonl" in answer.out


def test_data_are_found_where_the_run_was_started(run: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    rewrite("environment.json", lambda values: values.update(working_folder=str(Path.cwd())))(run)
    away = Path.cwd() / "away"
    away.mkdir()
    monkeypatch.chdir(away)
    answer = cli("verify", "../run", "--json")
    assert answer.code == 0
    assert not [name for name, (result, _) in results(answer).items() if result == "skipped"]
    assert Path.cwd() == away
    rewrite("environment.json", lambda values: values.pop("working_folder"))(Path("../run"))
    answer = cli("verify", "../run", "--json")
    assert answer.code == 1
    assert "is inconclusive" in answer.out and results(answer)["test"][0] == "skipped"


def test_another_library_moves_within_the_tolerance(run: Path, cli: Cli) -> None:
    rewrite("environment.json", lambda values: values.update(torch="2.0.0", tokenizers="0.1"))(run)
    rewrite("adapter/featherweight.json", lambda values: values.update(temperature=values["temperature"] * 1.0001))(run)
    answer = cli("verify", "run", "--json")
    found = results(answer)
    assert answer.code == 0, answer
    assert found["environment"][0] == "differs"
    assert "torch 2.0.0, now " in found["environment"][1]
    assert "tokenizers 0.1, now " in found["environment"][1]
    assert found["test"][0] == "differs"
    assert "0 other labels" in found["test"][1]
    assert "(the tolerance is 0.001)" in found["test"][1]
    assert "passed; some values differ within the tolerance" in answer.out


def test_the_same_difference_does_not_pass_where_nothing_else_has_moved(run: Path, cli: Cli) -> None:
    rewrite("adapter/featherweight.json", lambda values: values.update(temperature=values["temperature"] * 1.0001))(run)
    failed(cli, "test", "probabilities differ by")


def test_runs_without_a_manifest_backbone_or_readable_files(run: Path, cli: Cli) -> None:
    (run / manifest.FILE).unlink()
    answer = cli("verify", "run")
    assert answer.code == 0
    assert "manifest.json is missing" in answer.out
    assert "run passed; skipped: files" in answer.out
    recipe = Recipe.load(run / "recipe.toml").with_values(backbone={"name": "/nowhere/at/all"})
    for file in ("recipe.toml", "adapter/recipe.toml"):
        (run / file).write_text(recipe.to_toml(), "utf-8")
    answer = cli("verify", "run", "--json")
    found = results(answer)
    assert answer.code == 1
    assert "is inconclusive: no predictions could be recomputed; skipped: files, weight, backbone" in answer.out
    assert {name for name, (result, _) in found.items() if result == "skipped"} == {
        "files",
        "weight",
        "backbone",
        "predictions",
    }
    write_manifest(run)
    (run / "evaluation.json").unlink()
    failed(cli, "run", "evaluation.json: missing")
    (run / "recipe.toml").unlink()
    failed(cli, "files", "missing: evaluation.json, recipe.toml")


def test_the_report_may_be_drawn_anew_and_nothing_else_is_covered_by_that(run: Path, cli: Cli) -> None:
    path, before = run / "evaluation.json", (run / "report.html").read_bytes()
    path.write_text(path.read_text("utf-8").replace('"best_step"', ' "best_step"'), "utf-8")
    (run / "plots" / "shift.png").unlink()
    assert cli("report", "run").code == 0
    assert (run / "report.html").read_bytes() != before
    assert failed(cli, "files")["files"] == ("fail", "changed: evaluation.json")


def test_no_run_nothing_finished_and_nothing_saved(run: Path, cli: Cli, tmp_path: Path) -> None:
    refused(cli, "verify", "nowhere", naming="nowhere: not a run folder")
    (run / "verification.json").unlink()
    (run / manifest.FILE).unlink()
    refused(cli, "verify", "run", naming=("run: the run is not finished", "--resume"))
    path = run / "environment.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), "baseline": "tfidf-svm"}), "utf-8")
    refused(cli, "verify", "run", naming="run: is a baseline; baselines save no model")
