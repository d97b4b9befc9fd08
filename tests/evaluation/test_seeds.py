"""A difference has to hold over the rows and over the seeds: the tests for both, and the words that come of them."""

import itertools

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats import multitest

from featherweight.evaluation.differences import compare_pairs
from featherweight.evaluation.seeds import (
    errors_of_difference,
    mcnemar_over_seeds,
    mean_interval,
    over_rows_and_seeds,
    pooled_spread,
    spread,
)
from featherweight.evaluation.significance import holm, mcnemar_exact, sample_size_needed


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


def accuracies(*shares, rows=1000):
    """Seeds that are right on so large shares of the rows, on the first ones."""
    return np.stack([np.arange(rows) < share * rows for share in shares])


def test_the_spread_of_seeds_is_pooled_over_rounds_as_in_an_analysis_of_variance():
    rounds = [accuracies(0.94, 0.942, 0.941), accuracies(0.9, 0.904), accuracies(0.8)]
    pooled = pooled_spread(rounds)
    values = [table.mean(axis=1) for table in rounds]
    expected = sum(v.var(ddof=1) * (len(v) - 1) for v in values if len(v) > 1) / 3
    assert pooled.freedom == 3 and pooled.variance == pytest.approx(expected)
    assert pooled_spread([accuracies(0.9, 0.91), accuracies(0.9)]) is None  # two seeds alone know little of it


def test_without_variance_of_the_rows_it_is_students_test_over_seeds():
    """Seeds that differ by whole blocks of rows: what is left to the rows is known, and is taken off here."""
    a, b = accuracies(0.94, 0.95, 0.945), accuracies(0.941, 0.948, 0.944)
    pooled = pooled_spread([a, b])
    over_rows, over_seeds = errors_of_difference(a, b, pooled)
    theirs = stats.ttest_ind(a.mean(axis=1), b.mean(axis=1))
    difference = a.mean() - b.mean()
    assert difference / np.sqrt(over_seeds) == pytest.approx(theirs.statistic)
    assert over_rows == pytest.approx((a.mean(axis=0) - b.mean(axis=0)).var(ddof=1) / 1000)
    assert over_rows_and_seeds(a, b, pooled) > 0.5


def test_a_single_seed_is_one_more_draw():
    single, several = accuracies(0.945), accuracies(0.95, 0.951, 0.952)
    _, over_seeds = errors_of_difference(single, several, pooled_spread([single, several]))
    theirs = stats.ttest_ind(single.mean(axis=1), several.mean(axis=1))
    assert (0.945 - 0.951) / np.sqrt(over_seeds) == pytest.approx(theirs.statistic)


def test_a_pair_whose_own_seeds_lie_further_apart_keeps_its_own_spread():
    wild, calm = accuracies(0.90, 0.93, 0.96), [accuracies(0.94, 0.941, 0.942) for _ in range(6)]
    pooled = pooled_spread([wild, *calm])
    own = np.var([0.90, 0.93, 0.96], ddof=1) / 2 + np.var([0.94, 0.941, 0.942], ddof=1) / 2
    assert errors_of_difference(wild, calm[0], pooled)[1] == pytest.approx(own * 2 / 3)
    assert errors_of_difference(calm[0], calm[1], pooled)[1] == pytest.approx(pooled.variance * 2 / 3)


def test_equal_accuracies_do_not_prove_that_seeds_do_not_matter():
    same = accuracies(0.9, 0.9, 0.9)
    pooled = pooled_spread([same, same])
    assert errors_of_difference(same, same, pooled)[1] > 0
    assert over_rows_and_seeds(same, same, pooled) == 1


def test_spread_and_interval_of_a_mean():
    assert spread([0.9]) is None and spread([0.9, 0.92]) == pytest.approx(0.0141421356)
    low, high = mean_interval(right_or_wrong(1000, 0.9, 1, seeds=3))
    assert low < 0.9 < high and high - low == pytest.approx(0.037, abs=0.004)
    assert mean_interval([[1] * 20])[0] == pytest.approx(stats.binomtest(20, 20).proportion_ci(method="wilson").low)


# Verdicts


def test_a_difference_needs_the_rows_and_the_seeds():
    good, bad = right_or_wrong(3000, 0.95, 1, 3), right_or_wrong(3000, 0.90, 2, 3)
    uneven = np.concatenate([right_or_wrong(3000, level, 3) for level in (0.89, 0.95, 0.98)])
    shown, seeds, none = (
        compare_pairs([("A", "B")], {"A": a, "B": b})[0]
        for a, b in ((good, bad), (uneven, bad), (good, right_or_wrong(3000, 0.95, 4, 3)))
    )
    assert shown.verdict == "significant" and shown.won
    assert "A is better (McNemar's exact test: p < 0.0001; over rows and seeds: p" in shown.words
    assert seeds.verdict == "these_runs_only" and not seeds.won
    assert (
        "these runs differ, but other seeds may not: the recipes are not significantly different; about " in seeds.words
    )
    assert (
        " seeds of each would be needed to show a difference (McNemar's exact test: p < 0.0001; over rows and"
        in seeds.words
    )
    assert none.verdict == "not_significant" and "not significantly different; about" in none.words
    assert none.words.endswith("would be needed to show a difference.")


def test_both_tests_are_corrected_for_all_pairs_of_a_list():
    rounds = {name: right_or_wrong(3000, level, place, 3) for place, (name, level) in enumerate(
        {"A": 0.95, "B": 0.93, "C": 0.90}.items())}  # fmt: skip
    names = [("B", "A"), ("C", "A"), ("C", "B")]
    pairs, pooled = compare_pairs(names, rounds), pooled_spread(rounds.values())
    assert [pair.corrected for pair in pairs] == pytest.approx(holm([pair.p_value for pair in pairs]))
    plain = [over_rows_and_seeds(rounds[first], rounds[second], pooled) for first, second in names]
    assert [pair.seeds_p_value for pair in pairs] == pytest.approx(holm(plain))
    assert all(
        "McNemar's exact test, corrected: p" in pair.words for pair in pairs if pair.verdict != "not_significant"
    )
    (alone,) = compare_pairs(names[:1], rounds)
    assert alone.corrected == alone.p_value and "corrected" not in alone.words


def test_p_values_that_are_not_tiny_are_corrected_as_well():
    rounds = {name: right_or_wrong(1000, level, place, 3) for place, (name, level) in enumerate(
        {"A": 0.94, "B": 0.93, "C": 0.925}.items())}  # fmt: skip
    names = [("A", "B"), ("A", "C"), ("B", "C")]
    pairs, pooled = compare_pairs(names, rounds), pooled_spread(rounds.values())
    over_rows = [mcnemar_over_seeds(rounds[first], rounds[second])["p_value"] for first, second in names]
    over_seeds = [over_rows_and_seeds(rounds[first], rounds[second], pooled) for first, second in names]
    for found, plain in (
        ([pair.corrected for pair in pairs], over_rows),
        ([pair.seeds_p_value for pair in pairs], over_seeds),
    ):
        assert found == pytest.approx(multitest.multipletests(plain, method="holm")[1])
        assert found != pytest.approx(plain)


def test_too_few_seeds_speak_of_the_runs_alone():
    rounds = {"A": right_or_wrong(3000, 0.95, 1, 1), "B": right_or_wrong(3000, 0.90, 2, 1)}
    (pair,) = compare_pairs([("A", "B")], rounds)
    assert pair.verdict == "significant" and pair.seeds_p_value is None
    assert pair.words.endswith("A is better in these runs (McNemar's exact test: p < 0.0001).")


def test_single_seeds_learn_from_the_seeds_of_other_rounds():
    """A lead that another round's seeds have among themselves is none, though the rows show it for these runs."""
    spread_out = np.concatenate([right_or_wrong(3000, level, 3) for level in (0.90, 0.93, 0.96)])
    rounds = {"A": right_or_wrong(3000, 0.95, 1), "B": right_or_wrong(3000, 0.92, 2), "C": spread_out}
    (pair,) = compare_pairs([("A", "B")], rounds)
    assert pair.corrected < 0.001 and pair.verdict == "these_runs_only"


def equal_rounds(draw, seeds, seed_sd, rows=1000):
    """Equally good rounds: each fails some rows of its own with every seed, and each seed has rows of its own."""
    ease = draw.beta(8, 0.6, rows)
    for count in seeds:
        own = np.where(draw.random(rows) < 0.03, ease - 0.9, ease)
        yield draw.random((count, rows)) < np.clip(own + draw.normal(0, seed_sd, (count, 1)), 0, 1)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [(3, 3), (10, 10), (3, 3, 3, 3), (1, 3, 3)])
@pytest.mark.parametrize("seed_sd", [0.0, 0.009, 0.02])
def test_equal_rounds_are_rarely_said_to_differ(seeds, seed_sd):
    """Any pair is falsely found, over rows and seeds, in no more than 5% of experiments."""
    draw, experiments, wrong = np.random.default_rng(17), 300, 0
    for _ in range(experiments):
        rounds = list(equal_rounds(draw, seeds, seed_sd))
        pooled = pooled_spread(rounds)
        wrong += min(holm([over_rows_and_seeds(a, b, pooled) for a, b in itertools.combinations(rounds, 2)])) < 0.05
    assert wrong / experiments <= 0.08  # 5%, and what 300 experiments leave to chance


@pytest.mark.slow
def test_a_real_difference_of_a_point_is_found_with_three_seeds():
    draw, found = np.random.default_rng(18), 0
    for _ in range(100):
        ease = draw.beta(8, 0.6, 7600)
        good, bad = (draw.random((3, 7600)) < np.clip(ease - less + draw.normal(0, 0.002, (3, 1)), 0, 1)
                     for less in (0, 0.012))  # fmt: skip
        found += over_rows_and_seeds(good, bad, pooled_spread([good, bad])) < 0.05
    assert found >= 85


def test_one_round_of_three_seeds_knows_their_spread():
    pooled = pooled_spread([accuracies(0.94, 0.942, 0.941)])
    assert pooled is not None and pooled.freedom == 2


@pytest.mark.parametrize("rounds", [2, 3])
def test_degrees_of_freedom_are_satterthwaites_from_two_rounds_of_three_seeds_on(rounds):
    tables = [right_or_wrong(800, 0.9 - 0.01 * place, place, 3) for place in range(rounds)]
    pooled = pooled_spread(tables)
    over_rows, over_seeds = errors_of_difference(tables[0], tables[1], pooled)
    error = over_rows + over_seeds
    freedom = error**2 / (over_rows**2 / 799 + over_seeds**2 / pooled.freedom)
    statistic = abs(tables[0].mean() - tables[1].mean()) / np.sqrt(error)
    assert pooled.freedom == 2 * rounds
    assert over_rows_and_seeds(*tables[:2], pooled) == pytest.approx(2 * stats.t.sf(statistic, freedom), rel=1e-9)


def test_few_seeds_keep_their_own_degrees_of_freedom():
    tables = [right_or_wrong(800, 0.9, 1, 3), right_or_wrong(800, 0.88, 2, 1)]
    pooled = pooled_spread(tables)
    statistic = abs(tables[0].mean() - tables[1].mean()) / np.sqrt(sum(errors_of_difference(*tables, pooled)))
    assert over_rows_and_seeds(*tables, pooled) == pytest.approx(2 * stats.t.sf(statistic, 2), rel=1e-9)


def test_the_worse_of_two_has_not_won():
    rounds = {"A": right_or_wrong(3000, 0.90, 1, 3), "B": right_or_wrong(3000, 0.95, 2, 3)}
    (pair,) = compare_pairs([("A", "B")], rounds)
    assert pair.verdict == "significant" and pair.difference < 0 and not pair.won
    assert "B is better" in pair.words


def test_what_would_show_a_difference_allows_for_the_number_of_pairs_and_uneven_seeds():
    rounds = {name: right_or_wrong(3000, level, place, seeds) for place, (name, level, seeds) in enumerate(
        [("A", 0.950, 6), ("B", 0.947, 2), ("C", 0.946, 3)])}  # fmt: skip
    names = [("A", "B"), ("A", "C"), ("B", "C")]
    pair = compare_pairs(names, rounds)[0]
    first, second = rounds["A"], rounds["B"]
    errors = errors_of_difference(first, second, pooled_spread(rounds.values()))
    mean_seeds = stats.hmean([6, 2])
    wanted = sample_size_needed(mcnemar_over_seeds(first, second), 0.05 / 3, errors=errors, seeds=mean_seeds)
    assert pair.verdict == "not_significant" and wanted in pair.words
