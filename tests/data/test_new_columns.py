"""A run is used on files whose columns have other names than its training data: options name them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.commands import Cli, refused
from support.peft_adapters import save_by_hand

from featherweight import predict_file
from featherweight.data.new_columns import with_new_columns
from featherweight.errors import UserError
from featherweight.recipe import DataRecipe, Recipe
from featherweight.run.folder import Run
from featherweight.workflows.evaluate import evaluate_run, labelled_rows

pytestmark = pytest.mark.usefixtures("as_options")

BODIES = ["an apple and a pear", "a crow and an owl", "iron and zinc and iron"]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same labelled texts under the names of the training, and under others."""
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame({"text": BODIES * 2, "label": ["fruit", "bird", "metal"] * 2, "id": range(6)})
    frame.to_csv("own.csv", index=False)
    frame.rename(columns={"text": "body", "label": "kind", "id": "row number"}).to_csv("other.csv", index=False)


@pytest.mark.usefixtures("files")
def test_predictions_are_those_of_the_same_texts(finished_run: Run, cli: Cli, tmp_path: Path) -> None:
    own, other = tmp_path / "own.csv", tmp_path / "other.csv"
    predict_file(finished_run.folder, own, "own-labels.csv")
    options = ("--text", "body", "--id", "row number")
    answer = cli("predict", finished_run.folder, other, "-o", "other-labels.csv", *options)
    assert answer.code == 0, answer.err
    assert Path("other-labels.csv").read_text() == Path("own-labels.csv").read_text()
    assert predict_file(finished_run.folder, other, "again.csv", text="body", id_column="row number") == 6
    assert Path("again.csv").read_text() == Path("own-labels.csv").read_text()
    predict_file(finished_run.folder, other, "joined.csv", text=["body", "kind"])
    assert Path("joined.csv").read_text() != Path("own-labels.csv").read_text()


@pytest.mark.usefixtures("files")
def test_figures_are_those_of_the_same_rows(finished_run: Run, cli: Cli, tmp_path: Path) -> None:
    own, other = tmp_path / "own.csv", tmp_path / "other.csv"
    expected = evaluate_run(finished_run, str(own))
    answer = cli("evaluate", finished_run.folder, "--data", other, "--text", "body", "--label", "kind", "--json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out) == expected
    assert evaluate_run(finished_run, str(other), text=["body"], label="kind") == expected


@pytest.mark.usefixtures("files")
def test_a_folder_that_peft_saved_takes_the_options_too(cli: Cli, tiny_backbones: Any, tmp_path: Path) -> None:
    save_by_hand(tmp_path / "peft", tiny_backbones["bert"], target_modules=["query"])
    labels, other = ("--labels", "bird,fruit,metal"), tmp_path / "other.csv"
    answer = cli("predict", tmp_path / "peft", other, "-o", "labels.csv", *labels)
    assert answer.code == 2
    assert "Name the column with the texts: --text body" in answer.err
    assert cli("predict", tmp_path / "peft", other, "-o", "labels.csv", "--text", "body", *labels).code == 0
    judged = ("evaluate", tmp_path / "peft", "--data", other, "--text", "body", *labels)
    assert "Name the column with the labels: --label kind" in cli(*judged).err
    assert cli(*judged, "--label", "kind").code == 0


@pytest.mark.usefixtures("files")
def test_columns_are_found_and_where_none_is_obvious_all_are_listed() -> None:
    assert with_new_columns(DataRecipe(), "own.csv") == DataRecipe()
    named = with_new_columns(DataRecipe(text=("v2",), label="v1"), "other.csv", ["BODY"], ["Kind"], labelled=True)
    assert (named.text, named.label) == (("body",), "kind")
    frame = pd.DataFrame({"premise": BODIES, "hypothesis": BODIES[::-1], "a": [1, 1, 2], "b": [2, 1, 1]})
    pd.concat([frame] * 3).to_csv("pairs.csv", index=False)
    with pytest.raises(
        UserError, match=r"no column 'v2', which held the texts[^\n]*premise, hypothesis, a, b\n.*--text COLUMN$"
    ):
        with_new_columns(DataRecipe(text=("v2",)), "pairs.csv")
    with pytest.raises(UserError, match=r"no column 'v1', which held the labels[^\n]*\n.*--label COLUMN$"):
        with_new_columns(DataRecipe(text=("premise",), label="v1"), "pairs.csv", labelled=True)
    with_new_columns(DataRecipe(text=("premise",), label="v1"), "pairs.csv")  # labels are not needed
    pd.read_csv("other.csv").to_parquet("other.parquet")  # of which only columns that are asked for are read
    with pytest.raises(UserError, match=r"no column 'text', which held the texts[^\n]*\n.*--text body$"):
        with_new_columns(DataRecipe(), "other.parquet")
    with pytest.raises(UserError, match=r"no column 'label', which held the labels[^\n]*\n.*--label kind$"):
        with_new_columns(DataRecipe(), "other.parquet", ["body"], labelled=True)
    with pytest.raises(UserError, match=r"each text has one label in this run, so name one column: --label COLUMN$"):
        with_new_columns(DataRecipe(text=("premise",)), "pairs.csv", label=("a", "b"), classes=("a", "b"))


def test_the_only_column_of_a_file_may_be_a_text_without_a_header(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("I love this film\nbad and boring\n", "utf-8")
    words = r"one\.csv: no column 'text'(.|\n)*if this is a text and no name, write text as the first line of the file$"
    with pytest.raises(UserError, match=words):
        with_new_columns(DataRecipe(), str(tmp_path / "one.csv"))


def test_a_column_of_lists_is_offered_to_a_run_with_a_column_for_each_label(tmp_path: Path) -> None:
    rows = [{"text": f"a text {number}", "labels": ["toxic", "threat"][: number % 3]} for number in range(9)]
    (tmp_path / "lists.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    data = DataRecipe(label=("toxic", "threat"))
    with pytest.raises(UserError, match=r"which held the labels in training; (.|\n)*--label labels"):
        with_new_columns(data, str(tmp_path / "lists.jsonl"), labelled=True)


def test_a_column_for_each_label_is_read_by_a_run_that_was_trained_on_lists(tmp_path: Path) -> None:
    rows = pd.DataFrame({"text": BODIES, "threat": [0, 1, 1], "toxic": [1, 0, 1]})
    rows.to_csv(tmp_path / "flags.csv", index=False)
    data = Recipe.parse({"task": "multi-label", "data": {"label": "tags"}}).data
    found = labelled_rows(data, ("toxic", "threat"), str(tmp_path / "flags.csv"))
    assert found.label_names == ("toxic", "threat")
    assert found.labels is not None
    assert found.labels.tolist() == [[1, 0], [0, 1], [1, 1]]


def test_undecided_columns_are_not_explained_as_for_a_training(tmp_path: Path) -> None:
    rows = "".join(f"a text that is number {n},{n % 2},{n // 2 % 2}\n" for n in range(8))
    (tmp_path / "flags.csv").write_text("text,a,b\n" + rows, "utf-8")
    data = DataRecipe(label=("toxic", "threat", "insult"))
    words = r"no column 'toxic', which held the labels in training[^\n]*\nName the column .*: --label COLUMN$"
    with pytest.raises(UserError, match=words):
        with_new_columns(data, str(tmp_path / "flags.csv"), labelled=True)


SHORT, LONG = ["Q1", "Q2", "Q3", "Q4"], [f"a text of the number {number}" for number in range(4)]


@pytest.mark.parametrize(("columns", "text", "words"), [
    ({"a": LONG, "b": LONG}, [], ": --text a --text b"),
    ({"a": SHORT, "b": LONG}, [], ": --text a --text b"),
    ({"kind": ["x", "y"] * 2, "b": LONG, "a": LONG, "id": range(4)}, [], ": --text b --text a"),
    ({"b": LONG, "premise": LONG, "id": range(4)}, [], ": --text premise --text b"),
    ({"b": LONG, "hypothesis": LONG, "id": range(4)}, [], ": --text b --text hypothesis"),
    ({"b": LONG, "c": LONG, "a": LONG}, [], ", such as: --text b --text c"),
    ({"premise": LONG, "c": LONG, "a": LONG}, [], ", such as: --text premise --text c"),
    ({"id": range(4), "n": range(4), "a": LONG}, [], ", such as: --text id --text a"),
    ({"a": LONG, "b": LONG, "premise": LONG}, ["B"], ", such as: --text b --text a"),
    ({"a": LONG, "b": LONG, "c": LONG}, ["c", "a", "b"], ", such as: --text c --text a"),
    ({"a": LONG, "b": LONG, "c": LONG}, ["a", "gone", "c"], ", such as: --text a --text b"),
])  # fmt: skip
def test_the_columns_of_a_pair_are_named_with_options_that_work(
    tmp_path: Path, columns: dict[str, Any], text: list[str], words: str
) -> None:
    data, source = DataRecipe(text=("premise", "hypothesis"), join="pair"), str(tmp_path / "pairs.csv")
    pd.DataFrame(columns).to_csv(source, index=False)
    with pytest.raises(UserError, match=f"name the columns of the two texts{words}$") as refused:
        with_new_columns(data, source, text)
    named = str(refused.value).rsplit("--text ", 2)[1:]
    assert with_new_columns(data, source, [*map(str.strip, named)]).text == (*map(str.strip, named),)


@pytest.mark.parametrize(("columns", "remedy"), [
    ({"premise": LONG, "answer": ["x", "y"] * 2}, "add the column of the second text to the file"),
    ({"answer": LONG, "b": LONG, "a": LONG}, "name the columns of the two texts: --text b --text a"),
])  # fmt: skip
def test_the_labels_are_no_side_of_a_pair(tmp_path: Path, columns: dict[str, Any], remedy: str) -> None:
    data = DataRecipe(text=("premise", "hypothesis"), join="pair", label="answer")
    pd.DataFrame(columns).to_csv(tmp_path / "pairs.csv", index=False)
    with pytest.raises(UserError, match=f"This run takes pairs: {remedy}$"):
        with_new_columns(data, str(tmp_path / "pairs.csv"))


@pytest.mark.usefixtures("files")
def test_new_data_may_be_read_in_another_way(finished_run: Run, cli: Cli, tmp_path: Path) -> None:
    rows = pd.read_csv(tmp_path / "own.csv")[["text", "label"]]
    Path("headless.csv").write_bytes(
        rows.assign(text=rows.text + " привет всем").to_csv(index=False, header=False).encode("koi8-r")
    )
    options = ["--set", 'data.columns=["text", "label"]', "--set", "data.encoding=koi8-r"]
    assert cli("predict", finished_run.folder, "headless.csv", "-o", "out.csv").code == 2
    answer = cli("predict", finished_run.folder, "headless.csv", "-o", "out.csv", *options)
    assert answer.out == "out.csv: 6 predictions\n"
    assert ", 6 rows)" in cli("evaluate", finished_run.folder, "--data", "headless.csv", *options).out
    refused(
        cli, "predict", finished_run.folder, tmp_path / "own.csv", "-o", "no.csv", "--set", "data.label=x",
        naming="--set data.label: with a finished run only data.encoding, data.separator, data.columns and data.format",
    )  # fmt: skip
    refused(cli, "evaluate", finished_run.folder, *options, naming="add --data as well")
    refused(cli, "predict", finished_run.folder, "--text", "a", *options, naming="--set and --text exclude each other")
