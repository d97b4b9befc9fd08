"""Splits of rows with several labels: each label keeps its share, and rare ones stay in the rows trained on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from featherweight.data.iterative_draw import iterative_draw
from featherweight.data.splits import load_splits
from featherweight.recipe import Recipe


def made_up(rows: int = 500, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    labels = (draw.random((rows, 6)) < [0.5, 0.2, 0.1, 0.05, 0.0, 0.0]).astype(np.int8)
    labels[:3, 4], labels[7, 5] = 1, 1
    return labels


def test_a_draw_keeps_the_shares_of_the_labels() -> None:
    labels = made_up()
    drawn = iterative_draw(labels, 100, 3, for_training=False)
    assert len(drawn) == len({*drawn}) == 100
    assert (drawn == np.sort(drawn)).all()
    assert labels[drawn].sum(axis=0)[:4] == pytest.approx(labels.sum(axis=0)[:4] / 5, abs=1)
    without = (labels.sum(axis=1) == 0).sum()
    assert (labels[drawn].sum(axis=1) == 0).sum() == pytest.approx(without / 5, abs=6)
    assert (iterative_draw(labels, 100, 3, for_training=False) == drawn).all()
    assert (iterative_draw(labels, 100, 4, for_training=False) != drawn).any()


@pytest.mark.parametrize("wanted", [20, 100, 480])
@pytest.mark.parametrize("for_training", [True, False])
def test_the_side_that_is_trained_on_has_every_label(wanted: int, for_training: bool) -> None:
    labels = made_up()
    drawn = iterative_draw(labels, wanted, 0, for_training=for_training)
    trained = drawn if for_training else np.setdiff1d(np.arange(len(labels)), drawn)
    assert labels[trained].any(axis=0).all()


@pytest.mark.parametrize("for_training", [True, False])
def test_many_labels_of_few_rows_each_all_stay_on_the_side_that_is_trained_on(for_training: bool) -> None:
    labels = np.tile(np.eye(10, dtype=np.int8), (4, 1))
    drawn = iterative_draw(labels, 36 if for_training else 4, 0, for_training=for_training)
    assert len(drawn) == (36 if for_training else 4)
    trained = drawn if for_training else np.setdiff1d(np.arange(40), drawn)
    assert labels[trained].sum(axis=0).min() >= 3


def test_splits_hold_out_rows_and_keep_rare_labels_for_training(tmp_path: Path) -> None:
    rows = [
        {"text": f"t {n}", "label": [x for k, x in enumerate("abcdef") if row[k]]} for n, row in enumerate(made_up())
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = Recipe.parse({
        "task": "multi-label", "data": {"train": str(tmp_path / "rows.jsonl"), "validation_size": 50, "train_rows": 200}
    })  # fmt: skip
    splits = load_splits(recipe)
    assert (len(splits.train), len(splits.validation)) == (200, 50)
    assert splits.train.counts.all()
    assert splits.validation.counts[5] == 0
    assert any("no validation row has the label" in warning and "'f'" in warning for warning in splits.warnings)
