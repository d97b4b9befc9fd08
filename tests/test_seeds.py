"""A difference has to hold over the rows and over the seeds: the tests for both, and the words that come of them."""

import itertools

import numpy as np
import pytest
from scipy import stats

from featherweight.evaluation.compare import mcnemar_exact
from featherweight.evaluation.pairs import compare_pairs
from featherweight.evaluation.seeds import mcnemar_over_seeds, mean_interval, seeds_apart, spread


def right_or_wrong(rows, accuracy, seed, seeds=1, base=0, noise=0.03):
    hard = np.random.default_rng(base).random(rows)
    return np.stack([hard + np.random.default_rng([seed, k]).normal(0, noise, rows) < accuracy for k in range(seeds)])


# The test over seeds


def test_with_one_seed_a_side_it_is_mcnemars_exact_test():
    for seed in range(20):
        a, b = right_or_wrong(300, 0.9, seed), right_or_wrong(300, 0.88, seed + 50)
        found, known = mcnemar_over_seeds(a, b), mcnemar_exact(a[0], b[0])
        assert found["p_value"] == pytest.approx(known["p_value"], rel=1e-9)
        assert (found["b"], found["c"], found["rows"]) == (known["b"], known["c"], known["rows"])


@pytest.mark.parametrize("seeds", [(2, 2), (3, 3), (3, 1), (2, 3)])
def test_over_seeds_it_counts_every_assignment_of_signs(seeds):
    draw = np.random.default_rng(sum(seeds))
    for _ in range(15):
        a, b = (draw.random((k, 9)) < 0.7 for k in seeds)
        differences = a.mean(axis=0) - b.mean(axis=0)
        sums = [np.dot(signs, differences) for signs in itertools.product((1, -1), repeat=9)]
        expected = np.mean(np.abs(sums) >= abs(differences.sum()) - 1e-9)
        assert mcnemar_over_seeds(a, b)["p_value"] == pytest.approx(expected)


def test_over_seeds_it_keeps_its_level():
    p_values = []
    for seed in range(400):
        rows = np.random.default_rng(seed)
        shares = np.clip(rows.beta(8, 1, 400), 0, 1)  # each row as hard for the one as for the other
        a, b = (rows.random((3, 400)) < shares for _ in range(2))
        p_values.append(mcnemar_over_seeds(a, b)["p_value"])
    assert 0.02 <= np.mean(np.array(p_values) < 0.05) <= 0.08


def test_seeds_of_no_difference_and_of_a_clear_one():
    assert seeds_apart([0.94, 0.95, 0.945], [0.941, 0.948, 0.944]) > 0.5
    theirs = stats.ttest_ind([0.94, 0.942, 0.941], [0.93, 0.931, 0.933], equal_var=False).pvalue
    assert seeds_apart([0.94, 0.942, 0.941], [0.93, 0.931, 0.933]) == pytest.approx(theirs)
    assert seeds_apart([0.9], [0.95, 0.951, 0.952]) == pytest.approx(
        stats.ttest_1samp([0.95, 0.951, 0.952], 0.9).pvalue
    )
    assert seeds_apart([0.9, 0.91], [0.95, 0.951, 0.952]) is None  # two seeds know nothing of their spread
    assert seeds_apart([0.9], [0.95]) is None
    assert seeds_apart([0.9] * 3, [0.9] * 3) == 1 and seeds_apart([0.9] * 3, [0.8] * 3) == 0


def test_spread_and_interval_of_a_mean():
    assert spread([0.9]) is None and spread([0.9, 0.92]) == pytest.approx(0.0141421356)
    low, high = mean_interval(right_or_wrong(1000, 0.9, 1, seeds=3))
    assert low < 0.9 < high and high - low == pytest.approx(0.037, abs=0.004)
    assert mean_interval([[1] * 20])[0] == pytest.approx(stats.binomtest(20, 20).proportion_ci(method="wilson").low)


# Verdicts


def test_a_difference_needs_the_rows_and_the_seeds():
    good, bad = right_or_wrong(3000, 0.95, 1, 3), right_or_wrong(3000, 0.90, 2, 3)
    lucky = np.concatenate([right_or_wrong(3000, level, 3) for level in (0.89, 0.95, 0.98)])
    shown, seeds, none = (
        compare_pairs([("A", "B")], {"A": a, "B": b})[0]
        for a, b in ((good, bad), (lucky, bad), (good, right_or_wrong(3000, 0.95, 4, 3)))
    )
    assert (
        shown.verdict == "shown"
        and shown.won
        and "A is better (McNemar's exact test: p < 0.0001; t-test" in shown.words
    )
    assert seeds.verdict == "seeds" and not seeds.won
    assert "these runs differ, but so do their seeds: no difference of the recipes shown" in seeds.words
    assert none.verdict == "none" and "no difference shown; about" in none.words
    assert none.words.endswith("test rows would be needed to show it.")


def test_all_pairs_of_a_list_are_corrected_together():
    rounds = {name: right_or_wrong(2000, level, place) for place, (name, level) in enumerate(
        {"A": 0.95, "B": 0.94, "C": 0.90}.items())}  # fmt: skip
    pairs = compare_pairs([("B", "A"), ("C", "A"), ("C", "B")], rounds)
    raw = sorted(pair.p_value for pair in pairs)
    assert sorted(pair.corrected for pair in pairs)[0] == pytest.approx(min(1, 3 * raw[0]))
    assert all(pair.corrected >= pair.p_value for pair in pairs)
    alone = compare_pairs([("B", "A")], rounds)[0]
    assert alone.corrected == alone.p_value and "corrected" not in alone.words
