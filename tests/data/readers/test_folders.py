"""Folders of text files: a folder a class, parts such as IMDB's, and what lies beside the texts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from featherweight.data.source_tables import has_split, note_on_part, open_table
from featherweight.data.sources import read_rows
from featherweight.data.splits import load_splits
from featherweight.data.text_pieces import text_pieces
from featherweight.errors import UserError
from featherweight.recipe import DataRecipe, Recipe


def written(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def read(source: Path, split: str = "train", **values: Any) -> Any:
    return read_rows(str(source), DataRecipe(train=str(source), **values), split=split)


def labels_of(rows: Any) -> list[str]:
    return [rows.label_names[label] for label in rows.labels]


def test_the_name_of_a_folder_is_the_class_of_its_texts(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "sport/002.txt": "A draw", "sport/001.txt": "A goal\n\nLate.", "business/001.txt": b"It cost \xa35m",
        "README.txt": "about", "sport/README": "about", "sport/.DS_Store": "x", "sport/figure.png": "x", "all.csv": "x",
    }  # fmt: skip
    rows = read(written(tmp_path, files))
    assert rows.texts == ["It cost £5m", "A goal\n\nLate.", "A draw"]
    assert labels_of(rows) == ["business", "sport", "sport"]
    assert rows.ids == ["business/001.txt", "sport/001.txt", "sport/002.txt"]
    assert rows.notes == (f"{tmp_path}: some files are not UTF-8, and were read as cp1252",)


def test_folders_that_are_not_read_are_said(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"neg/1.txt": "no", "pos/1.txt": "yes", "pos/old/1.txt": "yes", "so/1.md": "so"}
    assert read(written(tmp_path, files)).notes == (
        f"{tmp_path}: no text files (.txt) in so, so it was left out",
        f"{tmp_path}: left out, because a class has no subfolders: pos/old",
    )


def test_texts_without_an_ending_are_read_beside_an_adapter(tmp_path: Path) -> None:
    folder = written(tmp_path, {"1": "a goal", "2": "a draw", "saved/adapter_config.json": "{}"})
    table = open_table(str(folder), DataRecipe(train=str(folder)), "train")
    assert (table.names, table.read("text")) == (("id", "text"), ["a goal", "a draw"])


def imdb(folder: Path) -> Path:
    files: dict[str, str | bytes] = {
        f"{part}/{name}/{n}_9.txt": f"{part} {name} {n}"
        for part in ("train", "test") for name in ("neg", "pos") for n in range(6)
    }  # fmt: skip
    beside = {"README": "x", "imdb.vocab": "x", "train/urls_pos.txt": "x", "train/labeledBow.feat": "x"}
    return written(folder, {**files, **beside, "train/unsup/0_0.txt": "no label"})


def test_a_folder_with_parts_is_a_data_set_with_its_test(tmp_path: Path) -> None:
    source = imdb(tmp_path)
    splits = load_splits(Recipe.parse({"data": {"train": str(source), "validation_size": 4}}))
    assert (len(splits.train) + len(splits.validation), splits.train.label_names) == (12, ("neg", "pos"))
    assert splits.test is not None and len(splits.test) == 12 and splits.test.texts[0] == "test neg 0"
    assert f"{source} (train): unsup has no labels, and was left out" in splits.warnings
    data = DataRecipe(train=str(source))
    assert has_split(data, "test") and not has_split(data, "validation")
    assert str(note_on_part(str(source), data, "test")).endswith(f"to read another part, name it: {source / 'train'}")
    with pytest.raises(UserError, match=f"no part 'validation'; it has train, test; name one of them: {source}/train"):
        read(source, "validation")
    assert read(source / "test").texts[0] == "test neg 0"


@pytest.mark.parametrize(("folder", "split"), [
    ("20news-bydate-test", "test"), ("dev", "validation"), ("Valid", "validation"), ("training", "train"),
])  # fmt: skip
def test_parts_have_many_names(tmp_path: Path, folder: str, split: str) -> None:
    source = written(tmp_path, {f"{folder}/sci.space/49960": "Launch", f"{folder}/alt.atheism/51060": "Doubt"})
    rows = read(source, split)
    assert (rows.texts, rows.label_names) == (["Doubt", "Launch"], ("alt.atheism", "sci.space"))


def test_texts_in_one_folder_are_to_predict(tmp_path: Path) -> None:
    source = written(tmp_path, {"b.txt": "two", "a.txt": "one", "c.txt": "three"})
    first, second = text_pieces(str(source), DataRecipe(), split="test", rows=2)
    assert (first.texts, first.ids, second.texts) == (["one", "two"], ["a.txt", "b.txt"], ["three"])


def test_a_folder_of_other_files_names_them(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no \.txt files; name one of its files: bad\.csv, good\.csv"):
        read(written(tmp_path, {"good.csv": "text,label\n", "bad.csv": "text\n", "picture.png": "x"}))


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a/1.txt: byte 5 cannot be read as UTF-8"):
        read(written(tmp_path, {"a/1.txt": "öö".encode() + b"\xff", "b/1.txt": "x"}))
    with pytest.raises(UserError, match=r"a/1.txt: its bytes are not UTF-8; they may be cp1251"):
        read(written(tmp_path, {"a/1.txt": "привет".encode("cp1251")}))
    assert read(tmp_path, encoding="cp1251").texts[0] == "привет"


LINES = "One text.\nAnother.\nA third.\n\nA fourth.\nA fifth.\n"
NUMBERS = "0\n1\n0\n1\n1\n1\n"


@pytest.mark.parametrize(("files", "words"), [
    ({"test_text.txt": LINES, "test_labels.txt": NUMBERS, "train_text.txt": LINES, "train_labels.txt": NUMBERS},
     ("train_labels.txt seems to hold the labels of train_text.txt: paste ", "train_text-converted.tsv && feather")),
    ({"X.txt": LINES, "Y.txt": NUMBERS}, ("Y.txt seems to hold the labels of X.txt",)),
    ({"good.txt": LINES, "bad.txt": LINES}, ("Each file counts as one text", "if each file is a class: (for f in")),
    ({"a_labelled.txt": "One.\t1\n" * 6, "b_labelled.txt": "One.\t0\n" * 6}, ("a row a line: featherweight train",)),
    ({"train.txt": LINES, "test.txt": LINES}, ("if a file has a text a line: featherweight train", "train.txt")),
    ({f"{n}.txt": "One text." for n in range(9)}, ("Each file counts as one text", "with the name of its class")),
    ({"rt.pos": LINES, "rt.neg": LINES}, ("holds no .txt files", "If each of its files is a class: (for f in")),
    ({"Fake.csv": "text,date\na,b\n", "True.csv": "text,date\nc,d\n"},
     ("name one of its files", "/*.csv'; if each of its files is a class: python -c", "-converted.csv")),
])  # fmt: skip
def test_a_folder_without_labels_says_how_to_make_one_file(
    tmp_path: Path, files: dict[str, str | bytes], words: tuple[str, ...]
) -> None:
    with pytest.raises(UserError) as caught:
        read(written(tmp_path, files))
    assert all(word in str(caught.value) for word in words) and str(caught.value).count("\n") == 1


def test_the_command_for_a_file_per_class_makes_a_file_that_is_read(tmp_path: Path) -> None:
    folder = written(tmp_path / "it's", {"rt.pos": LINES.encode() + b"caf\xe9\n", "rt a.neg": LINES})
    with pytest.raises(UserError) as caught:
        read(folder)
    subprocess.run(str(caught.value).rpartition("is a class: ")[2], shell=True, check=True)
    rows = read(tmp_path / "it's-converted.txt")
    assert (len(rows.texts), rows.label_names) == (11, ("rt.pos", "rt_a.neg"))


@pytest.mark.parametrize("ending", [".txt", ".csv"])
def test_the_command_for_many_files_with_long_names_joins_all_of_them(tmp_path: Path, ending: str) -> None:
    names = [f"{'a-long-name-of-a-class-' * 2}{letter}" for letter in "abcdefghijklmnopq"]
    text = LINES if ending == ".txt" else "text,date\na,b\n"
    folder = written(tmp_path / "many classes", {f"{name}{ending}": text for name in names})
    with pytest.raises(UserError) as caught:
        read(folder)
    command = str(caught.value).rpartition("is a class: ")[2].replace("python -c", f"{sys.executable} -c")
    subprocess.run(command, shell=True, check=True)
    file = tmp_path / f"many classes-converted{ending}"
    assert {*read_rows(str(file), DataRecipe(train="x")).label_names} == {*names}
