"""The figures of one evaluated set, against scikit-learn and SciPy."""

import json

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import binomtest
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve

from featherweight.errors import UserError
from featherweight.evaluation.metrics import class_intervals, evaluate, most_confident_errors, wilson_interval
from featherweight.task.interface import SINGLE_LABEL

NAMES = ("World", "Sports", "Business", "Sci/Tech")


@pytest.fixture
def scored():
    draw = np.random.default_rng(7)
    labels = draw.integers(0, 4, 500)
    logits = draw.normal(size=(500, 4)) * 1.5
    logits[np.arange(500), labels] += 2.0
    return logits, labels


def test_figures_agree_with_scikit_learn(scored):
    logits, labels = scored
    found = evaluate(logits, labels, NAMES, temperature=1.7)
    predicted = logits.argmax(1)
    assert found["rows"] == 500
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(labels, predicted))
    assert found["macro_f1"] == pytest.approx(reference.f1_score(labels, predicted, average="macro"))
    assert found["log_loss"] == pytest.approx(reference.log_loss(labels, softmax(logits, 1)))
    assert found["log_loss_scaled"] == pytest.approx(reference.log_loss(labels, softmax(logits / 1.7, 1)))
    assert found["confusion_matrix"] == reference.confusion_matrix(labels, predicted).tolist()
    report = reference.classification_report(labels, predicted, target_names=NAMES, output_dict=True)
    for row in found["per_class"]:
        theirs = report[row["label"]]
        assert row["precision"] == pytest.approx(theirs["precision"])
        assert row["recall"] == pytest.approx(theirs["recall"])
        assert row["f1"] == pytest.approx(theirs["f1-score"])
        assert row["support"] == theirs["support"]


@pytest.mark.parametrize(("right", "rows"), [(0, 1), (1, 1), (7190, 7600), (3, 640), (640, 640)])
def test_interval_is_wilsons(right, rows):
    theirs = binomtest(right, rows).proportion_ci(method="wilson")
    assert wilson_interval(right, rows) == pytest.approx([theirs.low, theirs.high])
    low, high = wilson_interval(right, rows)
    assert 0 <= low <= right / rows <= high <= 1


def test_interval_of_the_published_accuracy_is_half_a_point_wide_on_each_side():
    low, high = wilson_interval(7190, 7600)
    assert high - low == pytest.approx(2 * 1.96 * 0.0026, rel=0.02)


@pytest.mark.parametrize("bins", [10, 15])
def test_reliability_agrees_with_scikit_learn(scored, bins):
    logits, labels = scored
    probabilities = softmax(logits, 1)
    accuracy, confidence = calibration_curve(probabilities.argmax(1) == labels, probabilities.max(1), n_bins=bins)
    found = evaluate(logits, labels, NAMES, bins=bins)
    filled = [b for b in found["reliability"] if b["rows"]]
    assert [b["confidence"] for b in filled] == pytest.approx(confidence)
    assert [b["accuracy"] for b in filled] == pytest.approx(accuracy)
    assert sum(b["rows"] for b in found["reliability"]) == 500
    assert len(found["reliability"]) == bins
    rows = np.array([b["rows"] for b in filled])
    assert found["calibration_error"] == pytest.approx((rows * abs(accuracy - confidence)).sum() / 500)


def test_calibration_error_of_a_model_that_is_always_sure_is_its_error_rate():
    labels = np.arange(200) % 2
    logits = np.where(np.arange(200)[:, None] < 180, np.eye(2)[labels], np.eye(2)[1 - labels]) * 1000.0
    found = evaluate(logits, labels, ("no", "yes"))
    assert found["accuracy"] == pytest.approx(0.9)
    assert found["calibration_error"] == pytest.approx(0.1)
    assert found["reliability"][-1]["rows"] == 200
    assert found["reliability"][0] == {
        "low": 0.0, "high": pytest.approx(1 / 15), "rows": 0, "confidence": None, "accuracy": None, "interval": None,
    }  # fmt: skip


def test_temperature_changes_probabilities_and_no_prediction(scored):
    logits, labels = scored
    plain, scaled = evaluate(logits, labels, NAMES), evaluate(logits, labels, NAMES, temperature=3.0)
    assert plain["temperature"] == 1.0 and scaled["temperature"] == 3.0
    assert plain["log_loss_scaled"] == plain["log_loss"] == scaled["log_loss"]
    assert scaled["log_loss_scaled"] != scaled["log_loss"]
    assert scaled["accuracy"] == plain["accuracy"]


@pytest.mark.parametrize("temperature", [1.0, 0.7, 3.0])
def test_probabilities_are_the_softmax_of_scipy_bit_for_bit(temperature):
    logits = np.random.default_rng(0).normal(size=(500, 7)) * 10.0 ** np.arange(-3, 4)
    assert (SINGLE_LABEL.probabilities(logits, temperature) == softmax(logits / temperature, axis=1)).all()


def test_everything_is_plain_json(scored):
    found = evaluate(*scored, NAMES, temperature=2.0)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_class_that_does_not_occur_counts_for_nothing(scored):
    logits, labels = scored
    absent = np.hstack([logits, np.full((500, 1), -50.0)])
    found = evaluate(absent, labels, (*NAMES, "Weather"))
    assert found["macro_f1"] == pytest.approx(evaluate(logits, labels, NAMES)["macro_f1"])
    none = {"precision_interval": None, "recall_interval": None, "f1_interval": None}
    assert found["per_class"][-1] == {
        "label": "Weather", "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0, "predicted": 0, **none
    }  # fmt: skip
    assert np.shape(found["confusion_matrix"]) == (5, 5)


def test_intervals_of_a_class_hold_its_figures_and_narrow_with_its_rows():
    labels, predicted = np.array([0] * 6 + [1] * 14), np.array([0, 0, 0, 1, 1, 1] + [0] * 1 + [1] * 13)
    widths = []
    for times in (1, 50):
        first = evaluate(np.eye(2)[np.tile(predicted, times)], np.tile(labels, times), NAMES[:2])["per_class"][0]
        assert first["recall_interval"] == wilson_interval(3 * times, 6 * times)
        assert first["precision_interval"] == wilson_interval(3 * times, 4 * times)
        low, high = wilson_interval(3 * times, 7 * times)  # of the rows that are of the class or predicted as it
        assert first["f1_interval"] == pytest.approx([2 * low / (1 + low), 2 * high / (1 + high)])
        assert first["f1"] == pytest.approx(0.6)
        assert first["f1_interval"][0] < first["f1"] < first["f1_interval"][1]
        widths.append(first["f1_interval"][1] - first["f1_interval"][0])
    assert widths[1] < widths[0] / 5


def test_the_interval_of_f1_holds_the_true_one_about_as_often_as_it_says():
    draw, truth, inside = np.random.default_rng(0), np.array([[12, 6], [5, 77]]) / 100, 0
    expected = 2 * truth[0, 0] / (2 * truth[0, 0] + truth[0, 1] + truth[1, 0])
    for _ in range(400):
        (right, missed), (wrong, _) = draw.multinomial(150, truth.ravel()).reshape(2, 2)
        low, high = class_intervals(int(right), int(right + missed), int(right + wrong))["f1_interval"]
        inside += low <= expected <= high
    assert 0.92 <= inside / 400 <= 0.98


def test_one_row_and_a_single_class_are_enough():
    found = evaluate([[2.0, 1.0]], [0], ("no", "yes"))
    assert found["accuracy"] == 1.0
    assert found["confusion_matrix"] == [[1, 0], [0, 0]]


def test_huge_logits_give_finite_figures():
    found = evaluate([[1e4, -1e4], [1e4, -1e4]], [0, 1], ("no", "yes"))
    assert np.isfinite(found["log_loss"])


def test_logits_that_are_not_finite_are_refused_in_plain_words():
    with pytest.raises(UserError, match=r"not finite for 1 of 2 rows.*diverged"):
        evaluate([[0.0, np.nan], [0.0, 1.0]], [0, 1], ("no", "yes"))


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        ([[0.0, 1.0]], [0, 1], "must be"),
        ([[0.0, 1.0, 2.0]], [0], "label names"),
        (np.empty((0, 2)), [], "no rows"),
        ([[0.0, 1.0]], [2], "between 0 and 1"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(logits, labels, message):
    with pytest.raises(ValueError, match=message):
        evaluate(logits, labels, ("no", "yes"))


def test_most_confident_errors_come_in_order_with_their_place():
    logits = [[4.0, 0.0], [0.0, 1.0], [0.0, 9.0], [5.0, 0.0], [0.0, 9.0]]
    found = most_confident_errors(logits, [0, 0, 0, 1, 1], ["a", "b", "c", "d", "e"], ("no", "yes"), 2)
    assert [(m["row"], m["text"], m["label"], m["predicted"]) for m in found] == [
        (2, "c", "no", "yes"),
        (3, "d", "yes", "no"),
    ]
    assert found[0]["probability"] == pytest.approx(softmax([0.0, 9.0])[1])
    assert len(most_confident_errors(logits, [0, 0, 0, 1, 1], list("abcde"), ("no", "yes"), 20)) == 3
    assert most_confident_errors(logits, [0, 0, 0, 1, 1], list("abcde"), ("no", "yes"), 0) == []


def test_a_confidence_on_an_edge_belongs_to_the_bin_below_it():
    """Bins are (low, high], as in Guo et al. 2017."""
    found = evaluate([[0.0, 0.0], [0.0, 5.0]], [0, 1], ("no", "yes"), bins=10)
    assert {b["high"]: b["rows"] for b in found["reliability"] if b["rows"]} == {0.5: 1, 1.0: 1}


def test_the_interval_is_that_of_the_accuracy(scored):
    logits, labels = scored
    found = evaluate(logits, labels, NAMES)
    right = int((logits.argmax(1) == labels).sum())
    assert found["accuracy_interval"] == pytest.approx(wilson_interval(right, 500))
    assert found["accuracy_interval"][0] < found["accuracy"] < found["accuracy_interval"][1]


def test_the_diagrams_before_and_after_scaling_are_two(scored):
    logits, labels = scored
    found = evaluate(logits, labels, NAMES, temperature=2.5)
    assert found["reliability"] == evaluate(logits, labels, NAMES)["reliability"]
    assert found["reliability_scaled"] == evaluate(np.asarray(logits) / 2.5, labels, NAMES)["reliability"]
    assert found["calibration_error_scaled"] != found["calibration_error"]
