"""The audit of labels as a benchmark: what is counted, what is trained, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.benchmarks import Load

from featherweight.data.near_duplicates import Pair
from featherweight.errors import UserError
from featherweight.evaluation.label_noise import label_noise
from featherweight.recipe import Recipe
from featherweight.report.noise.contents import Audit
from featherweight.workflows.train import train
from featherweight.workflows.training_process import train_for_validation


def an_audit() -> Audit:
    """Ten rows of two classes; rows 2 and 7 (from 0) have the label of the other class."""
    labels = np.array([0, 0, 1, 0, 0, 1, 1, 0, 1, 1])
    probabilities = np.where(np.arange(10)[:, None] < 5, [[0.9, 0.1]], [[0.2, 0.8]])
    texts = [f"text {number}" for number in range(10)]
    noise = label_noise(labels, probabilities)
    return Audit("x", "x.csv", 2, texts, labels, ("a", "b"), np.arange(10), noise, [Pair(0, 1, 0.95)], None, [])


def test_suspects_and_verdicts_are_counted(load: Load, tmp_path: Path) -> None:
    suite, audit = load("accuracy.label_noise"), an_audit()
    found = suite.found(audit)
    assert (found["suspects"], found["agreement"], found["repeated"]) == (2, 0.8, 1)
    assert found["confused"] == {"a, suggested b": 1, "b, suggested a": 1}
    read = tmp_path / "judged.csv"
    read.write_text("row,verdict\n8,right\n3,wrong\n", "utf-8")
    judged = suite.judged(read, audit)["judged"]
    assert judged == {"wrong": 1, "right": 1, "unclear": 0, "ranks": {"first": 1, "last": 2}}
    for line, words in (("4,wrong", "row 4 is no suspect"), ("3,perhaps", "verdict 'perhaps': use one of wrong")):
        read.write_text(f"row,verdict\n{line}\n", "utf-8")
        with pytest.raises(UserError, match=words):
            suite.judged(read, audit)


def test_a_gain_is_that_of_the_same_rows(load: Load) -> None:
    right = {("all rows", 0): np.array([1, 0, 1, 0]), ("without suspects", 0): np.array([1, 1, 1, 0])}
    gain = load("accuracy.label_noise").effect(right)["accuracy_gain"]
    assert gain["difference"] == 0.25 and gain["low"] <= 0.25 <= gain["high"]


def trained_here(verb: str, recipe: str, *options: str) -> None:
    """In the place of a ``featherweight train`` in a process of its own."""
    assert (verb, options[0], options[2:]) == ("train", "--out", ("--resume",))
    train(Recipe.load(recipe), options[1], resume=True)


def fold_here(recipe: Recipe, folder: Path, *_: Any, logits: bool) -> float:
    """In the place of the training of a fold in a process of its own."""
    return train_for_validation(recipe, folder, logits=logits)


@pytest.mark.slow
@pytest.mark.usefixtures("in_this_process")
def test_the_suite_trains_with_and_without_the_suspects(
    load: Load, tiny_recipe: Any, tiny_data: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = load("accuracy.label_noise")
    monkeypatch.setattr(load("accuracy.ablation"), "featherweight", trained_here)
    monkeypatch.setattr("featherweight.workflows.noise_audit.train_in_a_process", fold_here)
    monkeypatch.setattr(suite, "RECIPE", str(tmp_path / "tiny.toml"))
    (tmp_path / "tiny.toml").write_text(tiny_recipe(training={"max_steps": 4}).to_toml(), "utf-8")
    words = ["noise", "--data", str(tiny_data["train"]), "--rows", "40", "--validation", "12", "--folds", "2"]
    load("run").cli([*words, "--work", str(tmp_path / "work"), "--results", str(tmp_path), "--name", "noise-tiny"])
    record = json.loads((tmp_path / "noise-tiny.json").read_text("utf-8"))
    whole, without = record["runs"]
    assert (whole["setting"], without["setting"]) == ("all rows", "without suspects")
    assert whole["rows"] == 40 and without["rows"] == 40 - record["summary"]["suspects"]
    assert record["summary"]["accuracy_gain"]["difference"] == pytest.approx(without["accuracy"] - whole["accuracy"])


def test_audited_rows_are_no_validation_rows(
    load: Load, tiny_recipe: Any, tiny_data: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = load("accuracy.label_noise")
    monkeypatch.setattr(suite, "RECIPE", str(tmp_path / "tiny.toml"))
    (tmp_path / "tiny.toml").write_text(tiny_recipe().to_toml(), "utf-8")
    words = ["noise", "--data", tiny_data["train"], "--rows", 50, "--validation", 12, "--work", tmp_path / "work"]
    with pytest.raises(UserError, match=r"has 60 rows; --rows and --validation need 62 rows"):
        load("run").main([*map(str, words), "--results", str(tmp_path), "--name", "overlap"])
    assert not any((tmp_path / "work").iterdir())
