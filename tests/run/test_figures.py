"""Every metric is declared once: what computes, checks and shows metrics agrees with the list."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest

from featherweight.cli.tables import figures_line
from featherweight.errors import UserError
from featherweight.evaluation.metrics import COMPUTED, evaluate
from featherweight.run.checked import require
from featherweight.run.evaluation_schema import Evaluation, SetMetrics
from featherweight.run.figures import ACCURACY, METRICS, SCALED, Metric

KEYS = [key for metric in METRICS for key in metric.keys]


@pytest.fixture
def figures() -> dict[str, Any]:
    return evaluate([[2.0, 0.0], [0.0, 1.0], [1.0, 0.5], [0.2, 0.1]], [0, 1, 1, 0], ("no", "yes"), temperature=2.0)


def test_each_is_computed_and_written_under_its_keys(figures: dict[str, Any]) -> None:
    assert list(COMPUTED) == [metric.key for metric in METRICS]
    assert set(KEYS) <= set(figures)
    for metric in SCALED:
        assert figures[metric.key] != figures[f"{metric.key}_scaled"] == metric.value(figures)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.key)
def test_each_is_checked_when_a_run_is_read(figures: dict[str, Any], metric: Metric) -> None:
    require({"test": figures}, Evaluation, "evaluation.json")
    for key in metric.keys:
        assert key in SetMetrics.model_fields
        with pytest.raises(UserError, match=rf"test\.{key}: must be a number"):
            require({"test": {**figures, key: "high"}}, Evaluation, "evaluation.json")
        without = {name: value for name, value in figures.items() if name != key}
        with pytest.raises(UserError, match=rf"test\.{key}: is missing") if metric.required else nullcontext():
            require({"test": without}, Evaluation, "evaluation.json")


def test_the_terminal_shows_each_with_the_accuracys_interval(figures: dict[str, Any]) -> None:
    line = figures_line(figures)
    assert line.startswith("accuracy 75.00% (95% interval 30.06% to 95.44%, 4 rows), macro-F1 0.7333, log loss 0.")
    assert [metric.name for metric in METRICS if metric.name not in line] == []
    del figures["calibration_error_scaled"]
    assert "calibration" not in figures_line(figures)


def test_a_value_is_shown_by_its_format_and_direction() -> None:
    assert (ACCURACY.words(0.975), ACCURACY.number(0.975), ACCURACY.direction) == (
        "97.50%",
        "97.50",
        "higher is better",
    )
    error = Metric("brier", "Brier score", "{:.3f}", higher_is_better=False)
    assert (error.words(0.25), error.number(0.25), error.direction) == ("0.250", "0.250", "lower is better")
    assert (error.keys, error.in_percent, error.value({})) == (("brier",), False, None)
