"""A comparison as tables, words, files and pictures: honest verdicts, and pages that say what the figures say."""

import csv
import io
import json
import re

import numpy as np
import pytest
from support.made_up_rounds import TestSet, fabricate_rounds, fabricate_run

from featherweight.evaluation.comparison import compare_runs
from featherweight.recipe import Recipe
from featherweight.report import fonts
from featherweight.report.comparison.page import available, render, write_comparison
from featherweight.report.comparison.plots import LABEL_GAP, pushed_apart
from featherweight.report.comparison.tables import lora_in_words, schedule_in_words, tables
from featherweight.report.comparison.words import headline, markdown
from featherweight.report.style import drawing


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


def test_shift_sets_that_no_font_can_draw_are_numbered_in_png_files(comparison, monkeypatch):
    first, second, *_ = comparison.shift_sets
    monkeypatch.setattr(fonts, "can_draw", lambda name: name != second)
    names = {}
    for of_reader in (False, True):
        with drawing():
            figure = available(comparison, fonts_of_reader=of_reader)["shift"]()
        names[of_reader] = [text.get_text() for text in figure.axes[0].get_legend().get_texts()][1:3]
    assert names == {False: [first, "shift set 2"], True: [first, second]}
    assert (
        f"In the PNG file of this picture, no installed font can draw these names, so the plots show numbers: "
        f"shift set 2 is {second}" in render(comparison)
    )


def test_the_headline_says_whether_a_lead_is_significant(tmp_path):
    def outcome(**skills):
        place = tmp_path / str(len(list(tmp_path.iterdir())))
        test = TestSet(1500)
        return headline(compare_runs([
            fabricate_run(place / name, Recipe.load(name), skill, test=test) for name, skill in skills.items()
        ]))  # fmt: skip

    few = "; too few seeds to estimate their variance"
    seeds = fabricate_rounds(tmp_path / "seeds", rows=1500, baselines=False)
    assert few not in headline(compare_runs(seeds))
    assert re.fullmatch(r"r2 classifies 9\d\.\d% of 1,500 test texts correctly", outcome(r2=0.9))
    assert outcome(r1=0.85, r2=0.9, r3=0.95).startswith("r3 is the best of 3 rounds: 9")
    assert outcome(r1=0.8, r2=0.9, r3=0.902).endswith(f"correct; not significantly different from r2{few}")
    assert re.match(r"r[23] and r[23] are not significantly different: ", outcome(r2=0.9, r3=0.901))
    assert "not significantly different: 100.0% of 1,500 test texts correct" in outcome(r2=9.0, r3=9.0)


def test_baselines_alone_are_ranked_without_a_test_that_was_not_made(fabricated_folders):
    comparison = compare_runs([folder for folder in fabricated_folders if "seed" not in folder.name])
    assert not comparison.own and headline(comparison).endswith("significance is not tested")


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


def test_a_lead_over_bags_of_words_that_is_not_significant_is_no_loss(tmp_path):
    test, recipe = TestSet(300), Recipe.load("r3")
    bags = fabricate_run(tmp_path / "svm", recipe.with_values(name="tfidf-svm"), 0.88, test=test, baseline="TF-IDF")
    ahead = fabricate_run(tmp_path / "r3", recipe, 0.89, test=test)
    behind = fabricate_run(tmp_path / "r2", Recipe.load("r2"), 0.7, test=test)
    notes = compare_runs([ahead, behind, bags]).notes
    assert any(note.startswith("r3 is not significantly better than ") for note in notes)
    assert any(note.startswith("r2 is worse than ") for note in notes)


def test_rounds_that_fail_alike_are_named_together(tmp_path):
    test = TestSet(300)
    bags = Recipe.load("r1").with_values(name="tfidf-svm")
    runs = [fabricate_run(tmp_path / "svm", bags, 0.95, test=test, baseline="TF-IDF")]
    runs += [fabricate_run(tmp_path / name, Recipe.load(name), 0.7, test=test) for name in ("r1", "r2", "r3")]
    assert compare_runs(runs).notes[0] == "r1, r2 and r3 are worse than TF-IDF."


def test_few_seeds_are_said(tmp_path):
    comparison = compare_runs(fabricate_rounds(tmp_path, seeds=1, rows=400, baselines=False))
    assert comparison.notes == [
        "Too few seeds to estimate the variance between seeds: another seed may reverse a difference."
    ]
    assert not comparison.against_baselines
    assert all("over rows and seeds" not in pair.words for pair in comparison.differences)


@pytest.mark.usefixtures("empty_pictures")
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


@pytest.mark.usefixtures("empty_pictures")
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
    costs = tables(comparison)[1]
    assert costs.rows[0][costs.columns.index("samples/s")] == "–"
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


@pytest.mark.usefixtures("empty_pictures")
def test_the_command_compares_and_writes(cli, fabricated_folders, tmp_path):
    answer = cli("compare", *fabricated_folders[:6], "-o", tmp_path / "out")
    assert answer.code == 0, answer.err
    assert "r2 over r1: +" in answer.out and "r 16, alpha 32, value" in answer.out
    assert (tmp_path / "out" / "comparison.html").is_file()
    (tmp_path / "out" / ".DS_Store").touch()
    assert cli("compare", *fabricated_folders[:6], "-o", tmp_path / "out").code == 0  # the same comparison again
    said = cli("compare", *fabricated_folders[:6])
    assert said.code == 0 and "-o DIR writes" in said.out
    refused = cli("compare", fabricated_folders[0], fabricated_folders[0])
    assert refused.code == 2 and "is listed twice" in refused.err


def test_a_comparison_replaces_no_files_of_others(cli, fabricated_folders, tmp_path):
    run, two = fabricated_folders[0], fabricated_folders[:2]
    (file := tmp_path / "out.html").write_text("mine")
    (plots := tmp_path / "drawn" / "plots").mkdir(parents=True)
    (plots / "mine.png").write_text("mine")
    before = {path: path.read_bytes() for path in [*run.rglob("*"), file, *plots.iterdir()] if path.is_file()}
    for out, told in (
        (run, "has other files than those of a comparison, such as "),
        (plots.parent, "such as plots/mine.png; choose a new folder"),
        (file, "out.html is a file; choose another folder"),
        (file / "within", "out.html is a file; choose another folder"),
    ):
        answer = cli("compare", *two, "-o", out)
        assert (answer.code, answer.out) == (2, "") and told in answer.err
    assert before == {path: path.read_bytes() for path in before}
