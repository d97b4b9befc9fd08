"""Several files of one table, and folders of them: as Spark, pandas and the hub write them."""

from __future__ import annotations

import json
import resource
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from featherweight.data.source_tables import has_split, note_on_part, open_table, open_tables
from featherweight.data.sources import read_rows
from featherweight.data.splits import load_splits
from featherweight.data.text_pieces import text_pieces
from featherweight.errors import UserError
from featherweight.recipe import DataRecipe, Recipe


def written(folder: Path, files: dict[str, str]) -> str:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
    return str(folder)


def parquet(folder: Path, name: str, rows: Sequence[tuple[str, str]]) -> None:
    pyarrow, writer = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {"idx": range(len(rows)), "text": [text for text, _ in rows], "label": [label for _, label in rows]}
    writer.write_table(pyarrow.table(columns), path)


def read(source: str, split: str = "train", **values: Any) -> Any:
    return read_rows(source, DataRecipe(train=source, **values), split=split)


@pytest.mark.parametrize("name", ["dataset_infos", "config", "dataset-metadata", "croissant", "label2id"])
def test_a_file_that_describes_the_data_is_no_part_of_them(tmp_path: Path, name: str) -> None:
    source = written(tmp_path, {"reviews.csv": "text,label\ngood,a\nbad,b\n", f"{name}.json": '{"version": 1}'})
    assert read(source).texts == ["good", "bad"]


def test_a_folder_in_the_layout_of_the_hub_is_a_data_set_with_its_test(tmp_path: Path) -> None:
    rows = [(f"text {number}", "ab"[number % 2]) for number in range(24)]
    parquet(tmp_path, "data/train-00001-of-00002.parquet", rows[10:20])
    parquet(tmp_path, "data/train-00000-of-00002.parquet", rows[:10])
    parquet(tmp_path, "data/test-00000-of-00001.parquet", rows[20:])
    source = written(tmp_path, {"README.md": "about", "config.json": "{}", ".gitattributes": ""})
    splits = load_splits(Recipe.parse({"data": {"train": source, "validation_size": 4}}))
    assert (len(splits.train), len(splits.validation)) == (16, 4)
    assert splits.test is not None and splits.test.texts == [text for text, _ in rows[20:]]
    assert read(source).texts == [text for text, _ in rows[:20]]
    told = "2 files were read as one table: train-00000-of-00002.parquet, train-00001-of-00002.parquet"
    assert read(source).notes == (f"{source} (train): {told}",)
    assert not has_split(DataRecipe(train=source), "validation")
    with pytest.raises(UserError, match=r"no part 'validation'; it has train, test; name one of them: ") as refused:
        read(source, "validation")
    *_, test = str(refused.value).split(", ")
    assert read(test).texts == [text for text, _ in rows[20:]]
    read_part = f"{source}: only its part 'test' is read, not train; to read another part, name it: "
    note = str(note_on_part(source, DataRecipe(train=source), "test"))
    (train,) = shlex.split(note.removeprefix(read_part))
    assert note.startswith(read_part) and read(train).texts == [text for text, _ in rows[:20]]


@pytest.mark.parametrize("size", [None, 2, 3])
def test_pieces_of_several_files_count_the_rows_of_all(tmp_path: Path, size: int | None) -> None:
    for number in (2, 10, 1):
        parquet(tmp_path, f"part-{number}.parquet", [(f"{number} {place}", "a") for place in range(3)])
    data = DataRecipe(train=str(tmp_path))
    pieces = list(open_tables(str(tmp_path), data, "test", size, lambda table: ["text"]))
    texts = [text for piece in pieces for text in piece.read("text")]
    assert texts == [f"{number} {place}" for number in (1, 2, 10) for place in range(3)]
    lengths = [len(piece.read("text")) for piece in pieces]
    assert [piece.before for piece in pieces] == [sum(lengths[:place]) for place in range(len(pieces))]
    assert {piece.origin for piece in pieces} == {str(tmp_path)}


ONE, TWO = "text,label\none,a\ntwo,b\n", "text,label\nthree,a\n"


@pytest.mark.parametrize(
    "names",
    [
        ("part-1.csv", "part-2.csv"),
        ("part-00000-2f9b-c000.csv", "part-00001-2f9b-c000.csv"),  # Spark
        ("part.0.csv", "part.1.csv"),  # Dask
        ("tickets_2023.csv", "tickets_2024.csv"),
        ("0000.csv", "0001.csv"),
        ("train/a1.csv", "train/a2.csv"),
    ],
)
def test_files_whose_names_differ_in_a_number_are_one_table(tmp_path: Path, names: tuple[str, str]) -> None:
    source = written(tmp_path, {names[0]: ONE, names[1]: TWO, "_SUCCESS": "", ".part.csv.crc": "x", "notes.txt": "x"})
    rows = read(source)
    assert (list(rows.texts), list(rows.labels)) == (["one", "two", "three"], [0, 1, 0])


@pytest.mark.parametrize("rows", ["__label__{1} {0}\n", "{0}@{1}\n", "{0}\t{1}\n", "{0};{1}\n", "{0} ::: {1}\n"])
def test_text_files_of_labelled_lines_are_parts(tmp_path: Path, rows: str) -> None:
    pairs = [(f"text number {place}", "xy"[place % 2]) for place in range(12)]
    content = "".join(rows.format(*pair) for pair in pairs)
    header = "" if rows.startswith(("_", "{0}@")) else rows.format("text", "label")
    source = written(tmp_path / "set", {f"{part}.txt": header + content for part in ("train", "val", "test", "labels")})
    for split in ("train", "validation", "test"):
        table = open_table(source, DataRecipe(train=source), split)
        assert table.origin == f"{source} ({split})"
        assert [*zip(table.read("text"), table.read("label"), strict=True)] == pairs
    if header:
        written(tmp_path / "set", {"train.txt": content})
        with pytest.raises(UserError, match=r"train\.txt: its first line seems to be a row(.|\n)*data\.columns="):
            open_table(source, DataRecipe(train=source), "train")


def test_text_files_of_texts_alone_stay_one_text_each(tmp_path: Path) -> None:
    source = written(tmp_path / "set", {f"{part}.txt": "One text.\nAnother one.\n" for part in ("train", "test")})
    assert list(open_table(source, DataRecipe(train=source), "train").read("id")) == ["test.txt", "train.txt"]


@pytest.mark.parametrize(
    "files",
    [
        {"pos/1.txt": "one", "neg/1.txt": "two", "part-1.csv": ONE, "part-2.csv": TWO},  # a folder a class
        {"train/pos/1.txt": "one", "train/neg/1.txt": "two", "train.csv": ONE},
    ],
)
def test_a_folder_a_class_is_one_whatever_lies_beside_it(tmp_path: Path, files: dict[str, str]) -> None:
    rows = read(written(tmp_path, files))
    assert sorted(rows.texts) == ["one", "two"] and rows.label_names == ("neg", "pos")


def test_parts_may_be_single_files_or_folders(tmp_path: Path) -> None:
    kaggle = written(
        tmp_path / "a", {"train.csv": ONE, "test.csv": "text\nnew\n", "sample_submission.csv": "id,label\n"}
    )
    pieces = text_pieces(kaggle, DataRecipe(train=kaggle), split="test", rows=5)
    assert (read(kaggle).texts, [piece.texts for piece in pieces]) == (["one", "two"], [["new"]])
    folders = written(tmp_path / "b", {"train/part-0.csv": ONE, "train/part-1.csv": TWO, "dev/part-0.csv": TWO})
    assert (len(read(folders)), len(read(folders, "validation"))) == (3, 1)
    assert read(written(tmp_path / "c", {"reviews.csv": ONE})).texts == ["one", "two"]


def test_rows_of_json_may_lack_columns_in_some_files(tmp_path: Path) -> None:
    lines = [{"text": "one", "label": "a", "note": "x"}, {"text": "two", "label": "b"}]
    source = written(tmp_path, {f"r-{n}.jsonl": json.dumps(line) for n, line in enumerate(lines)})
    assert read(source).texts == ["one", "two"]
    assert open_table(source, DataRecipe(train=source), "train").read("note") == ["x", None]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"part-1.csv": ONE, "part-2.csv": "review,label\nx,a\n"},
            "its files are not one table: part-2.csv has the columns review, label, but part-1.csv has text, label\n",
        ),
        (
            {"part-1.jsonl": '{"text": "a", "label": "b"}', "part-2.jsonl": '{"body": "a", "label": "b"}'},
            "its files are not one table: part-2.jsonl has the columns body, label, but part-1.jsonl has text, label\n",
        ),
        ({"part-1.csv": ONE, "part-2.csv": 'text,label\n"three,a\n'}, r"part-2\.csv: line 2: broken quoting"),
        ({"reviews.csv": ONE, "tickets.csv": TWO}, "name one of its files: reviews.csv, tickets.csv"),
        ({"rows.csv": ONE, "job.toml": ""}, "name one of its files: rows.csv"),  # a folder to work in
        ({"rows.csv": ONE, "rows.json": "[]"}, "name one of its files: rows.csv, rows.json"),
        ({"rows.csv": ONE, "rows.csv.gz": ""}, "name one of its files: rows.csv, rows.csv.gz"),
        ({"rows.csv": ONE, "rows2.csv": TWO}, "name one of its files: rows.csv, rows2.csv"),
        ({"data/mnli_a.csv": ONE, "data/mnli_b.csv": ONE}, "name one of its files: data/mnli_a.csv, data/mnli_b.csv"),
    ],
)
@pytest.mark.parametrize("rows", [None, 1])
def test_files_that_are_not_one_table_are_named(
    tmp_path: Path, files: dict[str, str], message: str, rows: int | None
) -> None:
    source = written(tmp_path, files)
    with pytest.raises(UserError, match=message):
        list(open_tables(source, DataRecipe(train=source), "train", rows))


def test_a_pattern_names_several_files(tmp_path: Path) -> None:
    written(tmp_path, {"a-2.csv": TWO, "a-1.csv": ONE, "b-1.csv": "other\n"})
    assert read(str(tmp_path / "a-*.csv")).texts == ["one", "two", "three"]
    with pytest.raises(UserError, match=r"c-\*\.csv: no such file"):
        read(str(tmp_path / "c-*.csv"))


@pytest.mark.parametrize("empty", ["text,label\n", ""])
@pytest.mark.parametrize("place", [1, 2, 3])
def test_files_without_rows_are_part_of_a_table(tmp_path: Path, empty: str, place: int) -> None:
    files = {f"part-{number}.csv": ONE if number < 3 else TWO for number in (1, 2, 3)} | {f"part-{place}.csv": empty}
    source = written(tmp_path, files)
    data = DataRecipe(train=source)
    pieces = list(text_pieces(source, data, split="test", rows=2))
    assert [text for piece in pieces for text in piece.texts] == list(read(source).texts)
    written(tmp_path, dict.fromkeys(files, "text,label\n"))
    for tried in (lambda: list(text_pieces(source, data, split="test", rows=2)), lambda: read(source)):
        with pytest.raises(UserError, match="the data set is empty"):
            tried()


def test_more_parts_than_files_may_be_open_at_once(tmp_path: Path) -> None:
    for number in range(60):
        parquet(tmp_path, f"part-{number:05}.parquet", [(f"text {number}", "ab"[number % 2])])
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with (tmp_path / "part-00000.parquet").open() as file:
        resource.setrlimit(resource.RLIMIT_NOFILE, (file.fileno() + 30, before[1]))
    try:
        assert read(str(tmp_path)).texts == [f"text {number}" for number in range(60)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
