"""A contest's submission: the data's own header and labels, and what is said of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.commands import Cli
from support.submissions import MOODS, NAMES, TEXTS, Submit, make_run, read_class_off

from featherweight.data.sources import read_rows
from featherweight.recipe import DataRecipe
from featherweight.run.folder import Run

NO_IDS = "test.csv: no id column found; ID is the row number from 0 (to use a column: --id COLUMN)"


@pytest.mark.usefixtures("as_options")
@pytest.mark.parametrize(("classes", "written", "options", "expected"), [
    (NAMES, NAMES, {}, "ID,mood\n0,good\n1,bad\n2,fair\n3,bad\n"),
    (NAMES, None, {}, "ID,mood\n0,good\n1,bad\n2,fair\n3,bad\n"),
    (NAMES, NAMES, {"as_numbers": True}, "ID,mood\n0,2\n1,0\n2,1\n3,0\n"),
    (NAMES, NAMES, {"label_name": "feeling"}, "ID,feeling\n0,good\n1,bad\n2,fair\n3,bad\n"),
    (MOODS, MOODS, {}, "ID,mood\n0,1\n1,-1\n2,0\n3,-1\n"),
])  # fmt: skip
def test_rows_are_numbered_and_labels_stay_as_they_were_where_there_is_no_id_column(
    submit: Submit, classes: Any, written: Any, options: dict[str, Any], expected: str
) -> None:
    out, notes = submit(ids=None, classes=classes, written=written, **options)
    assert (out, notes[0], len(notes)) == (expected, NO_IDS, 1 if written else 2)
    out, notes = submit(classes=classes, folder="run", replace=True, id_column="row", **options)
    assert (out, len(notes)) == (expected, 0 if written else 1)


@pytest.mark.parametrize(("classes", "written", "options", "expected"), [
    (NAMES, NAMES, {}, "tweetid,mood\n90,good\n7,bad\n8,fair\n31,bad\n"),
    (NAMES, ("0", "1", "2"), {}, "tweetid,mood\n90,2\n7,0\n8,1\n31,0\n"),
    (("-1.0", "0.0", "1.0"), ("-1.0", "0.0", "1.0"), {}, "tweetid,mood\n90,1.0\n7,-1.0\n8,0.0\n31,-1.0\n"),
    (("a,b", '"', "=c"), ("a,b", '"', "=c"), {}, 'tweetid,mood\n90,=c\n7,"a,b"\n8,""""\n31,"a,b"\n'),
    (NAMES, NAMES, {"label_name": "target"}, "tweetid,target\n90,good\n7,bad\n8,fair\n31,bad\n"),
    (NAMES, NAMES, {"as_numbers": True}, "tweetid,mood\n90,2\n7,0\n8,1\n31,0\n"),
    (MOODS, MOODS, {"as_numbers": True}, "tweetid,mood\n90,2\n7,0\n8,1\n31,0\n"),
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
    assert notes == ["this run does not record how its training data writes the labels, so class names are written"]


@pytest.mark.parametrize(("name", "content", "labels", "values"), [
    ("a.csv", "text,Mood\nx,1\ny, -1\nz,0\n", (), ("-1", "0", "1")),
    ("a.csv", "text,Mood\nx,1.0\ny,-1.0\n", (), ("-1.0", "1.0")),
    ("a.csv", "text,Mood\nx,0\ny,2\n", ("bad", "fair", "good"), ("0", "1", "2")),
    ("a.csv", "text,Mood\nx,bad\ny,good\n", ("bad", "fair", "good"), ("bad", "fair", "good")),
    ("a.csv", "text,Mood\nx,True\ny,False\n", (), ("False", "True")),
    ("a.jsonl", '{"text": "x", "Mood": true}\n{"text": "y", "Mood": false}\n', (), ("False", "True")),
    ("a.jsonl", '{"text": "x", "Mood": 3}\n{"text": "y", "Mood": -2.0}\n', (), ("-2.0", "3")),
    ("a.jsonl", '{"text": "x", "Mood": " b "}\n{"text": "y", "Mood": "a"}\n', (), ("a", "b")),
    ("a.csv", "text,Mood\nx,yes\ny, yes\nz,no\n", (), ("no", "yes")),
    ("a.csv", "text,Mood\nx,1.0\ny,1\nz,2.0\n", (), ("1", "2")),
    ("a.jsonl", '{"text": "x", "Mood": 1.0}\n{"text": "y", "Mood": 1}\n{"text": "z", "Mood": -2.0}\n', (), ("-2", "1")),
    ("a.csv", "text,Mood\nx,1.0\ny,1\nz,2.0\n", ("bad", "fair", "good"), ("0", "1", "2")),
    ("a.jsonl", '{"text": "x", "Mood": true}\n{"text": "y", "Mood": "true"}\n{"text": "z", "Mood": false}\n', (),
     ("false", "true")),
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


def test_the_command_line_says_its_notes_beside_the_output(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    read_class_off(monkeypatch, 3)
    run = make_run(tmp_path / "made", NAMES, NAMES, "mood")
    Path("test.jsonl").write_text("".join(json.dumps({"text": text, "key": text[-1]}) + "\n" for text in TEXTS[:3]))
    answer = cli("predict", run, "test.jsonl", "--kaggle", "--label-name", "feeling")
    assert (answer.code, answer.out) == (0, "submission.csv: 3 predictions\n")
    assert (
        answer.err
        == "note: test.jsonl: no id column found; ID is the row number from 0 (to use a column: --id COLUMN)\n"
    )
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
    assert (
        capsys.readouterr().err == "note: test.csv: the ids are those of column 'tweetid' (id_column chooses another)\n"
    )
