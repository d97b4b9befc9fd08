"""A contest's submission: ids by name, the data's own header and labels, and whatever a sample submission says."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.commands import Cli
from support.submissions import TEXTS, make_run, read_class_off

from featherweight.data.id_column import likely_id_columns
from featherweight.data.sources import read_rows
from featherweight.errors import UserError
from featherweight.inference import output_files as predictions
from featherweight.inference.output_files import predict_file
from featherweight.recipe import DataRecipe
from featherweight.run.folder import Run

MOODS = ("-1", "0", "1")
NAMES = ("bad", "fair", "good")
Submit = Callable[..., tuple[str, list[str]]]


@pytest.fixture
def submit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Submit:
    """Predicts the texts with ids in a column, and gives what was written and what was noted."""
    monkeypatch.chdir(tmp_path)

    def run(
        *, ids: str | None = "tweetid", classes: Sequence[str] = MOODS, written: Sequence[str] | None = MOODS,
        column: str = "mood", texts: Sequence[str] = TEXTS, values: Sequence[Any] = (90, 7, 8, 31), sample: str = "",
        **options: Any,
    ) -> tuple[str, list[str]]:  # fmt: skip
        read_class_off(monkeypatch, len(classes))
        data = options.pop("data", {})
        folder = options.pop("folder", None) or make_run(tmp_path / "run", classes, written, column, **data)
        rows = {} if ids is None else {ids: list(values)}
        pd.DataFrame({**rows, "text": texts}).to_csv("test.csv", index=False)
        if sample:
            Path("sample.csv").write_text(sample, "utf-8")
            options["like"] = "sample.csv"
        notes: list[str] = []
        predict_file(folder, "test.csv", "out.csv", **{"kaggle": True, "note": notes.append, **options})
        return Path("out.csv").read_text("utf-8"), notes

    return run


@pytest.mark.parametrize("name", ["ID", "Id", "id", "PassengerId", "textID", "tweet_id", "Tweet ID", "tweetid"])
def test_ids_and_labels_stand_under_the_names_that_the_data_gives_them(submit: Submit, name: str) -> None:
    out, notes = submit(ids=name)
    assert out == f"{name},mood\n90,1\n7,-1\n8,0\n31,-1\n"
    guessed = (
        [] if name.casefold() == "id" else [f"test.csv: the ids are those of column {name!r} (--id names another)"]
    )
    assert notes == guessed


@pytest.mark.parametrize(("names", "expected"), [
    (["text", "ID", "Id"], "ID"), (["id", "Id"], "Id"), (["tweet_id", "id"], "id"), (["a_id", "bId"], "bId"),
    (["tweetid", "a_id"], "a_id"), (["iD", "tweetid"], "iD"),
])  # fmt: skip
def test_the_surest_name_comes_first(submit: Submit, names: list[str], expected: str, tmp_path: Path) -> None:
    columns = {name: [f"{name}{row}" for row in range(len(TEXTS))] for name in names}
    pd.DataFrame({"text": TEXTS, **{name: values for name, values in columns.items() if name != "text"}}).to_csv(
        tmp_path / "other.csv", index=False
    )
    submit()
    predict_file(tmp_path / "run", "other.csv", "first.csv", kaggle=True, note=lambda line: None)
    assert Path("first.csv").read_text("utf-8").startswith(f"{expected},mood\n{expected}0,1\n")


def test_words_that_end_like_an_id_are_none() -> None:
    words = ["paid", "grid", "valid", "is_valid", "amountPaid", "amountpaid", "GRID", "android", "covid", "said", "mid"]
    assert likely_id_columns([*words, "text", "idea", "hidden", "identity", "width"]) == []
    names = ["userid", "threadid", "emailid", "TWEETID", "row.id", "x-id", "_id", "qid", "uuid"]
    assert sorted(likely_id_columns(names)) == sorted(names)
    assert likely_id_columns(["tweet_id", "text_id"], {"text_id"}) == ["tweet_id"]


def test_of_likely_columns_the_first_without_repetitions_is_taken(submit: Submit, tmp_path: Path) -> None:
    submit()
    columns = {"user_id": [1, 1, 2, 3], "tweet_id": [5, 6, 7, 8], "reply_id": [9, 8, 7, 6], "sum_id": [None, 1, 2, 3]}
    pd.DataFrame({**columns, "text": TEXTS}).to_csv("many.csv", index=False)
    notes: list[str] = []
    predict_file("run", "many.csv", "many_out.csv", kaggle=True, note=notes.append)
    assert Path("many_out.csv").read_text("utf-8") == "tweet_id,mood\n5,1\n6,-1\n7,0\n8,-1\n"
    assert notes == ["many.csv: the ids are those of column 'tweet_id' (--id names another, such as 'reply_id')"]
    pd.DataFrame({"textid": ["two words"] * 4, "sumid": [0.5, 1.5, 2.5, 3.5], "text": TEXTS}).to_csv("no.csv")
    predict_file("run", "no.csv", "no_out.csv", kaggle=True, note=notes.append)
    assert Path("no_out.csv").read_text("utf-8").startswith("ID,Label\n0,")


def test_an_id_column_that_is_named_is_taken_whatever_its_name_is(submit: Submit) -> None:
    out, notes = submit(ids="paid", id_column="PAID")
    assert (out.splitlines()[:2], notes) == (["paid,mood", "90,1"], [])
    predict_file("run", "test.csv", "plain.csv", id_column="paid")
    assert Path("plain.csv").read_text("utf-8").splitlines()[:2] == ["id,label,p_0,p_1,p_2", "90,2,0.15,0.15,0.7"]
    predict_file("run", "test.csv", "rows.csv", id_column="row")
    assert Path("rows.csv").read_text("utf-8").startswith("row,label,p_0,p_1,p_2\n0,2,")


def test_without_a_submission_no_column_is_taken_by_the_end_of_its_name(submit: Submit) -> None:
    out, notes = submit(kaggle=False)
    assert out.startswith("row,label,p_0,p_1,p_2\n0,2,")
    assert notes == []


def test_rows_are_numbered_with_a_note_where_there_is_no_id_column(submit: Submit) -> None:
    no_ids = "test.csv: no id column found; ID is the row's number from 0 (--id COLUMN names one)"
    out, notes = submit(ids=None, classes=NAMES, written=NAMES)
    assert out == "ID,Label\n0,2\n1,0\n2,1\n3,0\n"
    numbered = "labels are written as class numbers: bad 0, fair 1, good 2 (--as-names writes them as they were)"
    assert notes == [no_ids, numbered]
    out, notes = submit(ids="paid", folder="run", classes=NAMES, as_numbers=False, label_name="mood", replace=True)
    assert (out, notes) == ("ID,mood\n0,good\n1,bad\n2,fair\n3,bad\n", [no_ids])


def test_labels_that_are_numbers_are_never_numbered_anew(submit: Submit) -> None:
    out, notes = submit(ids=None)
    assert out == "ID,Label\n0,1\n1,-1\n2,0\n3,-1\n"
    assert len(notes) == 1
    assert submit(folder="run", replace=True, as_numbers=True)[0] == "tweetid,mood\n90,2\n7,0\n8,1\n31,0\n"


@pytest.mark.parametrize(("classes", "written", "options", "expected"), [
    (NAMES, NAMES, {}, "tweetid,mood\n90,good\n7,bad\n8,fair\n31,bad\n"),
    (NAMES, ("0", "1", "2"), {}, "tweetid,mood\n90,2\n7,0\n8,1\n31,0\n"),
    (("-1.0", "0.0", "1.0"), ("-1.0", "0.0", "1.0"), {}, "tweetid,mood\n90,1.0\n7,-1.0\n8,0.0\n31,-1.0\n"),
    (("a,b", '"', "=c"), ("a,b", '"', "=c"), {}, 'tweetid,mood\n90,=c\n7,"a,b"\n8,""""\n31,"a,b"\n'),
    (NAMES, NAMES, {"label_name": "target"}, "tweetid,target\n90,good\n7,bad\n8,fair\n31,bad\n"),
    (NAMES, NAMES, {"as_numbers": True}, "tweetid,mood\n90,2\n7,0\n8,1\n31,0\n"),
])  # fmt: skip
def test_labels_are_written_as_they_were(
    submit: Submit, classes: Any, written: Any, options: dict[str, Any], expected: str
) -> None:
    assert submit(classes=classes, written=written, **options)[0] == expected


AG = ("World", "Sports", "Business", "Sci/Tech")


@pytest.mark.parametrize(("train", "written"), [
    ("newsbriefs", AG), ("newsbriefs", None), ("ag_news", ("0", "1", "2", "3")), ("train.csv", None),
])  # fmt: skip
def test_the_ag_news_contest_keeps_its_format(submit: Submit, train: str, written: Any) -> None:
    out, notes = submit(ids="ID", classes=AG, written=written, column="Class Index", data={"train": train})
    assert (out, notes) == ("ID,Label\n90,2\n7,0\n8,1\n31,0\n", [])
    out, notes = submit(ids=None, folder="run", classes=AG, replace=True)
    assert (out, len(notes)) == ("ID,Label\n0,2\n1,0\n2,1\n3,0\n", 1)


def test_a_run_that_did_not_record_its_labels_says_so(submit: Submit) -> None:
    out, notes = submit(ids="id", classes=NAMES, written=None)
    assert out.startswith("id,mood\n90,good\n")
    assert notes == [
        "this run does not say how its training data writes the labels: the names of the classes are written"
    ]


@pytest.mark.parametrize(("name", "content", "labels", "values"), [
    ("a.csv", "text,Mood\nx,1\ny, -1\nz,0\n", (), ("-1", "0", "1")),
    ("a.csv", "text,Mood\nx,1.0\ny,-1.0\n", (), ("-1.0", "1.0")),
    ("a.csv", "text,Mood\nx,0\ny,2\n", ("bad", "fair", "good"), ("0", "1", "2")),
    ("a.csv", "text,Mood\nx,bad\ny,good\n", ("bad", "fair", "good"), ("bad", "fair", "good")),
    ("a.csv", "text,Mood\nx,True\ny,False\n", (), ("False", "True")),
    ("a.jsonl", '{"text": "x", "Mood": true}\n{"text": "y", "Mood": false}\n', (), ("False", "True")),
    ("a.jsonl", '{"text": "x", "Mood": 3}\n{"text": "y", "Mood": -2.0}\n', (), ("-2.0", "3")),
    ("a.jsonl", '{"text": "x", "Mood": " b "}\n{"text": "y", "Mood": "a"}\n', (), ("a", "b")),
])  # fmt: skip
def test_rows_know_how_their_labels_were_written(
    tmp_path: Path, name: str, content: str, labels: tuple[str, ...], values: tuple[str, ...]
) -> None:
    (tmp_path / name).write_text(content, "utf-8")
    source = str(tmp_path / name)
    rows = read_rows(source, DataRecipe(train=source, label="mood", labels=labels))
    assert rows.label_column is not None
    assert (rows.label_column.name, rows.label_column.values) == ("Mood", values)
    assert rows.take(np.array([1])).label_column == rows.label_column


def test_a_run_records_how_its_labels_were_written(finished_run: Run) -> None:
    assert finished_run.environment["label_column"] == {"name": "label", "values": ["bird", "fruit", "metal"]}


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
    assert notes == [f"sample.csv: {column!r} holds fractions, so it gets the probability of {positive!r}"]


@pytest.mark.parametrize(("values", "expected"), [
    ("true", ["true", "false"]), ("False", ["True", "False"]), ("1", ["1", "0"]), ("TRUE", ["TRUE", "FALSE"]),
])  # fmt: skip
def test_booleans_are_written_as_in_the_sample(submit: Submit, values: str, expected: list[str]) -> None:
    sample = f"tweetid,target\n90,{values}\n7,{values}\n8,{values}\n31,{values}\n"
    out, _ = submit(classes=("false", "true"), written=("False", "True"), texts=TWO, sample=sample)
    assert [line.split(",")[1] for line in out.splitlines()] == ["target", *expected, *expected]


def test_names_that_look_like_fractions_are_labels(submit: Submit) -> None:
    versions = ("1.1", "2.0", "2.5")
    out, _ = submit(classes=versions, written=versions, sample="tweetid,v\n90,1.1\n7,1.1\n8,2.5\n31,1.1\n")
    assert out == "tweetid,v\n90,2.5\n7,1.1\n8,2.0\n31,1.1\n"


@pytest.mark.parametrize(("sample", "words"), [
    ("Key,a\n7,0\n8,0\n31,0\n90,0\n", "the ids are those of column 'tweetid'"),
    ("tweetid,a\n7,9\n8,9\n31,9\n90,9\n", "'a' is 9 throughout, which is no class and taken for a placeholder"),
    ("tweetid,a\n7,\n8,\n31,\n90,\n", "'a' is empty; labels are written as in the training data"),
    ("tweetid,a\n7,0.0\n8,1.0\n31,0.0\n90,0.0\n", "values such as 0.0 in 'a' are taken for classes"),
])  # fmt: skip
def test_what_a_sample_leaves_open_is_noted(submit: Submit, sample: str, words: str) -> None:
    assert [note for note in submit(sample=sample)[1] if words in note]


@pytest.mark.parametrize("first", [0, 1, 500])
def test_rows_without_ids_are_those_of_a_sample_that_counts_them(submit: Submit, first: int) -> None:
    sample = "Index,mood\n" + "".join(f"{first + row},0\n" for row in range(4))
    out, notes = submit(ids=None, sample=sample)
    assert out == "Index,mood\n" + "".join(f"{first + row},{mood}\n" for row, mood in enumerate(("1", "-1", "0", "-1")))
    assert notes == ["test.csv: no id column found; its rows are taken to be those of sample.csv, in the same order"]


def test_the_id_column_of_a_sample_is_one_that_the_test_data_has(submit: Submit) -> None:
    sample = "tweetid,mood\n" + "".join(f"{row},0\n" for row in (31, 8, 90, 7))
    submit()
    pd.DataFrame({"id": range(4), "tweetid": [90, 7, 8, 31], "text": TEXTS}).to_csv("both.csv", index=False)
    Path("like.csv").write_text(sample, "utf-8")
    predict_file("run", "both.csv", "both_out.csv", like="like.csv", note=lambda line: None)
    assert Path("both_out.csv").read_text("utf-8") == "tweetid,mood\n31,-1\n8,0\n90,1\n7,-1\n"


def test_the_command_line_says_its_notes_beside_the_output(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    read_class_off(monkeypatch, 3)
    run = make_run(tmp_path / "made", NAMES, NAMES, "mood")
    Path("test.jsonl").write_text("".join(json.dumps({"text": text, "key": text[-1]}) + "\n" for text in TEXTS[:3]))
    answer = cli("predict", run, "test.jsonl", "--kaggle", "--as-names", "--label-name", "feeling")
    assert (answer.code, answer.out) == (0, "submission.csv: 3 predictions\n")
    assert answer.err == "note: test.jsonl: no id column found; ID is the row's number from 0 (--id COLUMN names one)\n"
    assert Path("submission.csv").read_text("utf-8") == "ID,feeling\n0,good\n1,bad\n2,fair\n"
    answer = cli("predict", run, "test.jsonl", "--kaggle", "--id", "key", "--as-numbers", "-o", "out.csv")
    assert (answer.code, answer.err) == (0, "")
    assert Path("out.csv").read_text("utf-8") == "key,mood\n2,2\n0,0\n1,1\n"
    Path("like.csv").write_text("key,mood\n0,bad\n1,bad\n2,bad\n", "utf-8")
    answer = cli("predict", run, "test.jsonl", "--like", "like.csv", "--force")
    assert (answer.code, answer.err) == (0, "")
    assert Path("submission.csv").read_text("utf-8") == "key,mood\n0,bad\n1,fair\n2,good\n"


def test_from_python_notes_are_printed_unless_somebody_takes_them(
    submit: Submit, capsys: pytest.CaptureFixture[str]
) -> None:
    submit(note=None)
    assert capsys.readouterr().err == "note: test.csv: the ids are those of column 'tweetid' (--id names another)\n"


def test_an_id_column_is_found_in_parquet_and_in_saved_folders(submit: Submit, tmp_path: Path) -> None:
    import datasets

    submit()
    table = pd.DataFrame({"user_id": [1, 1, 2, 3], "tweet_id": [5.0, 6.0, 7.0, 8.0], "text": TEXTS, "more": 0})
    table.to_parquet("test.parquet")
    datasets.Dataset.from_pandas(table).save_to_disk("saved")
    for source in ("test.parquet", "saved"):
        predict_file("run", source, "out.csv", kaggle=True, replace=True, note=lambda line: None)
        assert Path("out.csv").read_text("utf-8") == "tweet_id,mood\n5,1\n6,-1\n7,0\n8,-1\n"


def test_nothing_is_classified_where_a_sample_has_other_ids(submit: Submit) -> None:
    with pytest.raises(UserError, match=r"test\.csv: row 4: the id '31' is not in sample\.csv"):
        submit(texts=("class 2", "class 0", "class 1", "no class"), sample="tweetid,a\n90,0\n7,0\n8,0\n")
    assert not Path("out.csv").exists()
