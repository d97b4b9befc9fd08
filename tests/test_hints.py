"""Messages say what to set as the caller can set it: by an option, an argument, or a key of a Recipe."""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.commands import Cli

import featherweight
from featherweight import Classifier, Recipe, UserError, check, hints, load_splits, predict_file, recipe_for, train
from featherweight.data.candidate_columns import Columns
from featherweight.data.column_guess import guess_columns
from featherweight.data.readers.table import table_of
from featherweight.hints import (
    Caller,
    as_given,
    called_from,
    elsewhere,
    flag,
    on_the_command_line,
    option,
    to_install,
    to_set,
)
from featherweight.run.folder import Run

ARGUMENTS, RECIPE, COMMAND_LINE = Caller.ARGUMENTS, Caller.RECIPE, Caller.COMMAND_LINE


@pytest.mark.parametrize(("caller", "overrides", "spelled"), [
    (COMMAND_LINE, ["data.test="], "--set data.test="),
    (COMMAND_LINE, ["task=multi-label", 'data.labels=["a b"]'], "--set task=multi-label --set 'data.labels=[\"a b\"]'"),
    (ARGUMENTS, ["data.empty=drop"], 'overrides=["data.empty=drop"]'),
    (ARGUMENTS, ["task=multi-label", 'data.labels=["ä"]'], """overrides=["task=multi-label", 'data.labels=["ä"]']"""),
    (RECIPE, ["data.empty=drop"], 'recipe.with_values(data={"empty": "drop"})'),
    (RECIPE, ["data.test="], 'recipe.with_values(data={"test": ""})'),
    (RECIPE, ["task=multi-label", 'data.labels=["a", "b"]', "data.train_rows=3"],
     'recipe.with_values(task="multi-label", data={"labels": ["a", "b"], "train_rows": 3})'),
    (RECIPE, ['adapter.lora=[{roles = ["query"], rank = 4}]', "adapter.dora=false"],
     'recipe.with_values(adapter={"lora": [{"roles": ["query"], "rank": 4}], "dora": False})'),
    (RECIPE, ["adapter.lora.0.rank=4", "adapter.lora.1.rank=2"], "adapter.lora.0.rank = 4, adapter.lora.1.rank = 2"),
])  # fmt: skip
def test_settings_are_spelled_for_the_caller(caller: Caller, overrides: list[str], spelled: str) -> None:
    with called_from(caller):
        assert to_set(*overrides) == spelled


def test_columns_are_spelled_for_the_caller() -> None:
    with on_the_command_line():
        assert (option("text", ["a b", "c"]), as_given("a=1")) == ("--text 'a b' --text c", "--set a=1")
    with called_from(ARGUMENTS):
        assert (option("text", ["a b", "c"]), option("label")) == ('text=["a b", "c"]', 'label="COLUMN"')
        assert (option("id", ["row"]), as_given("a=1")) == ('id_column="row"', 'overrides=["a=1"]')
        assert (as_given('data.test="t.csv"'), as_given("budget=1")) == ('test="t.csv"', 'overrides=["budget=1"]')
    with called_from(RECIPE):
        assert option("label") == 'recipe.with_values(data={"label": "COLUMN"})'


def test_options_of_commands_are_arguments_of_functions() -> None:
    functions = [value for name in featherweight.__all__ if callable(value := getattr(featherweight, name))]
    known = {name for function in [*functions, Classifier.load] for name in signature(function).parameters}
    for option_name in hints._FLAGS:
        with on_the_command_line():
            assert (flag(option_name), flag(option_name, "x")) == (option_name, f"{option_name} x")
        assert flag(option_name).partition("=")[0] in known, option_name
    assert (flag("--license"), flag("--private"), flag("--to", "onnx")) == ("license_name", "private=True", 'to="onnx"')
    assert elsewhere() == 'choose another folder: out="FOLDER"'


def test_the_outermost_caller_counts_until_it_has_its_answer() -> None:
    with called_from(COMMAND_LINE), called_from(ARGUMENTS):
        assert to_set("a=1") == "--set a=1"
    with pytest.raises(UserError), called_from(COMMAND_LINE):
        raise UserError("refused")
    assert to_set("a=1") == 'overrides=["a=1"]'


def test_what_the_code_of_a_message_says_is_what_works(rows: Path) -> None:
    recipe = Recipe.parse({"data": {"train": str(rows), "validation_size": 4}})
    with pytest.raises(UserError, match="or leave such rows out: recipe") as refused:
        load_splits(recipe)
    code = str(refused.value).partition("leave such rows out: ")[2]
    assert len(load_splits(eval(code, {"recipe": recipe})).train) == 8
    assert recipe_for(rows, overrides=["data.empty=drop"]).data.empty == "drop"


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A file with a row without a text, and one without a label."""
    path = tmp_path / "rows.csv"
    lines = ["text,label", *(f"apple and pear {n},{'ab'[n % 2]}" for n in range(12)), ",a", "no label,"]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


@pytest.mark.usefixtures("in_this_process")
def test_each_way_to_train_is_told_its_own_remedy(
    rows: Path, cli: Cli, tiny_backbones: dict[str, Path], tmp_path: Path
) -> None:
    drop, frame = 'leave such rows out: overrides=["data.empty=drop"]', pd.read_csv(rows)
    backbone = str(tiny_backbones["bert"])
    for given in (str(rows), frame, frame.to_dict("list"), frame.fillna("").to_dict("records")):
        with pytest.raises(UserError) as refused:
            train(given, tmp_path / "run", backbone=backbone)
        assert str(refused.value).endswith(drop)
    recipe = recipe_for(rows, backbone=backbone)
    with pytest.raises(UserError) as refused:
        train(recipe, tmp_path / "run")
    drop = 'leave such rows out: recipe.with_values(data={"empty": "drop"})'
    assert str(refused.value).endswith(drop)
    assert check(recipe).refusals[0].endswith(drop)
    answer = cli("train", rows, "--backbone", backbone, "--out", tmp_path / "run")
    assert answer.err.strip().endswith("leave such rows out: --set data.empty=drop")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("content", "options", "told"), [
    ("text,label\na,x\nb,y\n", {"label": "genre"}, 'Name the label column with label="COLUMN"'),
    ("text,label\na,x\nb,y\n", {"overrides": ["training.epochs"]}, 'overrides=["training.epochs"]: write it as'),
    ("ham,Hello there\nspam,Win cash\nham,Call\n", {}, """Name them: overrides=['data.columns=["label", "text"]']"""),
    ("今天天气很好,x\n".encode("gb18030"), {}, 'try overrides=["data.encoding=gb18030"]'),
])  # fmt: skip
def test_messages_about_a_file_name_arguments(
    tmp_path: Path, content: str | bytes, options: dict[str, Any], told: str
) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as refused:
        recipe_for(path, **options)
    assert told in str(refused.value)
    assert "--" not in str(refused.value)


def test_predictions_from_python_name_arguments(finished_run: Run, tmp_path: Path) -> None:
    (path := tmp_path / "rows.csv").write_text("body,n\nan apple and a pear,1\na crow and an owl,2\n", "utf-8")
    for options, told in (
        ({}, 'Name the column with the texts: text="body"'),
        ({"text": "review"}, 'Name the text column with text="COLUMN"'),
        ({"text": "body", "id_column": "identifier"}, 'Name the id column with id_column="COLUMN"'),
    ):
        with pytest.raises(UserError) as refused:
            predict_file(finished_run.folder, path, tmp_path / "out.csv", **options)  # type: ignore[arg-type]
        assert str(refused.value).endswith(told)


@pytest.mark.parametrize(("options", "told"), [
    ({"as_numbers": True}, "as_numbers=True is for a submission to a contest; add kaggle=True"),
    ({"as_numbers": False, "as_probabilities": True}, "as_numbers=False and as_probabilities=True exclude each other"),
    ({"label_name": "x", "like": "sample.csv"}, "like and label_name exclude each other"),
    ({"like": "sample.csv"}, 'like="sample.csv": no such file'),
    ({"safe": True, "kaggle": True}, "safe=True and kaggle=True exclude each other"),
    ({"out": "rows.txt"}, 'out="rows.txt": unknown file extension'),
    ({"out": "old.csv"}, 'out="old.csv": exists; choose a new file, or replace it with replace=True'),
])  # fmt: skip
def test_the_options_of_a_submission_are_named_as_arguments_in_python(
    finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("rows.csv", "old.csv"):
        Path(name).write_text("text\nan apple\n", "utf-8")
    with pytest.raises(UserError) as refused:
        predict_file(finished_run.folder, "rows.csv", **{"out": "new.csv"} | options)
    assert told in str(refused.value)
    assert "--" not in str(refused.value)


def test_columns_that_cannot_be_told_apart_are_named_as_arguments() -> None:
    prose = [f"the parcel number {n} has not arrived" for n in range(12)]
    rows = {"premise": prose, "hypothesis": prose, "label": ["a", "b", "c"] * 4}
    told = (
        r'such as text="premise"; to join them: text=\["premise", "hypothesis"\]; .*add overrides=\["data.join=pair"\]'
    )
    with pytest.raises(UserError, match=told):
        guess_columns(Columns(table_of("rows.csv", rows)))


def test_what_to_install_is_named_by_its_packages() -> None:
    assert to_install("onnx", "prometheus_client") == "pip install onnx prometheus-client"
    package = Path(hints.__file__).parent
    naming_an_extra = [path for path in package.rglob("*.py") if "featherweight[" in path.read_text("utf-8")]
    assert naming_an_extra == [], "an extra can only be installed from a checkout; to_install works everywhere"
