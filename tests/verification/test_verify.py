"""`verify`: a sound run holds, and whatever was changed afterwards is caught and named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.commands import Answer, Cli, contents, refused

from featherweight.recipe import Recipe
from featherweight.run import manifest
from featherweight.run.folder import Run
from featherweight.run.manifest import write_manifest

Spoil = Callable[[Path], None]


@pytest.fixture
def run(cli: Cli, finished_run: Run, tiny_data: dict[str, Path]) -> Path:
    """A copy of a finished run in the working directory, whose data lie there too, to be spoilt."""
    shutil.copytree(finished_run.folder, "run", symlinks=True)
    for name, path in tiny_data.items():
        shutil.copy(path, f"{name}.jsonl")
    recipe = finished_run.recipe.with_values(
        data={"train": "train.jsonl", "test": "test.jsonl"}, evaluation={"shift": ["shift.jsonl"]}
    )
    for file in (Path("run/recipe.toml"), Path("run/adapter/recipe.toml")):
        file.write_text(recipe.to_toml(), "utf-8")
    place = str(tiny_data["shift"])
    evaluation = Path("run/evaluation.json")
    evaluation.write_text(evaluation.read_text("utf-8").replace(json.dumps(place), '"shift.jsonl"'), "utf-8")
    table = pd.read_parquet("run/predictions.parquet")
    table["split"] = table["split"].replace(place, "shift.jsonl")
    table.to_parquet("run/predictions.parquet", index=False)
    write_manifest(Path("run"))
    return Path("run")


def results(answer: Answer) -> dict[str, tuple[str, str]]:
    """Result and finding of each check."""
    return {check["check"]: (check["result"], check["found"]) for check in json.loads(answer.out)["checks"]}


def failed(cli: Cli, check: str, *naming: str) -> dict[str, tuple[str, str]]:
    """Verify the run, and expect this check to fail for a reason that names the right things."""
    answer = cli("verify", "run", "--json")
    found = results(answer)
    assert answer.code == 1, answer
    assert found[check][0] == "fail", found
    for part in naming:
        assert part in found[check][1], found[check]
    assert f"does not hold: {', '.join(n for n, (r, _) in found.items() if r == 'fail')}" in answer.out
    return found


def rewrite(file: str, change: Callable[[Any], None]) -> Spoil:
    """Change a JSON file of the run, and the manifest with it: only what the file says can give it away."""

    def spoil(folder: Path) -> None:
        values = json.loads((folder / file).read_text("utf-8"))
        change(values)
        (folder / file).write_text(json.dumps(values), "utf-8")
        write_manifest(folder)

    return spoil


def test_a_sound_run_holds_and_is_not_touched(run: Path, cli: Cli) -> None:
    before = contents(run)
    answer = cli("verify", "run")
    assert answer.code == 0, answer
    assert answer.out.splitlines()[-1] == "run holds"
    found = results(cli("verify", "run", "--json"))
    assert {result for result, _ in found.values()} == {"pass"}
    judged = ["validation", "test", "shift.jsonl"]
    assert list(found) == [
        "files",
        "surroundings",
        "recipe",
        "weight",
        "history",
        "figures",
        "adapter",
        "training rows",
        *judged,
    ]
    assert found["test"][1] == "24 rows: the same labels, probabilities and figures"
    assert contents(run) == before


def test_the_run_as_it_was_trained_holds_from_anywhere(finished_run: Run, cli: Cli) -> None:
    assert (finished_run.folder / manifest.FILE).is_file()
    answer = cli("verify", finished_run.folder)
    assert answer.code == 0, answer


@pytest.mark.parametrize("file", [
    "recipe.toml", "environment.json", "weigh.json", "history.jsonl", "evaluation.json", "predictions.parquet",
    "verification.json", "report.html", "plots/summary.png", "adapter/adapter_model.safetensors",
    "adapter/adapter_config.json", "adapter/tokenizer.json", "adapter/featherweight.json",
])  # fmt: skip
def test_every_file_is_watched(run: Path, file: str) -> None:
    from featherweight.verification.evidence import Evidence
    from featherweight.verification.integrity import files

    content = (run / file).read_bytes()
    (run / file).write_bytes(content[:-40] + bytes([content[-40] ^ 1]) + content[-39:])
    assert files(Evidence(run)).result == "fail"
    assert files(Evidence(run)).found == f"changed: {file}"
    (run / file).unlink()
    assert files(Evidence(run)).found == f"missing: {file}"


def test_files_that_nobody_wrote(run: Path, cli: Cli) -> None:
    (run / "notes.txt").write_text("mine")
    (run / "checkpoint" / "more").write_text("of no matter")
    found = results(cli("verify", "run", "--json"))["files"]
    assert found[0] == "pass"
    assert found[1].endswith("not the run's: notes.txt")
    (run / "adapter" / "adapter_model.bin").write_bytes(b"\x80\x04.")
    failed(cli, "files", "added: adapter/adapter_model.bin")


def test_a_byte_of_the_adapter_is_caught_by_what_it_computes(run: Path, cli: Cli) -> None:
    weights = run / "adapter" / "adapter_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 0x40  # the exponent of a number in the head
    weights.write_bytes(bytes(content))
    found = failed(cli, "files", "changed: adapter/adapter_model.safetensors")
    assert "fail" in {found[name][0] for name in ("validation", "test", "shift.jsonl")}
    write_manifest(run)
    failed(cli, "test", "probabilities differ by")


def swap(values: dict[str, Any]) -> None:
    values["labels"] = values["labels"][1:] + values["labels"][:1]


TAMPERED: dict[str, tuple[Spoil, str, tuple[str, ...]]] = {
    "accuracy": (
        rewrite("evaluation.json", lambda v: v["test"].update(accuracy=1.0)), "figures", ("test accuracy is 1.0",),
    ),
    "macro-F1 of a shift set": (
        rewrite("evaluation.json", lambda v: v["shift"]["shift.jsonl"].update(macro_f1=0.1)), "figures", ("macro_f1",),
    ),
    "a set left out": (
        rewrite("evaluation.json", lambda v: v.update(shift={})), "figures", ("shift.jsonl is missing",),
    ),
    "calibration": (
        rewrite("evaluation.json", lambda v: v["test"].update(calibration_error=0.5)), "test", ("calibration_error",),
    ),
    "best step": (
        rewrite("evaluation.json", lambda v: v.update(best_step=1)), "history", ("it has no such evaluation",),
    ),
    "label names": (rewrite("adapter/featherweight.json", swap), "test", ("other labels",)),
    "temperature": (
        rewrite("adapter/featherweight.json", lambda v: v.update(temperature=9.0)), "test", ("probabilities differ",),
    ),
    "weight": (rewrite("weigh.json", lambda v: v.update(total=7)), "weight", ("total is 7", "the recipe gives")),
    "share of the weight": (
        rewrite("weigh.json", lambda v: v["components"][0].update(parameters=1)), "weight", ("components",),
    ),
    "budget": (rewrite("weigh.json", lambda v: v.update(budget=5)), "weight", ("budget is 5",)),
    "backbone": (
        rewrite("environment.json", lambda v: v["backbone"].update(sha256="0" * 64)), "backbone", ("another sha256",),
    ),
    "seed": (rewrite("environment.json", lambda v: v.update(seed=9)), "recipe", ("environment.json has 9",)),
    "no table of figures": (rewrite("evaluation.json", lambda v: v.update(test=3)), "run", ("evaluation.json",)),
}  # fmt: skip


@pytest.mark.parametrize("case", TAMPERED)
def test_what_was_changed_is_named_even_where_the_manifest_was_changed_with_it(run: Path, cli: Cli, case: str) -> None:
    spoil, check, naming = TAMPERED[case]
    spoil(run)
    found = failed(cli, check, *naming)
    assert found["files"][0] == "pass"


@pytest.mark.parametrize(
    ("processes", "prefix_cache", "result"), [(1, "auto", "fail"), (2, "auto", "pass"), (1, "on", "pass")]
)
def test_a_row_may_be_decided_otherwise_only_where_it_was_evaluated_otherwise(
    run: Path, cli: Cli, processes: int, prefix_cache: str, result: str
) -> None:
    """One process runs the same operations in training and at its end; several, or kept states, may round otherwise."""
    table = pd.read_parquet("run/predictions.parquet")
    own = table["split"] == "validation"
    columns = [column for column in table if column.startswith("p_")]
    row = table[own].index[0]
    table.loc[row, columns] = [0.4999, 0.5001, 0.0]
    table.to_parquet("run/predictions.parquet", index=False)
    for file in (Path("run/recipe.toml"), Path("run/adapter/recipe.toml")):
        text = file.read_text("utf-8").replace('prefix_cache = "auto"', f'prefix_cache = "{prefix_cache}"')
        file.write_text(text, "utf-8")
    rewrite("environment.json", lambda v: v.update(processes=processes))(run)
    best = json.loads((run / "evaluation.json").read_text())["best_step"]
    lines = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    claimed = json.loads((run / "evaluation.json").read_text())["best_validation_accuracy"]
    shift = -1 / 12 if claimed > 0.5 else 1 / 12
    for line in lines:
        if line["kind"] == "evaluation":
            line["accuracy"] = claimed + shift if line["step"] == best else 0.0
    (run / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    rewrite("evaluation.json", lambda v: v.update(best_validation_accuracy=claimed + shift))(run)
    assert results(cli("verify", "run", "--json"))["history"][0] == result


def test_an_edited_history_is_caught(run: Path, cli: Cli) -> None:
    path = run / "history.jsonl"
    lines = path.read_text("utf-8").splitlines()
    better = [{**json.loads(line)} for line in lines]
    for record in better:
        record.update(accuracy=1.0, loss=0.0) if record["kind"] == "evaluation" else None
    path.write_text("".join(json.dumps(record) + "\n" for record in better), "utf-8")
    write_manifest(run)
    failed(cli, "history", "history.jsonl: step", "has 1.0000; evaluation.json calls it the best")
    others = [
        {**r, "accuracy": 1.0} if r["kind"] == "evaluation" and r["step"] == 3 else r for r in map(json.loads, lines)
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in others), "utf-8")
    write_manifest(run)
    failed(cli, "history", "history.jsonl: step 3 with 1.0000 is better than step")
    path.write_text("\n".join([*lines, lines[0]]) + "\n", "utf-8")
    write_manifest(run)
    failed(cli, "history", "its steps do not count up from 1")


def test_an_edited_prediction_is_caught(run: Path, cli: Cli) -> None:
    table = pd.read_parquet(run / "predictions.parquet")
    table.loc[table["split"] == "test", "predicted"] = table.loc[table["split"] == "test", "label"]
    table.to_parquet(run / "predictions.parquet", index=False)
    write_manifest(run)
    failed(cli, "figures", "another label than its most probable one")


def test_a_recipe_that_is_not_the_adapters(run: Path, cli: Cli) -> None:
    (run / "recipe.toml").write_text(Recipe.load(run / "recipe.toml").with_values(seed=5).to_toml(), "utf-8")
    failed(cli, "recipe", "recipe.toml and adapter/recipe.toml differ")


def test_changed_data_are_named_and_lost_ones_skipped(run: Path, cli: Cli) -> None:
    lines = Path("test.jsonl").read_text("utf-8").splitlines()
    changed = json.dumps({**json.loads(lines[4]), "text": "something else"})
    Path("test.jsonl").write_text("\n".join([*lines[:4], changed, *lines[5:]]) + "\n", "utf-8")
    failed(cli, "test", "test.jsonl: has changed since", "row 5 has another text")
    Path("test.jsonl").write_text("\n".join(lines[:-1]) + "\n", "utf-8")
    failed(cli, "test", "test.jsonl: has changed since: 23 rows, not 24")
    Path("test.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    train = Path("train.jsonl").read_text("utf-8")
    Path("train.jsonl").write_text(train.replace(" train", " training"), "utf-8")
    failed(cli, "training rows", "train.jsonl: has changed since: its texts")
    Path("train.jsonl").unlink()
    Path("shift.jsonl").unlink()
    answer = cli("verify", "run", "--json")
    found = results(answer)
    assert answer.code == 0
    assert found["test"][0] == "pass"
    for name in ("validation", "training rows", "shift.jsonl"):
        assert found[name][0] == "skipped"
        assert "jsonl: no such file" in found[name][1]
    assert "holds; not looked at: training rows, validation, shift.jsonl" in answer.out


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
    assert "is undecided" in answer.out and results(answer)["test"][0] == "skipped"


def test_another_library_moves_within_the_tolerance(run: Path, cli: Cli) -> None:
    rewrite("environment.json", lambda values: values.update(torch="2.0.0", tokenizers="0.1"))(run)
    rewrite("adapter/featherweight.json", lambda values: values.update(temperature=values["temperature"] * 1.0001))(run)
    answer = cli("verify", "run", "--json")
    found = results(answer)
    assert answer.code == 0, answer
    assert found["surroundings"][0] == "moved"
    assert "torch 2.0.0, now " in found["surroundings"][1]
    assert "tokenizers 0.1, now " in found["surroundings"][1]
    assert found["test"][0] == "moved"
    assert "0 other labels" in found["test"][1]
    assert "(0.001 is tolerated)" in found["test"][1]
    assert "holds, but for what has moved within the tolerance" in answer.out


def test_the_same_difference_does_not_pass_where_nothing_else_has_moved(run: Path, cli: Cli) -> None:
    rewrite("adapter/featherweight.json", lambda values: values.update(temperature=values["temperature"] * 1.0001))(run)
    failed(cli, "test", "probabilities differ by")


def test_runs_without_a_manifest_backbone_or_readable_files(run: Path, cli: Cli) -> None:
    (run / manifest.FILE).unlink()
    answer = cli("verify", "run")
    assert answer.code == 0
    assert "there is no manifest.json" in answer.out
    assert "run holds; not looked at: files" in answer.out
    recipe = Recipe.load(run / "recipe.toml").with_values(backbone={"name": "/nowhere/at/all"})
    for file in ("recipe.toml", "adapter/recipe.toml"):
        (run / file).write_text(recipe.to_toml(), "utf-8")
    answer = cli("verify", "run", "--json")
    found = results(answer)
    assert answer.code == 1
    assert "is undecided, for nothing could be predicted again; not looked at: files, weight, backbone" in answer.out
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
    refused(cli, "verify", "nowhere", naming="nowhere: no run folder")
    (run / "verification.json").unlink()
    (run / manifest.FILE).unlink()
    refused(cli, "verify", "run", naming=("run: the run is not finished", "--resume"))
    path = run / "environment.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), "baseline": "tfidf-svm"}), "utf-8")
    refused(cli, "verify", "run", naming="run: is a baseline, of which no model is kept")
