"""The label audit of texts with several labels finds labels that were added or removed on purpose."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.audits import trained_by_words

from featherweight.data.near_duplicates import Pair
from featherweight.data.splits import load_splits
from featherweight.errors import UserError
from featherweight.evaluation.multi_label_noise import MultiLabelNoise
from featherweight.recipe import Recipe
from featherweight.report.noise.contents import unaudited_note
from featherweight.report.noise.page import render
from featherweight.report.noise.suspects import suspects_csv
from featherweight.task.class_weights import require_class_weights
from featherweight.workflows import noise_audit
from featherweight.workflows.noise_audit import audit_labels
from featherweight.workflows.training_process import train_for_validation

pytest.importorskip("cleanlab")

WORDS = {"bird": "robin crow heron owl", "fruit": "apple pear plum cherry", "metal": "iron copper zinc silver"}
NAMES = (*WORDS, "rare")
ROWS = 64
REMOVED, ADDED = {9: "bird", 22: "fruit", 52: "metal"}, {16: "metal", 33: "fruit", 52: "bird"}
"""The wrong labels by row, from 0. Row 16 has no other label, row 52 has another in place of the right one."""
PAGE = "featherweight.report.noise.page"
ONCE = 30
"""The only row with the label "rare"."""


def true_labels(number: int) -> list[str]:
    return [name for place, name in enumerate(WORDS) if number >> place & 1]


def given_labels(number: int) -> list[str]:
    wanted = {*true_labels(number), ADDED.get(number), *(["rare"] if number == ONCE else [])} - {REMOVED.get(number)}
    return [name for name in NAMES if name in wanted]


def text_of(number: int) -> str:
    words = [WORDS[name].split()[(number // 8 + turn) % 4] for name in true_labels(number) for turn in (0, 1)]
    return " and ".join([*(words or ["nothing"]), f"case {number * 7919}"])


@pytest.fixture
def pairs() -> list[tuple[str, list[str]]]:
    """Texts with labels; the last text is the second one in capitals, with other labels."""
    return [*((text_of(number), given_labels(number)) for number in range(ROWS)), (text_of(1).upper(), ["fruit"])]


@pytest.fixture
def data(pairs: list[tuple[str, list[str]]], tmp_path: Path) -> dict[str, Path]:
    test = [{"text": text_of(5) + "!", "labels": ["no class"]}, {"text": "a new text", "labels": []}]
    files = {"train": tmp_path / "train.jsonl", "test": tmp_path / "test.jsonl"}
    rows = [{"text": text, "labels": labels} for text, labels in pairs]
    files["train"].write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    files["test"].write_text("".join(json.dumps(row) + "\n" for row in test), "utf-8")
    return files


@pytest.fixture
def recipe(tiny_recipe: Any, data: dict[str, Path]) -> Recipe:
    paths = {"train": str(data["train"]), "test": str(data["test"])}
    return tiny_recipe(task="multi-label", data={**paths, "label": "labels"})


@pytest.fixture
def folds(monkeypatch: pytest.MonkeyPatch) -> list[Recipe]:
    """In place of trainings: the recipes of all folds; the logits are those of a model that knows the words."""
    return trained_by_words(monkeypatch, WORDS)


def table(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def test_added_and_removed_labels_are_suspects_with_the_right_labels_suggested(
    recipe: Recipe, tmp_path: Path, folds: list[Recipe]
) -> None:
    lines: list[str] = []
    audit = audit_labels(recipe, tmp_path / "out", folds=4, announce=lines.append)
    suspects = {int(row["row"]) - 1: row for row in table(tmp_path / "out" / "suspects.csv")}
    assert suspects.keys() == {*REMOVED, *ADDED, ROWS}
    for number in {*REMOVED, *ADDED}:
        row = suspects[number]
        assert row["label"] == "|".join(given_labels(number)) and row["text"] == text_of(number)
        assert row["suggested"] == "|".join(true_labels(number))
        assert (row["missing"], row["superfluous"]) == (REMOVED.get(number, ""), ADDED.get(number, ""))
        probabilities = json.loads(row["probabilities"])
        assert probabilities.keys() == {*row["missing"].split(), *row["superfluous"].split()}
        assert all((value > 0.9) == (name == row["missing"]) for name, value in probabilities.items())
    assert (suspects[16]["label"], suspects[16]["suggested"]) == ("metal", "")
    qualities = [float(row["quality"]) for row in suspects.values()]
    assert qualities == sorted(qualities) and 0 < qualities[0] < qualities[-1] < 0.5
    assert audit.headline == "6 of 65 rows have labels that look wrong or missing (9.2%)" and audit.doubt is None
    single = replace(audit, noise=replace(audit.noise, suspects=audit.noise.suspects[:1]))
    assert single.headline == "1 of 65 rows has a label that looks wrong or missing (1.5%)"
    assert audit.unaudited == ("rare",)
    why = "because the audit needs rows with a label in two folds, and rows without it in two folds"
    assert audit.note == f"1 label is not audited, {why}: rare" and audit.note in lines
    assert unaudited_note(["rare", "all"]) == f"2 labels are not audited, {why}: rare, all"
    assert any(line.startswith("fold 4 of 4: micro-F1 of 90.00% on 1") for line in lines)


def test_pairs_of_similar_texts_are_compared_by_all_of_their_labels(
    recipe: Recipe, tmp_path: Path, folds: list[Recipe]
) -> None:
    audit = audit_labels(recipe, tmp_path / "out", folds=3)
    assert [(pair.first, pair.second) for pair in audit.contradictions] == [(1, ROWS)]
    (pair,) = [one for one in table(tmp_path / "out" / "near-duplicates.csv") if one["row_b"] == str(ROWS + 1)]
    assert (pair["row_a"], pair["label_a"], pair["label_b"]) == ("2", "bird", "fruit")
    assert audit.leaks is not None and [(one.first, one.second) for one in audit.leaks] == [(0, 5)]
    # Rows 3 and 11 have the same two labels, row 1 has one of them, row 0 has none.
    page = render(replace(audit, near_duplicates=[Pair(3, 11, 0.95), Pair(1, 3, 0.92), Pair(0, 1, 0.91)]))
    other, same = page.index("texts with different labels"), page.index("texts with the same labels")
    assert other < page.index("92% alike") < page.index("91% alike") < same < page.index("95% alike")
    assert "<strong>bird, fruit</strong>" in page and "<strong>no label</strong>" in page


@pytest.mark.parametrize("written", ["lists", "columns", "texts"])
def test_the_file_of_suspects_leaves_them_out_however_labels_are_written(
    written: str, pairs: list[tuple[str, list[str]]], recipe: Recipe, tmp_path: Path, folds: list[Recipe]
) -> None:
    rows = [
        {
            "lists": {"text": text, "labels": labels},
            "columns": {"text": text, **{name: int(name in labels) for name in NAMES}},
            "texts": {"text": text, "labels": " / ".join(labels)},
        }[written]
        for text, labels in pairs
    ]
    file = tmp_path / ("train.jsonl" if written == "lists" else "train.csv")
    frame = pd.DataFrame(rows)
    _ = frame.to_json(file, orient="records", lines=True) if written == "lists" else frame.to_csv(file, index=False)
    more = {"columns": {"label": list(NAMES)}, "texts": {"label_separator": "/"}}.get(written, {})
    recipe = recipe.with_values(data={"train": str(file), "test": "", "validation": str(file), **more})
    audit_labels(recipe, tmp_path / "out", folds=3)
    suspects = tmp_path / "out" / "suspects.csv"
    assert [row["label"] for row in table(suspects) if row["row"] == "34"] == [
        "bird/fruit" if written == "texts" else "bird|fruit"
    ]
    splits = load_splits(recipe.with_values(data={"drop": str(suspects)}))
    left = [text for number, (text, _) in enumerate(pairs) if number not in {*REMOVED, *ADDED, ROWS}]
    assert list(splits.train.texts) == left and len(splits.validation) == len(pairs)
    # The suspects of the rows that are left are none.
    again = audit_labels(recipe.with_values(data={"drop": str(suspects)}), tmp_path / "again", folds=3)
    assert again.headline == "No label of 59 rows looks wrong or missing"


def test_folds_train_on_all_rows_but_theirs_with_the_labels_that_are_audited(
    recipe: Recipe, tmp_path: Path, folds: list[Recipe]
) -> None:
    audit = audit_labels(recipe, tmp_path / "out", folds=3)
    held_out = []
    for fold in folds:
        splits = load_splits(fold)
        assert splits.train.label_names == splits.validation.label_names == ("bird", "fruit", "metal")
        assert len(splits.train) + len(splits.validation) == len(audit.texts) and splits.test is None
        assert not {*splits.train.texts} & {*splits.validation.texts}
        assert fold.evaluation.best_by == "micro_f1" and fold.training.keep == "last"
        held_out += splits.validation.texts
    assert sorted(held_out) == sorted(audit.texts)


def test_folds_have_the_class_weights_of_the_labels_that_are_audited(
    recipe: Recipe, data: dict[str, Path], tmp_path: Path, folds: list[Recipe]
) -> None:
    labels = [["rare"] if n == 4 else ["a"] if n % 3 else ["b"] for n in range(30)]
    rows = [{"text": f"{labels[n][0]} {n}", "labels": labels[n]} for n in range(30)]
    data["train"].write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    weighted = recipe.with_values(data={"labels": ["rare", "a", "b"]}, training={"class_weights": [1, 2, 3]})
    assert audit_labels(weighted, tmp_path / "out", folds=3).unaudited == ("rare",)
    for fold in folds:
        assert tuple(fold.training.class_weights) == (2, 3)
        require_class_weights(fold, load_splits(fold).train.counts)
    audit_labels(recipe.with_values(training={"class_weights": "balanced"}), tmp_path / "balanced", folds=3)
    assert folds[-1].training.class_weights == "balanced"


def test_an_audit_is_resumed_only_with_the_same_labels(
    recipe: Recipe, data: dict[str, Path], tmp_path: Path, folds: list[Recipe]
) -> None:
    audit_labels(recipe, tmp_path / "out", folds=3)
    first = (tmp_path / "out" / "suspects.csv").read_text("utf-8")
    (tmp_path / "out" / "suspects.csv").unlink()
    audit_labels(recipe, tmp_path / "out", folds=3)
    assert (tmp_path / "out" / "suspects.csv").read_text("utf-8") == first
    lines = data["train"].read_text("utf-8").splitlines(keepends=True)
    data["train"].write_text("".join([lines[0].replace("[]", '["bird"]'), *lines[1:]]), "utf-8")
    with pytest.raises(UserError, match='holds an audit of other rows; choose another folder: out="FOLDER"'):
        audit_labels(recipe, tmp_path / "out", folds=3)


def test_the_page_shows_what_is_superfluous_and_missing_and_escapes_names(
    pairs: list[tuple[str, list[str]]], recipe: Recipe, tmp_path: Path, folds: list[Recipe]
) -> None:
    audit = audit_labels(recipe, tmp_path / "out", folds=3)
    page = (tmp_path / "out" / "noise.html").read_text("utf-8")
    assert "<h1>6 of 65 rows have labels that look wrong or missing (9.2%)</h1>" in page
    assert "have a micro-F1 of 9" in page and "1 label is not audited" in page
    assert "; this is a little too high, because the thresholds were fitted on the same rows.</p>" in page
    superfluous, missing = Counter([*ADDED.values(), "fruit"]), Counter([*REMOVED.values(), "bird"])
    for name in WORDS:
        count = sum(name in labels for _, labels in pairs)
        cells = [f'<td class="number">{number}</td>' for number in (count, superfluous[name], missing[name])]
        assert f"<tr><td>{name}</td>{''.join(cells)}</tr>" in page
    card = page[page.index("row 53<") :].partition("</li>")[0]
    for words in ("given <strong>bird<", 'superfluous <span class="suggested">bird</span> 4.7%<',
                  'missing <span class="suggested">metal</span> 95.3%<', "suggested <strong>metal<"):  # fmt: skip
        assert words in card
    card = page[page.index("row 17<") :].partition("</li>")[0]
    assert "superfluous" in card and "missing" not in card and "suggested <strong>no label<" in card
    named = render(replace(audit, label_names=("<b>bird", "fruit", "metal", "rare")))
    assert "<b>" not in named and "&lt;b&gt;bird" in named
    formulas = suspects_csv(replace(audit, label_names=("=bird", "fruit", "a|b", "rare")))
    cells = {row["row"]: row for row in csv.DictReader(formulas.splitlines())}
    assert (cells["34"]["label"], cells["34"]["suggested"]) == ("'=bird;fruit", "'=bird")
    assert (cells["53"]["superfluous"], cells["53"]["missing"]) == ("'=bird", "a|b")


def test_the_page_says_how_many_labels_are_not_in_its_table(
    recipe: Recipe, tmp_path: Path, folds: list[Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = audit_labels(recipe, tmp_path / "out", folds=3)
    for most, words in ((1, "2 more labels with suspects are not shown."), (2, "1 more label with suspects is not")):
        monkeypatch.setattr(f"{PAGE}.LINES_ON_THE_PAGE", most)
        assert f'<p class="quiet">{words}' in render(audit)
    monkeypatch.setattr(f"{PAGE}.LINES_ON_THE_PAGE", 3)
    assert "shown" not in render(audit)
    for most, words in ((5, "1 more is in suspects.csv"), (4, "2 more are in suspects.csv")):
        monkeypatch.setattr(f"{PAGE}.SUSPECTS_ON_THE_PAGE", most)
        assert words in render(audit)


def test_the_division_of_the_rows_is_announced_before_it_because_it_can_take_long(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []

    def divide(*_: Any) -> None:
        raise UserError(f"announced: {lines}")

    monkeypatch.setattr(noise_audit, "fold_numbers", divide)
    with pytest.raises(UserError, match=r"announced: \['dividing the rows into 3 parts'\]"):
        audit_labels(recipe, tmp_path / "out", folds=3, announce=lines.append)


def test_a_warning_says_that_models_learnt_nothing(recipe: Recipe, tmp_path: Path, folds: list[Recipe]) -> None:
    audit = audit_labels(recipe, tmp_path / "out", folds=3)
    assert isinstance(audit.noise, MultiLabelNoise) and audit.noise.constant_f1 == pytest.approx(2 * 97 / (3 * 65 + 97))
    unlearnt = replace(audit, noise=replace(audit.noise, micro_f1=0.68, micro_f1_interval=[0.6, 0.75]))
    assert "the models have a micro-F1 of 68.0% on rows that they had not seen" in str(unlearnt.doubt)
    assert "and always giving the same labels would have 66.4%; train longer" in str(unlearnt.doubt)
    assert "The suspects say little" in render(unlearnt)


def test_fewer_than_two_labels_cannot_be_audited(recipe: Recipe, data: dict[str, Path], tmp_path: Path) -> None:
    rows = [
        {"text": f"text {n}", "labels": [*(["a"] if n else []), *(["b"] if n % 2 else []), *(["c"] if n == 3 else [])]}
        for n in range(9)
    ]
    data["train"].write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    message = r"train\.jsonl: the audit needs two labels that at least two rows have, and at least two rows lack, in"
    with pytest.raises(UserError, match=message):
        audit_labels(recipe, tmp_path / "out", folds=3)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_trained_models_find_the_wrong_labels(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With real trainings of a tiny backbone, in this process."""

    def train(recipe: Recipe, folder: Path, goes_on: Callable[[int, float], bool], *, logits: bool) -> float:
        return train_for_validation(recipe, folder, logits=logits)

    monkeypatch.setattr(noise_audit, "train_in_a_process", train)
    words = ("crow", "pear", "zinc")
    true = [[word for place, word in enumerate(words) if number >> place & 1] for number in range(160)]
    given = [[*labels] for labels in true]
    for number in range(0, 160, 7):  # one label is removed, or added
        given[number] = sorted({*given[number]} ^ {words[number % 3]})
    file = tmp_path / "rows.jsonl"
    texts = [" ".join([word for word in labels for _ in range(3)] + [f"number {n}"]) for n, labels in enumerate(true)]
    rows = [{"text": text, "label": labels} for text, labels in zip(texts, given, strict=True)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    lora = [{"roles": ["query", "value", "mlp_up", "mlp_down"], "rank": 8}]
    training = {"epochs": 14, "learning_rate": 0.03, "batch_size": 16}
    recipe = tiny_recipe(
        task="multi-label", data={"train": str(file), "test": ""}, adapter={"lora": lora}, training=training
    )
    audit_labels(recipe, tmp_path / "out", folds=2)
    suspects = {int(row["row"]) - 1: row["suggested"] for row in table(tmp_path / "out" / "suspects.csv")}
    wrong = {number for number in range(160) if given[number] != true[number]}
    assert len(wrong) == 23 and len(suspects.keys() & wrong) >= 20 and len(suspects.keys() - wrong) <= 2
    assert all(suspects[number] == "|".join(true[number]) for number in suspects.keys() & wrong)
