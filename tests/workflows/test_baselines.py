"""Baselines that a LoRA round is set beside: bags of words, a linear probe, and all weights trained."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.made_up_rounds import TestSet
from support.several_labels import jigsaw_sections
from support.stops import StopAfter

from featherweight.errors import UserError
from featherweight.training.signals import Interrupted
from featherweight.workflows.baseline_models import STRENGTHS
from featherweight.workflows.baselines import baseline_recipe, run_baseline
from featherweight.workflows.rounds import run_rounds

TEST = TestSet(80)


def terminate() -> None:
    """Send this process the signal that a training stops at."""
    signal.raise_signal(signal.SIGTERM)


def test_bags_of_words_are_scikit_learns_with_the_best_c_on_validation_rows(tiny_recipe: Any, tmp_path: Path) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC

    from featherweight.data.splits import load_splits

    recipe = tiny_recipe("bert", evaluation={"shift": ["perturbed:typos"]})
    run = run_baseline("tfidf-svm", recipe, tmp_path / "svm")
    splits = load_splits(recipe)
    assert splits.test is not None
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit(splits.train.texts)
    scores = {}
    for strength in STRENGTHS["tfidf-svm"]:
        model = LinearSVC(C=strength, random_state=0).fit(words.transform(splits.train.texts), splits.train.labels)
        parts = (splits.validation, splits.test)
        scores[strength] = [model.score(words.transform(rows.texts), rows.labels) for rows in parts]
    best = max(scores, key=lambda strength: (scores[strength][0], -strength))
    evaluation = run.evaluation
    assert evaluation["validation"]["accuracy"] == pytest.approx(scores[best][0])
    assert evaluation["test"]["accuracy"] == pytest.approx(scores[best][1])
    assert evaluation["shift"]["perturbed:typos"]["rows"] == 24
    assert run.weight["total"] == 3 * len(words.vocabulary_) + 3
    assert f"C = {best:g}" in run.environment["notes"][0]
    assert run.recipe == baseline_recipe("tfidf-svm", recipe)


@pytest.mark.parametrize("kind", ["tfidf-svm", "tfidf-logistic"])
def test_bags_of_words_tell_two_classes_apart(kind: str, tiny_recipe: Any, tmp_path: Path) -> None:
    lines = [
        json.dumps({"text": f"{word} {number}", "label": word[:1]}) for number in range(30) for word in ("pear", "owl")
    ]
    for name in ("train", "test"):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines), "utf-8")
    data = {"train": str(tmp_path / "train.jsonl"), "test": str(tmp_path / "test.jsonl")}
    run = run_baseline(kind, tiny_recipe("bert", data=data), tmp_path / "run")
    assert run.evaluation["test"]["accuracy"] == 1.0
    assert run.evaluation["test"]["confusion_matrix"] == [[30, 0], [0, 30]]


def test_a_baseline_is_trained_once_and_kept_apart_from_other_recipes(tiny_recipe: Any, tmp_path: Path) -> None:
    recipe = tiny_recipe("bert")
    run = run_baseline("tfidf-logistic", recipe, tmp_path / "run")
    written = (run.folder / "evaluation.json").stat().st_mtime_ns
    assert run_baseline("tfidf-logistic", recipe, tmp_path / "run").folder == run.folder
    assert (run.folder / "evaluation.json").stat().st_mtime_ns == written
    with pytest.raises(UserError, match="a baseline of another recipe"):
        run_baseline("tfidf-logistic", recipe.with_values(data={"validation_size": 9}), tmp_path / "run")
    marks = json.loads((run.folder / "environment.json").read_text("utf-8"))
    marks["data"]["train"]["texts"] = "0" * 64
    (run.folder / "environment.json").write_text(json.dumps(marks), "utf-8")
    with pytest.raises(UserError, match="a baseline of rows that have changed since"):
        run_baseline("tfidf-logistic", recipe, tmp_path / "run")


def test_a_baseline_of_another_recipe_is_refused_before_any_training(tiny_recipe: Any, tmp_path: Path) -> None:
    recipe = tiny_recipe("bert").with_values(name="one")
    other = recipe.with_values(data={"validation_size": 9})
    run_baseline("tfidf-logistic", other, tmp_path / "baselines" / "tfidf-logistic")
    with pytest.raises(UserError, match="baselines take the first recipe and the first seed"):
        run_rounds([recipe], [0], tmp_path, baselines=True)
    assert not (tmp_path / "one").exists()


def test_a_probe_on_other_weights_is_refused_and_a_bag_of_words_is_kept(tiny_recipe: Any, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    recipe = tiny_recipe("bert")
    backbone = shutil.copytree(recipe.backbone.name, tmp_path / "backbone")
    recipe = recipe.with_values(backbone={"name": str(backbone)})
    for kind in ("linear-probe", "tfidf-svm"):
        run_baseline(kind, recipe, tmp_path / kind)
    written = (tmp_path / "linear-probe" / "evaluation.json").stat().st_mtime_ns
    run_baseline("linear-probe", recipe, tmp_path / "linear-probe")
    weights = next(backbone.glob("*.safetensors"))
    save_file({name: tensor + torch.ones_like(tensor) for name, tensor in load_file(weights).items()}, weights)
    with pytest.raises(UserError, match="linear-probe: holds a baseline of a backbone whose weights have changed"):
        run_baseline("linear-probe", recipe, tmp_path / "linear-probe")
    assert (tmp_path / "linear-probe" / "evaluation.json").stat().st_mtime_ns == written
    run_baseline("tfidf-svm", recipe, tmp_path / "tfidf-svm")
    environment = tmp_path / "linear-probe" / "environment.json"
    values = json.loads(environment.read_text("utf-8"))
    del values["backbone"]
    environment.write_text(json.dumps(values), "utf-8")  # as an early version wrote it: nothing is known to differ
    run_baseline("linear-probe", recipe, tmp_path / "linear-probe")


@pytest.mark.slow
def test_the_probe_sees_the_frozen_backbones_mean_state(tiny_recipe: Any, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    from featherweight.data.sources import Rows
    from featherweight.workflows.baseline_models import frozen_features

    recipe = tiny_recipe("mpnet")
    texts = ["apple pear number 3", "crow", "iron and copper and zinc"]
    features = frozen_features(recipe)(Rows(texts, None, (), "texts"))
    model, tokenizer = (kind.from_pretrained(recipe.backbone.name) for kind in (AutoModel, AutoTokenizer))
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    mask = batch["attention_mask"].unsqueeze(-1)
    with torch.inference_mode():
        states = model.eval()(batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
    expected = ((states * mask).sum(1) / mask.sum(1)).numpy()
    assert np.abs(features - expected).max() < 1e-5
    run = run_baseline("linear-probe", recipe, tmp_path / "probe")
    assert run.weight["total"] == 32 * 3 + 3
    assert not (run.folder / "adapter").exists()


def test_a_baseline_on_an_adapted_backbone_says_so_and_a_bag_of_words_does_not(
    tiny_recipe: Any, tmp_path: Path
) -> None:
    recipe, lines = tiny_recipe("bert"), list[str]()
    said: Any = SimpleNamespace(noted=lines.append)
    backbone = shutil.copytree(recipe.backbone.name, tmp_path / "adapted")
    texts = {"rows": 40, "held_out": 2, "fingerprint": "0" * 64}
    marker = {"source": {"name": "bert"}, "texts": texts, "epochs": 3.0, "steps": 9, "seed": 0, "loss_before": 2.0}
    (backbone / "adapted.json").write_text(json.dumps(marker | {"loss_after": 1.0}), "utf-8")
    recipe = recipe.with_values(backbone={"name": str(backbone)})
    environment = run_baseline("linear-probe", recipe, tmp_path / "probe", [said]).environment
    words = "the backbone was adapted: all parameters of bert were trained further"
    assert environment["backbone"]["adapted"]["texts"]["rows"] == 40 and environment["backbone"]["sha256"]
    for notes in (lines, environment["warnings"], environment["notes"]):
        assert any(words in note for note in notes) and any("adapted to other texts" in note for note in notes)
    environment = run_baseline("tfidf-svm", recipe, tmp_path / "svm").environment
    assert "backbone" not in environment and "adapted" not in str(environment["notes"])
    plain = run_baseline("linear-probe", tiny_recipe("bert"), tmp_path / "plain").environment
    assert plain["backbone"]["sha256"] and "adapted" not in plain["backbone"] and len(plain["notes"]) == 1


@pytest.mark.slow
def test_full_fine_tuning_trains_everything_and_saves_no_model(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors import safe_open

    monkeypatch.setattr("featherweight.workflows.baselines.HIGHEST_RATE", 1.0)  # so small an encoder learns faster
    recipe = tiny_recipe("roberta", adapter={"head": "native"}, training={"epochs": 4, "learning_rate": 0.03})
    run = run_baseline("full-fine-tuning", recipe.with_values(budget=20_000), tmp_path / "full")
    weights = next(Path(recipe.backbone.name).glob("*.safetensors"))
    with safe_open(weights, "np") as file:
        tensors = {name: file.get_tensor(name).size for name in file.keys()}  # noqa: SIM118 (no mapping)
    encoder = sum(size for name, size in tensors.items() if "pooler" not in name)
    assert run.weight["total"] == encoder + (32 * 32 + 32) + (32 * 3 + 3)
    assert run.recipe.training.learning_rate == 0.003 and run.recipe.training.encoder_dropout
    losses = [record["loss"] for record in run.history if record["kind"] == "step"]
    assert len(losses) == 24 and np.mean(losses[-6:]) < np.mean(losses[:6])
    assert {path.name for path in run.folder.iterdir()} == {
        "recipe.toml", "history.jsonl", "evaluation.json", "predictions.parquet", "environment.json", "weigh.json"
    }  # fmt: skip
    assert "no budget applies" in run.environment["notes"][0]


@pytest.mark.slow
def test_an_interrupted_full_fine_tuning_is_resumed_with_the_same_rows_and_weights_alone(
    tiny_recipe: Any, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    recipe = tiny_recipe("bert", training={"max_steps": 4})
    data, backbone = tmp_path / "train.jsonl", shutil.copytree(recipe.backbone.name, tmp_path / "backbone")
    rows = Path(recipe.data.train).read_text("utf-8")
    data.write_text(rows, "utf-8")
    recipe = recipe.with_values(data={"train": str(data)}, backbone={"name": str(backbone)})
    whole = run_baseline("full-fine-tuning", recipe, tmp_path / "whole")
    with pytest.raises(Interrupted):
        run_baseline("full-fine-tuning", recipe, tmp_path / "run", [StopAfter(2, terminate)])
    data.write_text(rows + rows.splitlines()[0].replace('"text": "', '"text": "one more '), "utf-8")
    with pytest.raises(UserError, match="a baseline of rows that have changed since"):
        run_baseline("full-fine-tuning", recipe, tmp_path / "run")
    data.write_text(rows, "utf-8")
    weights = next(backbone.glob("*.safetensors"))
    tensors, changed = load_file(weights), tmp_path / "changed.safetensors"
    save_file({name: tensor + torch.ones_like(tensor) for name, tensor in tensors.items()}, changed)
    original = weights.rename(tmp_path / "original.safetensors")
    shutil.copyfile(changed, weights)
    with pytest.raises(UserError, match="a baseline of a backbone whose weights have changed"):
        run_baseline("full-fine-tuning", recipe, tmp_path / "run")
    shutil.copyfile(original, weights)
    resumed = run_baseline("full-fine-tuning", recipe, tmp_path / "run")
    assert [record["step"] for record in resumed.history if record["kind"] == "step"] == [1, 2, 3, 4]
    assert resumed.evaluation["test"] == whole.evaluation["test"]
    assert not (tmp_path / "run" / "begun.json").exists()


@pytest.mark.slow
def test_full_fine_tuning_without_a_checkpoint_begins_anew_with_changed_rows(tiny_recipe: Any, tmp_path: Path) -> None:
    recipe, data = tiny_recipe("bert", training={"max_steps": 4}), tmp_path / "train.jsonl"
    rows = Path(recipe.data.train).read_text("utf-8")
    data.write_text(rows, "utf-8")
    recipe = recipe.with_values(data={"train": str(data)})
    with pytest.raises(Interrupted):
        run_baseline("full-fine-tuning", recipe, tmp_path / "run", [StopAfter(2, terminate)])
    shutil.rmtree(tmp_path / "run" / "checkpoint")
    data.write_text(rows + rows.splitlines()[0].replace('"text": "', '"text": "one more '), "utf-8")
    assert run_baseline("full-fine-tuning", recipe, tmp_path / "run").environment["data"]["train"]["rows"] == 49


@pytest.mark.parametrize(("rate", "of_all"), [(5e-4, 5e-5), (4e-3, 1e-4)])
def test_full_fine_tuning_has_a_tenth_of_the_learning_rate_up_to_a_maximum(
    tiny_recipe: Any, rate: float, of_all: float
) -> None:
    recipe = tiny_recipe("bert", training={"learning_rate": rate})
    assert baseline_recipe("full-fine-tuning", recipe).training.learning_rate == of_all


@pytest.mark.parametrize("kind", ["tfidf-svm", "tfidf-logistic"])
def test_with_several_labels_each_has_a_classifier_of_its_own(kind: str, tiny_recipe: Any, tmp_path: Path) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import average_precision_score
    from sklearn.svm import LinearSVC

    from featherweight.data.splits import load_splits

    recipe = tiny_recipe("bert", **jigsaw_sections(tmp_path))
    run = run_baseline(kind, recipe, tmp_path / "run")
    splits = load_splits(recipe)
    assert splits.test is not None and splits.train.labels is not None and splits.test.labels is not None
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit(splits.train.texts)
    chosen = float(run.environment["notes"][0].partition("C = ")[2].partition(",")[0])
    assert chosen in STRENGTHS[kind]
    found = []
    for place in range(6):
        model = (
            LinearSVC(C=chosen, random_state=0) if kind == "tfidf-svm" else LogisticRegression(C=chosen, max_iter=1000)
        )
        model.fit(words.transform(splits.train.texts), splits.train.labels[:, place])
        margins = model.decision_function(words.transform(splits.test.texts))
        found.append(average_precision_score(splits.test.labels[:, place], margins))
    figures = run.evaluation["test"]
    assert [row["average_precision"] for row in figures["per_class"]] == pytest.approx(found, abs=1e-6)
    assert figures["micro_f1"] > 0.5
    assert run.weight["total"] == 6 * (len(words.vocabulary_) + 1)


@pytest.mark.slow
def test_a_probe_and_full_fine_tuning_take_several_labels(tiny_recipe: Any, tmp_path: Path) -> None:
    recipe = tiny_recipe("bert", **jigsaw_sections(tmp_path, 48), training={"max_steps": 2})
    for kind in ("linear-probe", "full-fine-tuning"):
        run = run_baseline(kind, recipe, tmp_path / kind)
        assert run.evaluation["test"]["task"] == "multi-label"
