"""Texts and labels in two CSV files are found by their common ids, and the line of the message joins them."""

from __future__ import annotations

import csv
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from featherweight.data.readers.joined_by_id import labels_by_id, texts_by_id
from featherweight.data.sources import read_rows
from featherweight.data.unlabelled import left_out
from featherweight.errors import UserError
from featherweight.recipe import DataRecipe
from featherweight.workflows.own_data import draft_recipe

pytestmark = pytest.mark.usefixtures("as_options")

IDS = [f"00{number}" for number in range(10)]
TEXTS = [("id", "comment"), *((name, f"a text, number {name}") for name in IDS)]
LABELS = [("id", "toxic", "rude"), *((name, "01"[place % 2], "-1") for place, name in enumerate(IDS))]
SAMPLE = [("id", "toxic", "rude"), *((name, "0", "0") for name in IDS)]


def written(path: Path, rows: list[tuple[str, ...]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A file of texts, beside it their labels, a sample of a submission, and other rows."""
    written(tmp_path / "sample_submission.csv", SAMPLE)
    written(tmp_path / "test_labels.csv", LABELS)
    written(tmp_path / "train.csv", [("id", "comment", "toxic"), ("990", "other texts are here", "1")])
    return written(tmp_path / "test.csv", TEXTS)


def test_the_line_of_the_message_joins_texts_and_labels(texts: Path) -> None:
    labels = texts.with_name("test_labels.csv")
    found = {labels_by_id(texts), texts_by_id(labels)}
    assert {str(line).partition(": ")[0] for line in found} == {
        "Its labels seem to be in test_labels.csv",
        "Its texts seem to be in test.csv",
    }
    (line,) = {str(line).partition(": ")[2] for line in found}
    subprocess.run([sys.executable, *shlex.split(line)[1:]], check=True)
    joined = read_rows(
        str(texts.with_name("test-converted.csv")), DataRecipe(train="x", text=["comment"], label="toxic")
    )
    assert (list(joined.texts), list(joined.ids or ())) == ([text for _, text in TEXTS[1:]], IDS)


def test_messages_and_notes_on_missing_texts_or_labels_have_the_line(texts: Path) -> None:
    with pytest.raises(
        UserError, match=r"no column seems to hold texts.*\nIts texts seem to be in test\.csv: python -c"
    ):
        draft_recipe(str(texts.with_name("test_labels.csv")))
    with pytest.raises(UserError, match=r"no column seems to hold the labels.*\nIts labels seem to be in test_labels"):
        draft_recipe(str(texts))
    with pytest.raises(UserError, match=r"no column 'label'.*\nIts labels seem to be in test_labels\.csv"):
        read_rows(str(texts), DataRecipe(train=str(texts), text=["comment"]))
    assert "Its labels seem to be in test_labels.csv: python -c" in left_out("test.csv has no labels", str(texts))


@pytest.mark.parametrize("others", [
    [("id", "author", "year"), *((name, "me", "2020") for name in IDS)],
    [("id", "comment", "label"), *((name, "x", "1") for name in IDS)],
    [("id", "label"), *((f"9{name}", "1") for name in IDS)],
    [("id", "label"), *(("same", "1") for _ in IDS)],
    [("id",), *((name,) for name in IDS)],
])  # fmt: skip
def test_other_files_beside_the_texts_are_not_their_labels(tmp_path: Path, others: list[tuple[str, ...]]) -> None:
    written(tmp_path / "other.csv", others)
    assert labels_by_id(written(tmp_path / "texts.csv", TEXTS)) is None
    assert labels_by_id(tmp_path / "none.csv") is None
