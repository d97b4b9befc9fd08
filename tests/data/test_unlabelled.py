"""Test rows without labels: left out with a note, told from labelled ones, and never mistaken for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.commands import GOOD_ROWS, Cli, contents, refused
from support.unlabelled import LEFT_OUT, NEWS, fresh, notes, recipe, write

from featherweight.data.fingerprints import changed_part
from featherweight.data.inspection import inspect_data
from featherweight.data.readers.table import table_of
from featherweight.data.source_tables import source_of_test
from featherweight.data.splits import lacking_test, load_part, load_splits
from featherweight.data.unlabelled import without_labels
from featherweight.errors import UserError
from featherweight.recipe import DataRecipe, Recipe
from featherweight.report.run.page import write_report
from featherweight.run.folder import Run
from featherweight.run.manifest import renew_manifest
from featherweight.workflows.check import inspection_lines

pytestmark = pytest.mark.usefixtures("as_options")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write("train.csv", NEWS)


@pytest.mark.parametrize(("name", "column", "told"), [
    ("test.csv", {}, "no column 'target'"),
    ("test.csv", {"keyword": "fire"}, "no column 'target'"),
    ("test.csv", {"target": -1}, "every label is -1"),
    ("test.csv", {"target": " -1.0 "}, "every label is -1"),
    ("test.csv", {"TARGET": -1}, "every label is -1"),
    ("test.csv", {"target": ""}, "every label is missing"),
    ("test.csv", {"target": ["", "nan", "NULL", "?"]}, "every label is missing"),
    ("test.csv", {"target": ["", -1, "", -1]}, "every label is -1 or missing"),
    ("test.csv", {"label": -1}, "no column 'target'"),
    ("test.jsonl", {"target": None}, "every label is missing"),
    ("test.jsonl", {"target": -1}, "every label is -1"),
    ("test.jsonl", {"target": -1.0}, "every label is -1"),
    ("test.jsonl", {"target": float("nan")}, "every label is missing"),
])  # fmt: skip
def test_a_test_without_any_label_is_left_out_with_a_note(name: str, column: dict[str, Any], told: str) -> None:
    wanted = recipe(test=write(name, fresh(**column)))
    splits = load_splits(wanted)
    assert splits.test is None
    note = f"{name} has no labels ({told}): {LEFT_OUT} {name} -o predictions.csv"
    assert notes(splits) == [note]
    assert lacking_test(wanted.data) == f"{name} has no labels ({told})"
    with pytest.raises(UserError, match="has no labels"):
        load_part(wanted, "test", splits.train.label_names)
    part = inspect_data(wanted.data).parts["test"]
    assert (part.without_labels, part.labels, part.unlabelled) == (note, {}, 4)


def test_minus_one_is_a_label_where_the_training_has_it() -> None:
    write("train.csv", [row | {"target": row["id"] % 3 - 1} for row in NEWS])
    wanted = recipe(test=write("test.csv", fresh(target=-1)))
    splits = load_splits(wanted)
    assert splits.test is not None and splits.test.labels is not None
    assert [splits.test.label_names[label] for label in splits.test.labels] == ["-1"] * 4
    assert not notes(splits) and lacking_test(wanted.data) is None
    assert inspect_data(wanted.data).parts["test"].labels == {"-1": 4}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([-1, "-1", -1.0, None, "", "nan", 0, "1", "x"]), min_size=1, max_size=6))
def test_one_label_among_any_gaps_makes_a_set_labelled(values: list[Any]) -> None:
    table = table_of("rows", {"text": ["a"] * len(values), "label": values})
    labelled = any(value in (0, "1", "x") for value in values)
    assert (without_labels(table, DataRecipe(), ("0", "1")) is None) == labelled
    assert without_labels(table, DataRecipe(), ("-1", "nan")) is None or not labelled


def test_empty_test_data_is_refused_not_left_out() -> None:
    Path("test.csv").write_text("text\n", "utf-8")
    with pytest.raises(UserError, match=r"test\.csv: the data set is empty"):
        load_splits(recipe(test="test.csv"))


def test_an_empty_key_means_no_test_whatever_the_data_brings() -> None:
    for wanted in (
        Recipe.load("newsbriefs", ["data.test="]),
        Recipe.parse({"data": {"test": ""}}),
        Recipe.parse({"data": {}}).with_values(data={"test": ""}),
        Recipe.load("newsbriefs", ['data.test="  "']),
        Recipe.parse({"data": {"test": " \t"}}),
    ):
        assert source_of_test(wanted.data) is None
        splits = load_splits(wanted)
        assert splits.test is None and not notes(splits)
        assert list(inspect_data(wanted.data).parts) == ["train"]
        Path("again.toml").write_text(wanted.to_toml(), "utf-8")
        assert Recipe.load("again.toml") == wanted
    assert source_of_test(Recipe.load("newsbriefs").data) == "newsbriefs"
    assert Recipe.load("newsbriefs", ["data.test=", "data.test=other.csv"]).data.test == "other.csv"
    assert Recipe.load("newsbriefs", ["data.validation="]).data.validation is None


def test_check_says_of_such_parts_what_a_training_would() -> None:
    write("test.csv", fresh(target=-1))
    lines = inspection_lines(inspect_data(recipe(test="test.csv", validation="test.csv").data))
    assert f"  test.csv has no labels (every label is -1): {LEFT_OUT} test.csv -o predictions.csv" in lines
    assert "  test.csv has no labels (every label is -1)" in lines
    assert not any("only one label" in line or "without a label" in line for line in lines)
    write("test.csv", fresh(tarjet=1))
    lines = inspection_lines(inspect_data(recipe(test="test.csv").data))
    assert any("'tarjet' seems to hold the labels" in line for line in lines)
    write("test.csv", fresh(target=1))
    lines = inspection_lines(inspect_data(recipe(test="test.csv").data))
    assert any("only one label: metrics on it say nothing about other classes" in line for line in lines)
    write("train.csv", [row | {"target": 1} for row in NEWS])
    lines = inspection_lines(inspect_data(recipe().data))
    assert any("only one label: training is not possible" in line for line in lines)


@pytest.fixture
def run(cli: Cli, tiny_recipe: Any, in_this_process: None) -> Run:
    """Three steps on rows whose test has no labels."""
    Path("data.csv").write_text(GOOD_ROWS, "utf-8")
    write("my test.csv", fresh())
    data = {"train": "data.csv", "test": "my test.csv", "validation_size": 4}
    wanted = tiny_recipe(data=data, training={"max_steps": 3, "checkpoint_steps": 1, "evaluate_every": 3})
    Path("job.toml").write_text(wanted.to_toml(), "utf-8")
    done = cli("train", "job.toml", "--out", "run")
    assert done.code == 0 and f"{LEFT_OUT} 'my test.csv' -o predictions.csv" in done.out
    return Run("run")


def test_a_run_without_test_rows_serves_every_later_command(run: Run, cli: Cli) -> None:
    assert set(run.evaluation) >= {"validation"} and "test" not in run.evaluation
    assert "test" not in run.environment["judged"]
    assert any("my test.csv has no labels" in warning for warning in run.environment["warnings"])
    page = write_report(run.folder).read_text("utf-8")
    renew_manifest(run.folder, [run.report])
    assert (
        "my test.csv has no labels" in page and "There was no test set. The results are on the validation rows" in page
    )
    for command in (
        ["evaluate", "run"],
        ["verify", "run"],
        ["predict", "run", "my test.csv", "-o", "predictions.csv"],
    ):
        assert cli(*command).code == 0, command
    assert len(Path("predictions.csv").read_text("utf-8").splitlines()) == 5
    assert cli("rounds", "job.toml", "--seeds", "1", "--out", "rounds").code == 0
    assert "There was no test set" in Path("rounds/comparison.html").read_text("utf-8")
    assert cli("train", "job.toml", "--set", "data.test=", "--out", "none").code == 0
    compared = cli("compare", "run", "none")
    assert compared.code == 0 and "test none" in compared.out


def test_what_needs_labels_says_that_there_are_none(run: Run, cli: Cli) -> None:
    naming = "my test.csv has no labels (no column 'label'); there are no labels to compare with"
    refused(cli, "evaluate", "run", "--data", "my test.csv", naming=(naming, "Its columns are: id, text"))
    naming = "tiny: without test rows each seed is evaluated on different rows, and my test.csv has no labels"
    refused(cli, "rounds", "job.toml", "--seeds", "2", "--out", "two", naming=naming)


def test_a_resume_notices_that_the_labels_came_or_went(run: Run, cli: Cli) -> None:
    Path("run/verification.json").unlink()  # a run without it is not complete
    before = contents(Path("run"))
    write("my test.csv", fresh(label="fruit"))
    refused(cli, "train", "job.toml", "--out", "run", "--resume", naming="the test rows have changed since this run")
    assert contents(Path("run")) == before
    unlabelled, labelled = {"judged": {}, "data": {}}, {"judged": {"test": {"rows": 4}}, "data": {}}
    assert [changed_part(*pair) for pair in ((labelled, unlabelled), (unlabelled, labelled))] == ["test", "test"]
    assert changed_part({}, labelled) is None  # of an old run nothing is known


PARTS: list[tuple[str, Callable[[str], dict[str, Any]], str]] = [
    ("validation", lambda name: {"validation": name}, "validation needs labelled rows"),
    ("shift", lambda name: {"shift": (name,)}, "evaluation.shift takes only labelled sets"),
    ("typos", lambda name: {"test": name, "shift": ("perturbed:typos",)}, "perturbed:typos changes the test rows, but"),
]


@pytest.mark.parametrize(("part", "values", "naming"), PARTS, ids=[part for part, *_ in PARTS])
@pytest.mark.parametrize("column", [{}, {"target": -1}, {"target": ""}])
def test_other_parts_need_labels(part: str, values: Any, naming: str, column: dict[str, Any]) -> None:
    wanted = recipe(**values(write("rows.csv", fresh(**column))))
    with pytest.raises(UserError, match=r"rows\.csv has no labels") as caught:
        load_splits(wanted)
    assert naming in str(caught.value) and str(caught.value).count("\n") <= 1


def test_the_same_rows_are_trained_on_with_such_a_test_and_without() -> None:
    write("test.csv", fresh())
    one, other = (load_splits(recipe(test=test)) for test in ("test.csv", ""))
    assert list(one.train.texts) == list(other.train.texts)
    assert list(one.validation.texts) == list(other.validation.texts)
