"""data.drop leaves out the training rows of a CSV file, and nothing else."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from featherweight.data.dropping import without_dropped
from featherweight.data.label_column import LabelColumn
from featherweight.data.label_lists import cell_of
from featherweight.data.sources import Rows
from featherweight.data.splits import load_part, load_splits
from featherweight.errors import UserError
from featherweight.formatting import safe_cell
from featherweight.recipe import Recipe


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "rows.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["text", "label"])
        for number in range(20):
            writer.writerow([f"text number {number}", "ab"[number % 2]])
        writer.writerow(["=1+1, a formula", "a"])
        writer.writerow(["two\nlines", "b"])
    return file


def recipe(rows: Path, **data: object) -> Recipe:
    return Recipe.parse({"data": {"train": str(rows), "validation_size": 6, **data}})


def drop(tmp_path: Path, *listed: tuple[str, str], header: tuple[str, ...] = ("text", "label")) -> str:
    file = tmp_path / "suspects.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows([header, *listed])
    return str(file)


def test_listed_training_rows_are_left_out_and_validation_rows_stay(rows: Path, tmp_path: Path) -> None:
    whole = load_splits(recipe(rows))
    names = whole.train.label_names
    listed = [(text, names[label]) for text, label in zip(whole.train.texts[:3], whole.train.labels[:3], strict=True)]
    validation = (whole.validation.texts[0], names[whole.validation.labels[0]])
    other_label = (whole.train.texts[5], "b" if names[whole.train.labels[5]] == "a" else "a")
    wanted = recipe(rows, drop=drop(tmp_path, *listed, validation, other_label))
    left = load_splits(wanted)
    assert list(left.train.texts) == list(whole.train.texts[3:])
    assert list(left.validation.texts) == list(whole.validation.texts)
    assert any("3 of 16 training rows are in" in note for note in left.warnings)
    assert list(load_part(wanted, "train", names).texts) == list(left.train.texts)
    assert list(load_part(wanted, "validation", names).texts) == list(whole.validation.texts)


def test_formulas_and_line_breaks_are_found_as_a_spreadsheet_file_has_them(rows: Path, tmp_path: Path) -> None:
    listed = [("'=1+1, a formula", "a"), ("two\nlines", "b")]
    wanted = recipe(rows, validation=str(rows), drop=drop(tmp_path, *listed))
    assert len(load_splits(wanted).train) == 20


def test_rows_that_are_left_keep_their_positions_in_the_data(tmp_path: Path) -> None:
    whole = Rows(["one", "two", "three", "four"], np.array([0, 1, 0, 1]), ("a", "b"), "rows.csv")
    listed = drop(tmp_path, ("two", "b"))
    left, _ = without_dropped(whole, listed)
    assert left.places is not None and left.places.tolist() == [0, 2, 3]
    # Rows without a text have been left out before.
    left, _ = without_dropped(replace(whole, places=np.array([1, 4, 5, 9])), listed)
    assert left.places is not None and left.places.tolist() == [1, 5, 9]


def test_one_listed_row_is_told_in_the_singular(rows: Path, tmp_path: Path) -> None:
    wanted = recipe(rows, validation=str(rows), drop=drop(tmp_path, ("two\nlines", "b")))
    (note,) = [note for note in load_splits(wanted).warnings if note.startswith("data.drop")]
    assert note.startswith("data.drop: 1 of ") and " training rows is in " in note and note.endswith("and is left out")


@pytest.mark.parametrize(("listed", "header", "message"), [
    ([], ("text", "label"), "lists no rows; leave data.drop out"),
    ([("unknown text", "a")], ("text", "label"), "none of the 1 rows"),
    ([("text number 1", "a")], ("text", "class"), "has no column 'label'"),
    ([(f"text number {n}", "a") for n in range(0, 20, 2)] + [("'=1+1, a formula", "a")], ("text", "label"),
     "leaves no training row with the label 'a'"),
])  # fmt: skip
def test_wrong_files(rows: Path, tmp_path: Path, listed: list, header: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        load_splits(recipe(rows, validation=str(rows), drop=drop(tmp_path, *listed, header=header)))
    assert str(error.value).startswith("data.drop: ")


def test_a_missing_file(rows: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing.csv: no such file; the command `featherweight noise` writes one"):
        load_splits(recipe(rows, drop=str(tmp_path / "nothing.csv")))


def test_long_texts_are_found(tmp_path: Path) -> None:
    before = csv.field_size_limit(131_072)  # that of a new process: the readers of CSV files raise it
    long = "word " * 30_000
    rows = Rows(["short", long, "other"], np.array([0, 1, 1]), ("a", "b"), "rows.jsonl")
    left, _ = without_dropped(rows, drop(tmp_path, (long, "b")))
    csv.field_size_limit(before)
    assert list(left.texts) == ["short", "other"]


def several(names: tuple[str, ...], labels: list[list[int]], texts: list[str] | None = None) -> Rows:
    return Rows(texts or [f"text {n}" for n in range(len(labels))], np.array(labels, np.int8), names, "rows.jsonl")


def test_a_row_with_several_labels_is_left_out_if_the_file_has_all_of_them(tmp_path: Path) -> None:
    whole = several(("a", "b"), [[1, 1], [1, 0], [0, 1], [0, 0], [1, 1], [0, 0]])
    listed = [("text 0", "b|a"), ("text 1", "a|b"), ("text 2", "c"), ("text 3", ""), ("text 4", "a"), ("text 5", "[]")]
    left, (note,) = without_dropped(whole, drop(tmp_path, *listed))
    assert list(left.texts) == ["text 1", "text 2", "text 4"] and left.positions.tolist() == [1, 2, 4]
    assert note.startswith("data.drop: 3 of 6 training rows are in ")
    with pytest.raises(UserError, match="none of the 1 rows"):
        without_dropped(whole, drop(tmp_path, ("text 4", "a, b, c")))
    with pytest.raises(UserError, match="leaves no training row with the label 'b'"):
        without_dropped(whole.take(np.array([0, 1, 3])), drop(tmp_path, ("text 0", '["a", "b"]')))


@pytest.mark.parametrize("separator", [None, ";", " ", "#"])
@pytest.mark.parametrize("names", [
    ("a", "b c", "=d"), ("a;b", "a", "b"), ("a|b", "c;d", "e,f"), ("[a]", "'b", "c"), ("-1", "+1", "0"),
    ("a", "b#c", "'=d"), (" a", "b ", "c"),
])  # fmt: skip
def test_cells_of_any_names_are_found_again(names: tuple[str, ...], separator: str | None, tmp_path: Path) -> None:
    labels = [[number >> place & 1 for place in range(3)] for number in range(8)]
    whole = several(names, labels * 2)
    whole = replace(whole, label_column=LabelColumn("label", names, separator))
    cells = [safe_cell(cell_of(own, names, separator)) for own in whole.names_of(whole.labels)]
    assert len({*cells}) == 8 and not any(cell.startswith(("=", "+", "-")) for cell in cells)
    left, _ = without_dropped(whole, drop(tmp_path, *zip(whole.texts[:8], cells[:8], strict=True)))
    assert list(left.texts) == list(whole.texts[8:])


@pytest.mark.parametrize(("kind", "cell"), [("columns", "b|a"), ("lists", "a|b"), ("texts", "a/b"), ("texts", "a|b")])
def test_cells_match_however_the_data_writes_its_labels(kind: str, cell: str, tmp_path: Path) -> None:
    pairs = [(f"text {n}", [name for name, there in (("a", n % 2), ("b", n % 3)) if there]) for n in range(12)]
    write = {
        "columns": lambda labels: {"a": int("a" in labels), "b": int("b" in labels)},
        "lists": lambda labels: {"label": labels},
        "texts": lambda labels: {"label": "/".join(labels)},
    }[kind]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"text": text, **write(labels)}) + "\n" for text, labels in pairs), "utf-8")
    more = {"columns": {"label": ["a", "b"]}, "texts": {"label_separator": "/"}}.get(kind, {})
    data = {"train": str(file), "validation": str(file), "test": "", "drop": drop(tmp_path, ("text 5", cell)), **more}
    splits = load_splits(Recipe.parse({"task": "multi-label", "data": data}))
    assert list(splits.train.texts) == [text for text, _ in pairs if text != "text 5"]
    assert len(splits.validation) == 12
