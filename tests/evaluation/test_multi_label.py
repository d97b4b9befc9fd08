"""Figures of texts with several labels, beside scikit-learn's own."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from featherweight.data.sources import Rows
from featherweight.errors import UserError
from featherweight.evaluation.calibration import fit_temperature
from featherweight.evaluation.multi_label import (
    evaluate_several,
    hits_and_marks,
    micro_f1_interval,
    micro_f1_samples,
)
from featherweight.evaluation.results import evaluate_rows, prediction_columns, write_evaluation
from featherweight.recipe import EvaluationRecipe
from featherweight.run.checked import require
from featherweight.run.evaluation_schema import Evaluation
from featherweight.run.folder import read_json
from featherweight.task.multi_label import MultiLabel

NAMES = ("toxic", "obscene", "threat", "insult", "rare")
DRAW = np.random.default_rng(4)
LOGITS = DRAW.normal(-1, 2, (400, 5))
LABELS = (DRAW.normal(LOGITS, 2) > 0.5).astype(np.int8)
LABELS[:, 4] = 0
LABELS[:6, 4] = 1
TASK = MultiLabel((0.4, 0.5, 0.6, 0.3, 0.2))
TEMPERATURE = 1.4
FIGURES = evaluate_several(LOGITS, LABELS, NAMES, temperature=TEMPERATURE, bins=10, task=TASK)
SHARES = 1 / (1 + np.exp(-LOGITS / TEMPERATURE))
PREDICTED = (np.array(TASK.thresholds) <= SHARES).astype(int)
TEXTS = [f"text {row}" for row in range(400)]
ROWS = Rows(TEXTS, LABELS, NAMES, "made up")


@pytest.mark.parametrize(
    ("key", "expected"),
    {
        "micro_f1": sk.f1_score(LABELS, PREDICTED, average="micro"),
        "macro_f1": sk.f1_score(LABELS, PREDICTED, average="macro", zero_division=0),
        "sample_f1": sk.f1_score(LABELS, PREDICTED, average="samples", zero_division=1),
        "accuracy": sk.accuracy_score(LABELS, PREDICTED),
        "hamming_loss": sk.hamming_loss(LABELS, PREDICTED),
        "average_precision": sk.average_precision_score(LABELS, SHARES, average="macro"),
        "log_loss": np.mean([sk.log_loss(LABELS[:, k], 1 / (1 + np.exp(-LOGITS[:, k]))) for k in range(5)]),
        "log_loss_scaled": np.mean([sk.log_loss(LABELS[:, k], SHARES[:, k]) for k in range(5)]),
    }.items(),
)
def test_figures_are_those_of_scikit_learn(key: str, expected: float) -> None:
    assert FIGURES[key] == pytest.approx(expected, rel=1e-9)


def test_figures_of_each_label_are_those_of_scikit_learn() -> None:
    precision, recall, f1, support = sk.precision_recall_fscore_support(LABELS, PREDICTED, zero_division=0)
    for place, row in enumerate(FIGURES["per_class"]):
        found = [row[key] for key in ("precision", "recall", "f1", "support")]
        assert found == pytest.approx([precision[place], recall[place], f1[place], support[place]])
        assert row["average_precision"] == pytest.approx(sk.average_precision_score(LABELS[:, place], SHARES[:, place]))
        assert (row["label"], row["threshold"]) == (NAMES[place], TASK.thresholds[place])
        assert row["predicted"] == PREDICTED[:, place].sum()


def test_calibration_is_that_of_all_labels_together_and_of_each() -> None:
    def error(shares: np.ndarray, labels: np.ndarray) -> float:
        place = np.minimum(np.ceil(shares * 10).astype(int) - 1, 9)
        gaps = [abs(shares[place == b].mean() - labels[place == b].mean()) * (place == b).mean() for b in {*place}]
        return float(sum(gaps))

    assert FIGURES["calibration_error_scaled"] == pytest.approx(error(SHARES.ravel(), LABELS.ravel()))
    each = [row["calibration_error"] for row in FIGURES["per_class"]]
    assert each == pytest.approx([error(SHARES[:, k], LABELS[:, k]) for k in range(5)])
    assert sum(b["rows"] for b in FIGURES["reliability"]) == LABELS.size


def test_labels_of_a_row_and_rows_without_one_are_counted() -> None:
    assert FIGURES["rows"] == 400
    assert FIGURES["labels_a_row"] == pytest.approx(LABELS.sum() / 400)
    assert FIGURES["rows_without_labels"] == sum(not row.any() for row in LABELS) > 0


def test_a_label_that_does_not_occur_counts_as_scikit_learn_counts_it_but_for_average_precision() -> None:
    without = LABELS.copy()
    without[:, 4] = 0
    figures = evaluate_several(LOGITS, without, NAMES)
    assert figures["macro_f1"] == sk.f1_score(without, LOGITS >= 0, average="macro", zero_division=0)
    assert figures["per_class"][4]["average_precision"] is None
    shares = 1 / (1 + np.exp(-LOGITS))
    assert figures["average_precision"] == pytest.approx(
        sk.average_precision_score(without[:, :4], shares[:, :4], average="macro")
    )


def test_the_interval_of_micro_f1_is_that_of_a_bootstrap_over_rows() -> None:
    draw, samples = np.random.default_rng(9), []
    for _ in range(1500):
        rows = draw.integers(0, 400, 400)
        samples.append(sk.f1_score(LABELS[rows], PREDICTED[rows], average="micro"))
    assert FIGURES["micro_f1_interval"] == pytest.approx(np.quantile(samples, [0.025, 0.975]), abs=0.006)


@pytest.mark.parametrize("right", [True, False])
def test_an_interval_without_errors_or_without_hits_is_not_a_point(right: bool) -> None:
    labels = np.tile([[1, 0], [0, 1]], (4, 1))
    low, high = micro_f1_interval(labels, labels if right else 1 - labels)
    assert (low, high)[right] == float(right) and 0.1 < high - low < 0.5


@pytest.mark.parametrize("rows", [1, 3, 20])
def test_an_interval_of_rows_that_are_all_alike_is_not_a_point(rows: int) -> None:
    low, high = micro_f1_interval(np.array([[1, 1, 0]] * rows), np.array([[1, 0, 0]] * rows))
    assert low < 2 / 3 < high and high - low > 0.3


def test_two_sides_of_a_bootstrap_have_the_same_rows() -> None:
    side = hits_and_marks(LABELS, PREDICTED.astype(np.int8))
    first, second = micro_f1_samples([side, side], 700, 3)
    assert len(first) == 700
    assert (first == second).all()
    assert first.std() > 0


def test_the_temperature_is_found_again_and_says_nothing_where_all_is_right() -> None:
    draw = np.random.default_rng(0)
    logits = draw.normal(0, 2, (4000, 3))
    labels = (draw.random((4000, 3)) < 1 / (1 + np.exp(-logits))).astype(np.int8)
    assert fit_temperature(logits * 2.5, labels, MultiLabel()) == pytest.approx(2.5, rel=0.05)
    assert fit_temperature([[3.0, -1.0]], [[1, 0]], MultiLabel()) == 1.0


def test_errors_are_rows_with_the_surest_wrong_answer(tmp_path) -> None:
    figures = evaluate_rows(ROWS, LOGITS, TEMPERATURE, EvaluationRecipe(mistakes=3), TASK)
    sure = np.where(PREDICTED == 1, SHARES, 1 - SHARES) * (PREDICTED != LABELS)
    expected = np.argsort(-sure.max(axis=1))[:3]
    assert [mistake["row"] for mistake in figures["mistakes"]] == expected.tolist()
    first = figures["mistakes"][0]
    assert first["wrong"] == NAMES[sure[expected[0]].argmax()]
    assert first["label"] == [NAMES[k] for k in np.flatnonzero(LABELS[expected[0]])]
    assert first["predicted"] == [NAMES[k] for k in np.flatnonzero(PREDICTED[expected[0]])]
    assert first["probability"] == pytest.approx(sure.max())


def test_predictions_are_lists_even_where_a_set_has_none(tmp_path) -> None:
    import pandas as pd

    empty = Rows(["a", "b"], np.zeros((2, 5), np.int8), NAMES, "made up")
    write_evaluation(
        tmp_path, {"test": (ROWS, LOGITS)}, {"no labels": (empty, LOGITS[:2] - 20)}, 1.0, EvaluationRecipe(), TASK
    )
    table = pd.read_parquet(tmp_path / "predictions.parquet")
    assert list(table["label"][0]) == [NAMES[k] for k in np.flatnonzero(LABELS[0])]
    assert [list(found) for found in table[table["split"] == "no labels"]["predicted"]] == [[], []]
    assert list(prediction_columns("test", ROWS, LOGITS, 1.0, TASK)["predicted"]) == [
        list(found) for found in table[table["split"] == "test"]["predicted"]
    ]
    require(read_json(tmp_path / "evaluation.json"), Evaluation, "evaluation.json")


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="both be"):
        evaluate_several(LOGITS, LABELS[:, 0], NAMES)
    with pytest.raises(ValueError, match="0 or 1"):
        evaluate_several(LOGITS, LABELS * 2, NAMES)
    with pytest.raises(UserError, match="not finite"):
        evaluate_several(LOGITS * np.inf, LABELS, NAMES)
