"""Figures and predictions of a set, as a run writes them: calibrated, and as the recipe asks for them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import softmax

from featherweight.data.sources import Rows
from featherweight.evaluation.results import evaluate_rows, prediction_columns
from featherweight.recipe import EvaluationRecipe, Recipe
from featherweight.task.interface import SINGLE_LABEL
from featherweight.workflows.evaluate import figures_on, labelled_rows

NAMES = ("no", "yes")
LOGITS = np.array([[4.0, 0.0], [0.0, 3.0], [0.0, 9.0], [5.0, 0.0]])
ROWS = Rows(["a", "b", "c", "d"], np.array([0, 0, 1, 1]), NAMES, "made.csv")
TEMPERATURE = 3.0


def test_the_recipe_says_how_many_bins_and_mistakes_there_are() -> None:
    found = evaluate_rows(ROWS, LOGITS, TEMPERATURE, EvaluationRecipe(bins=7, mistakes=1))
    assert len(found["reliability"]) == 7
    assert [mistake["text"] for mistake in found["mistakes"]] == ["d"]
    assert found["mistakes"][0]["probability"] == pytest.approx(softmax(LOGITS[3] / TEMPERATURE)[0])
    assert found["temperature"] == TEMPERATURE


def test_a_pair_that_is_a_mistake_is_shown_with_both_texts() -> None:
    pairs = Rows([("a", "b"), ("c", "d"), ("e", "f"), ("g", "h")], ROWS.labels, NAMES, "made.csv")
    found = evaluate_rows(pairs, LOGITS, TEMPERATURE, EvaluationRecipe())
    assert [(mistake["row"], mistake["text"]) for mistake in found["mistakes"]] == [(3, "g | h"), (1, "c | d")]


def test_predictions_are_the_models_with_calibrated_probabilities() -> None:
    columns = prediction_columns("test", ROWS, LOGITS, TEMPERATURE)
    assert columns["label"].tolist() == ["no", "no", "yes", "yes"]
    assert columns["predicted"].tolist() == ["no", "yes", "yes", "no"]
    expected = softmax(LOGITS / TEMPERATURE, axis=1)
    for place, name in enumerate(NAMES):
        assert columns[f"p_{name}"] == pytest.approx(expected[:, place])


def test_another_set_is_judged_with_the_classifiers_temperature(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("text,label\na,no\nb,no\nc,yes\nd,yes\n", "utf-8")
    recipe = Recipe.parse({"evaluation": {"bins": 4}})
    classifier = SimpleNamespace(
        recipe=recipe,
        temperature=TEMPERATURE,
        task=SINGLE_LABEL,
        model=SimpleNamespace(logits=lambda rows, advance: LOGITS[["abcd".index(text) for text in rows.texts]]),
    )
    rows = labelled_rows(recipe.data, NAMES, str(tmp_path / "other.csv"))
    found = figures_on(rows, classifier)  # type: ignore[arg-type]
    assert found == evaluate_rows(ROWS, LOGITS, TEMPERATURE, recipe.evaluation)
