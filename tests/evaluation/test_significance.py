"""Paired comparison, against SciPy and statsmodels; by simulation, the interval covers and the test keeps its level."""

import re

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats import contingency_tables as tables
from statsmodels.stats import multitest

from featherweight.evaluation.significance import (
    difference_in_words,
    holm,
    mcnemar_exact,
    p_in_words,
    paired_bootstrap,
    rows_needed,
    sample_size_needed,
)


def pairs(rows, b_rate, c_rate, draw):
    """Two runs on the same rows; the first alone is right on ``b_rate`` of them, the second alone on ``c_rate``."""
    kind = draw.choice(4, rows, p=[b_rate, c_rate, 0.9 - b_rate - c_rate, 0.1])
    return (kind == 0) | (kind == 2), (kind == 1) | (kind == 2)


@pytest.mark.parametrize("seed", [1, 2])
def test_bootstrap_agrees_with_scipy(seed):
    a, b = pairs(600, 0.06, 0.03, np.random.default_rng(seed))
    found = paired_bootstrap(a, b)
    theirs = stats.bootstrap(
        (a, b), lambda x, y, axis: x.mean(axis) - y.mean(axis), paired=True, vectorized=True,
        method="percentile", n_resamples=10_000, rng=np.random.default_rng(5), batch=1000,
    ).confidence_interval  # fmt: skip
    assert found["difference"] == pytest.approx(a.mean() - b.mean())
    assert found["low"] == pytest.approx(theirs.low, abs=0.002)
    assert found["high"] == pytest.approx(theirs.high, abs=0.002)


def test_bootstrap_takes_means_over_seeds_and_repeats_itself():
    draw = np.random.default_rng(4)
    a, b = draw.binomial(3, 0.95, 800) / 3, draw.binomial(3, 0.93, 800) / 3
    found = paired_bootstrap(a, b, seed=9)
    assert found == paired_bootstrap(a, b, seed=9)
    theirs = stats.bootstrap((a - b,), np.mean, method="percentile", n_resamples=5000, batch=1000, rng=draw)
    assert found["low"] == pytest.approx(theirs.confidence_interval.low, abs=0.0015)
    assert found["high"] == pytest.approx(theirs.confidence_interval.high, abs=0.0015)


def test_the_interval_covers_the_true_difference():
    draw, covered = np.random.default_rng(11), 0
    for _ in range(600):
        found = paired_bootstrap(*pairs(500, 0.06, 0.04, draw), resamples=1000, seed=int(draw.integers(2**31)))
        covered += found["low"] <= 0.02 <= found["high"]
    assert 0.925 <= covered / 600 <= 0.975


def test_the_test_keeps_its_level_and_finds_what_is_there():
    draw = np.random.default_rng(12)
    alike = [mcnemar_exact(*pairs(800, 0.05, 0.05, draw))["p_value"] < 0.05 for _ in range(1000)]
    apart = [mcnemar_exact(*pairs(800, 0.07, 0.02, draw))["p_value"] < 0.05 for _ in range(200)]
    assert 0.015 <= np.mean(alike) <= 0.055  # an exact test of counts stays somewhat below its level
    assert np.mean(apart) > 0.95


@pytest.mark.parametrize(("b_rate", "c_rate"), [(0.06, 0.03), (0.02, 0.035)])
def test_the_rows_needed_give_the_power_that_was_asked_for(b_rate, c_rate):
    rows, draw = rows_needed(b_rate, c_rate), np.random.default_rng(13)
    kinds = draw.multinomial(rows, [b_rate, c_rate, 1 - b_rate - c_rate], size=3000)
    found = [stats.binomtest(int(b), int(b + c)).pvalue < 0.05 for b, c, _ in kinds]
    assert np.mean(found) == pytest.approx(0.8, abs=0.05)


def test_rows_needed_grow_as_the_difference_shrinks():
    assert rows_needed(0.02, 0.019) > rows_needed(0.02, 0.01) > rows_needed(0.02, 0.0)
    assert rows_needed(0.03, 0.02, power=0.9) > rows_needed(0.03, 0.02)
    assert rows_needed(0.02, 0.03) == rows_needed(0.03, 0.02)
    with pytest.raises(ValueError, match="equal"):
        rows_needed(0.02, 0.02)


def test_mcnemar_is_the_binomial_test_on_the_rows_that_differ():
    a = [1] * 30 + [1] * 9 + [0] * 2 + [0] * 5
    b = [1] * 30 + [0] * 9 + [1] * 2 + [0] * 5
    found = mcnemar_exact(a, b)
    assert (found["b"], found["c"], found["rows"]) == (9, 2, 46)
    assert found["p_value"] == pytest.approx(stats.binomtest(9, 11, 0.5).pvalue)
    assert mcnemar_exact(b, a)["p_value"] == found["p_value"]
    assert mcnemar_exact([1, 0], [1, 0]) == {"b": 0, "c": 0, "p_value": 1.0, "rows": 2}


def test_mcnemar_and_holm_agree_with_statsmodels():
    a, b = pairs(700, 0.05, 0.03, np.random.default_rng(3))
    table = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
    assert mcnemar_exact(a, b)["p_value"] == pytest.approx(tables.mcnemar(table, exact=True).pvalue)
    p_values = [0.03, 0.001, 0.04, 0.6, 0.012]
    assert holm(p_values) == pytest.approx(multitest.multipletests(p_values, method="holm")[1])


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_different_rows_and_seed_means_are_refused():
    with pytest.raises(ValueError, match="same rows"):
        paired_bootstrap([1, 0], [1, 0, 1])
    with pytest.raises(ValueError, match="means over seeds"):
        mcnemar_exact([0.5, 1.0], [1.0, 1.0])


def test_what_would_show_a_difference_is_said_in_words():
    test = {"b": 130, "c": 116, "p_value": 0.41, "rows": 7600}
    said = sample_size_needed(test, 0.05)
    assert re.fullmatch(r"about \d\d,000 test rows would be needed to show a difference", said)
    assert sample_size_needed({"b": 1, "c": 1, "p_value": 1.0, "rows": 4}, 0.05) == "both are correct equally often"


def test_a_stricter_level_asks_for_more_rows():
    test = {"b": 40, "c": 20, "p_value": 0.0135, "rows": 1000}
    plain, strict = (int(re.sub(r"\D", "", sample_size_needed(test, level))) for level in (0.05, 0.05 / 6))
    assert 1000 < plain < strict


def test_no_fewer_rows_are_asked_for_than_there_were_or_than_an_exact_test_takes():
    few = {"b": 5, "c": 0, "p_value": 0.0625, "rows": 5}
    assert sample_size_needed(few, 0.05) == "about 6 test rows would be needed to show a difference"
    close = {"b": 60, "c": 35, "p_value": 0.0133, "rows": 1000}
    assert int(re.sub(r"\D", "", sample_size_needed(close, 0.05))) > 1000


def test_rows_and_seeds_that_are_asked_for_would_show_the_difference():
    """With so many, the error is as small as a power of 80% takes it to be; each number alone would not do."""
    test = {"b": 50, "c": 40, "p_value": 0.34, "rows": 1000}
    over_rows, variance, seeds = 0.09 / 1000, 0.002**2, 3
    allowed = (0.01 / (stats.norm.isf(0.025) + stats.norm.isf(0.2))) ** 2
    said = sample_size_needed(test, 0.05, errors=(over_rows, variance * 2 / seeds), seeds=seeds)
    assert " seeds" not in said  # seeds make little of the error: rows alone can do it
    rows = int(re.sub(r"\D", "", said))
    assert over_rows * 1000 / rows + variance * 2 / seeds == pytest.approx(allowed, rel=0.06)
    said = sample_size_needed(test, 0.05, errors=(over_rows, 0.006**2 * 2 / seeds), seeds=seeds)
    rows, wanted = (int(number.replace(",", "")) for number in re.findall(r"[\d,]+(?= )", said))
    assert over_rows * 1000 / rows + 0.006**2 * 2 / wanted == pytest.approx(allowed, rel=0.06)
    said = sample_size_needed({**test, "b": 95, "c": 45}, 0.05, errors=(over_rows, 0.03**2 * 2 / seeds), seeds=seeds)
    assert re.fullmatch(r"about \d+ seeds of each would be needed to show a difference", said)
    assert "a few more seeds" in sample_size_needed({**test, "b": 95, "c": 45}, 0.05, errors=(1e-5, 1e-5), seeds=seeds)


def test_a_difference_is_said_in_points():
    a, b = [1, 0, 1, 1], [0, 1, 1, 1]
    assert difference_in_words("A", "B", paired_bootstrap(a, b)).startswith("A over B: 0.00 points, 95% -")
    figures = {"difference": 0.0018, "low": -0.002, "high": 0.0056}
    assert difference_in_words("R4", "R3", figures) == "R4 over R3: +0.18 points, 95% -0.2 to +0.6"


@pytest.mark.parametrize(("b_rate", "c_rate", "power"), [(0.5, 0.1, 0.8), (0.08, 0.03, 0.95), (0.06, 0.02, 0.6)])
def test_rows_needed_are_connors(b_rate, c_rate, power):
    """Connor 1987, equation 1, written out."""
    z, z_power = stats.norm.ppf(0.975), stats.norm.ppf(power)
    differing, difference = b_rate + c_rate, b_rate - c_rate
    rows = ((z * differing**0.5 + z_power * (differing - difference**2) ** 0.5) / difference) ** 2
    assert rows_needed(b_rate, c_rate, power=power) == np.ceil(rows)


def test_a_stricter_level_asks_for_more_seeds():
    test = {"b": 95, "c": 45, "p_value": 0.0001, "rows": 1000}
    asked = [
        int(re.sub(r"\D", "", sample_size_needed(test, level, errors=(1e-6, 0.0006), seeds=3)))
        for level in (0.05, 0.005)
    ]
    differences = [(0.05 / (stats.norm.isf(level / 2) + stats.norm.isf(0.2))) ** 2 for level in (0.05, 0.005)]
    assert asked == pytest.approx([3 * 0.0006 / (allowed - 1e-6) for allowed in differences], abs=1)


@pytest.mark.parametrize(
    ("p", "words"),
    [(0.0312, "p = 0.031"), (0.0499, "p = 0.0499"), (0.04996, "p = 0.04996"), (0.05, "p = 0.05"),
     (0.0502, "p = 0.05"), (0.00009, "p < 0.0001"), (1.0, "p = 1")],
)  # fmt: skip
def test_a_p_value_is_not_rounded_across_the_level(p, words):
    assert p_in_words(p) == words
