"""The label audit finds labels that were changed on purpose, repeated texts, and test texts in the training rows."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.audits import trained_by_words

from featherweight.data.folds import fold_numbers, separate_folds
from featherweight.data.near_duplicates import Pair
from featherweight.data.sources import read_rows
from featherweight.data.splits import load_splits
from featherweight.errors import UserError
from featherweight.recipe import Recipe
from featherweight.report.noise.page import render
from featherweight.workflows import noise_audit
from featherweight.workflows.noise_audit import audit_labels
from featherweight.workflows.training_process import LOGITS, train_for_validation

pytest.importorskip("cleanlab")

WORDS = {"fruit": "apple pear plum cherry", "metal": "iron copper zinc silver", "bird": "robin crow heron owl"}
WRONG = (7, 20, 41)
"""Rows whose label is changed."""


@pytest.fixture
def data(tmp_path: Path) -> dict[str, Path]:
    names = list(WORDS)
    rows = []
    for number in range(60):
        true = number % 3
        given = (true + 1) % 3 if number in WRONG else true
        first, second, *_ = WORDS[names[true]].split()[number % 3 :] + WORDS[names[true]].split()
        rows.append({"text": f"{first} and {second}, case {number * 7919}", "label": names[given]})
    rows.append({"text": rows[0]["text"].upper(), "label": "metal"})
    test = [{"text": rows[5]["text"] + "!", "label": "no class"}, {"text": "a new text", "label": "bird"}]
    files = {"train": tmp_path / "train.jsonl", "test": tmp_path / "test.jsonl"}
    files["train"].write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    files["test"].write_text("".join(json.dumps(row) + "\n" for row in test), "utf-8")
    return files


@pytest.fixture
def recipe(tiny_recipe: Any, data: dict[str, Path]) -> Recipe:
    return tiny_recipe(data={"train": str(data["train"]), "test": str(data["test"])})


@pytest.fixture
def folds(monkeypatch: pytest.MonkeyPatch) -> list[Recipe]:
    """In place of trainings: the recipes of all folds; the logits are those of a model that knows the words."""
    return trained_by_words(monkeypatch, WORDS)


def test_changed_labels_are_suspects_and_the_file_drops_them(
    recipe: Recipe, data: dict[str, Path], tmp_path: Path, folds: list[Recipe]
) -> None:
    lines: list[str] = []
    audit = audit_labels(recipe, tmp_path / "out", folds=4, announce=lines.append)
    suspects = list(csv.DictReader((tmp_path / "out" / "suspects.csv").open(encoding="utf-8", newline="")))
    # The last row is the first one in capitals, with another label.
    assert {int(row["row"]) - 1 for row in suspects} == {*WRONG, 60}
    assert all(row["label"] != row["suggested"] for row in suspects)
    assert audit.headline == "4 of 61 labels look wrong (6.6%)" and audit.doubt is None
    single = replace(audit, noise=replace(audit.noise, suspects=audit.noise.suspects[:1]))
    assert single.headline == "1 of 61 labels looks wrong (1.6%)"
    unlearnt = replace(audit, noise=replace(audit.noise, accuracy=0.41))
    share = max(Counter(audit.labels.tolist()).values()) / 61
    assert "gave 41.0% of the rows the label that the data gives, and always answering" in str(unlearnt.doubt)
    assert f"would give {share:.1%}" in str(unlearnt.doubt) and "The suspects say little" in render(unlearnt)
    assert [(audit.texts[pair.first], audit.texts[pair.second]) for pair in audit.contradictions] == [
        (audit.texts[0], audit.texts[60])
    ]
    pairs = list(csv.DictReader((tmp_path / "out" / "near-duplicates.csv").open(encoding="utf-8", newline="")))
    assert len(pairs) == len(audit.near_duplicates) and pairs[0]["similarity"] == "1.0"
    texts = {int(pair[f"row_{side}"]) - 1: pair[f"text_{side}"] for pair in pairs for side in "ab"}
    assert {0, 60} <= texts.keys() and all(text == audit.texts[row] for row, text in texts.items())
    assert {(pair["label_a"], pair["label_b"]) for pair in pairs if {pair["row_a"], pair["row_b"]} == {"1", "61"}} == {
        (audit.label_of(0), audit.label_of(60))
    }
    alike = render(replace(audit, near_duplicates=[Pair(0, 3, 0.95)]))
    assert "texts with the same label" in alike and "95% alike" in alike and "<span>row 4</span>" in alike
    assert "texts with different labels" not in alike
    suspects_file = str(tmp_path / "out" / "suspects.csv")
    dropped = recipe.with_values(data={"drop": suspects_file, "validation": str(data["train"])})
    assert len(load_splits(dropped.with_values(data={"test": ""})).train) == 57


@pytest.mark.parametrize("empty", ["error", "drop"])
def test_row_numbers_are_those_of_the_file_when_rows_are_left_out(
    empty: str, recipe: Recipe, data: dict[str, Path], tmp_path: Path, folds: list[Recipe]
) -> None:
    lines = data["train"].read_text("utf-8").splitlines(keepends=True)
    dropped = [json.loads(lines[place]) for place in (0, 3, 30)]
    with (tmp_path / "dropped.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *((row["text"], row["label"]) for row in dropped)])
    before = 2 if empty == "drop" else 0
    data["train"].write_text("".join(['{"text": "", "label": "bird"}\n'] * before + lines), "utf-8")
    wanted = recipe.with_values(data={"drop": str(tmp_path / "dropped.csv"), "empty": empty, "test": ""})
    audit_labels(wanted, tmp_path / "out", folds=3)
    suspects = list(csv.DictReader((tmp_path / "out" / "suspects.csv").open(encoding="utf-8", newline="")))
    assert {int(row["row"]) - 1 - before for row in suspects} == {*WRONG, 60}
    written = data["train"].read_text("utf-8").splitlines()
    assert all(json.loads(written[int(row["row"]) - 1])["text"] == row["text"] for row in suspects)
    assert f"{42 + before}" in (tmp_path / "out" / "noise.html").read_text("utf-8")


def test_a_suspect_with_a_lone_carriage_return_is_dropped(
    recipe: Recipe, data: dict[str, Path], tmp_path: Path, folds: list[Recipe]
) -> None:
    odd = "apple\rpear plum"
    with data["train"].open("a", encoding="utf-8") as file:
        file.write(json.dumps({"text": odd, "label": "metal"}) + "\n")
    audit_labels(recipe, tmp_path / "out", folds=3)
    suspects = tmp_path / "out" / "suspects.csv"
    listed = list(csv.DictReader(suspects.open(encoding="utf-8", newline="")))
    assert {int(row["row"]) - 1 for row in listed} == {*WRONG, 60, 61}
    assert all(0 <= float(row["probability_of_label"]) <= 1 for row in listed)
    dropped = recipe.with_values(data={"drop": str(suspects), "validation": str(data["train"]), "test": ""})
    assert odd not in load_splits(dropped).train.texts


def test_each_row_is_held_out_once_and_no_test_label_is_read(
    recipe: Recipe, tmp_path: Path, folds: list[Recipe]
) -> None:
    audit = audit_labels(recipe, tmp_path / "out", folds=3)
    held_out = [text for fold in folds for text in read_rows(str(fold.data.validation), fold.data).texts]
    assert sorted(held_out) == sorted(audit.texts)
    for fold in folds:
        splits = load_splits(fold)
        assert splits.test is None
        assert not set(splits.train.texts) & set(splits.validation.texts)
        assert fold.training.keep == "last"
    # A test row has a label that is no class: it would be refused if it were read.
    assert audit.leaks is not None
    assert [(pair.first, pair.second) for pair in audit.leaks] == [(0, 5)]


def test_an_audit_of_a_version_that_divided_repeated_texts_is_not_continued(
    recipe: Recipe, tmp_path: Path, folds: list[Recipe]
) -> None:
    rows = read_rows(str(recipe.data.train), recipe.data)

    def divided(by: Callable[..., Any], seed: int) -> list[int]:
        return by(rows, 4, seed).tolist()

    # A seed by which the two rows of the repeated text would be in different folds.
    seed = next(s for s in range(9) if divided(separate_folds, s) != divided(fold_numbers, s))
    recipe = recipe.with_values(seed=seed)
    audit_labels(recipe, tmp_path / "out", folds=4)
    plan = json.loads((tmp_path / "out" / noise_audit.PLAN).read_text("utf-8"))
    del plan["parts"]
    (tmp_path / "out" / noise_audit.PLAN).write_text(json.dumps(plan), "utf-8")
    with pytest.raises(
        UserError, match='by an earlier version, which divided the rows otherwise; choose another folder: out="FOLDER"'
    ):
        audit_labels(recipe, tmp_path / "out", folds=4)


def test_a_fold_starts_from_no_run_that_may_know_its_labels(recipe: Recipe, tmp_path: Path) -> None:
    known = recipe.with_values(training={"teacher": ["runs/large"]}, adapter={"start_from": "runs/before"})
    rows = read_rows(str(recipe.data.train), recipe.data)
    fold = noise_audit.fold_recipe(known, rows, np.arange(40), np.arange(40, len(rows)), tmp_path)
    assert fold.training.teacher == () and fold.adapter.start_from is None


def test_the_page_shows_suspects_and_escapes_texts(
    recipe: Recipe, data: dict[str, Path], tmp_path: Path, folds: list[Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    with data["train"].open("a", encoding="utf-8") as file:
        file.write(json.dumps({"text": "apple <script>alert(1)</script> pear", "label": "metal"}) + "\n")
    audit = audit_labels(recipe, tmp_path / "out", folds=3)
    page = (tmp_path / "out" / "noise.html").read_text("utf-8")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    for words in ("Which labels", "Suspects, the most doubtful first", "Nearly equal texts with different labels",
                  "Test texts that are also training texts"):  # fmt: skip
        assert words in page
    monkeypatch.setattr("featherweight.report.noise.page.LINES_ON_THE_PAGE", 2)
    assert '<p class="quiet">1 more pair with suspects is not shown.</p>' in render(audit)


def test_another_audit_in_the_folder_is_refused(recipe: Recipe, tmp_path: Path, folds: list[Recipe]) -> None:
    audit_labels(recipe, tmp_path / "out", folds=3)
    with pytest.raises(UserError, match="holds an audit with another value of folds"):
        audit_labels(recipe, tmp_path / "out", folds=4)
    with pytest.raises(UserError, match="holds an audit with another value of recipe"):
        audit_labels(recipe.with_values(seed=5), tmp_path / "out", folds=3)


@pytest.mark.parametrize(("changes", "folds_wanted", "message"), [
    ({}, 1, "at least two folds"),
    ({"budget": 10}, 3, "budget = 10 exceeded"),
])  # fmt: skip
def test_wrong_arguments(
    recipe: Recipe, tmp_path: Path, changes: dict[str, Any], folds_wanted: int, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        audit_labels(recipe.with_values(**changes), tmp_path / "out", folds=folds_wanted)
    assert not (tmp_path / "out").exists()


def test_a_fold_writes_the_logits_of_its_held_out_rows(tiny_recipe: Any, tmp_path: Path) -> None:
    recipe = tiny_recipe(training={"max_steps": 2, "keep": "last"}, data={"test": ""})
    accuracy = train_for_validation(recipe, tmp_path / "fold", logits=True)
    logits = np.load(tmp_path / "fold" / LOGITS, allow_pickle=False)
    labels = load_splits(recipe).validation.labels
    assert float((logits.argmax(axis=1) == labels).mean()) == pytest.approx(accuracy)


def test_empty_texts_of_the_test_rows_are_refused_unless_the_recipe_drops_them(tmp_path: Path) -> None:
    (path := tmp_path / "texts.txt").write_text("an owl\n\na crow\n", "utf-8")
    with pytest.raises(UserError, match=r"texts.txt: row 2: the text is empty\nFill it in, or leave such rows out"):
        noise_audit.test_texts(Recipe.parse({"data": {"test": str(path)}}))
    dropped = Recipe.parse({"data": {"test": str(path), "empty": "drop"}})
    assert noise_audit.test_texts(dropped) == ["an owl", "", "a crow"]


def test_an_audit_is_not_resumed_with_other_rows(
    recipe: Recipe, data: dict[str, Path], tmp_path: Path, folds: list[Recipe]
) -> None:
    audit_labels(recipe, tmp_path / "out", folds=3)
    lines = data["train"].read_text("utf-8").splitlines(keepends=True)
    corrected = [lines[0].replace("fruit", "bird"), *lines[1:]]
    for changed in (corrected, lines[::-1], lines[1:]):
        data["train"].write_text("".join(changed), "utf-8")
        with pytest.raises(UserError, match='holds an audit of other rows; choose another folder: out="FOLDER"'):
            audit_labels(recipe, tmp_path / "out", folds=3)
    data["train"].write_text("".join(lines), "utf-8")
    audit_labels(recipe, tmp_path / "out", folds=3)


def test_an_audit_is_not_resumed_with_other_weights_of_the_backbone(
    recipe: Recipe, tiny_backbones: dict[str, Path], tmp_path: Path, folds: list[Recipe]
) -> None:
    backbone = Path(shutil.copytree(tiny_backbones["bert"], tmp_path / "backbone"))
    recipe, plan = recipe.with_values(backbone={"name": str(backbone)}), tmp_path / "out" / noise_audit.PLAN
    audit_labels(recipe, tmp_path / "out", folds=3)
    audit_labels(recipe, tmp_path / "out", folds=3)
    content = bytearray((backbone / "model.safetensors").read_bytes())
    content[-4] ^= 1
    (backbone / "model.safetensors").write_bytes(content)
    with pytest.raises(
        UserError, match='holds an audit with other weights of the backbone; choose another folder: out="FOLDER"'
    ):
        audit_labels(recipe, tmp_path / "out", folds=3)
    earlier = json.loads(plan.read_text("utf-8"))
    del earlier["backbone"]  # as a version wrote it that did not store it
    plan.write_text(json.dumps(earlier), "utf-8")
    audit_labels(recipe, tmp_path / "out", folds=3)
