"""A submission like a contest's sample: its header, the order of its ids, the kind of its values."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.submissions import MOODS, NAMES, TEXTS, Submit

from featherweight.errors import UserError
from featherweight.inference import output_files as predictions
from featherweight.inference.output_files import predict_file

pytestmark = pytest.mark.usefixtures("as_options")


@pytest.mark.parametrize(("classes", "written", "sample", "expected"), [
    (MOODS, MOODS, "Key;feeling\n31;0\n8;0\n90;0\n7;0\n", "Key,feeling\n31,-1\n8,0\n90,1\n7,-1\n"),
    (MOODS, MOODS, "\ufefffeeling,tweetid\n0,31\n0,8\n1,90\n0,7\n", "feeling,tweetid\n-1,31\n0,8\n1,90\n-1,7\n"),
    (NAMES, NAMES, "Key,a\n7,bad\n8,good\n31,bad\n90,bad\n", "Key,a\n7,bad\n8,fair\n31,bad\n90,good\n"),
    (NAMES, NAMES, "Key,a\n7,0\n8,0\n31,2\n90,0\n", "Key,a\n7,0\n8,1\n31,0\n90,2\n"),
    (NAMES, ("0", "1", "2"), "Key,a\n7,bad\n8,bad\n31,bad\n90,bad\n", "Key,a\n7,bad\n8,fair\n31,bad\n90,good\n"),
    (MOODS, ("-1.0", "0.0", "1.0"), "Key,a\n7,0\n8,1\n31,0\n90,0\n", "Key,a\n7,-1\n8,0\n31,-1\n90,1\n"),
    (MOODS, MOODS, "Key,a\n7,0.0\n8,1.0\n31,0.0\n90,0.0\n", "Key,a\n7,-1.0\n8,0.0\n31,-1.0\n90,1.0\n"),
    (MOODS, MOODS, "Key,a\n7,\n8,\n31,\n90,\n", "Key,a\n7,-1\n8,0\n31,-1\n90,1\n"),
    (("1", "2", "3"), ("1", "2", "3"), "Key,a\n7,0\n8,0\n31,0\n90,0\n", "Key,a\n7,1\n8,2\n31,1\n90,3\n"),
    (NAMES, NAMES, "Key,good,bad,fair\n7,0,0,1\n8,0,0,1\n31,0,0,1\n90,0,0,1\n",
     "Key,good,bad,fair\n7,0.15,0.7,0.15\n8,0.15,0.15,0.7\n31,0.15,0.7,0.15\n90,0.7,0.15,0.15\n"),
    (NAMES, ("0", "1", "2"), "p_2,Id,p_0,p_1\n.1,90,.1,.8\n.1,7,.1,.8\n.1,8,.1,.8\n.1,31,.1,.8\n",
     "p_2,Id,p_0,p_1\n0.7,90,0.15,0.15\n0.15,7,0.7,0.15\n0.15,8,0.15,0.7\n0.15,31,0.7,0.15\n"),
    (NAMES, NAMES, "Key,class_0,class_1,class_2\n7,,,\n8,,,\n31,,,\n90,,,\n",
     "Key,class_0,class_1,class_2\n7,0.7,0.15,0.15\n8,0.15,0.7,0.15\n31,0.7,0.15,0.15\n90,0.15,0.15,0.7\n"),
])  # fmt: skip
@pytest.mark.parametrize("piece", [2, 100])
def test_a_sample_decides_header_order_and_kind_of_values(
    submit: Submit, monkeypatch: pytest.MonkeyPatch, piece: int, classes: Any, written: Any, sample: str, expected: str
) -> None:
    monkeypatch.setattr(predictions, "PIECE", piece)
    out, _ = submit(classes=classes, written=written, sample=sample, kaggle=False)
    found, wanted = (list(csv.reader(io.StringIO(text))) for text in (out, expected))
    assert [[as_number(cell) for cell in row] for row in found] == [[as_number(cell) for cell in row] for row in wanted]


def as_number(cell: str) -> Any:
    """Probabilities rounded; all other cells as they are."""
    return round(float(cell), 9) if cell.startswith("0.") and cell != "0.0" else cell


TWO = ("class 1", "class 0", "class 1", "class 0")


@pytest.mark.parametrize(("written", "column", "first"), [
    (("0", "1"), "target", 0.7), (("-1", "1"), "target", 0.7), (("False", "True"), "target", 0.7),
    (("no", "yes"), "target", 0.7), (("positive", "negative"), "target", 0.3), (("fake", "real"), "Fake", 0.3),
    (("fake", "real"), "real", 0.7),
])  # fmt: skip
def test_one_column_of_fractions_gets_the_probability_of_the_positive_class(
    submit: Submit, written: tuple[str, str], column: str, first: float
) -> None:
    sample = f"tweetid,{column}\n90,0.5\n7,0.5\n8,0\n31,1\n"
    out, notes = submit(classes=written, written=written, texts=TWO, sample=sample)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["tweetid"] for row in rows] == ["90", "7", "8", "31"]
    assert [float(row[column]) for row in rows] == pytest.approx([first, 1 - first, first, 1 - first])
    positive = written[1 if first > 0.5 else 0]
    assert notes == [f"sample.csv: {column!r} contains fractions, so it gets the probability of {positive!r}"]


@pytest.mark.parametrize(("values", "expected"), [
    ("true", ["true", "false"]), ("False", ["True", "False"]), ("1", ["1", "0"]), ("TRUE", ["TRUE", "FALSE"]),
])  # fmt: skip
def test_booleans_are_written_as_in_the_sample(submit: Submit, values: str, expected: list[str]) -> None:
    sample = f"tweetid,target\n90,{values}\n7,{values}\n8,{values}\n31,{values}\n"
    out, _ = submit(classes=("false", "true"), written=("False", "True"), texts=TWO, sample=sample)
    assert [line.split(",")[1] for line in out.splitlines()] == ["target", *expected, *expected]


HOW = "so it gets labels; --as-probabilities writes the probability of 'yes'"


@pytest.mark.parametrize(("values", "expected", "note"), [
    ("0,0,0,0", "1,0,1,0", f"sample.csv: 'target' is 0 in all rows, {HOW}"),
    ("0.0,0.0,0.0,0.0", "1.0,0.0,1.0,0.0", f"sample.csv: 'target' is 0.0 in all rows, {HOW}"),
    ("1.0,1.0,0.0,1.0", "1.0,0.0,1.0,0.0", "labels are written as class numbers: no 0.0, yes 1.0"),
    (",,,", "yes,no,yes,no", f"sample.csv: 'target' is empty in all rows, {HOW}"),
    ("Yes,No,Yes,Yes", "Yes,No,Yes,No", None),
    ("NO,NO,NO,NO", "YES,NO,YES,NO", "sample.csv: 'target' writes 'NO' for a class; labels are written as NO, YES"),
    ("yES,yES,yES,yES", "yes,no,yes,no", "sample.csv: 'target' writes 'yES' for a class; labels are written as no"),
    ("?,?,?,?", "yes,no,yes,no", "'target' is ? in all rows, which is not a class and is read as a placeholder"),
    ("unknown,unknown,unknown,unknown", "yes,no,yes,no", "labels are written as no, yes"),
    ("-1,-1,-1,-1", "yes,no,yes,no", "'target' is -1 in all rows, which is not a class"),
])  # fmt: skip
def test_two_classes_are_written_as_in_the_sample(submit: Submit, values: str, expected: str, note: str | None) -> None:
    rows = zip((90, 7, 8, 31), values.split(","), strict=True)
    sample = "tweetid,target\n" + "".join(f"{key},{value}\n" for key, value in rows)
    out, notes = submit(classes=("no", "yes"), written=("no", "yes"), texts=TWO, sample=sample)
    assert [line.split(",")[1] for line in out.splitlines()[1:]] == expected.split(",")
    assert any(note in line for line in notes) if note else not notes


@pytest.mark.parametrize("value", ["0", "0.0", "1", "", "0.5"])
def test_probabilities_can_be_asked_for(submit: Submit, value: str) -> None:
    sample = "tweetid,target\n" + "".join(f"{key},{value}\n" for key in (90, 7, 8, 31))
    out, notes = submit(classes=("no", "yes"), written=("no", "yes"), texts=TWO, sample=sample, as_probabilities=True)
    found = [float(line.split(",")[1]) for line in out.splitlines()[1:]]
    assert found == pytest.approx([0.7, 0.3, 0.7, 0.3])
    assert notes == ["sample.csv: 'target' gets the probability of 'yes'"]


def test_probabilities_can_be_asked_for_without_a_sample(submit: Submit) -> None:
    out, notes = submit(ids="id", classes=("yes", "no"), written=("yes", "no"), texts=TWO, as_probabilities=True)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [float(row["mood"]) for row in rows] == pytest.approx([0.3, 0.7, 0.3, 0.7])
    assert notes == ["column 'mood' contains the probability of class 'yes'"]


@pytest.mark.parametrize("start", ["", "class_", "p_"])
def test_columns_that_count_from_zero_are_taken_by_position(submit: Submit, start: str) -> None:
    sample = f"tweetid,{start}1,{start}0,{start}2\n" + "".join(f"{key},0,0,0\n" for key in (90, 7, 8, 31))
    out, notes = submit(classes=("1", "2", "3"), written=("1", "2", "3"), sample=sample)
    assert [line.split(",") for line in out.splitlines()[1:3]] == [
        ["90", "0.15", "0.15", "0.7"], ["7", "0.15", "0.7", "0.15"]
    ]  # fmt: skip
    columns = f"{start}0, {start}1, {start}2"
    assert notes == [f"sample.csv: columns {columns} are read as the classes 1, 2, 3, in this order"]


def test_names_that_look_like_fractions_are_labels(submit: Submit) -> None:
    versions = ("1.1", "2.0", "2.5")
    out, _ = submit(classes=versions, written=versions, sample="tweetid,v\n90,1.1\n7,1.1\n8,2.5\n31,1.1\n")
    assert out == "tweetid,v\n90,2.5\n7,1.1\n8,2.0\n31,1.1\n"


@pytest.mark.parametrize(("sample", "words"), [
    ("Key,a\n7,0\n8,0\n31,0\n90,0\n", "the ids are those of column 'tweetid'"),
    ("tweetid,a\n7,9\n8,9\n31,9\n90,9\n", "'a' is 9 in all rows, which is not a class and is read as a placeholder"),
    ("tweetid,a\n7,\n8,\n31,\n90,\n", "'a' is empty; labels are written as -1, 0, 1"),
    ("tweetid,a\n7,0.0\n8,1.0\n31,0.0\n90,0.0\n", "values such as 0.0 in 'a' are read as classes"),
])  # fmt: skip
def test_what_a_sample_leaves_open_is_noted(submit: Submit, sample: str, words: str) -> None:
    assert [note for note in submit(sample=sample)[1] if words in note]


@pytest.mark.parametrize("first", [0, 1, 500])
def test_rows_without_ids_are_those_of_a_sample_that_counts_them(submit: Submit, first: int) -> None:
    sample = "Index,mood\n" + "".join(f"{first + row},0\n" for row in range(4))
    out, notes = submit(ids=None, sample=sample)
    assert out == "Index,mood\n" + "".join(f"{first + row},{mood}\n" for row, mood in enumerate(("1", "-1", "0", "-1")))
    assert notes == ["test.csv: no id column found; its rows are read as those of sample.csv, in the same order"]


def test_the_id_column_of_a_sample_is_one_that_the_test_data_has(submit: Submit) -> None:
    sample = "tweetid,mood\n" + "".join(f"{row},0\n" for row in (31, 8, 90, 7))
    submit()
    pd.DataFrame({"id": range(4), "tweetid": [90, 7, 8, 31], "text": TEXTS}).to_csv("both.csv", index=False)
    Path("like.csv").write_text(sample, "utf-8")
    predict_file("run", "both.csv", "both_out.csv", like="like.csv", note=lambda line: None)
    assert Path("both_out.csv").read_text("utf-8") == "tweetid,mood\n31,-1\n8,0\n90,1\n7,-1\n"


def test_nothing_is_classified_where_a_sample_has_other_ids(submit: Submit) -> None:
    with pytest.raises(UserError, match=r"test\.csv: row 4: the id '31' is not in sample\.csv"):
        submit(texts=("class 2", "class 0", "class 1", "no class"), sample="tweetid,a\n90,0\n7,0\n8,0\n")
    assert not Path("out.csv").exists()
