"""Predictions for a file, in every format, and the judgement of a finished run on other data."""

from __future__ import annotations

import csv
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score

from featherweight.errors import UserError
from featherweight.formatting import QUOTED
from featherweight.inference.classifier import Classifier
from featherweight.inference.output_files import predict_file
from featherweight.inference.writers import whole_file
from featherweight.run.folder import Run
from featherweight.workflows.evaluate import evaluate_run

TEXTS = ["apple pear plum", 'robin, crow and "heron"', "zinc\tsilver", "owl"]
LABELS = ("bird", "fruit", "metal")


@pytest.fixture
def unlabelled(tmp_path: Path) -> Path:
    path = tmp_path / "unlabelled.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS), "utf-8")
    return path


@pytest.fixture
def numbered(tmp_path: Path) -> Path:
    """A contest's test file: ids that are no row numbers, and columns of no interest."""
    path = tmp_path / "test.csv"
    rows = [
        {"ID": f"{number:04d}", "text": text, "source": "x"} for number, text in zip((17, 3, 99, 8), TEXTS, strict=True)
    ]
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("safe", [True, False])
def test_a_csv_is_written_as_by_pandas_and_without_it(
    safe: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = {"id": [7, 8, 9], "label": ['a, "b"', None, "é\n2"], "p_a": [0.1, 1e-12, 1.0]}
    expected = pd.DataFrame(columns).to_csv(index=False, quoting=QUOTED if safe else csv.QUOTE_MINIMAL)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with whole_file(tmp_path / "out.csv", ["a"], safe=safe) as write:
        write({name: values[:2] for name, values in columns.items()})
        write({name: values[2:] for name, values in columns.items()})
    assert (tmp_path / "out.csv").read_bytes() == expected.encode()


@pytest.mark.parametrize("safe", [True, False])
def test_a_label_with_a_lone_carriage_return_is_one_cell(safe: bool, tmp_path: Path) -> None:
    with whole_file(tmp_path / "out.csv", ["a"], safe=safe) as write:
        write({"id": [7, 8], "label": ["a\rb", "c"]})
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [["id", "label"], ["7", "a\rb"], ["8", "c"]]


READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": pd.read_csv,
    ".jsonl": lambda path: pd.read_json(path, lines=True),
    ".parquet": pd.read_parquet,
}


@pytest.mark.parametrize("ending", READERS)
def test_each_format_holds_label_and_probability_of_every_class(
    finished_run: Run, unlabelled: Path, tmp_path: Path, ending: str
) -> None:
    out = tmp_path / f"out{ending}"
    assert predict_file(finished_run.folder, str(unlabelled), out) == len(TEXTS)
    table = READERS[ending](out)
    assert list(table.columns) == ["row", "label", "p_bird", "p_fruit", "p_metal"]
    assert table["row"].astype(int).tolist() == [0, 1, 2, 3]
    expected = Classifier.load(finished_run.folder).predict(TEXTS)
    assert table["label"].tolist() == [prediction.label for prediction in expected]
    for label in LABELS:
        theirs = [prediction.probabilities[label] for prediction in expected]
        np.testing.assert_allclose(table[f"p_{label}"], theirs, atol=1e-9)


@pytest.mark.parametrize("as_numbers", [None, True])
def test_kaggle_writes_exactly_id_and_label(
    finished_run: Run, numbered: Path, tmp_path: Path, as_numbers: bool | None
) -> None:
    out = tmp_path / "submission.csv"
    predict_file(finished_run.folder, str(numbered), out, kaggle=True, as_numbers=as_numbers)
    best = Classifier.load(finished_run.folder).probabilities(TEXTS).argmax(1)
    labels = best if as_numbers else [LABELS[number] for number in best]
    lines = [f"{identity},{label}" for identity, label in zip(("0017", "0003", "0099", "0008"), labels, strict=True)]
    assert out.read_text("utf-8") == "\n".join(["ID,label", *lines]) + "\n"


def save_texts(kind: str, folder: Path) -> Path:
    """The texts without labels, as a contest may hand them out."""
    import datasets

    table = pd.DataFrame({"text": TEXTS})
    path = folder / f"test.{kind}"
    if kind in ("csv", "parquet"):
        getattr(table, f"to_{kind}")(path, index=False)
        return path
    split = datasets.Dataset.from_pandas(table)
    # A set with several splits, as the hub's have, is asked for its test split; of a single one there is no choice.
    others = {"train": datasets.Dataset.from_pandas(table[:1]), "test": split}
    {"saved": split, "one": datasets.DatasetDict(unlabelled=split), "splits": datasets.DatasetDict(others)}[
        kind
    ].save_to_disk(str(path))
    return path


@pytest.mark.parametrize("kind", ["csv", "parquet", "saved", "one", "splits"])
def test_kaggle_takes_what_a_contest_hands_out(finished_run: Run, tmp_path: Path, kind: str) -> None:
    path = save_texts(kind, tmp_path)
    assert predict_file(finished_run.folder, str(path), tmp_path / "out.csv", kaggle=True) == len(TEXTS)
    best = Classifier.load(finished_run.folder).probabilities(TEXTS).argmax(1)
    lines = [f"{row},{LABELS[number]}" for row, number in enumerate(best)]
    assert (tmp_path / "out.csv").read_text("utf-8") == "\n".join(["ID,label", *lines]) + "\n"


@pytest.mark.parametrize("name", ["test_unlabelled.pkl", "test.csv", "our contest's/$1 test.pkl"])
@pytest.mark.parametrize("kind", ["DataFrame", "Dataset"])
def test_a_pickle_is_refused_with_the_line_that_converts_it(
    finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, name: str
) -> None:
    import datasets

    monkeypatch.chdir(tmp_path)
    Path(name).parent.mkdir(exist_ok=True)
    table = pd.DataFrame({"text": TEXTS})
    pd.to_pickle(table if kind == "DataFrame" else datasets.Dataset.from_pandas(table), name)
    with pytest.raises(UserError, match="can run any code, so it is never opened") as refused:
        predict_file(finished_run.folder, name, Path("out.csv"), kaggle=True)
    _, command = str(refused.value).split("\n")
    program, option, code, source, converted = shlex.split(command)
    assert (program, option, source) == ("python", "-c", name)
    monkeypatch.setattr(sys, "argv", [option, source, converted])
    exec(code, {"__name__": "__main__"})  # what `python -c` does, without the time of its imports
    assert converted != name and Path(converted).is_file()
    assert predict_file(finished_run.folder, converted, Path("out.csv"), kaggle=True) == len(TEXTS)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["a", "b", "a"], r"rows\.csv: row 3: has the same id 'a' as row 1; correct it, or name another"),
        (["a", "", "c"], r"rows\.csv: row 2: the id is missing; fill it in, or name another column"),
    ],
)
def test_kaggle_refuses_ids_that_no_contest_takes(
    finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ids: list[str], message: str
) -> None:
    monkeypatch.setattr("featherweight.inference.output_files.PIECE", 2)
    pd.DataFrame({"id": ids, "text": TEXTS[:3]}).to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(UserError, match=message):
        predict_file(finished_run.folder, str(tmp_path / "rows.csv"), tmp_path / "out.csv", kaggle=True)
    assert not (tmp_path / "out.csv").exists()
    assert predict_file(finished_run.folder, str(tmp_path / "rows.csv"), tmp_path / "out.csv") == 3


def test_kaggle_numbers_the_rows_from_zero_where_there_are_no_ids(
    finished_run: Run, unlabelled: Path, tmp_path: Path
) -> None:
    predict_file(finished_run.folder, str(unlabelled), tmp_path / "out.csv", kaggle=True)
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert [row["ID"] for row in rows] == ["0", "1", "2", "3"]
    assert all(row["label"] in LABELS for row in rows)


def test_ids_stay_beside_their_predictions(finished_run: Run, numbered: Path, tmp_path: Path) -> None:
    predict_file(finished_run.folder, str(numbered), tmp_path / "out.parquet")
    table = pd.read_parquet(tmp_path / "out.parquet")
    assert list(table.columns) == ["id", "label", "p_bird", "p_fruit", "p_metal"]
    assert table["id"].tolist() == ["0017", "0003", "0099", "0008"]


def test_labels_in_the_file_are_not_read(finished_run: Run, tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text("label,text\n,apple\nno such class,robin\n", "utf-8")
    assert predict_file(finished_run.folder, str(path), tmp_path / "out.csv") == 2


def test_a_folder_is_no_output(finished_run: Run, unlabelled: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(Classifier, "load", lambda run, **options: pytest.fail("a classifier was loaded"))
    (tmp_path / "out.csv").mkdir()
    for replace in (False, True):
        with pytest.raises(UserError, match=r"out\.csv\": is a folder; choose a new file$"):
            predict_file(finished_run.folder, str(unlabelled), tmp_path / "out.csv", replace=replace)


def test_a_file_that_appears_in_the_meantime_is_not_replaced(
    finished_run: Run, unlabelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, load = tmp_path / "out.csv", Classifier.load

    def meanwhile(*given: Any, **options: Any) -> Classifier:
        out.write_text("mine", "utf-8")
        return load(*given, **options)

    monkeypatch.setattr(Classifier, "load", meanwhile)
    with pytest.raises(UserError, match=r"exists; choose a new file"):
        predict_file(finished_run.folder, str(unlabelled), out)
    assert out.read_text("utf-8") == "mine" and len([*tmp_path.iterdir()]) == 2


@pytest.mark.usefixtures("as_options")
def test_an_output_is_replaced_only_where_asked(finished_run: Run, unlabelled: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("mine", "utf-8")
    with pytest.raises(UserError, match="exists; choose a new file, or replace it with --force"):
        predict_file(finished_run.folder, str(unlabelled), out)
    assert out.read_text("utf-8") == "mine"
    predict_file(finished_run.folder, str(unlabelled), out, replace=True)
    assert out.read_text("utf-8").startswith("row,label,p_bird")
    assert {file.name for file in tmp_path.iterdir()} == {"out.csv", unlabelled.name}


@pytest.mark.usefixtures("as_options")
@pytest.mark.parametrize(("source", "out"), [
    ("data.csv", "data.csv"),
    ("data.csv", "link.csv"),
    ("link.csv", "data.csv"),
    ("parts/part-*.csv", "parts/part-1.csv"),
    ("parts", "parts/part-2.csv"),
])  # fmt: skip
@pytest.mark.parametrize("replace", [False, True])
def test_the_texts_are_never_replaced_by_their_predictions(
    finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, out: str, replace: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("parts").mkdir()
    for name in ("data.csv", "parts/part-1.csv", "parts/part-2.csv"):
        Path(name).write_text("text\napple\n", "utf-8")
    Path("link.csv").symlink_to("data.csv")
    with pytest.raises(UserError, match=f"-o {out}: is the file with the texts, which would be lost; choose a new"):
        predict_file(finished_run.folder, source, Path(out), replace=replace)
    assert Path(out).read_text("utf-8") == "text\napple\n"


@pytest.mark.usefixtures("as_options")
def test_a_sample_submission_is_not_replaced(finished_run: Run, numbered: Path, tmp_path: Path) -> None:
    sample = tmp_path / "submission.csv"
    sample.write_text("ID,label\n0017,bird\n", "utf-8")
    with pytest.raises(UserError, match="is the file with the sample submission, which would be lost; choose a new"):
        predict_file(finished_run.folder, str(numbered), sample, like=sample, replace=True)
    assert sample.read_text("utf-8") == "ID,label\n0017,bird\n"


def test_a_wrong_ending_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"use one of \.csv, \.jsonl, \.parquet"):
        predict_file("no run at all", "nothing.csv", tmp_path / "out.xlsx")


def test_evaluate_run_judges_another_file(finished_run: Run, tmp_path: Path) -> None:
    rows = [("apple", "fruit"), ("crow heron", "bird"), ("iron", "fruit"), ("owl", "bird"), ("plum cherry", "fruit")]
    path = tmp_path / "other.csv"
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(path, index=False)
    figures = evaluate_run(finished_run, str(path))
    predicted = [
        prediction.label for prediction in Classifier.load(finished_run.folder).predict([text for text, _ in rows])
    ]
    truth = [label for _, label in rows]
    assert figures["rows"] == 5
    assert figures["accuracy"] == pytest.approx(accuracy_score(truth, predicted))
    present = sorted(set(truth) | set(predicted))
    support = {row["label"]: row["support"] for row in figures["per_class"]}
    assert support == {"bird": 2, "fruit": 3, "metal": 0}
    by_class = {row["label"]: row["f1"] for row in figures["per_class"]}
    for label, f1 in zip(
        present, f1_score(truth, predicted, labels=present, average=None, zero_division=0), strict=True
    ):
        assert by_class[label] == pytest.approx(f1)


def test_the_part_of_a_folder_that_is_read_is_said(finished_run: Run, tmp_path: Path) -> None:
    for part, rows in (("train", 4), ("test", 2)):
        (tmp_path / "parts").mkdir(exist_ok=True)
        labelled = "".join(f"apple {number},fruit\ncrow {number},bird\n" for number in range(rows))
        (tmp_path / "parts" / f"{part}.csv").write_text("text,label\n" + labelled, "utf-8")
    source, notes = str(tmp_path / "parts"), list[str]()
    assert predict_file(finished_run.folder, source, tmp_path / "out.csv", note=notes.append) == 4
    assert evaluate_run(finished_run, source, note=notes.append)["rows"] == 4
    note = f"{source}: only its part 'test' is read, not train; to read another part, name it: {source}/train.csv"
    assert notes == [note, note]
    assert evaluate_run(finished_run, f"{source}/train.csv", note=notes.append)["rows"] == 8 and len(notes) == 2


def test_run_reads_what_a_killed_training_left(finished_run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "recipe.toml").write_text(finished_run.recipe.to_toml(), "utf-8")
    assert Run(folder).history == []
    lines = ['{"kind": "step", "step": 1}', '{"kind": "step", "st']
    (folder / "history.jsonl").write_text("\n".join(lines), "utf-8")
    run: Any = Run(folder)
    assert run.history == [{"kind": "step", "step": 1}]
    assert not run.complete
    with pytest.raises(UserError, match=r"evaluation\.json: missing; finish the run with resume=True"):
        evaluate_run(run)
