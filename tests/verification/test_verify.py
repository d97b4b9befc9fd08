"""`verify`: a sound run holds, and whatever was changed afterwards is caught and named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file
from support.commands import Cli, contents
from support.verification import Spoil, copy_beside_its_data, failed, results, rewrite

from featherweight.adapter.storage import WEIGHTS
from featherweight.recipe import Recipe
from featherweight.run import manifest
from featherweight.run.folder import Run
from featherweight.run.manifest import write_manifest
from featherweight.verification.evidence import Evidence
from featherweight.verification.integrity import files, history


@pytest.fixture
def run(cli: Cli, finished_run: Run, tiny_data: dict[str, Path]) -> Path:
    return copy_beside_its_data(finished_run, tiny_data)


def test_a_sound_run_holds_and_is_not_touched(run: Path, cli: Cli) -> None:
    before = contents(run)
    answer = cli("verify", "run")
    assert answer.code == 0, answer
    assert answer.out.splitlines()[-1] == "run passed"
    found = results(cli("verify", "run", "--json"))
    assert {result for result, _ in found.values()} == {"pass"}
    judged = ["validation", "test", "shift.jsonl"]
    assert list(found) == [
        "files",
        "environment",
        "recipe",
        "weight",
        "history",
        "metrics",
        "adapter",
        "training rows",
        *judged,
    ]
    assert found["test"][1] == "24 rows: the same labels, probabilities and metrics"
    assert contents(run) == before


def test_metrics_that_only_newer_versions_compute_are_not_missed_in_an_old_run(run: Path, cli: Cli) -> None:
    rewrite("evaluation.json", lambda values: values["test"].pop("reliability_scaled"))(run)
    answer = cli("verify", "run", "--json")
    assert answer.code == 0, answer
    assert results(answer)["test"][0] == "pass"


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
    assert found[1].endswith("not part of the run: notes.txt")
    (run / "adapter" / "adapter_model.bin").write_bytes(b"\x80\x04.")
    failed(cli, "files", "added: adapter/adapter_model.bin")


def test_a_byte_of_the_adapter_is_caught_by_what_it_computes(run: Path, cli: Cli) -> None:
    weights = run / "adapter" / "adapter_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 0x40  # the exponent of a number in the head
    weights.write_bytes(bytes(content))
    found = failed(cli, "files", "changed: adapter/adapter_model.safetensors")
    assert found["adapter"][0] == "fail" and "gives other logits here" in found["adapter"][1]
    (run / "adapter" / "probes.json").unlink()  # as in a run of an earlier version
    write_manifest(run)
    failed(cli, "test", "probabilities differ by")


def swap(values: dict[str, Any]) -> None:
    values["labels"] = values["labels"][1:] + values["labels"][:1]


def turn(row: list[int]) -> None:
    row.append(row.pop(0))


def more_saved(folder: Path) -> None:
    """Adds a tensor, so that more parameters are saved than weighed."""
    file = folder / "adapter" / WEIGHTS[0]
    save_file({**load_file(file), "base_model.more": np.zeros(1000, np.float32)}, file)
    write_manifest(folder)


def smaller_budget(folder: Path) -> None:
    """Lowers the budget wherever it is written."""
    for file in (folder / "recipe.toml", folder / "adapter" / "recipe.toml"):
        file.write_text(Recipe.load(file).with_values(budget=10).to_toml(), "utf-8")
    rewrite("weigh.json", lambda values: values.update(budget=10, margin=10 - values["total"]))(folder)


TAMPERED: dict[str, tuple[Spoil, str, tuple[str, ...]]] = {
    "accuracy": (
        rewrite("evaluation.json", lambda v: v["test"].update(accuracy=1.0)), "metrics", ("test accuracy is 1.0",),
    ),
    "macro-F1 of a shift set": (
        rewrite("evaluation.json", lambda v: v["shift"]["shift.jsonl"].update(macro_f1=0.1)), "metrics", ("macro_f1",),
    ),
    "a set left out": (
        rewrite("evaluation.json", lambda v: v.update(shift={})), "metrics", ("shift.jsonl is missing",),
    ),
    "confusion matrix": (
        rewrite("evaluation.json", lambda v: turn(v["test"]["confusion_matrix"][0])), "metrics",
        ("the confusion matrix of test does not agree",),
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
    "weight": (rewrite("weigh.json", lambda v: v.update(total=7)), "weight", ("'total' is 7", "the recipe gives")),
    "share of the weight": (
        rewrite("weigh.json", lambda v: v["components"][0].update(parameters=1)), "weight", ("components",),
    ),
    "budget": (rewrite("weigh.json", lambda v: v.update(budget=5)), "weight", ("'budget' is 5",)),
    "a tensor more": (more_saved, "weight", ("adapter/ holds", "parameters; weigh.json says")),
    "more than the budget": (smaller_budget, "weight", ("saved parameters, of a budget of 10",)),
    "backbone": (
        rewrite("environment.json", lambda v: v["backbone"].update(sha256="0" * 64)), "backbone", ("another sha256",),
    ),
    "seed": (rewrite("environment.json", lambda v: v.update(seed=9)), "recipe", ("environment.json has 9",)),
    "no table of metrics": (rewrite("evaluation.json", lambda v: v.update(test=3)), "run", ("evaluation.json",)),
}  # fmt: skip


@pytest.mark.parametrize("case", TAMPERED)
def test_what_was_changed_is_named_even_where_the_manifest_was_changed_with_it(run: Path, cli: Cli, case: str) -> None:
    spoil, check, naming = TAMPERED[case]
    spoil(run)
    found = failed(cli, check, *naming)
    assert found["files"][0] == "pass"


DERIVED: dict[str, Any] = {
    "accuracy_interval": lambda test: test["accuracy_interval"].__setitem__(0, 0.9),
    "f1": lambda test: test["per_class"][1].update(f1=0.99),
    "support": lambda test: test["per_class"][0].update(support=2),
    "recall_interval": lambda test: test["per_class"][0].update(recall_interval=[0.98, 1.0]),
    "calibration_error_scaled": lambda test: test.update(calibration_error_scaled=0.001),
    "reliability_scaled": lambda test: next(b for b in test["reliability_scaled"] if b["rows"]).update(accuracy=0.5123),
}
"""What follows from the rows in predictions.parquet: key, and how it is made better than it is."""


@pytest.mark.parametrize("key", DERIVED)
def test_whatever_follows_from_the_predictions_is_computed_again_without_data_and_model(run: Path, key: str) -> None:
    from featherweight.verification.evidence import Evidence
    from featherweight.verification.reproduction import metrics

    assert metrics(Evidence(run)).result == "pass"
    rewrite("evaluation.json", lambda values: DERIVED[key](values["test"]))(run)
    found = metrics(Evidence(run))
    assert found.result == "fail"
    assert found.found == f"evaluation.json: test {key} is not that of the rows in predictions.parquet"


@pytest.mark.parametrize(("environment", "prefix_cache", "frozen", "result"), [
    ({}, "auto", False, "fail"),
    ({}, "on", False, "fail"),
    ({}, "off", True, "fail"),
    ({}, "auto", True, "pass"),
    ({}, "on", True, "pass"),
    ({"processes": 2}, "auto", False, "pass"),
    ({"device": "cuda"}, "off", True, "pass"),
    ({"warnings": ["begun with threads 2, now 1: the result may differ in the last digits"]}, "off", True, "pass"),
    ({"warnings": ["12 validation rows: ..."]}, "off", True, "fail"),
])  # fmt: skip
def test_a_row_may_be_decided_otherwise_only_where_it_was_evaluated_otherwise(
    run: Path, cli: Cli, environment: dict[str, Any], prefix_cache: str, frozen: bool, result: str
) -> None:
    """One process runs the same operations in training and at its end; several, or kept states, may round otherwise.

    Where the lowest layer is trained there are no frozen ones below it whose states could be kept.
    """
    if frozen:
        file = run / "adapter" / WEIGHTS[0]
        save_file({name: tensor for name, tensor in load_file(file).items() if ".0." not in name}, file)
    table = pd.read_parquet("run/predictions.parquet")
    own = table["split"] == "validation"
    columns = [column for column in table if column.startswith("p_")]
    row = table[own].index[0]
    table.loc[row, columns] = [0.4999, 0.5001, 0.0]
    table.to_parquet("run/predictions.parquet", index=False)
    for file in (Path("run/recipe.toml"), Path("run/adapter/recipe.toml")):
        text = file.read_text("utf-8").replace('prefix_cache = "auto"', f'prefix_cache = "{prefix_cache}"')
        file.write_text(text, "utf-8")
    rewrite("environment.json", lambda v: v.update(environment))(run)
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
    failed(cli, "history", "history.jsonl: step", "has 1.0000; in evaluation.json it is the best")
    others = [
        {**r, "accuracy": 1.0} if r["kind"] == "evaluation" and r["step"] == 3 else r for r in map(json.loads, lines)
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in others), "utf-8")
    write_manifest(run)
    failed(cli, "history", "history.jsonl: step 3 with 1.0000 is better than step")
    late = {**next(r for r in map(json.loads, lines) if r["kind"] == "evaluation"), "step": 999}
    path.write_text("\n".join([*lines, json.dumps(late)]) + "\n", "utf-8")
    write_manifest(run)
    failed(cli, "history", "an evaluation is of a step after the last step")
    path.write_text("\n".join([*lines, lines[0]]) + "\n", "utf-8")
    write_manifest(run)
    failed(cli, "history", "its steps are not 1, 2, 3")


def test_an_edited_prediction_is_caught(run: Path, cli: Cli) -> None:
    table = pd.read_parquet(run / "predictions.parquet")
    table.loc[table["split"] == "test", "predicted"] = table.loc[table["split"] == "test", "label"]
    table.to_parquet(run / "predictions.parquet", index=False)
    write_manifest(run)
    failed(cli, "metrics", "the predicted label of a row is not its most probable")


def test_a_recipe_that_is_not_the_adapters(run: Path, cli: Cli) -> None:
    (run / "recipe.toml").write_text(Recipe.load(run / "recipe.toml").with_values(seed=5).to_toml(), "utf-8")
    failed(cli, "recipe", "recipe.toml and adapter/recipe.toml differ")


@pytest.mark.parametrize(("keep", "result"), [("best", "pass"), ("last", "fail")])
def test_the_accuracy_at_the_end_is_that_of_the_step_that_is_kept(run: Path, keep: str, result: str) -> None:
    lines = [json.loads(line) for line in (run / "history.jsonl").read_text("utf-8").splitlines()]
    last = [record for record in lines if record["kind"] == "evaluation"][-1]
    lines.append({**last, "accuracy": 0.25, "loss": 9.0})
    (run / "history.jsonl").write_text("".join(json.dumps(record) + "\n" for record in lines), "utf-8")
    for file in (run / "recipe.toml", run / "adapter" / "recipe.toml"):
        file.write_text(Recipe.load(file).with_values(training={"keep": keep}).to_toml(), "utf-8")
    found = history(Evidence(run))
    assert found.result == result
    assert keep == "best" or "whose adapter was saved, had the validation accuracy 0.2500" in found.found
