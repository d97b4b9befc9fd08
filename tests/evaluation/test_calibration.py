"""Temperature scaling, against a search over a grid and against a known truth."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from featherweight.errors import UserError
from featherweight.evaluation.calibration import fit_temperature
from featherweight.evaluation.metrics import evaluate


def truthful(rows=20_000, classes=4, seed=3):
    """Logits whose softmax is the true distribution of the labels drawn from it."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(size=(rows, classes)) * 2
    chosen = softmax(logits, 1).cumsum(1) < draw.random((rows, 1))
    return logits, chosen.sum(1)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_the_temperature_that_was_put_in_is_found(temperature):
    logits, labels = truthful()
    assert fit_temperature(logits * temperature, labels) == pytest.approx(temperature, rel=0.03)


def test_no_temperature_of_a_grid_has_a_lower_loss():
    logits, labels = truthful(rows=500)
    found = fit_temperature(logits * 3, labels)
    rows = np.arange(500)
    losses = [-log_softmax(logits * 3 / t, 1)[rows, labels].mean() for t in [found, *np.geomspace(0.06, 19, 400)]]
    assert losses[0] <= min(losses) + 1e-9


def test_scaling_mends_an_overconfident_model_on_rows_it_was_not_fitted_on():
    logits, labels = truthful()
    temperature = fit_temperature(logits[:10_000] * 4, labels[:10_000])
    found = evaluate(logits[10_000:] * 4, labels[10_000:], list("abcd"), temperature=temperature)
    assert found["calibration_error_scaled"] < 0.02 < found["calibration_error"]
    assert found["log_loss_scaled"] < found["log_loss"]


def test_rows_that_are_all_right_say_nothing():
    assert fit_temperature([[3.0, 0.0], [0.0, 2.0]], [0, 1]) == 1.0


def test_a_model_that_is_always_wrong_stops_at_the_bound():
    assert fit_temperature([[3.0, 0.0], [0.0, 2.0]], [1, 0]) == pytest.approx(20.0, rel=0.01)


def test_logits_that_are_not_finite_are_refused():
    with pytest.raises(UserError, match="diverged"):
        fit_temperature([[np.inf, 0.0]], [0])
