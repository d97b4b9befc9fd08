"""Rounds compared: the right runs together, the same rows, honest verdicts, and pages that say what the figures say."""

import csv
import io
import json
import re

import numpy as np
import pyarrow.parquet as pq
import pytest
from fabricated_rounds import SKILLS, TestSet, fabricate_rounds, fabricate_run

from featherweight.comparison import compare_runs
from featherweight.errors import UserError
from featherweight.recipe import Recipe
from featherweight.report.comparison_page import available, write_comparison
from featherweight.report.comparison_plots import LABEL_GAP, pushed_apart
from featherweight.report.comparison_tables import lora_in_words, schedule_in_words, tables
from featherweight.report.comparison_words import headline, markdown
from featherweight.report.style import drawing


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return fabricate_rounds(tmp_path_factory.mktemp("rounds"), rows=3000)


@pytest.fixture(scope="module")
def comparison(folders):
    return compare_runs(folders)


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


def test_the_order_in_which_folders_are_named_changes_no_figure(folders, comparison):
    again = compare_runs(folders[::-1])
    for one in comparison.rounds:
        other = next(other for other in again.rounds if other.name == one.name)
        assert other.seeds == one.seeds and other.figures == one.figures and other.interval == one.interval


def test_a_changed_recipe_of_the_same_name_is_another_round_and_says_what_changed(tmp_path):
    test, recipe = TestSet(200), Recipe.load("r3")
    runs = [fabricate_run(tmp_path / "a", recipe, 0.9, test=test)]
    runs.append(fabricate_run(tmp_path / "b", recipe.with_values(training={"learning_rate": 1e-3}), 0.8, test=test))
    assert [one.name for one in compare_runs(runs).rounds] == ["r3 learning_rate 0.0003", "r3 learning_rate 0.001"]
    runs.append(fabricate_run(tmp_path / "c", recipe.with_values(adapter={"lora": []}), 0.7, test=test))
    assert compare_runs(runs).rounds[2].name == f"r3 ({tmp_path / 'c'})"


def test_a_round_that_does_not_beat_bags_of_words_says_so(comparison):
    said = {pair.words.partition(". ")[0] for pair in comparison.against_baselines}
    assert "r1 is worse than TF-IDF + linear SVM" in said
    assert not any(words.startswith("r4 does not beat") for words in said)
    assert comparison.notes == ["r1 is worse than TF-IDF + linear SVM."]
    assert comparison.doubts == ["r1 is worse than TF-IDF + linear SVM"]
    assert not any("worse than linear probe" in pair.words for pair in comparison.against_baselines)


# What cannot be compared


def test_runs_on_other_rows_are_refused(tmp_path):
    recipe, test = Recipe.load("r3"), TestSet(60)
    first = fabricate_run(tmp_path / "a", recipe, 0.9, test=test)
    fewer = fabricate_run(tmp_path / "b", recipe.with_values(seed=1), 0.9, test=TestSet(50))
    with pytest.raises(UserError, match=r"b: its test rows are not those of .*a: 50 rows, not 60"):
        compare_runs([first, fewer])
    other = fabricate_run(tmp_path / "c", recipe.with_values(seed=1), 0.9, test=TestSet(60, seed=4))
    with pytest.raises(UserError, match=r"c: its test rows are not those of .*a: row 1 has another text"):
        compare_runs([first, other])
    relabelled = TestSet(60)
    relabelled.labels = relabelled.labels.copy()
    relabelled.labels[5] = (relabelled.labels[5] + 1) % 4
    changed = fabricate_run(tmp_path / "d", recipe.with_values(seed=1), 0.9, test=relabelled)
    with pytest.raises(UserError, match="row 6 has another label"):
        compare_runs([first, changed])


def test_a_run_counts_once(tmp_path):
    recipe, test = Recipe.load("r3"), TestSet(60)
    first, copy = (fabricate_run(tmp_path / name, recipe, 0.9, test=test) for name in ("a", "b"))
    with pytest.raises(UserError, match="named twice"):
        compare_runs([first, tmp_path / "x" / ".." / "a" if (tmp_path / "x").mkdir() is None else first])
    with pytest.raises(UserError, match=r"b: the recipe and the seed of .*a"):
        compare_runs([first, copy])
    with pytest.raises(UserError, match="no runs"):
        compare_runs([])


def test_unfinished_and_damaged_runs_are_refused(tmp_path):
    recipe, test = Recipe.load("r3"), TestSet(60)
    with pytest.raises(UserError, match="no run folder"):
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
    assert comparison.notes[0].startswith("No test set")
    other = without_test(fabricate_run(tmp_path / "seed", Recipe.load("r3").with_values(seed=1), 0.9))
    with pytest.raises(UserError, match=r"validation rows are not those.*each\s+seed has validation rows of its own"):
        compare_runs([*same, other])
    tested = fabricate_run(tmp_path / "tested", Recipe.load("r2"), 0.9)
    with pytest.raises(UserError, match=r"r3: has no test set, while .*tested has one"):
        compare_runs([*same, tested])


# Words, tables and pages


def test_the_table_has_the_shape_of_the_published_one(comparison):
    table = tables(comparison)[0]
    assert table.columns[:4] == ["round", "LoRA", "bias", "schedule"]
    r1, r2, _, r4 = table.rows[:4]
    assert r1[1] == "r 8/16, alpha 16/32, value (lower-half) / query+value (upper-half)"
    assert r2[1:4] == ["r 16, alpha 32, value", "none", "cosine, warm-up 500"]
    assert r4[2] == "all" and r4[table.columns.index("parameters")] == "990,724"
    assert re.fullmatch(r"\d\d\.\d\d ± \d\.\d\d", r4[table.columns.index("accuracy %")])
    assert re.fullmatch(r"\d\d\.\d\d to \d\d\.\d\d", r4[table.columns.index("95% interval")])
    assert "backbone" not in table.columns and "head" not in table.columns
    assert table.rows[4][1:4] == ["–"] * 3  # a baseline has no LoRA


def test_what_differs_between_rounds_gets_a_column(tmp_path):
    test, recipe = TestSet(80), Recipe.load("r3")
    small = recipe.with_values(name="small", backbone={"name": "minilm"}, adapter={"head": "linear"})
    runs = [fabricate_run(tmp_path / one.name, one, 0.9, test=test) for one in (recipe, small)]
    table = tables(compare_runs(runs))[0]
    assert [row[4:6] for row in table.rows] == [["roberta-base", "native"], ["minilm", "linear"]]
    assert table.columns[4:6] == ["backbone", "head"] and table.words == 6


def test_recipes_in_words():
    assert lora_in_words(Recipe.load("newsbriefs")) == "r 8, alpha 16, all linear"
    assert (
        lora_in_words(Recipe.load("r3", ["adapter.lora.alpha=", "adapter.dora=true"]))
        == "DoRA r 8, alpha 16, query+value"
    )
    assert lora_in_words(Recipe.load("r3", ["adapter.lora=[]"])) == "none"
    assert schedule_in_words(Recipe.load("newsbriefs")) == "linear, warm-up 6%"
    assert schedule_in_words(Recipe.load("r1")) == "constant"


def test_the_headline_tells_a_lead_from_luck(tmp_path):
    def outcome(**skills):
        place = tmp_path / str(len(list(tmp_path.iterdir())))
        test = TestSet(1500)
        return headline(compare_runs([
            fabricate_run(place / name, Recipe.load(name), skill, test=test) for name, skill in skills.items()
        ]))  # fmt: skip

    luck = "; too few seeds to rule out their luck"
    seeds = fabricate_rounds(tmp_path / "seeds", rows=1500, baselines=False)
    assert luck not in headline(compare_runs(seeds))
    assert re.fullmatch(r"r2 classifies 9\d\.\d% of 1,500 test texts correctly", outcome(r2=0.9))
    assert outcome(r1=0.85, r2=0.9, r3=0.95).startswith("r3 is the best of 3 rounds: 9")
    assert outcome(r1=0.8, r2=0.9, r3=0.902).endswith(f"correct; no difference to r2 is shown{luck}")
    assert outcome(r2=0.9, r3=0.901).startswith("No difference shown between r")


def test_baselines_alone_are_ranked_without_a_test_that_was_not_made(folders):
    comparison = compare_runs([folder for folder in folders if "seed" not in folder.name])
    assert not comparison.own and headline(comparison).endswith("they are not tested")


def test_seeds_that_differ_in_more_than_the_seed_are_named(tmp_path):
    test, recipe = TestSet(300), Recipe.load("r3")
    runs = [fabricate_run(tmp_path / str(seed), recipe.with_values(seed=seed), 0.9, test=test) for seed in range(3)]
    assert compare_runs(runs).notes == []
    environment = json.loads((runs[1] / "environment.json").read_text("utf-8"))
    environment["torch"] = "2.9.1"
    environment["data"]["train"]["rows"] = 12_345
    (runs[1] / "environment.json").write_text(json.dumps(environment), "utf-8")
    rows, versions = compare_runs(runs).notes
    assert rows == "The seeds of r3 had different numbers of training rows: 57,362, 12,345."
    assert versions.startswith("The seeds of r3 had different versions of torch: ") and "2.9.1" in versions


def test_the_shift_table_says_how_much_its_rows_are_worth(comparison):
    table = tables(comparison)[2]
    assert table.columns[:3] == ["round", "test %", "ag_news % (95% interval, 200 rows)"]
    mean, spread, low, high = map(float, re.findall(r"[\d.]+", table.rows[0][2]))
    assert mean == pytest.approx(100 * comparison.rounds[0].mean("shift: ag_news"), abs=0.05) and spread > 0
    assert low < mean < high and high - low > 5


def test_a_lead_over_bags_of_words_that_is_not_shown_is_no_loss(tmp_path):
    test, recipe = TestSet(300), Recipe.load("r3")
    bags = fabricate_run(tmp_path / "svm", recipe.with_values(name="tfidf-svm"), 0.88, test=test, baseline="TF-IDF")
    ahead = fabricate_run(tmp_path / "r3", recipe, 0.89, test=test)
    behind = fabricate_run(tmp_path / "r2", Recipe.load("r2"), 0.7, test=test)
    notes = compare_runs([ahead, behind, bags]).notes
    assert any(note.startswith("r3 is not shown to beat ") for note in notes)
    assert any(note.startswith("r2 is worse than ") for note in notes)


def test_rounds_that_fail_alike_are_named_together(tmp_path):
    test = TestSet(300)
    bags = Recipe.load("r1").with_values(name="tfidf-svm")
    runs = [fabricate_run(tmp_path / "svm", bags, 0.95, test=test, baseline="TF-IDF")]
    runs += [fabricate_run(tmp_path / name, Recipe.load(name), 0.7, test=test) for name in ("r1", "r2", "r3")]
    assert compare_runs(runs).notes[0] == "r1, r2 and r3 are worse than TF-IDF."


def test_few_seeds_are_said(tmp_path):
    comparison = compare_runs(fabricate_rounds(tmp_path, seeds=1, rows=400, baselines=False))
    assert comparison.notes == ["Too few seeds: that another seed would reverse a difference is not ruled out."]
    assert not comparison.against_baselines
    assert all("over rows and seeds" not in pair.words for pair in comparison.differences)


def test_the_files_say_what_the_comparison_says(comparison, tmp_path):
    paths = write_comparison(comparison, tmp_path / "out")
    assert {path.name for path in paths} >= {"comparison.html", "comparison.md", "comparison.csv", "differences.csv"}
    assert {path.stem for path in (tmp_path / "out" / "plots").iterdir()} == {
        "rounds", "differences", "against_baselines", "frontier", "loss", "accuracy", "shift"
    }  # fmt: skip
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "comparison.csv").read_text("utf-8"))))
    assert [row["round"] for row in rows] == [one.name for one in comparison.rounds]
    assert float(rows[1]["accuracy"]) == comparison.rounds[1].mean("accuracy")
    assert float(rows[1]["shift: ag_news_spread"]) == comparison.rounds[1].spread("shift: ag_news")
    pairs = list(csv.DictReader(io.StringIO((tmp_path / "out" / "differences.csv").read_text("utf-8"))))
    assert len(pairs) == 18 and pairs[0]["words"] == comparison.differences[0].words
    page, text = ((tmp_path / "out" / f"comparison.{end}").read_text("utf-8") for end in ("html", "md"))
    for pair in comparison.differences:
        assert pair.words in text
        assert pair.words.replace("<", "&lt;").replace("'", "&#39;") in page
    assert "AMD EPYC, 2 cores" in text and "Seeds: 0; 1; 2" in text and "57,362" in text


def test_the_page_needs_nothing_but_itself_and_escapes_names(tmp_path):
    test, recipe = TestSet(80), Recipe.load("r3")
    runs = [fabricate_run(tmp_path / "r3", recipe, 0.9, test=test)]
    runs.append(
        fabricate_run(tmp_path / "svm", recipe.with_values(name="tfidf-svm"), 0.8, test=test, baseline="<b>|SVM")
    )
    comparison = compare_runs(runs)
    write_comparison(comparison, tmp_path / "out")
    page = (tmp_path / "out" / "comparison.html").read_text("utf-8")
    assert "<b>" not in page and "&lt;b&gt;|SVM" in page
    assert "<script" not in page and "http-equiv" in page and not re.search(r'(src|href)="(?!#)', page)
    assert "| &lt;b>\\|SVM |" in markdown(comparison)


def test_a_comparison_without_history_shift_or_parameters_is_drawn_as_far_as_it_goes(tmp_path):
    run = fabricate_run(tmp_path / "r3", Recipe.load("r3"), 0.9, shift=False)
    (run / "history.jsonl").unlink()
    comparison = compare_runs([run])
    assert set(available(comparison)) == {"rounds", "frontier"}
    assert tables(comparison)[1].rows[0][5] == "–"
    assert "No shift set" in write_comparison(comparison, tmp_path / "out")[0].read_text("utf-8")


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_pictures_fit_many_rounds(tmp_path, seeds):
    test, folders = TestSet(120), []
    for number in range(9):
        recipe = Recipe.load("r3").with_values(name=f"a-round-with-a-long-name-{number}", budget=10**9)
        for seed in range(seeds):
            place = tmp_path / f"{number}-{seed}"
            rank = recipe.with_values(seed=seed)
            folders.append(fabricate_run(place, rank, 0.9 + number / 200, test=test, parameters=10_000 * 2**number))
    with drawing():
        for draw in available(compare_runs(folders)).values():
            figure = draw()
            figure.canvas.draw()


def test_labels_beside_the_frontier_do_not_overlap():
    placed = pushed_apart([0.1, 0.5, 0.5, 0.51, 0.9])
    assert placed[0] == 0.1 and placed[-1] == 0.9
    assert min(np.diff(placed)) >= LABEL_GAP - 1e-9
    assert np.mean(placed[1:4]) == pytest.approx(np.mean([0.5, 0.5, 0.51]))


def test_the_command_compares_and_writes(cli, folders, tmp_path):
    answer = cli("compare", *folders[:6], "-o", tmp_path / "out")
    assert answer.code == 0, answer.err
    assert "r2 over r1: +" in answer.out and "r 16, alpha 32, value" in answer.out
    assert (tmp_path / "out" / "comparison.html").is_file()
    said = cli("compare", *folders[:6])
    assert said.code == 0 and "-o DIR writes" in said.out
    refused = cli("compare", folders[0], folders[0])
    assert refused.code == 2 and "named twice" in refused.err
