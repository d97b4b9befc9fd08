"""Whole runs on texts with several labels, in the shape of Jigsaw's comments and of GoEmotions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import f1_score
from support.jobs import assert_same, job_for, tensors, trained, without_seconds
from support.several_labels import EMOTIONS, TOXIC, emotion_sections, jigsaw_sections
from support.verification import rewrite

from featherweight.adapter.storage import peft_name, saved_values
from featherweight.data.batches import collate, epoch_batches
from featherweight.data.sources import read_rows
from featherweight.errors import UserError
from featherweight.inference.classifier import Classifier
from featherweight.inference.output_files import predict_file
from featherweight.recipe import Recipe
from featherweight.run.folder import Run, read_history
from featherweight.training.loop import fit
from featherweight.training.signals import Interrupted
from featherweight.verification.evidence import Evidence
from featherweight.verification.reproduction import metrics
from featherweight.verification.verify import verify_run
from featherweight.workflows.continuation import recipe_from
from featherweight.workflows.prepare import prepare
from featherweight.workflows.weigh import weigh

TRAINING = {"epochs": 4, "learning_rate": 0.02, "evaluate_every": 8}


@pytest.fixture(scope="module")
def toxic_recipe(tiny_recipe: Any, tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    sections = jigsaw_sections(tmp_path_factory.mktemp("jigsaw"))
    return tiny_recipe(**sections, training=TRAINING, adapter={"head": "native"})


@pytest.fixture(scope="module")
def toxic_run(toxic_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A whole run, proven in this process, with its pictures and page."""
    from featherweight.verification import reload as verification
    from featherweight.workflows.train import train

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verification, "reload_check", verification.check_in_this_process)
        return train(toxic_recipe, tmp_path_factory.mktemp("runs") / "toxic")


def test_the_count_has_a_row_of_the_head_for_each_label(toxic_recipe: Recipe, tiny_recipe: Any, tmp_path: Path) -> None:
    linear = toxic_recipe.with_values(adapter={"head": "linear"})
    head = weigh(linear).components[-1]
    assert head.parameters == 6 * (
        weigh(linear.with_values(data={"label": list(TOXIC[:5])})).components[-1].parameters / 5
    )
    emotions = tiny_recipe(**emotion_sections(tmp_path))
    assert weigh(emotions).labels == len(EMOTIONS) == 28


def test_a_run_reloads_and_peft_alone_gives_its_logits(toxic_run: Run) -> None:
    proof = json.loads((toxic_run.folder / "verification.json").read_text())
    assert proof["identical"] and proof["peft"]["largest_difference"] <= proof["peft"]["allowed"]
    base = json.loads((toxic_run.adapter / "backbone" / "config.json").read_text())
    assert base["problem_type"] == "multi_label_classification"
    assert toxic_run.weight["labels"] == 6


def test_a_submission_has_the_columns_of_0_and_1_of_the_training_data(toxic_run: Run, tmp_path: Path) -> None:
    out = tmp_path / "submission.csv"
    predict_file(toxic_run.folder, str(toxic_run.recipe.data.test), out, kaggle=True)
    table = pd.read_csv(out)
    assert list(table.columns) == ["id", *TOXIC]
    found = Classifier.load(toxic_run.folder).predict(pd.read_csv(toxic_run.recipe.data.test)["comment_text"])
    expected = [[int(name in prediction.labels) for name in TOXIC] for prediction in found]
    assert table[list(TOXIC)].to_numpy().tolist() == expected


def test_a_training_can_start_from_such_a_run(toxic_run: Run) -> None:
    network = prepare(recipe_from(toxic_run.folder)).model.network
    saved = saved_values(toxic_run.adapter)
    for name, tensor in network.trainable().items():
        assert torch.equal(tensor, saved[peft_name(name)])
    fewer = recipe_from(toxic_run.folder, None, [f"data.label={json.dumps(TOXIC[1:])}"])
    with pytest.raises(UserError, match=r"data\.label: the class 'toxic' is missing; add it"):
        prepare(fewer)


def test_a_reloaded_classifier_decides_by_the_runs_thresholds(toxic_run: Run) -> None:
    classifier = Classifier.load(toxic_run.folder, merge=False)
    table = pd.read_parquet(toxic_run.folder / "predictions.parquet")
    table = table[table["split"] == "test"]
    rows = pd.read_csv(toxic_run.recipe.data.test)
    found = classifier.predict(rows["comment_text"])
    assert [list(prediction.labels) for prediction in found] == [list(labels) for labels in table["predicted"]]
    assert [", ".join(prediction.labels) for prediction in found] == [prediction.label for prediction in found]
    shares = np.array([list(prediction.probabilities.values()) for prediction in found])
    assert shares == pytest.approx(table[[f"p_{name}" for name in TOXIC]].to_numpy(), abs=1e-6)
    thresholds = [row["threshold"] for row in toxic_run.evaluation["test"]["per_class"]]
    assert classifier.task.thresholds == tuple(thresholds)
    decided = (shares >= thresholds).astype(int)
    truth = rows[list(TOXIC)].to_numpy()
    assert toxic_run.evaluation["test"]["micro_f1"] == pytest.approx(f1_score(truth, decided, average="micro"))


def test_what_is_learnt_is_better_than_chance_and_the_best_step_is_that_of_the_highest_micro_f1(toxic_run: Run) -> None:
    evaluations = [record for record in toxic_run.history if record["kind"] == "evaluation"]
    best = max(evaluations, key=lambda record: (record["micro_f1"], -record["loss"]))
    evaluation = toxic_run.evaluation
    assert evaluation["best_step"] == best["step"]
    assert evaluation["best_validation_micro_f1"] == pytest.approx(best["micro_f1"])
    assert evaluation["validation"]["micro_f1"] == pytest.approx(best["micro_f1"])
    assert evaluation["test"]["average_precision"] > 0.3  # 0.12 and a little by chance


def test_the_page_shows_labels_and_no_confusion_matrix(toxic_run: Run) -> None:
    page = toxic_run.report.read_text("utf-8")
    assert "Confusion matrix" not in page
    assert "Per label" in page and "identity_hate" in page and "micro-F1" in page
    assert (toxic_run.folder / "plots" / "summary.png").is_file()


def test_steps_are_those_by_hand_and_a_resumed_run_ends_with_the_same_bits(tiny_recipe: Any, tmp_path: Path) -> None:
    plain = {"batch_size": 8, "max_steps": 6, "clip": 0, "warmup": 0, "schedule": "constant", "keep": "last"}
    sections = emotion_sections(tmp_path)
    recipe = tiny_recipe(**sections, training={**plain, "evaluate_every": 3, "class_weights": "balanced"})
    whole, _ = trained(recipe, tmp_path / "whole")
    hand = job_for(recipe, tmp_path / "hand")
    network, parameters = hand.network.train(), hand.network.trainable()
    optimizer = torch.optim.AdamW(parameters.values(), lr=recipe.training.learning_rate, weight_decay=0.0)
    labels = hand.train.labels
    positive = torch.from_numpy((len(labels) - labels.sum(axis=0)) / labels.sum(axis=0)).float()
    batches = epoch_batches(hand.train.lengths, seed=0, epoch=0, batch_size=8, batch_tokens=8192)
    losses = []
    for rows in batches[:6]:
        batch = collate(hand.train, rows, hand.pad_id)
        logits = network(batch.input_ids, batch.attention_mask)
        loss = torch.nn.BCEWithLogitsLoss(pos_weight=positive)(logits, batch.labels.float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    steps = [record for record in read_history(tmp_path / "whole" / "history.jsonl") if record["kind"] == "step"]
    assert [record["loss"] for record in steps] == pytest.approx(losses, rel=1e-4)
    apart = max(float((tensors(hand)[name] - tensor).abs().max()) for name, tensor in tensors(whole).items())
    assert apart < 1e-4

    calls = iter(range(1, 1000))
    first = job_for(recipe, tmp_path / "halves", lambda: 15 if next(calls) == 4 else 0)
    with pytest.raises(Interrupted):
        fit(first)
    second = job_for(recipe, tmp_path / "halves")
    fit(second, resume=True)
    assert_same(tensors(whole), tensors(second))
    assert without_seconds(tmp_path / "whole") == without_seconds(tmp_path / "halves")


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_predictions_are_lists_and_in_a_csv_texts_that_are_read_again(
    toxic_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setattr("featherweight.inference.output_files.PIECE", 7)
    test, out = toxic_run.recipe.data.test, tmp_path / f"labels.{ending}"
    # The first piece has rows without labels alone.
    rows = pd.concat([pd.DataFrame({"id": [f"p{n}" for n in range(7)], "comment_text": "plain"}), pd.read_csv(test)])
    rows.to_csv(tmp_path / "texts.csv", index=False)
    assert predict_file(toxic_run.folder, tmp_path / "texts.csv", out) == len(rows)
    read = {"csv": pd.read_csv, "jsonl": lambda path: pd.read_json(path, lines=True), "parquet": pd.read_parquet}
    table = read[ending](out)
    assert list(table.columns) == ["id", "label", *(f"p_{name}" for name in TOXIC)]
    expected = Classifier.load(toxic_run.folder).predict(rows["comment_text"])
    if ending == "csv":
        assert any("|" in str(cell) for cell in table["label"])
        labels = [[] if cell != cell else cell.split("|") for cell in table["label"]]
    else:
        labels = [list(found) for found in table["label"]]
    assert labels == [list(prediction.labels) for prediction in expected]
    reading = Recipe.parse({"task": "multi-label", "data": {"labels": list(TOXIC), "text": ["id"]}}).data
    again = read_rows(str(out), reading, label_names=TOXIC).labels
    assert again.any() and again.tolist() == [[int(name in found) for name in TOXIC] for found in labels]


def test_the_terminal_shows_all_labels_of_a_text_and_a_dash_for_none(toxic_run: Run, cli: Any) -> None:
    answer = cli("predict", toxic_run.folder, "--text", "obsc cene toxi oxic", "--text", "plain 4")
    assert answer.code == 0, answer
    shown = Classifier.load(toxic_run.folder).predict(["obsc cene toxi oxic", "plain 4"])
    for line, prediction in zip(answer.out.splitlines()[1:], shown, strict=True):
        assert (", ".join(prediction.labels) or "–") in line


def test_evaluate_shows_each_label_and_judges_another_set(toxic_run: Run, cli: Any) -> None:
    answer = cli("evaluate", toxic_run.folder)
    assert "micro-F1" in answer.out and "identity_hate" in answer.out
    again = cli("evaluate", toxic_run.folder, "--data", toxic_run.recipe.data.test, "--json")
    figures = json.loads(again.out)
    assert figures["micro_f1"] == pytest.approx(toxic_run.evaluation["test"]["micro_f1"])
    assert figures["per_class"][0]["threshold"] == toxic_run.evaluation["test"]["per_class"][0]["threshold"]


def test_evaluate_takes_a_column_for_each_label_by_its_name_or_in_order(
    toxic_run: Run, cli: Any, tmp_path: Path
) -> None:
    test = pd.read_csv(toxic_run.recipe.data.test)
    expected = pytest.approx(toxic_run.evaluation["test"]["macro_f1"])
    other = {name: f"is_{place}" for place, name in enumerate(TOXIC)}
    test.rename(columns=str.upper)[["COMMENT_TEXT", *map(str.upper, TOXIC[::-1])]].to_csv(tmp_path / "upper.csv")
    test.rename(columns={**other, "comment_text": "body"}).to_csv(tmp_path / "other.csv", index=False)
    for file, text, columns in (("upper", "COMMENT_TEXT", TOXIC[::-1]), ("other", "body", tuple(other.values()))):
        options = [word for name in columns for word in ("--label", name)]
        answer = cli(
            "evaluate", toxic_run.folder, "--data", tmp_path / f"{file}.csv", "--text", text, *options, "--json"
        )
        assert answer.code == 0, answer.err
        figures = json.loads(answer.out)
        assert (figures["macro_f1"], figures["per_class"][0]["label"]) == (expected, "toxic")
        assert ("(class = column): toxic = is_0, severe_toxic = is_1" in answer.err) is (file == "other")

    def refused(*columns: str) -> str:
        options = [word for name in columns for word in ("--label", name)]
        answer = cli("evaluate", toxic_run.folder, "--data", tmp_path / "other.csv", "--text", "body", *options)
        assert answer.code == 2
        return str(answer.err)

    lacking = refused()
    assert "no column 'toxic', which held the labels in training" in lacking
    assert "--label is_0 --label is_1" in lacking and "in this order: toxic, severe_toxic, obscene, threat" in lacking
    assert "names is_0, is_1, but the labels of the run are toxic, severe_toxic" in refused("is_0", "is_1")


def test_a_run_holds_what_it_says(toxic_run: Run) -> None:
    checks = verify_run(toxic_run.folder)
    assert {check.name: check.result for check in checks if check.result != "pass"} == {}
    assert {"metrics", "training rows", "validation", "test", "history"} <= {check.name for check in checks}


def spoil_figure(evaluation: dict[str, Any]) -> None:
    evaluation["test"]["macro_f1"] += 0.01


def spoil_label(evaluation: dict[str, Any]) -> None:
    evaluation["validation"]["per_class"][2]["recall"] += 0.01


def spoil_threshold(evaluation: dict[str, Any]) -> None:
    evaluation["test"]["per_class"][0]["threshold"] = 0.999


def spoil_interval(evaluation: dict[str, Any]) -> None:
    low, high = evaluation["test"]["micro_f1_interval"]
    evaluation["test"]["micro_f1_interval"] = [low + 0.2 * (high - low), high]


def spoil_interval_of_a_label(evaluation: dict[str, Any]) -> None:
    evaluation["test"]["per_class"][0]["recall_interval"] = [0.98, 0.99]


def spoil_calibration(evaluation: dict[str, Any]) -> None:
    evaluation["test"]["calibration_error_scaled"] += 0.1


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (spoil_figure, "test macro_f1 is"),
        (spoil_label, "recall of obscene"),
        (spoil_threshold, "below its threshold"),
        (spoil_interval, "test micro_f1_interval is not that"),
        (spoil_interval_of_a_label, "test recall_interval is not that"),
        (spoil_calibration, "test calibration_error_scaled is not that"),
    ],
)
def test_figures_that_do_not_follow_from_the_rows_are_found(
    toxic_run: Run, tmp_path: Path, spoil: Any, words: str
) -> None:
    folder = shutil.copytree(toxic_run.folder, tmp_path / "run", symlinks=True)
    rewrite("evaluation.json", spoil)(folder)
    found = metrics(Evidence(folder))
    assert (found.result, found.name) == ("fail", "metrics")
    assert words in found.found


def test_other_thresholds_in_the_adapter_are_found(toxic_run: Run, tmp_path: Path) -> None:
    folder = shutil.copytree(toxic_run.folder, tmp_path / "run", symlinks=True)
    rewrite("adapter/featherweight.json", lambda values: values.update(thresholds=[0.0] * 6))(folder)
    found = {check.name: check for check in verify_run(folder)}
    assert found["test"].result in ("fail", "differs")
    assert "other labels" in found["test"].found
