"""Several labels a text: what people write, read as 0 and 1 a label."""

from __future__ import annotations

import itertools
import json
import shlex
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pytest

from featherweight.data.class_names import label_names_of
from featherweight.data.flags import code_label_columns
from featherweight.data.inspection import inspect_data
from featherweight.data.label_lists import code_label_lists, several_in_one
from featherweight.data.sources import read_rows
from featherweight.data.splits import load_splits
from featherweight.errors import UserError
from featherweight.recipe import DataRecipe, Recipe
from featherweight.recipe.overrides import overridden

pytestmark = pytest.mark.usefixtures("as_options")

AB, ABC = ("a", "b"), ("a", "b", "c")


def several(**data: Any) -> DataRecipe:
    return Recipe.parse({"task": "multi-label", "data": data}).data


@pytest.mark.parametrize(
    ("cells", "options", "table", "names"),
    [
        ([["b", "a"], [], ["a"]], {}, [[1, 1], [0, 0], [1, 0]], AB),
        ([["a", "a"], ("b",)], {}, [[1, 0], [0, 1]], AB),
        (["a|b", "", "b"], {}, [[1, 1], [0, 0], [0, 1]], AB),
        (["a; b", "b"], {}, [[1, 1], [0, 1]], AB),
        (["a,b", " b , "], {}, [[1, 1], [0, 1]], AB),
        (["a,b|c", "c"], {}, [[1, 1], [0, 1]], ("a,b", "c")),
        (["a b", "b"], {"separator": " "}, [[1, 1], [0, 1]], AB),
        (["a, b", "a"], {"separator": "|"}, [[0, 1], [1, 0]], ("a", "a, b")),
        (['["a", "b"]', "[]"], {}, [[1, 1], [0, 0]], AB),
        (["['a', 'it\\'s']", "[a]"], {}, [[1, 1], [1, 0]], ("a", "it's")),
        (["['a' 'b, c']", "['a'\n 'd']", "[]"], {}, [[1, 1, 0], [1, 0, 1], [0, 0, 0]], ("a", "b, c", "d")),
        (["[2 0]", "[1.]"], {}, [[1, 0, 1], [0, 1, 0]], ("0", "1", "2")),
        (["<c#><java>", "<java>", "[]"], {}, [[1, 1], [0, 1], [0, 0]], ("c#", "java")),
        (['{a,"b"}', "{b}", "{}"], {}, [[1, 1], [0, 1], [0, 0]], AB),
        (["{'b', 'a'}", "set()"], {}, [[1, 1], [0, 0]], AB),
        (["('a', 'b')", "('b',)", "()"], {}, [[1, 1], [0, 1], [0, 0]], AB),
        (["(2, 0)", "(1,)"], {}, [[1, 0, 1], [0, 1, 0]], ("0", "1", "2")),
        (['c("a", "b")', "a", "character(0)"], {}, [[1, 1], [1, 0], [0, 0]], AB),
        (["(a) one|{b", "c"], {}, [[1, 0, 1], [0, 1, 0]], ("(a) one", "c", "{b")),
        ([{"a": 1.0, "b": 0.0}, {"a": False, "b": True}, {"a": 0}], {}, [[1, 0], [0, 1], [0, 0]], AB),
        (["a", "b"], {}, [[1, 0], [0, 1]], AB),
        ([[2, 0], [1]], {}, [[1, 0, 1], [0, 1, 0]], ("0", "1", "2")),
        (["2,0", "1"], {}, [[1, 0, 1], [0, 1, 0]], ("0", "1", "2")),
        ([[1], [0, 1]], {"carried": AB}, [[0, 1], [1, 1]], AB),
        ([[1], [0, 1]], {"names": AB, "numbered": True}, [[0, 1], [1, 1]], AB),
        ([[0, 0, 1], [1, 1, 1]], {}, [[0, 0, 1], [1, 1, 1]], ("0", "1", "2")),
        ([[0.0, 1.0], [0.0, 0.0]], {"names": AB}, [[0, 1], [0, 0]], AB),
        ([["c"], ["a"]], {"names": ABC}, [[0, 0, 1], [1, 0, 0]], ABC),
        (["food, drink", "drink"], {"names": ("drink", "food, drink")}, [[0, 1], [1, 0]], ("drink", "food, drink")),
        (["a;b", "b|a"], {"names": ("a;b", "a", "b")}, [[1, 0, 0], [0, 1, 1]], ("a;b", "a", "b")),
        ([3, 5], {}, [[1, 0], [0, 1]], ("3", "5")),
        (["a b", "b", ""], {"names": AB}, [[1, 1], [0, 1], [0, 0]], AB),
        (["a|b", "b"], {"names": AB, "separator": " "}, [[1, 1], [0, 1]], AB),
        (["a b", "b"], {}, [[1, 0], [0, 1]], ("a b", "b")),
        ([0, 1], {"names": ("0", "1")}, [[1, 0], [0, 1]], ("0", "1")),
        ([1, 0], {"names": AB, "numbered": True}, [[0, 1], [1, 0]], AB),
        (["0|1", "1", "0"], {}, [[1, 1], [0, 1], [1, 0]], ("0", "1")),
        ([1.0, 0.0], {"names": ("0", "1", "2")}, [[0, 1, 0], [1, 0, 0]], ("0", "1", "2")),
        ([True, False], {"names": ("false", "true")}, [[0, 1], [1, 0]], ("false", "true")),
        ([1, 0], {"carried": ("good", "bad", "odd")}, [[0, 1, 0], [1, 0, 0]], ("good", "bad", "odd")),
    ],
)
def test_labels_as_people_write_them(
    cells: list[Any], options: dict[str, Any], table: list[list[int]], names: tuple[str, ...]
) -> None:
    found, classes = code_label_lists(cells, "rows", **options)
    assert (found.tolist(), classes) == (table, names)


@pytest.mark.parametrize(
    ("cells", "options", "words"),
    [
        ([["a"], ["b"], None], {}, ["row 3", "missing", "empty list"]),
        ([["a"], ["b", None]], {}, ["row 2", "missing"]),
        ([["a", "b"], ["a"], ["a", "c"]], {"names": AB}, ["row 3", "'c'"]),
        ([["a", "b"], ["bb"]], {"names": ("a", "bbb")}, ["row 1", "'b'"]),
        ([[0], [0, 7]], {"carried": AB}, ["row 2", "7", "0 to 1"]),
        ([[0, 0, 1], [1, 0, 0]], {"names": AB}, ["3 numbers", "2 labels"]),
        ([["a"], {"a": "x"}], {}, ["row 2", "an object with the keys a"]),
        (["a", "['a' b]"], {}, ["row 2", "list of labels"]),
        ([[], []], {}, ["no row has a label"]),
        ([["a"], [["b"]]], {}, ["row 2", "list"]),
        ([], {}, ["empty"]),
        ([1, 0, 0], {}, ["only 0 and 1", "a column for each label", "single-label"]),
        (["yes", "no", "", []], {}, ["only no and yes", "a column for each label"]),
        (["1", "0"], {"names": AB}, ["only 0 and 1", "a column for each label"]),
        (["Yes", "No"], {"names": ("yes", "no", "maybe")}, ["row 1", "unknown label 'Yes'", "mean 'yes'?"]),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_row(
    cells: list[Any], options: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(UserError) as caught:
        code_label_lists(cells, "rows", **options)
    for word in words:
        assert word in str(caught.value)


def test_columns_of_0_and_1() -> None:
    columns = {"a": [0, "1", True], "b": [1.0, "false", "0.0"]}
    assert code_label_columns(columns, "rows").tolist() == [[0, 1], [1, 0], [1, 0]]
    for value, word in ((2, "'b' is 2"), (None, "'b' is missing"), (-1, "no label"), (0.7, "is 0.7"), ("x", "'x'")):
        with pytest.raises(UserError, match="row 2") as caught:
            code_label_columns({"a": [0, 1], "b": [1, value]}, "rows")
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "columns",
    [
        {"a": ["no", "YES", "Yes"], "b": ["yes", "no", "no "]},
        {"a": ["N", "y", "Y"], "b": ["y", "n", "N"]},
        {"a": ["f", "T", "TRUE"], "b": ["true", "F", "false"]},
        {"a": [None, "x", "X"], "b": ["X", "", float("nan")]},
        {"a": [None, 1.0, "1"], "b": [1.0, None, None]},
    ],
)
def test_notations_of_yes_and_no_are_alike(columns: dict[str, list[Any]]) -> None:
    assert code_label_columns(columns, "rows").tolist() == [[0, 1], [1, 0], [1, 0]]


def test_a_blank_is_no_answer_where_another_cell_says_no() -> None:
    with pytest.raises(UserError, match="row 1: 'b' is missing"):
        code_label_columns({"a": ["no", "yes"], "b": ["", "yes"]}, "rows")


def test_blanks_that_mean_no_are_said_and_are_no_gaps(tmp_path: Path) -> None:
    path = tmp_path / "tags.csv"
    path.write_text("text,late,broken\none,x,\ntwo,,x\nthree,,\n", "utf-8")
    for empty in ("error", "drop"):
        rows = read_rows(str(path), several(label=["late", "broken"], empty=empty))
        assert rows.labels.tolist() == [[1, 0], [0, 1], [0, 0]] and rows.left_out is None
        assert rows.notes == (f"{path}: a blank cell of a label column means no, because no cell says no",)


NAMED: list[tuple[list[Any], list[list[str]]]] = [
    ([[{"id": 1, "name": "a"}, {"id": 2, "name": "b"}], [], [{"id": 2, "name": "b"}]], [["a", "b"], [], ["b"]]),
    (['[{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]', "[]", "[{'id': 2, 'name': 'b'}]"], [["a", "b"], [], ["b"]]),
    ([{"choices": ["a", "b"]}, '{"choices": ["b"]}', "b"], [["a", "b"], ["b"], ["b"]]),
    ([[{"code": "a", "n": 1}], [{"code": "b", "n": 1}, {"code": "a", "n": 1}]], [["a"], ["a", "b"]]),
]


@pytest.mark.parametrize(("cells", "labels"), NAMED)
def test_objects_are_read_as_the_labels_that_they_name(
    cells: list[Any], labels: list[list[str]], tmp_path: Path
) -> None:
    path = tmp_path / "films.jsonl"
    path.write_text("".join(json.dumps({"text": f"text {n}", "label": x}) + "\n" for n, x in enumerate(cells)), "utf-8")
    rows = read_rows(str(path), several())
    assert rows.names_of(rows.labels) == labels
    key = "name" if "name" in str(cells) else "code"
    expected = (
        () if "choices" in str(cells) else (f"'label' holds lists of objects, of which {key!r} is read as the label",)
    )
    assert tuple(note.removeprefix(f"{path}: ") for note in rows.notes) == expected


def test_objects_in_which_no_key_is_the_name_are_refused_with_what_to_type(tmp_path: Path) -> None:
    path = tmp_path / "films.jsonl"
    path.write_text('{"text": "one", "label": [{"de": "a", "en": "b"}]}\n' * 2, "utf-8")
    with pytest.raises(
        UserError, match=r"row 1: 'label' holds objects with the keys de, en; .* such as --label label.de"
    ):
        read_rows(str(path), several())
    assert read_rows(str(path), several(label="label.de")).label_names == ("a",)


def test_task_label_and_separator_decide_how_labels_are_read(tmp_path: Path) -> None:
    path = tmp_path / "toxic.csv"
    path.write_text("id,comment,toxic,threat,tags\n1,a,1,0,x y\n2,b,0,0,y\n3,c,1,1,\n", "utf-8")
    columns = several(text=["comment"], label=["threat", "toxic"])
    rows = read_rows(str(path), columns)
    assert (rows.labels.tolist(), rows.label_names) == ([[0, 1], [0, 0], [1, 1]], ("threat", "toxic"))
    assert label_names_of(several(train=str(path), label=["threat", "toxic"])) == ("threat", "toxic")
    lists = several(train=str(path), text=["comment"], label="tags", label_separator=" ")
    assert read_rows(str(path), lists).labels.tolist() == [[1, 1], [0, 1], [0, 0]]
    assert label_names_of(lists) == ("x", "y")
    one = Recipe.parse({"data": {"text": ["comment"], "label": "toxic"}}).data
    assert read_rows(str(path), one).labels.tolist() == [1, 0, 1]
    with pytest.raises(UserError, match="no column 'insult'; its columns"):
        read_rows(str(path), several(text=["comment"], label=["toxic", "insult"]))


@pytest.mark.parametrize(("mark", "task", "noted"), [
    (" ", "multi-label", """'c go' is read as one label; if it is several: --set 'data.label_separator=" "'"""),
    ("|", "multi-label", "'tags' is read as labels separated by '|' (data.label_separator)"),
    ("|", "single-label", "is read as one label; if it is several: --set task=multi-label --set 'data.label_separator"),
    ("/", "multi-label", None),
])  # fmt: skip
def test_a_note_says_how_labels_in_a_text_were_told_apart(
    tmp_path: Path, mark: str, task: str, noted: str | None
) -> None:
    tags = ["c", "java", "sql", "go", "rust"]
    sets = list(itertools.combinations(tags, 2)) * 4
    lines = [f"a question {n},{mark.join(pair)}" for n, pair in enumerate(sets)]
    (tmp_path / "asked.csv").write_text("\n".join(["text,tags", *lines]) + "\n", "utf-8")
    recipe = Recipe.parse(
        {"task": task, "data": {"train": str(tmp_path / "asked.csv"), "label": "tags", "validation_size": 12}}
    )
    notes = [note for note in load_splits(recipe).warnings if "tags" in note]
    assert bool(notes) == bool(noted)
    assert all(str(noted) in note for note in notes)


ARXIV = [" ".join(pair) for pair in itertools.combinations(("cs.CL", "cs.LG", "cs.CV", "stat.ML", "cs.AI", "q-fin"), 2)]


@pytest.mark.parametrize(("names", "example"), [
    (["sci.space", "rec.autos", "sci.space rec.autos"], "'sci.space rec.autos'"),
    (["sci.space", "rec.autos", "sci.space misc"], None),
    (["New York", "Old York", "New Haven", "Old Haven"], None),
    (["a # b", "a", "b"], "'a # b'"),
    (["a / b", "b / c", "c / a", "a", "b", "c"], None),
    (["Sci/Tech", "World", "very good", "very bad"], None),
    ([*ARXIV, "q-bio.NC cs.LG"], "'cs.CL cs.LG'"),
])  # fmt: skip
def test_names_that_seem_to_be_several_labels(names: list[str], example: str | None) -> None:
    found = several_in_one(names, several=False)
    assert (found and found[0]) == example


def test_labels_between_blanks_are_told_the_options_that_split_them(tmp_path: Path) -> None:
    sets = [["sci.med"], ["sci.space"], ["rec.autos"]] * 3 + [["sci.space", "rec.autos"], ["sci.med", "sci.space"]]
    lines = [f"a text of the number {n},{' '.join(labels)}" for n, labels in enumerate(sets)]
    (tmp_path / "groups.csv").write_text("\n".join(["text,label", *lines]) + "\n", "utf-8")
    values = {"data": {"train": str(tmp_path / "groups.csv"), "validation_size": 3}}
    recipe = Recipe.parse(values)
    options = """--set task=multi-label --set 'data.label_separator=" "'"""
    with pytest.raises(UserError) as refused:
        load_splits(recipe)
    remedy = f"If 'sci.med sci.space' is several labels: {options}; else add rows, remove this one"
    assert str(refused.value).split("\n")[1].startswith(remedy)
    inspection = inspect_data(recipe.data)
    note = f"'label': 'sci.space rec.autos' is read as one label; if it is several: {options}"
    assert inspection.parts["train"].notes == (f"{tmp_path / 'groups.csv'}: {note}",)
    typed = [word for word in shlex.split(options) if word != "--set"]
    split = Recipe.parse(overridden(values, typed, Recipe))
    assert load_splits(split).train.label_names == ("rec.autos", "sci.med", "sci.space")


def test_names_of_a_list_come_with_data_sets_and_their_parquet_files(tmp_path: Path) -> None:
    names = ["joy", "anger", "fear"]
    features = datasets.Features(
        {"text": datasets.Value("string"), "labels": datasets.Sequence(datasets.ClassLabel(names=names))}
    )
    made = datasets.Dataset.from_dict({"text": ["a", "b"], "labels": [[2, 0], []]}, features=features)
    made.save_to_disk(tmp_path / "saved")
    made.to_parquet(tmp_path / "rows.parquet")
    for source in ("saved", "rows.parquet"):
        rows = read_rows(str(tmp_path / source), several(label="labels"))
        assert (rows.label_names, rows.labels.tolist()) == (tuple(names), [[1, 0, 1], [0, 0, 0]])


def test_a_test_set_without_labels_is_left_out_and_half_a_set_is_refused(tmp_path: Path) -> None:
    rows = [{"text": f"text {n}", "a": n % 2, "b": n % 3 == 0, "tags": ["ab"[n % 2]]} for n in range(30)]
    pd.DataFrame(rows).to_csv(tmp_path / "train.csv", index=False)
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tests = {
        "minus.csv": ("text,a,b\nx,-1,-1\ny,-1,-1\n", "train.csv", ["a", "b"], "every label is -1"),
        "none.csv": ("text\nx\ny\n", "train.csv", ["a", "b"], "no column 'a'"),
        "empty.jsonl": ('{"text": "x", "tags": []}\n', "train.jsonl", "tags", "every label is missing"),
        "gone.jsonl": ('{"text": "x"}\n', "train.jsonl", "tags", "no column 'tags'"),
    }
    for name, (content, train, label, why) in tests.items():
        (tmp_path / name).write_text(content)
        data = {"train": str(tmp_path / train), "test": str(tmp_path / name), "label": label, "text": ["text"]}
        splits = load_splits(Recipe.parse({"task": "multi-label", "data": data}))
        assert splits.test is None
        assert why in splits.warnings[0]
    (tmp_path / "half.csv").write_text("text,a,b\nx,1,0\ny,-1,-1\n")
    data = {"train": str(tmp_path / "train.csv"), "test": str(tmp_path / "half.csv"), "label": ["a", "b"]}
    with pytest.raises(UserError, match="row 2: the label is -1"):
        load_splits(Recipe.parse({"task": "multi-label", "data": data}))
