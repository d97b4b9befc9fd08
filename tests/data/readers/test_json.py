"""Every way in which programs write rows as JSON gives the same rows, and a path leads to values inside others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from featherweight.data.source_tables import has_split, open_table
from featherweight.data.sources import read_rows
from featherweight.data.splits import load_splits
from featherweight.data.text_pieces import text_pieces
from featherweight.errors import UserError
from featherweight.recipe import DataRecipe, Recipe

FRAME = pd.DataFrame({"text": ["One two", "Three", "Four"], "label": ["a", "b", "a"]}, index=[3, 5, 7])
ROWS = FRAME.to_dict("records")
PAIRS = [["How is the weather", "ask"], ["Stop it now", "stop"], ["What is up there", "ask"], ["Please stop", "stop"]]


def written(folder: Path, content: Any, name: str = "rows.json") -> str:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return str(path)


def read(source: str, **values: Any) -> Any:
    return read_rows(source, DataRecipe(train=source, **values))


def labels_of(rows: Any) -> list[str]:
    return [rows.label_names[label] for label in rows.labels]


@pytest.mark.parametrize("content", [
    *(FRAME.to_json(orient=orient) for orient in ("records", "columns", "index", "split", "table")),
    FRAME.to_dict("list"),
    {"version": 1, "data": ROWS},
    {"meta": {"by": "me"}, "export": {"items": ROWS, "tags": ["x", "y"]}},
    {"users": [{"name": "me"}], "entries": ROWS},
    {"description": "Reviews of 2024", "version": 1, "reviews": ROWS},
    {"id": 7, "title": "Reviews", "train": ROWS, "test": ROWS},
    {"users": [{"name": "me"}], "data": [[row["text"], row["label"]] for row in ROWS]},
    json.dumps({"data": ROWS}, indent=2),
    "".join(map(json.dumps, ROWS)),
    "\n".join(json.dumps(row, indent=1) for row in ROWS),
    ",\n".join(map(json.dumps, ROWS)),
    "\n\n" + "\r\n".join(map(json.dumps, ROWS)) + "\r\n",
    json.dumps(ROWS, indent=2),
    [["text", "label"], *([row["text"], row["label"]] for row in ROWS)],
])  # fmt: skip
@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_rows_are_found_wherever_they_are(tmp_path: Path, content: Any, ending: str) -> None:
    values = {"columns": ["text", "label"]} if isinstance(content, dict) and "users" in content else {}
    rows = read(written(tmp_path, content, f"rows.{ending}"), **values)
    assert (rows.texts, labels_of(rows)) == (["One two", "Three", "Four"], ["a", "b", "a"])


def test_the_key_that_the_rows_are_under_is_said(tmp_path: Path) -> None:
    rows = read(written(tmp_path, {"export": {"hits": ROWS}}))
    assert rows.notes == (f"{tmp_path / 'rows.json'}: its rows are those under the key 'export.hits'",)


def test_a_list_of_the_classes_is_not_taken_for_the_rows(tmp_path: Path) -> None:
    classes = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    content = {"documents": [{"content": "One", "kind": "a"}, {"content": "Two", "kind": "b"}], "categories": classes}
    assert list(open_table(written(tmp_path, content), DataRecipe(), "train").read("content")) == ["One", "Two"]
    row = {"id": 5, "title": "It broke", "labels": [{"name": "bug"}]}
    assert list(open_table(written(tmp_path, row), DataRecipe(), "train").read("title")) == ["It broke"]


@pytest.mark.parametrize("row", [
    {"text": "One", "label": "a", "meta": [{"x": 1}]}, {"text": "One", "label": ["a"]}, {"text": "One", "label": {}},
])  # fmt: skip
def test_a_single_object_with_a_text_is_a_row(tmp_path: Path, row: dict[str, Any]) -> None:
    assert list(open_table(written(tmp_path, row), DataRecipe(), "train").read("text")) == ["One"]


def test_rows_are_read_a_piece_at_a_time(tmp_path: Path) -> None:
    lines = "".join(json.dumps({"text": f"t {n}"}) + "\n" for n in range(5))
    pieces = text_pieces(written(tmp_path, lines + '{"text": ', "rows.jsonl"), DataRecipe(), split="test", rows=2)
    assert [list(next(pieces).texts), list(next(pieces).texts)] == [["t 0", "t 1"], ["t 2", "t 3"]]
    with pytest.raises(UserError, match="line 6: broken JSON"):
        next(pieces)


def test_lists_of_a_text_and_a_label_need_no_names(tmp_path: Path) -> None:
    rows = read(written(tmp_path, PAIRS))
    assert (rows.texts[0], labels_of(rows)) == ("How is the weather", ["ask", "stop", "ask", "stop"])
    assert rows.notes == (f"{tmp_path / 'rows.json'}: its rows were read as [text, label]",)
    assert read(written(tmp_path, [pair[::-1] for pair in PAIRS])).texts[0] == "How is the weather"
    each_of_its_own = [[f"{text} {n}", f"class_{n}"] for n, (text, _) in enumerate(PAIRS * 2)]  # a test of many classes
    assert read(written(tmp_path, each_of_its_own)).label_names[:2] == ("class_0", "class_1")
    with pytest.raises(UserError, match="no column 'text'"):  # the first row may well be a header
        read(written(tmp_path, [["note", "kind"], *each_of_its_own]))
    with pytest.raises(UserError, match=r"seems to be a row.*\n.*\"column3\""):
        read(written(tmp_path, [[*pair, "x"] for pair in PAIRS]))
    assert read(written(tmp_path, [[*pair, "x"] for pair in PAIRS]), columns=["text", "label", "n"]).texts == [
        text for text, _ in PAIRS
    ]


@pytest.mark.parametrize("part", [PAIRS * 3, [{"text": text, "label": label} for text, label in PAIRS * 3]])
def test_an_object_may_hold_the_parts_of_a_data_set(tmp_path: Path, part: list[Any]) -> None:
    source = written(tmp_path, {"val": part[:4], "oos_train": [], "train": part, "test": part[4:10]})
    splits = load_splits(Recipe.parse({"data": {"train": source, "validation": source}}))
    assert splits.test is not None
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (12, 4, 6)
    data = DataRecipe(train=source)
    assert has_split(data, "test") and has_split(data, "validation")
    assert not has_split(DataRecipe(train=written(tmp_path, ROWS, "a.json")), "test")
    assert not has_split(DataRecipe(train=written(tmp_path, {"text": "a test", "label": "b"}, "b.json")), "test")


def test_a_part_alone_is_taken_whatever_is_asked_for(tmp_path: Path) -> None:
    (rows,) = text_pieces(written(tmp_path, {"train": ROWS}), DataRecipe(), split="test", rows=9)
    assert rows.texts == ["One two", "Three", "Four"]


def test_a_list_of_one_label_is_that_label(tmp_path: Path) -> None:
    lines = [{"text": "a", "label": ["x"]}, {"text": "b", "label": ["y"]}, {"text": "c", "label": ["x"]}]
    rows = read(written(tmp_path, lines))
    assert labels_of(rows) == ["x", "y", "x"]
    assert rows.label_column is not None and rows.label_column.values == ("x", "y")
    with pytest.raises(
        UserError, match=r'row 4: has 2 labels \(x, y\); several labels per text need task = "multi-label"'
    ):
        read(written(tmp_path, [*lines, {"text": "d", "label": ["x", "y"]}]))
    with pytest.raises(UserError, match="row 4: the label is missing"):
        read(written(tmp_path, [*lines, {"text": "d", "label": []}]))


LABEL_STUDIO = [
    {"id": n, "data": {"text": f"text {n}"}, "annotations": [{"result": [{"value": {"choices": ["ab"[n % 2]]}}]}]}
    for n in range(4)
]
PATHS = {"text": ["data.text"], "label": "annotations.0.result.0.value.choices"}


@pytest.mark.parametrize("ending", ["json", "jsonl", "parquet", "saved"])
def test_a_path_leads_to_values_inside_others(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"rows.{ending}"
    if ending == "parquet":
        pd.DataFrame(LABEL_STUDIO).to_parquet(path)
    elif ending == "saved":
        import datasets

        datasets.Dataset.from_list(LABEL_STUDIO).save_to_disk(str(path))
    else:
        pd.DataFrame(LABEL_STUDIO).to_json(path, orient="records", lines=ending == "jsonl")
    rows = read(str(path), **PATHS)
    assert (rows.texts, labels_of(rows), rows.ids) == (
        ["text 0", "text 1", "text 2", "text 3"], ["a", "b", "a", "b"], ["0", "1", "2", "3"],
    )  # fmt: skip
    first, _ = text_pieces(str(path), DataRecipe(**PATHS), split="test", rows=2)
    assert (first.texts, first.ids) == (["text 0", "text 1"], ["0", "1"])
    if ending.startswith("json"):
        assert labels_of(read(str(path))) == ["a", "b", "a", "b"]
        return
    with pytest.raises(UserError, match=r"did you mean 'data\.text'\? .*are: id, data\.text, annotations\.0\.result"):
        read(str(path))


def test_a_name_with_points_is_a_column_first(tmp_path: Path) -> None:
    source = written(tmp_path, [{"a.b": "one", "a": {"b": "two", "B": 3}, "label": n} for n in range(2)])
    assert read(source, text=["a.b"]).texts == ["one", "one"]
    source = written(tmp_path, [{"Meta": {"topic": n}, "text": "t"} for n in range(3)])
    assert labels_of(read(source, label="meta.topic")) == ["0", "1", "2"]
    with pytest.raises(UserError, match="row 2: the label is missing"):
        read(written(tmp_path, [{"meta": {"topic": 1}, "text": "t"}, {"meta": [], "text": "t"}]), label="meta.topic")


@pytest.mark.parametrize(
    "content",
    [
        dict(PAIRS) | {f"{text} now": label for text, label in PAIRS},
        {"ask": ["How is the weather", "What is up there", "How is the weather now", "What is up there now"],
         "stop": ["Stop it now", "Please stop", "Stop it now now", "Please stop now", "And stop"]},
    ],
)  # fmt: skip
def test_keys_may_be_the_texts_or_the_labels(tmp_path: Path, content: dict[str, Any]) -> None:
    rows = read(written(tmp_path, content))
    found = dict(zip(rows.texts, labels_of(rows), strict=True))
    assert {found[text] == label for text, label in PAIRS} == {True} and len(found) >= 8
    assert "its keys are read as the " in rows.notes[0]


@pytest.mark.parametrize(
    "content",
    [
        [
            {"text": text, "cats": {"ASK": float(label == "ask"), "STOP": float(label == "stop")}}
            for text, label in PAIRS
        ],
        [[text, {"cats": {"ASK": label == "ask", "STOP": label == "stop"}}] for text, label in PAIRS],
    ],
)
def test_an_object_with_0_or_1_for_each_label_is_the_label(tmp_path: Path, content: list[Any]) -> None:
    rows = read(written(tmp_path, content), label="cats" if isinstance(content[0], dict) else "label")
    assert labels_of(rows) == [label.upper() for _, label in PAIRS]


def test_parts_of_a_text_are_no_labels_of_it(tmp_path: Path) -> None:
    source = written(tmp_path, [{"text": "Anna is in Rome", "label": [[0, 4, "PER"], [11, 15, "LOC"]]}] * 2)
    with pytest.raises(UserError, match=r"row 1: has 2 labels|row 1: the label marks a part of the text"):
        read(source)
    with pytest.raises(UserError, match=r"row 1: the label marks a part of the text, but .* whole texts\nExport one"):
        read_rows(source, Recipe.parse({"task": "multi-label", "data": {"train": source}}).data)
    with pytest.raises(UserError, match=r"rows\.json: the file has no rows"):
        read(written(tmp_path, {}))


def test_objects_with_lists_in_them_may_be_rows_each_under_its_id(tmp_path: Path) -> None:
    rows = {f"post{n}": {"id": n, "votes": [{"label": "ok"}, {"label": "bad"}], "words": ["a", "b"]} for n in range(6)}
    table = open_table(written(tmp_path, rows), DataRecipe(), "train")
    assert table.read("id") == list(range(6))
    with pytest.raises(UserError, match=r"'words' holds a list, not a text; join its words first, in pandas: "):
        read(written(tmp_path, rows), text=["words"], label="votes.0.label")


def test_rows_of_the_hubs_viewer_are_read_without_their_wrapping(tmp_path: Path) -> None:
    wrapped = [{"row_idx": number, "row": row, "truncated_cells": []} for number, row in enumerate(ROWS)]
    rows = read(written(tmp_path, {"features": [{"name": "text"}, {"name": "label"}], "rows": wrapped}))
    assert (rows.texts, labels_of(rows)) == ([row["text"] for row in ROWS], ["a", "b", "a"])
    assert "'row'" in rows.notes[-1]
    by_path = read(written(tmp_path, {"rows": wrapped}), text=("row.text",), label="row.label")
    assert by_path.texts == rows.texts


CLASSES = {"names": ["World", "Sports", "Business"], "_type": "ClassLabel"}


@pytest.mark.parametrize("paths", [{}, {"text": ("row.text",), "label": "row.label"}], ids=["columns", "paths"])
def test_class_numbers_of_the_hubs_viewer_get_their_names(tmp_path: Path, paths: dict[str, Any]) -> None:
    wrapped = [{"row_idx": n, "row": {"text": f"text {n}", "label": n % 3}, "truncated_cells": []} for n in range(6)]
    features = [
        {"feature_idx": 0, "name": "text", "type": {"dtype": "string", "_type": "Value"}},
        {"feature_idx": 1, "name": "label", "type": CLASSES},
    ]
    rows = read(written(tmp_path, {"features": features, "rows": wrapped, "partial": False}), **paths)
    assert (rows.label_names, labels_of(rows)) == (("World", "Sports", "Business"), ["World", "Sports", "Business"] * 2)
    unknown: Any
    for unknown in (None, 3, [], [3], [{"name": "label"}], [{"name": "label", "type": [CLASSES | {"names": 3}]}]):
        assert read(written(tmp_path, {"features": unknown, "rows": wrapped}), **paths).label_names == ("0", "1", "2")


@pytest.mark.parametrize("kind", [[CLASSES], {"feature": CLASSES, "_type": "List"}], ids=["list", "feature"])
def test_so_do_lists_of_class_numbers(tmp_path: Path, kind: Any) -> None:
    wrapped = [{"row_idx": n, "row": {"text": f"text {n}", "label": [n, 2]}, "truncated_cells": []} for n in range(2)]
    source = written(tmp_path, {"features": [{"name": "label", "type": kind}], "rows": wrapped})
    rows = read_rows(source, Recipe.parse({"task": "multi-label"}).data)
    assert rows.names_of(rows.labels) == [["World", "Business"], ["Sports", "Business"]]


EMPTY: list[Any] = [[], {}, {"text": [], "label": []}, {"data": []}, [{}]]


@pytest.mark.parametrize("empty", EMPTY, ids=str)
def test_a_part_without_rows_is_named(tmp_path: Path, empty: Any) -> None:
    source = written(tmp_path, {"train": ROWS, "dev": empty})
    assert len(read(source)) == len(ROWS)
    with pytest.raises(UserError, match=r"rows.json: its part 'dev' has no rows; add some, or leave the key out$"):
        read_rows(source, DataRecipe(), split="validation")
    with pytest.raises(UserError, match=r"rows.json: its part 'train' has no rows; add some$"):
        read(written(tmp_path, {"train": empty, "test": ROWS}))


def test_so_is_a_list_of_rows_without_any(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the file has no rows: the list under its key 'data' is empty; add some"):
        read(written(tmp_path, {"version": 1, "data": []}))


@pytest.mark.parametrize(("texts", "label"), [("patterns", "tag"), ("utterances", "intent"), ("examples", "name")])
def test_lists_of_texts_under_a_label_are_a_row_for_each_text(tmp_path: Path, texts: str, label: str) -> None:
    intents = [{label: "greet", texts: ["Hi", "Hello you"], "responses": ["Yes?"]}, {label: "bye", texts: ["So long"]}]
    for content in ({"intents": intents}, intents):
        rows = read(written(tmp_path, content))
        assert (rows.texts, labels_of(rows)) == (["Hi", "Hello you", "So long"], ["greet", "greet", "bye"])
        assert f"each text under its key {texts!r} is a row, with {label!r} as the label" in rows.notes[-1]


def test_rows_with_a_text_of_their_own_keep_their_lists(tmp_path: Path) -> None:
    rows = read(written(tmp_path, [{"text": "Hi", "label": "a", "examples": ["x y"]}, {"text": "Oh", "label": "b"}]))
    assert rows.texts == ["Hi", "Oh"]


@pytest.mark.parametrize(("name", "content", "remedy"), [
    ("rows.jsonl", '{"text": "a", "label": 1}\n{"text": "b"\n{"text": "c", "label": 2}\n', "sed 2d "),
    ("rows.json", '[{"text": "a", "label": 1},\n]', "Remove the comma before the closing bracket"),
    ("rows.json", '[{"text": "a", "label": 1}', "Correct the file there, or write it again"),
])  # fmt: skip
def test_broken_json_says_what_to_do(tmp_path: Path, name: str, content: str, remedy: str) -> None:
    with pytest.raises(UserError, match="broken JSON") as caught:
        read(written(tmp_path, content, name))
    assert str(caught.value).split("\n")[1].startswith(("Correct", "Remove"))
    assert remedy in str(caught.value)
