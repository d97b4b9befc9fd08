"""Submissions in which a text may have several labels, in the shapes of contests."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from featherweight.errors import UserError
from featherweight.inference.classifier import Classifier
from featherweight.inference.output_files import predict_file
from featherweight.recipe import Recipe
from featherweight.task.multi_label import MultiLabel

pytestmark = pytest.mark.usefixtures("as_options")

TAGS = ("c", "java", "sql")
SHARES = {"all": [0.9, 0.8, 0.7], "none": [0.1, 0.2, 0.3], "two": [0.3, 0.6, 0.65]}
THRESHOLDS = [0.5, 0.6, 0.65]
LIKE_TAGS = "Id,Tags\n3,java sql\n1,c\n2,sql\n"


class Reader:
    """A text is the key of its probabilities."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        self.labels = labels
        self.task = MultiLabel(tuple(THRESHOLDS))

    def probabilities(self, texts: Any, **options: Any) -> np.ndarray:
        return np.array([SHARES[text] for text in texts])


@pytest.fixture
def submit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes a submission for three texts; returns it and the notes."""
    monkeypatch.chdir(tmp_path)

    def make(
        label: Any = "tags",
        names: tuple[str, ...] = TAGS,
        sample: str = "",
        separator: str | None = None,
        **options: Any,
    ) -> tuple[pd.DataFrame, list[str]]:
        monkeypatch.setattr(Classifier, "load", lambda run, **_: Reader(names))
        folder = tmp_path / "run"
        (folder / "adapter").mkdir(parents=True, exist_ok=True)
        recipe = Recipe.parse({"task": "multi-label", "data": {"train": "train.csv", "label": label}})
        (folder / "recipe.toml").write_text(recipe.to_toml(), "utf-8")
        description = {"format": 1, "labels": list(names), "temperature": 1.0, "thresholds": THRESHOLDS}
        (folder / "adapter" / "featherweight.json").write_text(json.dumps(description), "utf-8")
        column = {"name": label, "values": list(names), **({"separator": separator} if separator else {})}
        environment = {"format": 1, "label_column": column if isinstance(label, str) else None}
        (folder / "environment.json").write_text(json.dumps(environment), "utf-8")
        pd.DataFrame({"Id": [1, 2, 3], "text": ["all", "none", "two"]}).to_csv("test.csv", index=False)
        if sample:
            Path("sample.csv").write_text(sample, "utf-8")
            options["like"] = "sample.csv"
        notes: list[str] = []
        options = {"kaggle": True, "replace": True, **options}
        predict_file(folder, "test.csv", "out.csv", note=notes.append, **options)
        return pd.read_csv(io.StringIO(Path("out.csv").read_text("utf-8")), dtype=str, keep_default_na=False), notes

    return make


def test_lists_of_labels_are_joined_by_a_blank_and_decided_by_the_thresholds(submit: Any) -> None:
    table, notes = submit()
    assert table.to_dict("list") == {"Id": ["1", "2", "3"], "tags": ["c java sql", "", "java sql"]}
    assert "separated by ' '" in notes[-1]


def test_texts_of_labels_are_written_as_the_training_data_writes_them(submit: Any) -> None:
    assert submit(separator="|")[0]["tags"].tolist() == ["c|java|sql", "", "java|sql"]
    assert submit(names=("visual c", "java", "sql"))[0]["tags"].tolist() == ["visual c,java,sql", "", "java,sql"]
    assert list(submit(label_name="Predicted")[0].columns) == ["Id", "Predicted"]


def test_a_sample_with_one_label_in_each_cell_needs_no_separator(submit: Any) -> None:
    names = ("new york", "java", "sql")
    table, notes = submit(names=names, sample="Id,tags\n1,new york\n2,java\n3,new york\n")
    assert table["tags"].tolist() == ["new york,java,sql", "", "java,sql"]
    assert "gets the labels of a text, separated by ','" in notes[-1]


def test_columns_of_0_and_1_stay_such_columns_or_become_probabilities(submit: Any) -> None:
    table, notes = submit(label=list(TAGS))
    assert table.to_dict("list") == {
        "Id": ["1", "2", "3"], "c": ["1", "0", "0"], "java": ["1", "0", "1"], "sql": ["1", "0", "1"]
    }  # fmt: skip
    assert "--as-probabilities" in notes[-1]
    shares, _ = submit(label=list(TAGS), as_probabilities=True)
    assert shares["java"].tolist() == ["0.8", "0.2", "0.6"]
    from_lists, _ = submit(as_probabilities=True)
    assert from_lists.to_dict("list") == shares.to_dict("list")


def test_jigsaws_sample_gets_a_probability_a_label_in_its_order(submit: Any) -> None:
    sample = "Id,sql,c,java\n2,0.5,0.5,0.5\n1,0.5,0.5,0.5\n3,0.5,0.5,0.5\n"
    table, _ = submit(label=list(TAGS), sample=sample)
    assert table.to_dict("list") == {
        "Id": ["2", "1", "3"], "sql": ["0.3", "0.7", "0.65"], "c": ["0.1", "0.9", "0.3"], "java": ["0.2", "0.8", "0.6"]
    }  # fmt: skip


def test_a_sample_of_0_and_1_gets_labels_and_probabilities_where_these_are_asked_for(submit: Any) -> None:
    sample = "Id,c,java,sql\n1,0,0,0\n2,0,0,0\n3,0,0,0\n"
    table, notes = submit(sample=sample)
    assert table["java"].tolist() == ["1", "0", "1"]
    assert any("--as-probabilities writes probabilities" in note for note in notes)
    assert submit(sample=sample, as_probabilities=True)[0]["java"].tolist() == ["0.8", "0.2", "0.6"]


@pytest.mark.parametrize("mark", [" ", ",", "|", ";", ", "])
def test_a_sample_of_labels_says_what_is_between_them(submit: Any, mark: str) -> None:
    sample = f'Id,Tags\n3,"java{mark}sql"\n1,c\n2,sql\n'
    table, notes = submit(sample=sample)
    assert table["Tags"].tolist() == [f"java{mark}sql", f"c{mark}java{mark}sql", ""]
    assert notes == []


def test_a_sample_of_single_labels_or_placeholders_leaves_the_separator_to_the_data(submit: Any) -> None:
    for sample in ("Id,Tags\n3,c\n1,c\n2,sql\n", "Id,Tags\n3,x y\n1,x y\n2,x y\n", "Id,Tags\n3,\n1,\n2,\n"):
        table, notes = submit(sample=sample, separator="|")
        assert table["Tags"].tolist() == ["java|sql", "c|java|sql", ""]
        assert "separated by '|'" in notes[-1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"as_numbers": True}, "--as-numbers: a text may have several labels"),
        ({"label": list(TAGS), "label_name": "x"}, "--label-name: there is one column per label"),
        ({"label": "Id"}, "would be called 'Id'"),
        ({"sample": LIKE_TAGS, "as_probabilities": True}, "is one column, but there are 3 labels"),
        ({"sample": "Id,c,java\n1,0,0\n2,0,0\n3,0,0\n"}, "there is no column for the class 'sql'"),
        ({"sample": "Id,c,java,sql\n1,0,0,x\n2,0,0,0\n3,0,0,0\n"}, "'sql' is 'x', which is not a probability"),
        ({"sample": "Id,Tags\n1,c\n2,java ruby\n3,sql\n"}, "row 2: 'ruby' in 'Tags' is not a label"),
    ],
)
def test_what_does_not_apply_to_several_labels_is_refused(submit: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as caught:
        submit(**options)
    assert words in str(caught.value)
    assert not Path("out.csv").exists()
