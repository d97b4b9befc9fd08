"""Which texts a backbone is trained further on: training texts and further ones, but none that is evaluated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.commands import Cli, refused

from featherweight.backbone.adapted import FILE, read_adapted
from featherweight.backbone.resolve import resolve_backbone
from featherweight.data.splits import load_splits
from featherweight.workflows.adaptation_texts import adaptation_texts
from featherweight.workflows.prepare import adaptation_notes


def test_only_training_texts_are_seen(tiny_recipe: Any, tiny_data: dict[str, Path], tmp_path: Path) -> None:
    # A test text and a validation text are added to the training rows.
    extra = tiny_data["test"].read_text("utf-8").splitlines()[0]
    rows = [*tiny_data["train"].read_text("utf-8").splitlines(), extra]
    (tmp_path / "train.jsonl").write_text("\n".join(rows) + "\n", "utf-8")
    recipe = tiny_recipe(data={"train": str(tmp_path / "train.jsonl")}, seed=3)
    splits = load_splits(recipe)
    chosen = adaptation_texts(splits, recipe.data, [], recipe.seed)
    assert splits.test is not None
    seen = {*chosen.train.texts, *chosen.held_out.texts}
    left_out = len(splits.train) - len(chosen.train) - len(chosen.held_out)
    assert not seen & {*splits.validation.texts, *splits.test.texts}
    assert left_out == (json.loads(extra)["text"] in splits.train.texts)
    told = f"{left_out} training texts are left out: they are also validation or test texts"
    assert chosen.notes == [told] * (left_out > 0)
    assert len(chosen.held_out) == round(0.05 * (len(chosen.train) + len(chosen.held_out)))


@pytest.fixture
def further(tiny_recipe: Any, tmp_path: Path) -> tuple[Path, Path]:
    """Two files of further texts: some new, the others empty, repeated, or training, validation or test texts."""
    splits = load_splits(tiny_recipe(data={"text": ["text"]}))
    assert splits.test is not None
    known = [rows.texts[0] for rows in (splits.train, splits.validation, splits.test)]
    table, lines = tmp_path / "table.csv", tmp_path / "lines.txt"
    table.write_text(
        "\n".join(["id,text", *(f'{n},"{text}"' for n, text in enumerate([*known, "new 1", "", "new 2"]))])
    )
    lines.write_text("new 3\n new 1 \n\nnew 4\n", "utf-8")
    return table, lines


def test_further_texts_need_no_labels_and_no_text_is_read_twice(tiny_recipe: Any, further: tuple[Path, Path]) -> None:
    recipe = tiny_recipe(data={"text": ["text"]})
    splits = load_splits(recipe)
    chosen = adaptation_texts(splits, recipe.data, [str(path) for path in further], recipe.seed)
    seen = [*chosen.train.texts, *chosen.held_out.texts]
    assert sorted(seen) == sorted([*splits.train.texts, "new 1", "new 2", "new 3", "new 4"])
    left = "; the others are empty or repeated, or are validation or test texts"
    assert chosen.notes == [
        f"{further[0]}: 2 of 6 further texts are used{left}",
        f"{further[1]}: one text per line, without labels",
        f"{further[1]}: 2 of 4 further texts are used{left}",
    ]


@pytest.mark.slow
def test_an_adaptation_to_further_texts_says_so_and_is_no_other(
    cli: Cli, tiny_recipe: Any, further: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "tiny.toml").write_text(tiny_recipe().to_toml(), "utf-8")
    words = ["adapt", tmp_path / "tiny.toml", "-o", tmp_path / "out", "--epochs", "2"]
    texts = [word for path in further for word in ("--texts", path)]
    assert cli(*words, *texts).code == 0
    marker = json.loads((tmp_path / "out" / FILE).read_text("utf-8"))
    trained = load_splits(tiny_recipe()).train
    assert marker["texts"]["without_labels"] == 4
    assert marker["texts"]["rows"] + marker["texts"]["held_out"] == len(trained) + 4
    adapted = read_adapted(tmp_path / "out")
    assert adapted and f"on {adapted.texts.rows} texts, of which some are no training texts" in adapted.in_words()
    assert cli(*words, *texts, "--resume").code == 0
    for others in ([], texts[:2]):
        refused(cli, *words, *others, "--resume", naming="the further texts have changed since")
    # For a training on the same rows, these are no other texts than its own: validation and test texts were left out.
    recipe = tiny_recipe(backbone={"name": str(tmp_path / "out")})
    assert adaptation_notes(resolve_backbone(recipe.backbone), load_splits(recipe)) == [adapted.in_words()]
    # With fewer or changed rows to evaluate nothing is unknown; new test rows may be among the further texts.
    fewer = recipe.with_values(data={"test": ""}, evaluation={"shift": []})
    changed = recipe.with_values(evaluation={"shift": ["perturbed:typos"]})
    for known in (fewer, changed):
        assert len(adaptation_notes(resolve_backbone(recipe.backbone), load_splits(known))) == 1
    other = tmp_path / "other.jsonl"
    other.write_text('{"text": "new 1", "label": "bird"}\n', "utf-8")
    now = load_splits(recipe.with_values(data={"test": str(other)}))
    warned = adaptation_notes(resolve_backbone(recipe.backbone), now)[1]
    assert "further texts that were not compared with all validation and test texts of this run" in warned


def test_test_rows_without_labels_are_no_further_texts(tiny_recipe: Any, tmp_path: Path) -> None:
    test = tmp_path / "test.csv"
    test.write_text("id,text\n1,new 1\n2,new 2\n", "utf-8")
    more = tmp_path / "more.txt"
    more.write_text("__label__\nnew 1\nnew 3\n0 is a number\nsee you @ noon\n", "utf-8")
    recipe = tiny_recipe(data={"test": str(test), "text": ["text"]})
    chosen = adaptation_texts(load_splits(recipe), recipe.data, [str(more)], recipe.seed)
    assert chosen.further is not None
    assert "new 3" in chosen.further.texts and "new 1" not in chosen.further.texts


def test_how_further_texts_were_read_is_told(tiny_recipe: Any, tmp_path: Path) -> None:
    more = tmp_path / "more.txt"
    more.write_bytes("caf\xe9 one\ncaf\xe9 two\n".encode("latin-1"))
    recipe = tiny_recipe(data={"text": ["text"]})
    chosen = adaptation_texts(load_splits(recipe), recipe.data, [str(more)], recipe.seed)
    assert any("bytes are no" in note for note in chosen.notes)
    assert chosen.notes[-1] == f"{more}: 2 of 2 further texts are used"
