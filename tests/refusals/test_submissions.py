"""Submissions that cannot be right, at the command line: refused before anything is classified or written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.commands import Cli, refused
from support.submissions import make_run

from featherweight.inference.classifier import Classifier

TEST = "tweetid,user_id,text\n90,1,class 2\n7,1,class 0\n8,2,class 1\n"


@pytest.fixture
def made(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of three moods, and a test file."""
    monkeypatch.setattr(Classifier, "load", lambda run, **options: pytest.fail("a classifier was loaded"))
    Path("test.csv").write_text(TEST, "utf-8")
    return make_run(Path("run"), ("-1", "0", "1"), ("-1", "0", "1"), "mood")


@pytest.mark.parametrize(("arguments", "naming"), [
    (["--id", "tweet"],
     "test.csv: no column 'tweet'; did you mean 'tweetid'? Its columns are: tweetid, user_id, text\n"),
    (["--id", "number"], ("test.csv: no column 'number'; its columns are: ", "with --id COLUMN")),
    (["--id", "user_id"], "test.csv: row 2: has the same id '1' as row 1; correct it, or name another column"),
    (["--label-name", "tweetid"], "both columns of the submission would be called 'tweetid'"),
    (["--label-name", " "], "--label-name is empty"),
    (["--safe-csv"], "--safe-csv and --kaggle exclude each other"),
    (["--like", "sample.csv", "--label-name", "x"], "--like and --label-name exclude each other"),
    (["--like", "sample.csv", "--as-numbers"], "--like and --as-numbers exclude each other"),
    (["--like", "sample.csv", "--as-names"], "--like and --as-names exclude each other"),
    (["--like", "sample.csv", "--safe-csv"], "--safe-csv and --like exclude each other"),
    (["--as-numbers", "--as-probabilities"], "--as-numbers and --as-probabilities exclude each other"),
    (["--as-names", "--as-probabilities"], "--as-names and --as-probabilities exclude each other"),
    (["--as-probabilities"], "--as-probabilities: 'mood' is for the probability of one class, but there are 3 classes"),
    (["--like", "sample.csv", "--as-probabilities"], "sample.csv: --as-probabilities: 'mood' is"),
    (["--like", "sample.csv", "-o", "out.parquet"], "a submission is a CSV file"),
    (["--like", "sampel.csv"], "--like sampel.csv: no such file"),
    (["--like", "run"], "--like run: is a folder"),
    (["--like", "run/recipe.toml"], "run/recipe.toml: a TOML file is read as a recipe only"),
])  # fmt: skip
def test_bad_options_of_a_submission(cli: Cli, made: Path, arguments: list[str], naming: Any) -> None:
    Path("sample.csv").write_text("tweetid,mood\n90,0\n7,0\n8,0\n", "utf-8")
    refused(cli, "predict", made, "test.csv", "--kaggle", *arguments, naming=naming)


@pytest.mark.parametrize(("arguments", "naming"), [
    (["--label-name", "x"], "--label-name is for a submission to a contest; add --kaggle"),
    (["--as-numbers"], "--as-numbers is for a submission to a contest; add --kaggle"),
    (["--as-names"], "--as-names is for a submission to a contest; add --kaggle"),
    (["--as-probabilities"], "--as-probabilities is for a submission to a contest; add --kaggle"),
    (["--id", "nothing"], "test.csv: no column 'nothing'; its columns are"),
])  # fmt: skip
def test_options_without_a_submission(cli: Cli, made: Path, arguments: list[str], naming: str) -> None:
    refused(cli, "predict", made, "test.csv", "-o", "out.csv", *arguments, naming=naming)


@pytest.mark.parametrize("arguments", [
    ["--like", "s.csv"], ["--id", "a"], ["--label-name", "a"], ["--as-numbers"], ["--as-names"],
    ["--as-probabilities"], ["--safe-csv"], ["--force"],
])  # fmt: skip
def test_options_beside_single_texts(cli: Cli, made: Path, arguments: list[str]) -> None:
    naming = f"{arguments[0]} and --text exclude each other"
    refused(cli, "predict", made, "--text", "class 1", *arguments, naming=naming)


@pytest.mark.parametrize(("content", "naming"), [
    ("user_id,text\n1,a\n2,b\n1,c\n", ("column 'user_id' has '1' in row 1 and in row 3", "--id COLUMN, or use")),
    ("user_id,text\n1,a\n,b\n3,c\n", "test.csv: column 'user_id' has no value in row 2, so it cannot be the id column"),
    ("id,text\n1,a\n2,b\n1,c\n", "test.csv: row 3: has the same id '1' as row 1"),
    ("ID,text\n1,a\n,b\n3,c\n", "test.csv: row 2: the id is missing"),
])  # fmt: skip
def test_ids_that_no_contest_takes(cli: Cli, made: Path, content: str, naming: Any) -> None:
    Path("test.csv").write_text(content, "utf-8")
    refused(cli, "predict", made, "test.csv", "--kaggle", naming=naming)


SAMPLES = [
    ("", "sample.csv: the file is empty"),
    ("\n\n", "sample.csv: the file is empty"),
    ("tweetid,mood\n", "sample.csv: has a header but no rows"),
    ("\ufefftweetid\n90\n7\n8\n", "sample.csv: has only the column 'tweetid'"),
    ("tweetid,mood\n90,0\n7\n", "sample.csv: line 3: 1 field, but the first line has 2"),
    ("mood,mood\n90,0\n", "sample.csv: two columns are called 'mood'"),
    ("tweetid,mood\n90,0\n8,0\n", "test.csv: row 2: the id '7' is not in sample.csv"),
    ("tweetid,mood\n90,0\n7,0\n5,0\n8,0\n", "sample.csv: row 3: the id '5' is not in test.csv"),
    ("tweetid,mood\n90,0\n7,0\n7,0\n8,0\n", "sample.csv: row 3: has the same id '7' as row 2"),
    ("tweetid,mood\n90,0\n,0\n8,0\n", "sample.csv: row 2: the id is missing"),
    (
        "tweetid;mood\n90;0\n7;0\n08;0\n",
        (
            "test.csv: row 3: the id '8' is not in sample.csv, which has the same number in another form: '08'",
            "Write the ids alike in both files",
        ),
    ),
    ("tweetid,mood\n90.0,0\n7.0,0\n8.0,0\n", "row 1: the id '90' is not in sample.csv, which has the same number"),
    ("tweetid,mood\n90,0\n7,0\n8,0\n08,0\n", "sample.csv: row 4: the id '08' is not in test.csv, which has"),
    ("tweetid,mood\n90,0\n7,2\n8,0\n", ("sample.csv: row 2: '2' in 'mood' is not a class", "the classes are -1, 0, 1")),
    ("tweetid,mood\n90,0\n7,3.5\n8,0\n", "row 2: 'mood' is '3.5', which is neither a class nor a probability"),
    (
        "tweetid,mood\n90,0\n7,2\n8,0\n",
        ("row 2: '2' in 'mood' is not a class", "leave out --like: --kaggle"),
    ),
    (
        "tweetid,mood\n90,0\n7,5\n8,0\n",
        (
            "row 2: '5' in 'mood' is not a class",
            "Check that the sample and the training data",
        ),
    ),
    ("tweetid,mood\n90,good\n7,bad\n8,good\n", "sample.csv: row 1: 'good' in 'mood' is not a class"),
    ("tweetid,mood\n90,0.2\n7,0.5\n8,0\n", ("sample.csv: row 1: 'mood' is '0.2', a probability", "3 classes")),
    ("tweetid,-1,0\n90,0,0\n7,0,0\n8,0,0\n", "sample.csv: there is no column for the class '1'"),
    (
        "tweetid,-1,0,1,2\n90,0,0,0,0\n7,0,0,0,0\n8,0,0,0,0\n",
        "sample.csv: column '2' is not a class; the classes are -1, 0, 1",
    ),
    ("tweetid,p_-1,p_0,p_0.0\n90,0,0,0\n7,0,0,0\n8,0,0,0\n", "sample.csv: column 'p_-1' is not a class"),
    ("tweetid,-1,0,1\n90,0,0,0\n7,0,b,0\n8,0,0,0\n", "sample.csv: row 2: '0' is 'b', which is not a probability"),
    ("tweetid,-1,0,1\n90,0,0,0\n7,0,0,7\n8,0,0,0\n", "sample.csv: row 2: '1' is '7', which is not a probability"),
    ("tweetid,mood,Usage\n90,0,Public\n7,0,Public\n8,0,Private\n", "sample.csv: column 'mood' is not a class"),
]


@pytest.mark.parametrize(("sample", "naming"), SAMPLES)
def test_samples_that_do_not_fit(cli: Cli, made: Path, sample: str, naming: Any) -> None:
    Path("sample.csv").write_text(sample, "utf-8")
    refused(cli, "predict", made, "test.csv", "--like", "sample.csv", naming=naming)


@pytest.mark.parametrize(("content", "naming"), [
    ('{"id": 1, "a\\ud800": 0}\n', "sample.jsonl: the name of a column is not valid Unicode"),
    ('{"id": 1, "a": 0}\n{"id": 2, "a": 0, "b": 1}\n', "sample.jsonl: column 'a' is not a class"),
    ('[1, 2]\n', "sample.jsonl: row 1: not a JSON object"),
])  # fmt: skip
def test_samples_of_other_kinds(cli: Cli, made: Path, content: str, naming: str) -> None:
    Path("sample.jsonl").write_text(content, "utf-8")
    refused(cli, "predict", made, "test.csv", "--like", "sample.jsonl", naming=naming)


def test_fractions_for_two_classes_of_which_none_is_the_positive_one(cli: Cli, made: Path) -> None:
    run = make_run(Path("two"), ("fake", "real"), ("fake", "real"), "kind")
    Path("sample.csv").write_text("tweetid,target\n90,0.5\n7,0.5\n8,0.5\n", "utf-8")
    naming = (
        "sample.csv: row 1: 'target' is '0.5', a probability, but it is unclear which class is meant",
        "each class: fake, real",
    )
    refused(cli, "predict", run, "test.csv", "--like", "sample.csv", naming=naming)
    Path("sample.csv").write_text("tweetid,real\n90,0.5\n7,many\n8,0.5\n", "utf-8")
    naming = ("sample.csv: row 2: 'real' is 'many', which is not a probability", "its other values are fractions")
    refused(cli, "predict", run, "test.csv", "--like", "sample.csv", naming=naming)


@pytest.mark.parametrize(("classes", "sample", "naming"), [
    (("bad", "fair", "good"), "Bda,Bda,Bda", ("row 1: 'Bda' in 'a' is not a class; did you mean 'bad'?",)),
    (("bad", "fair", "good"), "?,?,", "row 1: '?' in 'a' is not a class; the classes are bad, fair, good"),
    (("bad", "Bad", "good"), "BAD,good,BAD", "row 1: 'BAD' in 'a' is not a class"),
    (("1", "2", "3", "4", "5"), "0,1,4", ("row 1: '0' in 'a' is not a class", "--kaggle --as-numbers writes them")),
    (("3 stars", "4 stars"), "3 stars,7 stars,4 stars", "in 'a' is not a class; the classes are 3 stars, 4 stars"),
    (("no", "yes"), "0.0,2.0,1.0", "row 2: '2.0' in 'a' is not a class"),
    (("3", "1", "2"), "", "column 'class_0' is not a class"),
])  # fmt: skip
def test_values_that_nearly_fit(cli: Cli, made: Path, classes: tuple[str, ...], sample: str, naming: Any) -> None:
    run = make_run(Path("other"), classes, classes, "a")
    rows = zip((90, 7, 8), sample.split(","), strict=False)
    content = "tweetid,a\n" + "".join(f"{key},{value}\n" for key, value in rows)
    Path("sample.csv").write_text(content if sample else "tweetid,class_0,class_1,class_2\n90,0,0,0\n", "utf-8")
    refused(cli, "predict", run, "test.csv", "--like", "sample.csv", naming=naming)


def test_a_sample_for_rows_without_ids(cli: Cli, made: Path) -> None:
    Path("test.csv").write_text("text\nclass 2\nclass 0\n", "utf-8")
    Path("sample.csv").write_text("key,mood\na,0\nb,0\n", "utf-8")
    naming = ("test.csv: no id column found, and the ids of sample.csv are not consecutive row numbers", "--id COLUMN")
    refused(cli, "predict", made, "test.csv", "--like", "sample.csv", naming=naming)
    Path("sample.csv").write_text("key,mood\n1,0\n2,0\n3,0\n", "utf-8")
    naming = ("sample.csv: row 3: the id '3' is not in test.csv",)
    refused(cli, "predict", made, "test.csv", "--like", "sample.csv", naming=naming)


@pytest.mark.parametrize("column", [3, {"name": "mood"}, {"name": "mood", "values": [1, 2]}])
def test_a_damaged_record_of_the_labels(cli: Cli, made: Path, column: Any) -> None:
    (made / "environment.json").write_text(json.dumps({"format": 1, "label_column": column}), "utf-8")
    naming = ("run/environment.json: damaged: label_column", "must be" if column != {"name": "mood"} else "is missing")
    refused(cli, "predict", made, "test.csv", "--kaggle", naming=naming)
