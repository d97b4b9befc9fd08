"""What the page of a run says: figures are never too good, what is missing is named, and warnings are shown."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from support.made_up_runs import NEWS, evaluation, fabricate
from support.report_pages import PICTURES, page_of

from featherweight.cli.tables import figures_line
from featherweight.evaluation.metrics import calibration_error, evaluate, reliability
from featherweight.report.run import headline
from featherweight.report.run.bars import shown_classes
from featherweight.report.run.contents import read_contents
from featherweight.report.run.plots import draw_plots
from featherweight.report.run.reliability import error_by_chance
from featherweight.run.best import decided_by_validation, without_test_set
from featherweight.run.figures import class_figure

# The words alone are looked at.
pytestmark = pytest.mark.usefixtures("empty_pictures")


def test_a_warning_is_shown_with_the_command_that_removes_its_reason(tmp_path):
    folder = fabricate(tmp_path / "run")
    environment = json.loads((folder / "environment.json").read_text("utf-8"))
    environment |= {"warnings": ["'a' and 'A' differ", "few rows"], "remedies": {"'a' and 'A' differ": "python -c x"}}
    (folder / "environment.json").write_text(json.dumps(environment), "utf-8")
    page = page_of(folder)
    assert "'a' and 'A' differ: python -c x" in page.text and page.text.count("python -c x") == 1


@pytest.mark.parametrize(
    ("removed", "said", "pictures"),
    [
        (["history.jsonl"], "No training history", PICTURES - {"curves", "learning_rate"}),
        (
            ["evaluation.json"],
            "Not evaluated yet: the end of the training adds",
            {"curves", "learning_rate", "weigh_in", "summary"},
        ),
        (["weigh.json"], "weigh.json is missing", PICTURES - {"weigh_in"}),
        (["environment.json"], "environment.json is missing", PICTURES),
        (["verification.json"], "has not been reloaded and compared", PICTURES),
        (["history.jsonl", "evaluation.json", "weigh.json", "environment.json"], "not been evaluated yet", set()),
    ],
)
def test_what_is_missing_is_said(tmp_path, removed, said, pictures):
    folder = fabricate(tmp_path / "run")
    for name in removed:
        (folder / name).unlink()
    assert said in page_of(folder).text
    assert {path.stem for path in draw_plots(folder)} == pictures


def test_without_a_test_set_the_validation_speaks_and_is_doubted(tmp_path):
    folder = fabricate(tmp_path / "run")
    figures = evaluation(NEWS, 96, 3.0, shift=False)
    del figures["test"]
    (folder / "evaluation.json").write_text(json.dumps(figures))
    page = page_of(folder)
    assert "of 96 validation texts classified correctly" in page.text
    assert "There was no test set" in page.text and "No shift set" in page.text
    assert "Confusion matrix (validation)" in page.headings
    assert (
        "which also decided which adapter was kept, so they may be too good" in page.text
        and "Saved step" not in page.text
    )


@pytest.mark.parametrize(("rows", "right", "words"), [
    (100_000, 99_999, "99.99% of 100,000 test texts"), (100_000, 100_000, "100.00% of 100,000 test texts"),
    (1_999, 1_998, "99.9% of 1,999 test texts"), (240, 235, "97.9% of 240 test texts"),
])  # fmt: skip
def test_all_texts_are_classified_correctly_only_if_none_is_wrong(run, rows, right, words):
    contents = read_contents(run)
    figures = contents.evaluation["test"] | {"rows": rows, "accuracy": right / rows}
    changed = replace(contents, evaluation=contents.evaluation | {"test": figures})
    assert headline.result(changed) == f"{words} classified correctly"


def test_what_the_validation_rows_did_not_decide_is_not_claimed(tmp_path):
    recipe = {"name": "last", "training": {"keep": "last"}}
    folder = fabricate(tmp_path / "run", recipe=recipe)
    figures = json.loads((folder / "evaluation.json").read_text())
    figures["validation"]["mistakes"] = figures.pop("test")["mistakes"]
    (folder / "evaluation.json").write_text(json.dumps(figures))
    text = page_of(folder).text
    assert "validation rows, on which the temperature was fitted." in text and "decided" not in text
    assert "Saved step" in text and "90 (the last)" in text  # beside the best step, which was not saved
    assert "were split off the training rows, are counted among themselves, from 1." in text
    (folder / "recipe.toml").write_text('name = "last"\ndata.validation = "rows.csv"\n')
    assert "Row numbers start at 1." in page_of(folder).text


@pytest.mark.parametrize(
    ("training", "decided"),
    [
        ({}, "which adapter was kept"),
        ({"keep": "last"}, ""),
        ({"soup": ["a", "b"], "soup_choice": "greedy", "keep": "last"}, "which runs were averaged"),
        ({"soup": ["a", "b"], "soup_choice": "all", "keep": "best"}, "which step each averaged run kept"),
        ({"soup": ["a", "b"], "soup_choice": "all", "keep": "last"}, ""),
    ],
)
def test_what_the_validation_rows_decided_follows_from_the_recipe(training, decided):
    recipe = {"training": training}
    assert decided_by_validation(recipe) == decided
    assert ("too good" in without_test_set(recipe)) == bool(decided)
    assert "thresholds" in without_test_set({"training": {"keep": "last"}, "task": "multi-label"})


def test_a_temperature_that_nothing_determined_is_not_called_fitted(tmp_path):
    folder = fabricate(tmp_path / "run")
    assert "The temperature is fitted on the validation rows." in page_of(folder).text
    figures = json.loads((folder / "evaluation.json").read_text())
    for split in ("validation", "test"):
        figures[split]["temperature"] = 1.0
    (folder / "evaluation.json").write_text(json.dumps(figures))
    said = page_of(folder).text
    assert "they do not determine a temperature: it stays 1." in said and "is fitted" not in said


@pytest.mark.parametrize(("temperature", "said"), [(0.0500000191, True), (19.99999, True), (0.06, False), (19, False)])
def test_a_temperature_at_the_end_of_its_range_is_not_called_calibration(tmp_path, temperature, said):
    folder = fabricate(tmp_path / "run")
    figures = json.loads((folder / "evaluation.json").read_text())
    figures["test"]["temperature"] = temperature
    (folder / "evaluation.json").write_text(json.dumps(figures))
    assert ("the probabilities are not calibrated" in page_of(folder).text) == said


@pytest.mark.parametrize("rows", [24, 240])
def test_the_calibration_error_of_right_probabilities_is_that_of_labels_that_follow_them(rows):
    draw = np.random.default_rng(rows)
    scores = np.exp(3 * draw.normal(size=(rows, 4)))
    shares = scores / scores.sum(axis=1, keepdims=True)
    labels = ((shares.cumsum(axis=1) > draw.random((rows, 1))).argmax(axis=1) for _ in range(400))
    found = [calibration_error(reliability(shares, drawn)) for drawn in labels]
    assert error_by_chance(reliability(shares, np.zeros(rows, int))) == pytest.approx(np.mean(found), rel=0.05)


def test_the_page_says_how_large_the_calibration_error_is_by_chance_on_few_rows(tmp_path):
    few, many = (page_of(fabricate(tmp_path / f"{rows}", rows=rows)).text for rows in (48, 60_000))
    assert re.search(r"Even right probabilities would have a calibration error of about \d+\.\d% on 48 rows", few)
    assert "Even right probabilities" not in many


def test_one_wrong_row_among_many_is_not_rounded_away(tmp_path):
    folder = fabricate(tmp_path / "run", names=("a", "b"), rows=300)
    figures = json.loads((folder / "evaluation.json").read_text())
    figures["test"] |= {"accuracy": 29_999 / 30_000, "macro_f1": 0.99997, "rows": 30_000}
    (folder / "evaluation.json").write_text(json.dumps(figures))
    shown = {fact.name: fact.value for fact in headline.facts(read_contents(folder))}
    assert (shown["Test accuracy"], shown["Macro-F1"]) == ("99.99%", "0.9999")
    assert figures_line(figures["test"]).startswith("accuracy 99.99% (")


def test_a_figure_that_a_class_without_rows_does_not_have_is_a_dash(tmp_path):
    names = tuple(f"class {number}" for number in range(40))
    labels = np.repeat(np.arange(35), 4)
    logits = np.eye(40)[labels] * 9.0
    logits[0] = np.eye(40)[39] * 9.0  # predicted once, and always wrongly
    folder, figures = fabricate(tmp_path / "run", names=names), evaluate(logits, labels, names)
    absent, guessed = figures["per_class"][36], figures["per_class"][39]
    assert [class_figure(absent, key) for key in ("precision", "recall", "f1")] == [None, None, None]
    assert [class_figure(guessed, key) for key in ("precision", "recall", "f1")] == [0.0, None, 0.0]
    assert class_figure({"f1": 0.5}, "f1") == 0.5  # of an earlier version, without intervals
    assert [row["label"] for row in shown_classes(figures)][:2] == ["class 39", "class 0"]
    stored = json.loads((folder / "evaluation.json").read_text())
    (folder / "evaluation.json").write_text(json.dumps(stored | {"test": {**figures, "mistakes": []}}))
    said = page_of(folder).text
    assert "class 36 – – – 0" in said and re.search(r"class 39 0\.0% \([^)]*\) 0\.0% \([^)]*\) – 0", said)


@pytest.mark.parametrize(
    ("found", "warned"),
    [
        ({"identical": True, "reloaded": {"rows": 64, "largest_difference": 0.0}}, False),
        ({"identical": False, "reloaded": {"rows": 64, "largest_difference": 1e-9}}, True),  # an early version
        ({"identical": False, "reloaded": {"rows": 64, "largest_difference": 1e-6, "allowed": 1e-5}}, False),
        ({"identical": False, "reloaded": {"rows": 64, "largest_difference": 1e-4, "allowed": 1e-5}}, True),
    ],
)
def test_a_reloaded_adapter_with_other_logits_is_warned_of(tmp_path, found, warned):
    folder = fabricate(tmp_path / "run")
    (folder / "verification.json").write_text(json.dumps(found))
    said = " ".join(read_contents(folder).warnings())
    assert ("does not give the same logits as the trained model" in said) is warned


@pytest.mark.parametrize("over", [0, 1])
def test_a_run_over_its_budget_is_warned_of(tmp_path, over):
    folder = fabricate(tmp_path / "run")
    counts = json.loads((folder / "weigh.json").read_text())
    counts |= {"budget": counts["total"] - over, "margin": -over}
    (folder / "weigh.json").write_text(json.dumps(counts))
    said = " ".join(read_contents(folder).warnings())
    assert (f"parameters, more than its budget of {counts['budget']:,}: do not" in said) == bool(over)
