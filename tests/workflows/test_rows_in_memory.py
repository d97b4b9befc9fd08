"""Rows of a caller's memory are trained like those of a file, lie in the run folder, and are what a resume needs."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featherweight import Recipe, Run, UserError, train
from featherweight.data.in_memory import is_rows, parquet_parts
from featherweight.training.signals import Interrupted
from featherweight.verification.verify import verify_run
from featherweight.workflows import train as training
from featherweight.workflows.continuation import recipe_from
from featherweight.workflows.request import requested

WORDS = {"fruit": "apple pear plum", "metal": "iron copper zinc"}
ROWS = [
    {"number": n, "note": f"{WORDS[kind].split()[n % 3]} and {WORDS[kind].split()[n // 3 % 3]} {n}", "kind": kind}
    for n, kind in enumerate(["fruit", "metal"] * 12)
]
COLUMNS = {name: [row[name] for row in ROWS] for name in ROWS[0]}
FRAME = pd.DataFrame(ROWS)
FEATURES = datasets.Features(
    {"number": datasets.Value("int64"), "note": datasets.Value("string"),
     "kind": datasets.ClassLabel(names=["metal", "fruit"])}
)  # fmt: skip
DATASET = datasets.Dataset.from_dict({**COLUMNS, "kind": [int(kind == "fruit") for kind in COLUMNS["kind"]]}, FEATURES)
QUICK = ["training.max_steps=2", "adapter.lora.rank=2", "data.max_length=32", "data.validation_size=6"]


class Foreign:
    """A table of another library, such as polars, that has Arrow's interface."""

    columns = property(lambda self: list(COLUMNS))

    def __arrow_c_stream__(self, schema: Any = None) -> Any:
        return pa.Table.from_pylist(ROWS).__arrow_c_stream__(schema)


Quick = Callable[..., Run]


@pytest.fixture
def quick(
    tiny_backbones: dict[str, Path], in_this_process: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Quick:
    """Trains two steps on a tiny backbone, in an empty working directory."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: Any, **options: Any) -> Run:
        return train(*arguments, **{"backbone": str(tiny_backbones["bert"]), "overrides": QUICK} | options)

    return run


def rows_of(parts: dict[str, bytes], part: str = "train") -> list[dict[str, Any]]:
    return pq.read_table(pa.BufferReader(parts[part])).to_pylist()


@pytest.mark.parametrize("given", [
    FRAME, FRAME.set_index("number", drop=False), FRAME.astype({"kind": "category", "note": "string"}),
    pa.Table.from_pylist(ROWS), pa.RecordBatch.from_pylist(ROWS), Foreign(), ROWS, tuple(ROWS), COLUMNS,
    {name: np.array(values) for name, values in COLUMNS.items()},
    {name: pa.array(values) for name, values in COLUMNS.items()},
    datasets.Dataset.from_list(ROWS),
    datasets.Dataset.from_list([*ROWS[5:], *ROWS[:5]]).select([*range(19, 24), *range(19)]),
], ids=lambda given: type(given).__name__)  # fmt: skip
def test_rows_are_the_same_in_whatever_they_come(given: Any) -> None:
    assert rows_of(parquet_parts(given, "train")) == ROWS


PAIRS = [(row["note"], row["kind"]) for row in ROWS]


@pytest.mark.parametrize("given", [
    PAIRS, [list(pair) for pair in PAIRS], [(label, text) for text, label in PAIRS], {"train": PAIRS},
    [(text, {"label": label}) for text, label in PAIRS],
], ids=["tuples", "lists", "label first", "by split", "as spaCy's"])  # fmt: skip
def test_pairs_of_a_text_and_a_label_are_rows(given: Any) -> None:
    assert rows_of(parquet_parts(given, "train")) == [{"text": text, "label": label} for text, label in PAIRS]


@pytest.mark.parametrize(("given", "naming"), [
    ([("good", "positive"), ("bad", "negative")], "both values of each pair could be the text; name them: train("),
    ([("good", 1), (1, "bad")], "neither the first nor the second value of all pairs is a text"),
    ([("good", "pos", 1)] * 3, "pandas.DataFrame(rows, columns=['text', 'label', ...])"),
    ([["a b", "c d"], ["x", "y"]], "pandas.DataFrame(rows, columns=['text', 'label'])"),
])  # fmt: skip
def test_pairs_that_could_be_read_in_two_ways_are_refused(given: Any, naming: str) -> None:
    with pytest.raises(UserError, match=re.escape(naming)):
        requested(given)


def test_what_arrow_does_not_take_becomes_text() -> None:
    frame = pd.DataFrame({"note": ["one", 2, None, float("nan")], 7: [object] * 4, "n": [1, pd.NA, 3, 4]})
    found = rows_of(parquet_parts(frame, "train"))
    assert [row["note"] for row in found] == ["one", "2", None, None]
    assert [row["n"] for row in found] == [1, None, 3, 4]
    assert found[0]["7"] == "<class 'object'>"
    assert rows_of(parquet_parts([{"a": 1}, {"b": 2}], "train")) == [{"a": 1, "b": None}, {"a": None, "b": 2}]


def test_splits_are_parts() -> None:
    first, second, third = (DATASET.select(range(start, start + 3)) for start in (0, 3, 6))
    parts = parquet_parts(datasets.DatasetDict(train=first, dev=second, test=third), "train")
    numbers = {part: [row["number"] for row in rows_of(parts, part)] for part in parts}
    assert numbers == {"train": [0, 1, 2], "validation": [3, 4, 5], "test": [6, 7, 8]}
    assert list(parquet_parts(datasets.DatasetDict(everything=first), "train")) == ["train"]
    with pytest.raises(UserError, match="the DatasetDict has no split 'train'; its splits are: a, b"):
        parquet_parts(datasets.DatasetDict(a=first, b=second), "train")


def test_a_frame_is_trained_reported_and_verified(quick: Quick, capsys: pytest.CaptureFixture[str]) -> None:
    run = quick(FRAME, test=FRAME[:6])
    told = capsys.readouterr().err
    assert "note: a pandas DataFrame: 24 rows, 2 classes; texts from 'note'" in told
    assert run.folder == Path("runs/rows")
    assert run.recipe.description == "24 texts of a pandas DataFrame in 2 classes: fruit, metal."
    assert (run.recipe.data.train, run.recipe.data.test) == (
        "runs/rows/data/train.parquet",
        "runs/rows/data/test.parquet",
    )
    assert pd.read_parquet("runs/rows/data/train.parquet").equals(FRAME)
    assert run.evaluation["test"]["rows"] == 6
    assert "data/train.parquet" in json.loads((run.folder / "manifest.json").read_text())["files"]
    checks = {check.name: check.result for check in verify_run(run.folder)}
    assert checks["training rows"] == checks["test"] == checks["files"] == "pass"
    again = train(Recipe.load(run.folder / "recipe.toml"), "again")
    assert (again.folder / "adapter" / "adapter_model.safetensors").read_bytes() == (
        run.folder / "adapter" / "adapter_model.safetensors"
    ).read_bytes()


def test_a_moved_run_finds_its_rows(quick: Quick, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    description = quick(FRAME, "first/run").recipe.description
    (tmp_path / "elsewhere").mkdir()
    shutil.move("first/run", "elsewhere/moved")
    shutil.copytree("elsewhere/moved", "first/run")  # another run takes its place
    assert Run("elsewhere/moved").recipe.data.train == str(tmp_path / "elsewhere" / "moved" / "data" / "train.parquet")
    assert Run("first/run").recipe.data.train == "first/run/data/train.parquet"
    shutil.rmtree("first")
    monkeypatch.chdir("elsewhere")
    moved = Run("moved")
    assert recipe_from("moved").data == moved.recipe.data
    assert moved.recipe.data.train == str(tmp_path / "elsewhere" / "moved" / "data" / "train.parquet")
    assert moved.recipe.description == description
    checks = {check.name: check.result for check in verify_run("moved")}
    assert (checks["training rows"], checks["recipe"]) == ("pass", "pass")
    assert quick(FRAME, "moved", resume=True).folder == Path("moved")


def test_classes_and_splits_of_a_data_set_are_kept(quick: Quick) -> None:
    run = quick(datasets.DatasetDict(train=DATASET, validation=DATASET.select(range(8))), "run", overrides=QUICK[:3])
    assert run.recipe.data.validation == "run/data/validation.parquet"
    assert [row["label"] for row in run.evaluation["validation"]["per_class"]] == ["metal", "fruit"]
    assert run.evaluation["validation"]["rows"] == 8


@pytest.mark.parametrize("given", [
    datasets.DatasetDict(training=DATASET, val=DATASET.select(range(8)), Test=DATASET.select(range(4))),
    {"train": FRAME, "dev": FRAME[:8], "test": FRAME[:4]},
    {"train": FRAME.to_dict("records"), "valid": FRAME[:8].to_dict("records"), "testing": FRAME[:4].to_dict("records")},
])  # fmt: skip
def test_splits_may_have_any_usual_name(given: Any) -> None:
    assert is_rows(given)
    parts = {part: len(pd.read_parquet(io.BytesIO(rows))) for part, rows in parquet_parts(given, "train").items()}
    assert parts == {"train": 24, "validation": 8, "test": 4}


def test_columns_of_pandas_own_kinds_become_their_values() -> None:
    ages, months = pd.cut(range(24), [-1, 11, 24]), pd.period_range("2024-01", periods=24, freq="M")
    frame = FRAME.assign(age=ages, month=months, kind=FRAME["note"].astype("category"))
    found = pd.read_parquet(io.BytesIO(parquet_parts(frame, "train")["train"]))
    assert (found["age"][0], found["month"][0], found["kind"].tolist()) == (
        "(-1, 11]",
        "2024-01",
        FRAME["note"].tolist(),
    )


def test_a_file_and_test_rows_in_memory_go_together(quick: Quick) -> None:
    FRAME.to_csv("notes.csv", index=False)
    run = quick("notes.csv", test=ROWS[:4], text=["note"], label="kind", budget="300k")
    assert (run.folder, run.recipe.budget, run.recipe.data.train) == (Path("runs/notes"), 300_000, "notes.csv")
    assert run.evaluation["test"]["rows"] == 4
    assert sorted(path.name for path in (run.folder / "data").iterdir()) == ["test.parquet"]


def test_a_stopped_training_is_resumed_with_the_same_rows_alone(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = {"overrides": [*QUICK, "training.checkpoint_steps=1"]}
    expected = quick(FRAME, "whole", **steps)

    def stopped(*arguments: Any) -> None:
        raise Interrupted("stopped", 2)

    with monkeypatch.context() as patch:
        patch.setattr(training, "finish", stopped)
        with pytest.raises(Interrupted):
            quick(FRAME, "stopped", **steps)
    with pytest.raises(
        UserError, match=r"stopped: cannot be resumed with these rows: this run was started with other rows"
    ):
        quick(FRAME[::-1], "stopped", resume=True, **steps)
    with pytest.raises(UserError, match=r"the recipe differs[^\n]*training.epochs"):
        quick(FRAME, "stopped", resume=True, overrides=[*steps["overrides"], "training.epochs=3"])
    Path("stopped/data/train.parquet").unlink()
    run = quick(FRAME, "stopped", resume=True, **steps)
    assert run.complete
    name = "adapter/adapter_model.safetensors"
    assert (run.folder / name).read_bytes() == (expected.folder / name).read_bytes()


def test_a_crash_before_the_first_step_is_resumed(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training, "prepare", killed)
        with pytest.raises(KeyboardInterrupt):
            quick(FRAME, "run")
    assert (Path("run") / "recipe.toml").is_file()
    assert quick(FRAME, "run", resume=True).complete


def test_bad_rows_leave_nothing_behind(quick: Quick, tmp_path: Path) -> None:
    for given, words in (
        (
            FRAME.drop(columns="note"),
            'no column seems to hold texts; its columns are: number, kind\nName the text column with text="COLUMN"',
        ),
        (FRAME.replace("apple and apple 0", " "), "row 1: the text is empty"),
        ({"note": ["a", "b"], "kind": ["x"]}, "the columns have different numbers of rows: note 2, kind 1"),
        ({"train": ROWS, "test": []}, "train: the part 'test' has no rows; add some, or leave it out"),
        ({"train": FRAME, "dev": FRAME[:0]}, "train: the part 'dev' has no rows; add some, or leave it out"),
        ({"train": [], "test": ROWS}, "train: the part 'train' has no rows; add some"),
        ([], "train: the data has no rows; add some"),
    ):
        with pytest.raises(UserError) as refused:
            quick(given)
        assert words in str(refused.value)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("given", "beginning"), [
    ([*ROWS, {"note": "", "kind": "fruit"}], "a list: row 25: the text is empty"),
    (FRAME.assign(kind="fruit"), "a pandas DataFrame: every training row has the label 'fruit'"),
    ({"train": ROWS, "test": [{"note": "pear", "kind": "plant"}]}, "the test rows: row 1: unknown label 'plant'"),
    ({"train": ROWS, "dev": [{"note": "", "kind": "fruit"}]}, "the validation rows: row 1: the text is empty"),
], ids=["list", "DataFrame", "test rows", "validation rows"])  # fmt: skip
def test_an_error_names_the_rows_as_they_were_given(quick: Quick, given: Any, beginning: str) -> None:
    """The files that are written for them are removed when the rows are refused."""
    with pytest.raises(UserError, match=f"^{re.escape(beginning)}"):
        quick(given, out="refused", text="note", label="kind", overrides=QUICK[:3])
    assert not list(Path("refused").rglob("*.parquet"))


@pytest.mark.parametrize("test", [[], FRAME[:0], pa.Table.from_pylist(ROWS)[:0]], ids=["list", "frame", "arrow"])
def test_test_rows_without_any_are_refused(quick: Quick, test: Any) -> None:
    with pytest.raises(UserError, match="train: test has no rows; add some, or leave it out"):
        quick(FRAME, test=test)


def test_several_processes_are_refused(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="with several processes the rows must be in a file"):
        quick(FRAME)
