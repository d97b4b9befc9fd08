"""Rounds compared: the right runs together, on the same rows, and those that cannot be compared refused."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.made_up_rounds import SKILLS, TestSet, fabricate_run

from featherweight.errors import UserError
from featherweight.evaluation.comparison import compare_runs
from featherweight.evaluation.comparison_notes import not_better
from featherweight.recipe import Recipe

# Runs put together


def test_runs_of_one_recipe_make_one_round_with_its_spread(comparison):
    assert [one.name for one in comparison.own] == list(SKILLS)
    assert [one.name for one in comparison.baselines] == ["TF-IDF + linear SVM", "linear probe", "full fine-tuning"]
    r2 = comparison.rounds[1]
    accuracies = [run.evaluation["test"]["accuracy"] for run in r2.runs]
    assert r2.seeds == (0, 1, 2) and r2.parameters == 888_580
    assert r2.mean("accuracy") == pytest.approx(np.mean(accuracies))
    assert r2.correct.mean() == pytest.approx(np.mean(accuracies))
    assert r2.spread("accuracy") == pytest.approx(np.std(accuracies, ddof=1))
    assert r2.mean("shift: ag_news") == pytest.approx(
        np.mean([run.evaluation["shift"]["ag_news"]["accuracy"] for run in r2.runs])
    )
    assert r2.mean("samples_per_second") == pytest.approx(90 * 32 / (36 - 5 * 0.5))
    assert comparison.baselines[0].spread("accuracy") is None
    assert len(comparison.differences) == 6 and len(comparison.against_baselines) == 12


def test_the_order_in_which_folders_are_named_changes_no_figure(fabricated_folders, comparison):
    again = compare_runs(fabricated_folders[::-1])
    for one in comparison.rounds:
        other = next(other for other in again.rounds if other.name == one.name)
        assert other.seeds == one.seeds and other.figures == one.figures and other.interval == one.interval


def test_a_run_with_another_order_of_rows_is_a_repetition(tmp_path):
    test, recipe = TestSet(200), Recipe.load("r3")
    orders = [{}, {"order_seed": 2}, {"order_seed": 1}]
    runs = [
        fabricate_run(tmp_path / f"{place}", recipe.with_values(training=training), 0.9, test=test)
        for place, training in enumerate(orders)
    ]
    (round_,) = compare_runs(runs).rounds
    assert round_.name == "r3" and round_.seeds_in_words == ("0", "0/1", "0/2")
    assert any(note.startswith("Runs of r3 have the same seed") for note in compare_runs(runs).notes)
    seeded = fabricate_run(tmp_path / "seeded", recipe.with_values(seed=1), 0.9, test=test)
    assert any(note.startswith("Some runs of r3 have the same seed") for note in compare_runs([*runs, seeded]).notes)
    runs.append(fabricate_run(tmp_path / "3", recipe.with_values(training={"order_seed": 0}), 0.9, test=test))
    with pytest.raises(UserError, match="the same recipe and seed"):
        compare_runs(runs)


def test_a_changed_recipe_of_the_same_name_is_another_round_and_says_what_changed(tmp_path):
    test, recipe = TestSet(200), Recipe.load("r3")
    runs = [fabricate_run(tmp_path / "a", recipe, 0.9, test=test)]
    runs.append(fabricate_run(tmp_path / "b", recipe.with_values(training={"learning_rate": 1e-3}), 0.8, test=test))
    assert [one.name for one in compare_runs(runs).rounds] == ["r3 learning_rate 0.0003", "r3 learning_rate 0.001"]
    runs.append(fabricate_run(tmp_path / "c", recipe.with_values(adapter={"lora": []}), 0.7, test=test))
    assert compare_runs(runs).rounds[2].name == f"r3 ({tmp_path / 'c'})"


def in_memory(folder, seed, test, rows=b"rows"):
    """A made-up run whose training and test rows were in memory: it keeps them in its own folder."""
    own = {part: str(folder / "data" / f"{part}.parquet") for part in ("train", "test")}
    recipe = Recipe.load("r3").with_values(seed=seed, data=own)
    fabricate_run(folder, recipe, 0.9, test=test)
    (folder / "data").mkdir()
    for path in own.values():
        (folder / path).write_bytes(rows)
    return folder


def test_seeds_that_were_trained_on_the_same_rows_in_memory_are_one_round(tmp_path):
    test = TestSet(60)
    runs = [in_memory(tmp_path / f"{seed}", seed, test) for seed in (0, 1)]
    assert [(one.name, one.seeds) for one in compare_runs(runs).rounds] == [("r3", (0, 1))]
    others = in_memory(tmp_path / "2", 2, test, rows=b"other rows")
    first, second = compare_runs([*runs, others]).rounds
    assert (first.seeds, second.seeds) == ((0, 1), (2,)) and "rows" in first.name and first.name != second.name


def repeated(times, rows=60):
    """Test rows of which each text stands there several times, with the same label and as hard as before."""
    test = TestSet(rows)
    test.texts, test.labels = test.texts * times, np.tile(test.labels, times)
    test.positions, test._difficulty = np.arange(rows * times), np.tile(test._difficulty, times)
    return test


@pytest.mark.parametrize("seeds", [1, 3])
def test_rows_with_the_same_text_are_one_unit_of_the_tests(tmp_path, seeds):
    compared = []
    for times in (1, 20):
        runs = []
        for name, skill in (("r3", 0.9), ("r4", 0.8)):
            for seed in range(seeds):
                run = fabricate_run(
                    tmp_path / f"{times}-{name}-{seed}", Recipe.load(name).with_values(seed=seed), skill,
                    test=repeated(times), noise=0.0,
                )  # fmt: skip
                if seed:  # right on all rows but those of one more text
                    table = pq.read_table(run / "predictions.parquet").to_pydict()
                    for place, key in enumerate(table["text_key"]):
                        if table["split"][place] == "test" and key == table["text_key"][96 + seed]:
                            table["predicted"][place] = "none"
                    pq.write_table(pa.table(table), run / "predictions.parquet")
                runs.append(run)
        compared.append(compare_runs(runs))
    once, often = compared
    pairs = [one.differences[0] for one in compared]
    assert pairs[1].p_value == pytest.approx(pairs[0].p_value)
    assert (pairs[1].difference, pairs[1].low, pairs[1].high) == pytest.approx(
        (pairs[0].difference, pairs[0].low, pairs[0].high)
    )
    assert pairs[1].seeds_p_value == (pytest.approx(pairs[0].seeds_p_value) if seeds > 1 else None)
    assert pairs[1].words == pairs[0].words.replace("test rows", "different test texts")
    (said,) = set(often.notes) - set(once.notes)
    assert said.startswith("1,140 of 1,200 test rows repeat the text of an earlier one: the tests")


def test_a_warning_that_test_rows_are_known_from_the_training_reaches_the_comparison(tmp_path):
    test, runs = TestSet(60), []
    known = "30 of 60 test rows repeat a training text: the metrics may be too good"
    other = "9 of 96 validation rows repeat a training text: the metrics may be too good"
    for name, warnings in (("r2", [other]), ("r3", [other, known]), ("r4", [known, "another warning"])):
        runs.append(fabricate_run(tmp_path / name, Recipe.load(name), 0.9, test=test))
        file = runs[-1] / "environment.json"
        file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | {"warnings": warnings}), "utf-8")
    assert [note for note in compare_runs(runs).notes if "too good" in note] == [f"r3 and r4: {known}."]


def test_a_round_that_does_not_beat_bags_of_words_says_so(comparison):
    said = {pair.words.partition(". ")[0] for pair in comparison.against_baselines}
    assert "r1 is worse than TF-IDF + linear SVM" in said
    assert not any(words.startswith("r4 does not beat") for words in said)
    assert comparison.notes == ["r1 is worse than TF-IDF + linear SVM."]
    assert [not_better(pair) for pair in comparison.not_better_than_tfidf] == ["r1 is worse than TF-IDF + linear SVM"]
    assert not any("worse than linear probe" in pair.words for pair in comparison.against_baselines)


@pytest.mark.parametrize(("key", "value"), [("rows", 47), ("texts", "another fingerprint")])
def test_a_shift_set_with_other_rows_in_a_run_is_noted(tmp_path, key, value):
    recipe, test = Recipe.load("r3"), TestSet(60)
    runs = [fabricate_run(tmp_path / f"{seed}", recipe.with_values(seed=seed), 0.9, test=test) for seed in (0, 1, 2)]
    for run in runs:
        file = run / "environment.json"
        environment = json.loads(file.read_text("utf-8"))
        environment["judged"] = {"ag_news": {"texts": "a fingerprint"}}
        file.write_text(json.dumps(environment), "utf-8")
    assert not any("shift set" in note for note in compare_runs(runs).notes)
    file = runs[1] / ("evaluation.json" if key == "rows" else "environment.json")
    values = json.loads(file.read_text("utf-8"))
    (values["shift"] if key == "rows" else values["judged"])["ag_news"][key] = value
    file.write_text(json.dumps(values), "utf-8")
    noted = [note for note in compare_runs(runs).notes if "shift set" in note]
    assert noted == [
        "The shift set ag_news had different rows in some runs: its column is not comparable between runs."
    ]


def trained_on(run, **train):
    """Let a made-up run say that it was trained on other rows: their number, or their fingerprints."""
    environment = json.loads((run / "environment.json").read_text("utf-8"))
    environment["data"]["train"] |= train
    (run / "environment.json").write_text(json.dumps(environment), "utf-8")
    return run


def test_baselines_on_fewer_rows_than_the_rounds_are_no_equal_opponents(tmp_path):
    test = TestSet(60)
    own = fabricate_run(tmp_path / "r3", Recipe.load("r3"), 0.9, test=test)
    bags = [
        trained_on(
            fabricate_run(
                tmp_path / kind, Recipe.load("r3").with_values(name=kind), 0.8, test=test, baseline=f"a {kind}"
            ),
            rows=1000,
        )
        for kind in ("tfidf-svm", "linear-probe")
    ]
    said = "a tfidf-svm and a linear-probe were trained on 1,000 rows, but r3 on 57,362."
    assert said in compare_runs([own, *bags]).notes
    trained_on(own, rows=1000)
    assert not any("trained on" in note for note in compare_runs([own, *bags]).notes)


def test_rounds_whose_file_was_changed_between_them_say_so(tmp_path):
    test, names = TestSet(60), ("r3", "r4")
    runs = [
        trained_on(fabricate_run(tmp_path / name, Recipe.load(name), 0.9, test=test), fingerprint="f", labels="l")
        for name in names
    ]
    assert not any("name the same data" in note for note in compare_runs(runs).notes)
    trained_on(runs[1], labels="corrected")
    said = "r3 and r4 name the same data, but their training rows were not the same."
    assert said in compare_runs(runs).notes


# What cannot be compared


def test_runs_on_other_rows_are_refused(tmp_path):
    recipe, test = Recipe.load("r3"), TestSet(60)
    first = fabricate_run(tmp_path / "a", recipe, 0.9, test=test)
    fewer = fabricate_run(tmp_path / "b", recipe.with_values(seed=1), 0.9, test=TestSet(50))
    with pytest.raises(UserError, match=r"b: its test rows differ from those of .*a: 50 rows, not 60"):
        compare_runs([first, fewer])
    other = fabricate_run(tmp_path / "c", recipe.with_values(seed=1), 0.9, test=TestSet(60, seed=4))
    with pytest.raises(UserError, match=r"c: its test rows differ from those of .*a: the text of row 1 differs; only"):
        compare_runs([first, other])
    relabelled = TestSet(60)
    relabelled.labels = relabelled.labels.copy()
    relabelled.labels[5] = (relabelled.labels[5] + 1) % 4
    changed = fabricate_run(tmp_path / "d", recipe.with_values(seed=1), 0.9, test=relabelled)
    with pytest.raises(UserError, match="the label of row 6 differs; only"):
        compare_runs([first, changed])


def test_a_run_counts_once(tmp_path):
    recipe, test = Recipe.load("r3"), TestSet(60)
    first, copy = (fabricate_run(tmp_path / name, recipe, 0.9, test=test) for name in ("a", "b"))
    with pytest.raises(UserError, match="is listed twice"):
        compare_runs([first, tmp_path / "x" / ".." / "a" if (tmp_path / "x").mkdir() is None else first])
    with pytest.raises(UserError, match=r"b: has the same recipe and seed as .*a"):
        compare_runs([first, copy])
    with pytest.raises(UserError, match="no runs"):
        compare_runs([])


@pytest.mark.parametrize("name", ["weigh.json", "evaluation.json", "predictions.parquet"])
def test_what_a_complete_run_lacks_no_resume_brings_back(tmp_path, name):
    run = fabricate_run(tmp_path / "run", Recipe.load("r3"), 0.9, test=TestSet(60))
    (run / name).unlink()
    with pytest.raises(UserError, match=rf"{name}: missing from a complete run; restore the file, or train again"):
        compare_runs([run])
    (run / "manifest.json").unlink()
    with pytest.raises(UserError, match=rf"{name}: missing; finish the run with resume=True"):
        compare_runs([run])


def test_unfinished_and_damaged_runs_are_refused(tmp_path):
    recipe, test = Recipe.load("r3"), TestSet(60)
    with pytest.raises(UserError, match="not a run folder"):
        compare_runs([tmp_path])
    for name, message in (("evaluation.json", "missing"), ("predictions.parquet", "missing")):
        run = fabricate_run(tmp_path / name, recipe, 0.9, test=test)
        (run / name).unlink()
        with pytest.raises(UserError, match=rf"{name}: {message}"):
            compare_runs([run])
    (run / "predictions.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(UserError, match=r"predictions\.parquet: damaged"):
        compare_runs([run])


def without_test(run):
    evaluation = json.loads((run / "evaluation.json").read_text())
    del evaluation["test"]
    (run / "evaluation.json").write_text(json.dumps(evaluation))
    table = pq.read_table(run / "predictions.parquet", filters=[("split", "!=", "test")])
    pq.write_table(table, run / "predictions.parquet")
    return run


def test_without_test_sets_the_same_validation_rows_serve_and_others_do_not(tmp_path):
    same = [without_test(fabricate_run(tmp_path / name, Recipe.load(name), 0.9)) for name in ("r3", "r4")]
    comparison = compare_runs(same)
    assert comparison.split == "validation" and comparison.rows == 96
    assert (
        "no test set. The results are on the validation rows, which also decided which adapter was kept, so"
        in (comparison.notes[0])
    )
    last = Recipe.load("r2").with_values(training={"keep": "last"})
    same.append(without_test(fabricate_run(tmp_path / "last", last, 0.9)))
    assert "which adapter was kept in r3 and r4, so they may be too good." in compare_runs(same).notes[-2]
    assert "validation rows, on which the temperature was fitted." in compare_runs(same[-1:]).notes[0]
    svm = Recipe.load("r2").with_values(name="tfidf-svm", training={"keep": "last"})
    bag = without_test(fabricate_run(tmp_path / "svm", svm, 0.8, baseline="TF-IDF + linear SVM"))
    chosen = next(note for note in compare_runs([same[-1], bag]).notes if "validation rows" in note)
    assert "which also decided the regularisation in TF-IDF + linear SVM, so they may be too good" in chosen
    other = without_test(fabricate_run(tmp_path / "seed", Recipe.load("r3").with_values(seed=1), 0.9))
    with pytest.raises(UserError, match=r"validation rows differ from.*each seed has different validation rows"):
        compare_runs([*same, other])
    tested = fabricate_run(tmp_path / "tested", Recipe.load("r2"), 0.9)
    with pytest.raises(UserError, match=r"r3: has no test set, but .*tested has one"):
        compare_runs([*same, tested])
