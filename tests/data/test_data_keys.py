"""What the keys of [data] and [evaluation] do to the rows, their tokens and their figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.adapters import built, saved
from transformers import AutoTokenizer

from featherweight.backbone.tokenizer import load_tokenizer
from featherweight.data.batches import encode
from featherweight.data.long_texts import LongTexts
from featherweight.data.sources import Rows, read_rows
from featherweight.data.splits import load_splits
from featherweight.evaluation.results import evaluate_rows
from featherweight.inference.classifier import Classifier
from featherweight.recipe import EvaluationRecipe, Recipe
from featherweight.workflows.prepare import prepare

LONG = "one crow and two robins saw seven owls and a heron near the river"


def written(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def test_each_part_is_read_from_its_own_source(tmp_path: Path) -> None:
    parts = {
        part: written(tmp_path / f"{part}.jsonl", [{"text": f"{part} {n}", "label": "ab"[n % 2]} for n in range(8)])
        for part in ("train", "validation", "test", "other")
    }
    shift = [parts.pop("other")]
    splits = load_splits(Recipe.parse({"data": parts, "evaluation": {"shift": shift}}))
    found = {
        "train": splits.train,
        "validation": splits.validation,
        "test": splits.test,
        "other": splits.shift[shift[0]],
    }
    for part, rows in found.items():
        assert rows is not None and list(rows.texts) == [f"{part} {n}" for n in range(8)]


@pytest.mark.parametrize(("size", "rows"), [(0.25, 10), (6, 6)])
def test_the_validation_size_is_a_share_or_a_number_of_rows(tmp_path: Path, size: float, rows: int) -> None:
    train = written(tmp_path / "a.jsonl", [{"text": f"text {n}", "label": "ab"[n % 2]} for n in range(40)])
    splits = load_splits(Recipe.parse({"data": {"train": train, "validation_size": size}}))
    assert (len(splits.train), len(splits.validation)) == (40 - rows, rows)


def test_text_and_label_columns_are_those_of_the_recipe(tmp_path: Path) -> None:
    rows = [{"text": "not this", "head": "A", "body": "b", "label": "nor this", "topic": topic} for topic in "yx"]
    source = written(tmp_path / "a.jsonl", rows)
    found = read_rows(source, Recipe.parse({"data": {"text": ["body", "head"], "label": "topic"}}).data)
    assert (list(found.texts), found.label_names, found.labels.tolist()) == (["b A", "b A"], ("x", "y"), [1, 0])


def test_labels_give_the_classes_their_order(tmp_path: Path) -> None:
    source = written(tmp_path / "a.jsonl", [{"text": "t", "label": label} for label in ("cold", "hot", "cold")])
    found = read_rows(source, Recipe.parse({"data": {"labels": ["hot", "cold"]}}).data)
    assert (found.label_names, found.labels.tolist()) == (("hot", "cold"), [1, 0, 1])


@pytest.mark.parametrize("longest", [6, 12])
def test_texts_are_cut_as_the_tokenizer_cuts_them(tiny_recipe: Any, tmp_path: Path, longest: int) -> None:
    rows = [{"text": f"{number} {LONG}", "label": "ab"[number % 2]} for number in range(12)]
    data = {"train": written(tmp_path / "a.jsonl", rows), "test": None, "max_length": longest, "validation_size": 4}
    recipe = tiny_recipe(data=data)
    ready = prepare(recipe)
    cut = AutoTokenizer.from_pretrained(recipe.backbone.name)(
        list(ready.splits.train.texts), truncation=True, max_length=longest
    )
    assert ready.train.lengths.tolist() == [longest] * 8
    assert ready.train.tokens[:].tolist() == np.concatenate(cut["input_ids"]).tolist()
    # What is predicted later is cut alike.
    classifier = Classifier.load(saved(built(recipe), tmp_path / "adapter", recipe))
    tokens = encode(Rows([LONG], None, (), ""), load_tokenizer(Path(recipe.backbone.name)), LongTexts(longest)).lengths
    seen: list[int] = []
    forward = classifier.network.forward
    classifier.network.forward = lambda ids, *rest: seen.append(ids.shape[1]) or forward(ids, *rest)  # type: ignore[method-assign]
    classifier.logits([LONG])
    assert seen == tokens.tolist() == [longest]


def test_figures_have_the_bins_and_mistakes_of_the_recipe() -> None:
    rows = Rows([f"text {n}" for n in range(30)], np.zeros(30, np.int64), ("a", "b"), "test")
    logits = np.stack([np.linspace(-3, 3, 30), np.zeros(30)], axis=1)  # half of them wrong
    figures = evaluate_rows(rows, logits, 1.0, EvaluationRecipe(bins=4, mistakes=7))
    assert (len(figures["reliability"]), len(figures["mistakes"])) == (4, 7)
    assert [mistake["row"] for mistake in figures["mistakes"]] == list(range(7))
