"""A difference has to hold over the rows and over the seeds: the tests for both, and the words that come of them."""

import itertools
from functools import partial

import numpy as np
import pytest
from scipy import stats

from featherweight.evaluation.compare import holm, mcnemar_exact
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
    apart = partial(seeds_apart, rows=7600)
    assert apart([0.94, 0.95, 0.945], [0.941, 0.948, 0.944]) > 0.5
    theirs = stats.ttest_ind([0.94, 0.942, 0.941], [0.93, 0.931, 0.933], equal_var=False).pvalue
    assert apart([0.94, 0.942, 0.941], [0.93, 0.931, 0.933]) == pytest.approx(theirs)
    assert apart([0.9, 0.91], [0.95, 0.951, 0.952]) is None  # two seeds know nothing of their spread
    assert apart([0.9], [0.95]) is None


def test_a_single_seed_is_a_draw_unless_every_seed_gives_the_same():
    single, several = [0.945], [0.95, 0.951, 0.952]
    # One more observation of the same spread: Student's test with a sample of one.
    theirs = stats.ttest_ind(single, several, equal_var=True).pvalue
    assert seeds_apart(single, several, rows=7600) == pytest.approx(theirs)
    fixed = seeds_apart(single, several, rows=7600, fixed=True)
    assert fixed == pytest.approx(stats.ttest_1samp(several, 0.945).pvalue) and fixed < theirs


def test_equal_accuracies_do_not_prove_that_seeds_do_not_matter():
    assert seeds_apart([0.9] * 3, [0.9] * 3, rows=100) == 1
    assert 0 < seeds_apart([0.9] * 3, [0.91] * 3, rows=100) < 0.05
    # One row apart, as rounding alone may make it: the fewer rows, the less it says.
    assert seeds_apart([0.9] * 3, [0.91] * 3, rows=20) > seeds_apart([0.9] * 3, [0.91] * 3, rows=100)


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
    assert shown.verdict == "shown" and shown.won
    assert "A is better (McNemar's exact test: p < 0.0001; t-test over seeds: p" in shown.words
    assert seeds.verdict == "seeds" and not seeds.won
    assert "these runs differ, but so do their seeds: no difference of the recipes shown" in seeds.words
    assert none.verdict == "none" and "no difference shown; about" in none.words
    assert none.words.endswith("would be needed to show it.")


def test_all_pairs_of_a_list_are_corrected_together():
    rounds = {name: right_or_wrong(2000, level, place) for place, (name, level) in enumerate(
        {"A": 0.95, "B": 0.94, "C": 0.90}.items())}  # fmt: skip
    pairs = compare_pairs([("B", "A"), ("C", "A"), ("C", "B")], rounds)
    raw = sorted(pair.p_value for pair in pairs)
    assert sorted(pair.corrected for pair in pairs)[0] == pytest.approx(min(1, 3 * raw[0]))
    assert all(pair.corrected >= pair.p_value for pair in pairs)
    alone = compare_pairs([("B", "A")], rounds)[0]
    assert alone.corrected == alone.p_value and "corrected" not in alone.words


def test_the_seeds_test_is_corrected_too():
    rounds = {name: right_or_wrong(3000, level, place, 3) for place, (name, level) in enumerate(
        {"A": 0.95, "B": 0.93, "C": 0.90}.items())}  # fmt: skip
    pairs = compare_pairs([("B", "A"), ("C", "A"), ("C", "B")], rounds)
    greater = [max(pair.p_value, pair.seeds_p_value) for pair in pairs]
    assert [pair.corrected for pair in pairs] == pytest.approx(holm(greater))
    assert all("corrected: p" in pair.words for pair in pairs if pair.verdict != "none")


def test_too_few_seeds_speak_of_the_runs_alone():
    rounds = {"A": right_or_wrong(3000, 0.95, 1, 2), "B": right_or_wrong(3000, 0.90, 2, 2)}
    (pair,) = compare_pairs([("A", "B")], rounds)
    assert pair.verdict == "shown" and "A is better in these runs (McNemar's exact test: p < 0.0001)." in pair.words


def test_more_seeds_are_asked_for_where_the_seeds_are_in_doubt():
    rows = np.random.default_rng(5).random((3, 400))
    uneven = np.stack([row < level for row, level in zip(rows, (0.88, 0.9, 0.92), strict=True)])
    (pair,) = compare_pairs([("A", "B")], {"A": uneven, "B": right_or_wrong(400, 0.89, 3, 3)})
    assert pair.seeds_p_value > 0.05 and pair.verdict == "none"
    assert pair.words.endswith("test rows, and more seeds, would be needed to show it.")


@pytest.mark.slow
@pytest.mark.parametrize("seed_sd", [0.0, 0.004, 0.02])
def test_equal_rounds_whose_seeds_differ_are_rarely_said_to_differ(seed_sd):
    """Four equally good rounds of three seeds: any pair falsely shown in no more than 5% of experiments."""
    draw, names = np.random.default_rng(17), "ABCD"
    pairs = [(later, first) for place, later in enumerate(names) for first in names[:place]]
    wrong = 0
    for _ in range(150):
        ease = draw.beta(8, 0.6, 1000)
        rounds = {
            name: draw.random((3, 1000)) < np.clip(ease + draw.normal(0, seed_sd, (3, 1)), 0, 1) for name in names
        }
        wrong += any(pair.verdict == "shown" for pair in compare_pairs(pairs, rounds))
    assert wrong / 150 <= 0.09  # 5%, and what 150 experiments leave to chance
