"""The whole job: what a run folder holds, and that it is proven, repeatable and resumable."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss
from support.stops import StopAfter

from featherweight.errors import UserError
from featherweight.hints import on_the_command_line
from featherweight.inference.classifier import Classifier
from featherweight.recipe import Recipe
from featherweight.run.folder import Run
from featherweight.run.lock import locked
from featherweight.training import loop
from featherweight.training.clock import Clock
from featherweight.training.loop import Interrupted
from featherweight.verification.verify import verify_run
from featherweight.workflows.environment import most_memory
from featherweight.workflows.evaluate import evaluate_run
from featherweight.workflows.prepare import prepare
from featherweight.workflows.train import _how_to_resume, train

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")

LABELS = ("bird", "fruit", "metal")


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def predictions(run: Run, split: str) -> pd.DataFrame:
    table = pd.read_parquet(run.folder / "predictions.parquet")
    return table[table["split"] == split].reset_index(drop=True)


def texts_of(path: Path) -> list[str]:
    return [json.loads(line)["text"] for line in path.read_text("utf-8").splitlines()]


def without_times(run: Run) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in record.items() if key not in ("seconds", "peak_memory_bytes")}
        for record in run.history
    ]


def assert_same_result(one: Run, other: Run) -> None:
    for name in ("adapter_model.safetensors", "featherweight.json"):
        assert (one.adapter / name).read_bytes() == (other.adapter / name).read_bytes()
    assert one.evaluation == other.evaluation
    assert without_times(one) == without_times(other)
    pd.testing.assert_frame_equal(*(pd.read_parquet(run.folder / "predictions.parquet") for run in (one, other)))


def test_run_folder_holds_what_the_design_lists_and_nothing_else(finished_run: Run) -> None:
    files = {"recipe.toml", "environment.json", "weigh.json", "history.jsonl", "evaluation.json", "predictions.parquet"}
    proof = {"verification.json", "manifest.json", "report.html", "plots", "adapter", "checkpoint"}
    assert {path.name for path in finished_run.folder.iterdir()} == files | proof
    assert finished_run.complete
    endings = {path.suffix for path in finished_run.folder.rglob("*") if path.is_file()}
    assert endings == {".toml", ".json", ".jsonl", ".parquet", ".html", ".md", ".png", ".safetensors"}
    adapter = {
        "adapter_model.safetensors",
        "adapter_config.json",
        "tokenizer.json",
        "featherweight.json",
        "recipe.toml",
    }
    assert adapter <= {path.name for path in finished_run.adapter.iterdir()}
    assert len(list((finished_run.folder / "plots").glob("*.png"))) >= 5


def test_the_memory_of_a_process_before_a_resume_counts(tmp_path: Path) -> None:
    assert 0 < most_memory(tmp_path) < 10**13
    records = [{"kind": "step", "step": 1}, {"kind": "evaluation", "step": 1, "peak_memory_bytes": 10**13}]
    (tmp_path / "history.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    assert most_memory(tmp_path) == 10**13


def test_environment_says_what_the_result_depends_on(finished_run: Run) -> None:
    environment = finished_run.environment
    assert {"python", "torch", "transformers", "peft", "processor", "cores", "threads", "device"} <= environment.keys()
    assert (environment["format"], environment["seed"], environment["precision"]) == (1, 0, "fp32")
    assert {name: part["rows"] for name, part in environment["data"].items()} == {"train": 48, "validation": 12}
    assert environment["seconds"] >= environment["training_seconds"] > 0
    assert environment["peak_memory_bytes"] > 10**8
    assert any("12 validation rows" in warning for warning in environment["warnings"])


def test_weigh_json_is_the_live_count_and_the_saved_one(finished_run: Run) -> None:
    weight = finished_run.weight
    saved = load_file(finished_run.adapter / "adapter_model.safetensors")
    live = prepare(finished_run.recipe).model.network.trainable_count()
    assert weight["total"] == live == sum(tensor.size for tensor in saved.values())
    assert weight["total"] == sum(component["parameters"] for component in weight["components"])


def test_proof_came_out_with_no_difference(finished_run: Run) -> None:
    proof = json.loads((finished_run.folder / "verification.json").read_text())
    assert proof["identical"] is True
    assert proof["reloaded"] == {"rows": 12, "largest_difference": 0.0, "allowed": 0.0}
    assert proof["peft"]["rows"] == 8
    assert proof["peft"]["largest_difference"] <= proof["peft"]["allowed"] < 1e-4
    assert proof["peft"]["other_tensors"] == []


@pytest.mark.parametrize(("split", "rows"), [("validation", 12), ("test", 24), ("shift", 18)])
def test_figures_can_be_recomputed_from_the_predictions(
    finished_run: Run, tiny_data: dict[str, Path], split: str, rows: int
) -> None:
    name = str(tiny_data["shift"]) if split == "shift" else split
    figures = finished_run.evaluation["shift"][name] if split == "shift" else finished_run.evaluation[split]
    table = predictions(finished_run, name)
    assert len(table) == rows == figures["rows"]
    assert figures["accuracy"] == pytest.approx(accuracy_score(table["label"], table["predicted"]))
    assert figures["confusion_matrix"] == confusion_matrix(table["label"], table["predicted"], labels=LABELS).tolist()
    assert [row["label"] for row in figures["per_class"]] == list(LABELS)
    probabilities = table[[f"p_{label}" for label in LABELS]].to_numpy()
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)
    assert np.array_equal(np.array(LABELS)[probabilities.argmax(1)], table["predicted"])
    assert figures["log_loss_scaled"] == pytest.approx(log_loss(table["label"], probabilities, labels=LABELS), abs=1e-5)
    wrong = (table["label"] != table["predicted"]).sum()
    assert len(figures["mistakes"]) == min(wrong, 20)


def test_predictions_hold_keys_of_the_texts_and_not_the_texts(finished_run: Run, tiny_data: dict[str, Path]) -> None:
    table = predictions(finished_run, "test")
    keys = [hashlib.sha256(text.encode()).hexdigest()[:16] for text in texts_of(tiny_data["test"])]
    assert table["text_key"].tolist() == keys
    assert table["row"].tolist() == list(range(24))
    columns = ["split", "row", "text_key", "label", "predicted", "p_bird", "p_fruit", "p_metal"]
    assert list(table.columns) == columns


def test_best_step_is_the_best_evaluation_of_the_history(finished_run: Run) -> None:
    evaluations = [record for record in finished_run.history if record["kind"] == "evaluation"]
    best = max(evaluations, key=lambda record: (record["accuracy"], -record["loss"], -record["step"]))
    evaluation = finished_run.evaluation
    assert evaluation["best_step"] == best["step"]
    assert (
        evaluation["best_validation_accuracy"]
        == evaluation["validation"]["accuracy"]
        == pytest.approx(best["accuracy"])
    )


@pytest.mark.parametrize("merge", [False, True])
@pytest.mark.parametrize("place", ["folder", "adapter"])
def test_loaded_classifier_gives_the_predictions_again(
    finished_run: Run, tiny_data: dict[str, Path], place: str, merge: bool
) -> None:
    classifier = Classifier.load(getattr(finished_run, place), precision="fp32", merge=merge)
    found = classifier.predict(texts_of(tiny_data["test"]))
    table = predictions(finished_run, "test")
    assert [prediction.label for prediction in found] == table["predicted"].tolist()
    for label in LABELS:
        ours = np.array([prediction.probabilities[label] for prediction in found])
        # Apart, adapter and weights give the run's own bits; folded into one, they are rounded otherwise.
        np.testing.assert_allclose(ours.astype(np.float32), table[f"p_{label}"], rtol=0, atol=1e-6 if merge else 0)


def test_classifier_refuses_a_bare_string_and_warns_of_an_empty_text(finished_run: Run) -> None:
    classifier = Classifier.load(finished_run.folder)
    assert classifier.predict([]) == []
    with pytest.raises(UserError, match="takes a list of texts"):
        classifier.predict("apple")
    with pytest.warns(UserWarning, match="empty"):
        apple, blank = classifier.predict(["apple", " \n"])
    assert apple.label == classifier.predict(["apple"])[0].label
    assert blank.label in classifier.labels


def test_evaluate_run_repeats_what_the_run_found(finished_run: Run, tiny_data: dict[str, Path]) -> None:
    assert evaluate_run(finished_run) == finished_run.evaluation
    again = evaluate_run(finished_run, str(tiny_data["test"]))
    then = finished_run.evaluation["test"]
    assert again["confusion_matrix"] == then["confusion_matrix"]
    assert again["log_loss"] == pytest.approx(then["log_loss"], rel=0.05)  # in this machine's own precision


def test_an_evaluation_on_training_rows_is_noted(finished_run: Run, tiny_data: dict[str, Path], tmp_path: Path) -> None:
    known, new = (tiny_data[part].read_text("utf-8").splitlines(keepends=True) for part in ("train", "shift"))
    (tmp_path / "rows.jsonl").write_text("".join([*known, *new]), "utf-8")
    notes: list[str] = []
    evaluate_run(finished_run, str(tmp_path / "rows.jsonl"), note=notes.append)
    file = tmp_path / "rows.jsonl"
    assert f"{file}: 48 of 78 rows repeat a training text of the run: the metrics may be too good" in notes
    evaluate_run(finished_run, str(tiny_data["shift"]), note=notes.append)
    assert not [note for note in notes if str(tiny_data["shift"]) in note and "too good" in note]


def test_report_tells_accuracy_weight_and_proof(finished_run: Run) -> None:
    html = finished_run.report.read_text("utf-8")
    assert f"{finished_run.evaluation['test']['accuracy']:.1%} of 24 test texts" in html
    assert f"{finished_run.weight['total']:,}" in html
    assert "Reloaded in a fresh process: the same logits" in html
    assert "Loaded by PEFT alone: the" in html


def test_the_resolved_recipe_repeats_the_run(finished_run: Run, tmp_path: Path, in_this_process: None) -> None:
    again = train(Recipe.load(finished_run.folder / "recipe.toml"), tmp_path / "again")
    assert again.recipe == finished_run.recipe
    assert_same_result(again, finished_run)


def test_an_interrupted_run_goes_on_and_ends_the_same(
    finished_run: Run, tmp_path: Path, in_this_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Interrupted) as stopped, monkeypatch.context() as patch:
        patch.setattr(loop, "Clock", lambda before: Clock(before + 1000))  # as if its steps had taken so long
        train(finished_run.recipe, tmp_path / "two halves", listeners=[StopAfter(5, press_ctrl_c)])
    assert stopped.value.exit_code == 130
    again = f'to resume, call train again with the same arguments and out="{tmp_path / "two halves"}", resume=True'
    assert str(stopped.value).endswith(again)
    halves = Run(tmp_path / "two halves")
    assert not halves.complete
    with pytest.raises(UserError, match=f"train '{halves.folder}/recipe.toml' --out '{halves.folder}' --resume$"):
        verify_run(halves.folder)
    assert _how_to_resume(halves.folder, finished_run.recipe) == f"stopped; {again}"
    with on_the_command_line():
        assert _how_to_resume(halves.folder, finished_run.recipe).endswith(f"--resume --out '{halves.folder}'")
    other = finished_run.recipe.with_values(seed=1)
    with pytest.raises(
        UserError, match=r"resume=True, but the recipe differs[^-]*\nUse the arguments .*halves', resume=True\)$"
    ):
        train(other, halves.folder, resume=True)
    train(finished_run.recipe, halves.folder, resume=True)
    assert halves.complete
    assert halves.environment["seconds"] >= halves.environment["training_seconds"] > 1000
    assert_same_result(halves, finished_run)
    written = (halves.folder / "evaluation.json").stat().st_mtime_ns
    assert train(finished_run.recipe, halves.folder, resume=True).complete
    assert (halves.folder / "evaluation.json").stat().st_mtime_ns == written


def test_class_weights_reach_the_loss(tiny_recipe: Any, tmp_path: Path, in_this_process: None) -> None:
    weights = {"class_weights": [0.001, 1.0, 0.001], "max_steps": 12, "keep": "last", "learning_rate": 0.05}
    run = train(tiny_recipe(training=weights), tmp_path / "run")
    assert set(predictions(run, "test")["predicted"]) == {"fruit"}


def test_two_trainings_never_share_a_folder(finished_run: Run, tmp_path: Path) -> None:
    with locked(tmp_path / "run"):
        (tmp_path / "run" / "recipe.toml").write_text(finished_run.recipe.to_toml(), "utf-8")
        with pytest.raises(UserError, match="another process is training"):
            train(finished_run.recipe, tmp_path / "run", resume=True)
        assert (tmp_path / "run" / "recipe.toml").is_file()


def test_folders_are_numbered_where_none_is_named(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_this_process: None
) -> None:
    monkeypatch.chdir(tmp_path)
    quick = tiny_recipe(training={"max_steps": 1})
    assert [train(quick).folder.as_posix() for _ in range(2)] == ["runs/tiny", "runs/tiny-2"]
