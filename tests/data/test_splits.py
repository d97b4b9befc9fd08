"""The parts of a job: drawn by class and seed, labelled alike, and honest about their size."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featherweight.data.sources import Rows, read_rows
from featherweight.data.split_warnings import half_width, repeated_rows
from featherweight.data.splits import load_part, load_splits, split_off
from featherweight.errors import UserError
from featherweight.recipe import DataRecipe, Recipe

pytestmark = pytest.mark.usefixtures("as_options")


def recipe(seed: int = 0, shift: tuple[str, ...] = (), **data: Any) -> Recipe:
    return Recipe.parse({"name": "t", "seed": seed, "data": data, "evaluation": {"shift": list(shift)}})


def write_rows(path: Path, counts: dict[str, int], prefix: str = "") -> str:
    rows = [
        {"text": f"{prefix}{label} {number}", "label": label} for label in counts for number in range(counts[label])
    ]
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return str(path)


def make_rows(counts: list[int]) -> Rows:
    labels = np.repeat(np.arange(len(counts)), counts)
    names = tuple(f"class {number}" for number in range(len(counts)))
    return Rows([f"text {number}" for number in range(len(labels))], labels, names, "made.csv")


def test_newsbriefs_splits_by_class_and_brings_its_test() -> None:
    splits = load_splits(recipe(train="newsbriefs", validation_size=0.15))
    assert [len(splits.train), len(splits.validation), len(splits.test or ())] == [816, 144, 240]
    assert splits.train.label_names == ("World", "Sports", "Business", "Sci/Tech")
    for rows in (splits.train, splits.validation):
        assert len(set(Counter(rows.labels.tolist()).values())) == 1
    assert any("144 validation rows" in line and "±4.9 points" in line for line in splits.warnings)


def test_classes_that_may_be_one_are_a_warning(tmp_path: Path) -> None:
    train = write_rows(tmp_path / "train.jsonl", {"Spam": 4, "SPAM": 4, "ham": 4})
    assert any(
        line == "labels that differ only in case: 'SPAM' and 'Spam'; they count as different classes: "
        "if they are one, write them alike"
        for line in load_splits(recipe(train=train, validation_size=3)).warnings
    )


def test_classes_that_may_be_one_become_one_by_the_command_of_the_warning(tmp_path: Path) -> None:
    path = tmp_path / "my train.csv"
    spellings = {"Spam": 3, "SPAM": 4, "it's": 4, "It's": 3, "NA": 4}
    rows = [f'"text {n}, {label}",{label}\n' for label, count in spellings.items() for n in range(count)]
    path.write_text("text,kind\n" + "".join(rows), "utf-8")
    labelled = recipe(train=str(path), label="kind", labels=[*spellings], validation_size=5)
    splits = load_splits(labelled)
    ((warning, command),) = splits.remedies.items()
    assert (
        warning in splits.warnings and warning.endswith("write them alike") and f"{warning}: {command}" in splits.notes
    )
    subprocess.run(command.replace("python", sys.executable, 1), shell=True, check=True)
    merged = (tmp_path / "my train-converted.csv").read_text("utf-8").splitlines()
    assert Counter(one.rpartition(",")[2] for one in merged[1:]) == {"SPAM": 7, "it's": 7, "NA": 4}
    assert [one.rpartition(",")[0] for one in merged[1:]] == [one.rpartition(",")[0] for one in rows]


@pytest.mark.parametrize(("name", "header", "row", "more"), [
    ("a.csv", "text,kind", '"said ""no, {n}""\nand left",{label}', {}),
    ("a.csv", "text,kind", "text {n},{label},", {"encoding": "utf-8"}),  # an empty field that the header lacks
    ("a.csv", "text;kind;id", '"said ""no; {n}""\nand left";{label};{n}', {}),
    ("a.csv", "kind|text", '{label}|"one | two {n}"', {}),
    ("a.csv", "text\tkind", '"quoted" {n}\t{label}', {}),
    ("a.tsv", "text\tkind\tid", '"quoted\t{n}"\t{label}\t{n}', {}),
    ("a.tsv", "kind\ttext", '{label}\t"a mark alone {n}', {}),
    ("a.csv", "text^kind", '"one ^ {n}, and two; or"^{label}', {"separator": "^"}),
])  # fmt: skip
def test_the_command_that_writes_labels_alike_keeps_all_other_cells(
    tmp_path: Path, name: str, header: str, row: str, more: dict[str, Any]
) -> None:
    rows = [row.format(n=n, label="Spam" if n % 3 else " SPAM" if n % 2 else "ham") for n in range(24)]
    (path := tmp_path / name).write_text("\n".join([header, *rows, ""]), "utf-8")
    ((_, command),) = load_splits(recipe(train=str(path), label="kind", validation_size=6, **more)).remedies.items()
    subprocess.run(command.replace("python", sys.executable, 1), shell=True, check=True)
    data = DataRecipe.model_validate({"label": "kind", **more})
    before, after = (read_rows(str(one), data) for one in (path, path.with_stem("a-converted")))
    assert (after.texts, after.ids) == (before.texts, before.ids)
    assert [note.replace("a-converted.", "a.") for note in after.notes] == [*before.notes]
    assert after.names_of(after.labels) == ["Spam" if one == "SPAM" else one for one in before.names_of(before.labels)]
    assert "SPAM" in before.label_names and "SPAM" not in after.label_names


@pytest.mark.parametrize(("lines", "encoding", "more"), [
    (["text,kind", "ein Text für {n},{label}"], "cp1252", {}),
    (["text;kind", "ein Text für {n};{label}"], "utf-16", {}),
    (["text,kind", "ein Text für {n},{label}"], "utf-8", {"encoding": "latin-1"}),
    (["ein Text für {n},{label}"], "utf-8", {"columns": ["text", "kind"]}),
    (["sep=;", "text;kind", "ein Text für {n};{label}"], "utf-8", {}),
    (["text;kind", r'"sagt \"{n}\"; geht";{label}'], "utf-8", {}),
    (["text,kind", '"so, {n}", "{label}"'], "utf-8", {}),
    (["text:::kind", "ein Text für {n}:::{label}"], "utf-8", {}),
])  # fmt: skip
def test_the_command_that_writes_labels_alike_is_only_for_files_that_it_keeps(
    tmp_path: Path, lines: list[str], encoding: str, more: dict[str, Any]
) -> None:
    *header, row = lines
    labels = ["Spam" if n % 3 else "SPAM" for n in range(18)]
    rows = [row.format(n=n, label=label) for n, label in enumerate(labels)]
    (path := tmp_path / "train.csv").write_bytes("\n".join([*header, *rows, ""]).encode(encoding))
    splits = load_splits(recipe(train=str(path), label="kind", validation_size=6, **more))
    assert any(warning.endswith("write them alike") for warning in splits.warnings)
    assert not splits.remedies


def test_the_seed_decides_and_nothing_else() -> None:
    first, again, other = (load_splits(recipe(seed, validation_size=100)).validation.texts for seed in (1, 1, 2))
    assert first == again
    assert first != other


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(2, 60), min_size=2, max_size=5), st.floats(0.05, 0.6), st.integers(0, 2**31 - 1))
def test_a_split_loses_no_row_and_keeps_the_shares(counts: list[int], size: float, seed: int) -> None:
    rows = make_rows(counts)
    try:
        train, validation = split_off(rows, size, seed)
    except UserError:
        wanted = round(size * len(rows))
        assert wanted < len(counts) or min(counts) * (1 - size) < 1.5 or len(rows) - wanted < len(counts)
        return
    assert sorted(train.texts + validation.texts) == sorted(rows.texts)
    assert len(validation) == round(size * len(rows))
    for label, count in enumerate(counts):
        assert abs((validation.labels == label).sum() - count * len(validation) / len(rows)) <= 1


def test_rows_keep_their_order_and_their_ids() -> None:
    rows = Rows(["a", "b", "c", "d"], np.array([0, 0, 1, 1]), ("x", "y"), "f", ["1", "2", "3", "4"])
    train, validation = split_off(rows, 2, seed=0)
    assert train.ids == sorted(train.ids or []) and validation.ids == sorted(validation.ids or [])


def test_a_sample_of_training_rows_leaves_the_validation_as_it_is(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.jsonl", {"x": 300, "y": 100})
    whole = load_splits(recipe(train=path, validation_size=40))
    small = load_splits(recipe(train=path, validation_size=40, train_rows=80))
    assert small.validation.texts == whole.validation.texts
    assert Counter(small.train.labels.tolist()) == {0: 60, 1: 20}
    assert load_splits(recipe(train=path, validation_size=40, train_rows=359)).train.labels.shape == (359,)
    too_many = load_splits(recipe(train=path, validation_size=40, train_rows=9000))
    assert len(too_many.train) == 360
    assert any("9,000" in line and "360" in line for line in too_many.warnings)


def test_parts_share_the_training_classes(tmp_path: Path) -> None:
    train = write_rows(tmp_path / "train.jsonl", {"b": 9, "a": 9})
    validation = write_rows(tmp_path / "validation.jsonl", {"b": 2}, "new ")
    splits = load_splits(recipe(train=train, validation=validation))
    assert splits.validation.label_names == ("a", "b")
    assert splits.validation.labels.tolist() == [1, 1]
    assert any("no validation row has the label 'a'" in line for line in splits.warnings)
    strange = write_rows(tmp_path / "test.jsonl", {"a": 1, "c": 1})
    with pytest.raises(UserError, match=r"test\.jsonl: row 2: unknown label 'c'"):
        load_splits(recipe(train=train, test=strange))


def test_repeated_texts_are_counted(tmp_path: Path) -> None:
    train = write_rows(tmp_path / "train.jsonl", {"a": 9, "b": 9})
    test = write_rows(tmp_path / "test.jsonl", {"a": 4, "b": 3})
    fresh = write_rows(tmp_path / "fresh.jsonl", {"a": 4, "b": 3}, "new ")
    warnings = load_splits(recipe(train=train, validation=fresh, test=test)).warnings
    assert any("7 of 7 test rows repeat a training text" in line for line in warnings)
    assert not any("validation rows repeat" in line for line in warnings)


@pytest.mark.parametrize(("copies", "said"), [(1, False), (2, True), (9, True)])
def test_test_rows_that_are_often_the_same_are_a_warning(tmp_path: Path, copies: int, said: bool) -> None:
    train = write_rows(tmp_path / "train.jsonl", {"a": 9, "b": 9})
    test = write_rows(tmp_path / "test.jsonl", {"a": 18, "b": 9}, "new ")
    lines = Path(test).read_text("utf-8").splitlines()
    Path(test).write_text("\n".join([*lines, *lines[:1] * copies]) + "\n", "utf-8")
    warnings = [line for line in load_splits(recipe(train=train, test=test)).warnings if "independent" in line]
    which = f"{copies} of {27 + copies} test rows repeat an earlier one: they are not independent, so the 95% intervals"
    assert warnings == ([f"{which} are too narrow"] if said else [])


def test_a_shift_set_is_read_beside_the_test(tmp_path: Path) -> None:
    labels = ("World", "Sports", "Business", "Sci/Tech")
    path = tmp_path / "numbers.csv"
    path.write_text("text,label\nOil,2\nGoal,1\n")
    splits = load_splits(recipe(shift=(str(path), "newsbriefs"), train="newsbriefs"))
    assert list(splits.shift) == [str(path), "newsbriefs"]
    assert splits.shift[str(path)].labels.tolist() == [2, 1]
    assert splits.shift["newsbriefs"].label_names == labels


def test_half_width_is_that_of_the_normal_approximation() -> None:
    assert half_width(5000) == pytest.approx(0.0083, abs=1e-4)


@pytest.mark.parametrize(
    ("counts", "data", "words"),
    [
        ({"a": 9}, {}, ["'a'", "two classes"]),
        ({"a": 9, "b": 1}, {}, ["class 'b' has 1 row", "two rows of each class"]),
        ({"a": 9, "b": 9}, {"labels": ["a", "b", "c"]}, ["no training row has the label 'c'"]),
        ({"a": 9, "b": 9}, {"validation_size": 17}, ["17 validation rows"]),
        ({"a": 9, "b": 9}, {"validation_size": 0.01}, ["0 validation rows"]),
        ({"a": 9, "b": 9}, {"train_rows": 1}, ["data.train_rows = 1", "2 classes"]),
        ({"a": 2000, "b": 2}, {"train_rows": 20}, ["class 'b' has 2 of", "data.train_rows"]),
        ({"a": 40, "b": 2}, {"validation_size": 40}, ["class 'b' has 2 of", "data.validation_size"]),
    ],
)
def test_data_that_cannot_be_split_is_refused(
    tmp_path: Path, counts: dict[str, int], data: dict[str, Any], words: list[str]
) -> None:
    path = write_rows(tmp_path / "train.jsonl", counts)
    with pytest.raises(UserError) as caught:
        load_splits(recipe(train=path, **data))
    for word in words:
        assert word in str(caught.value)


def test_a_part_read_alone_is_the_part_of_the_whole(tmp_path: Path) -> None:
    train = write_rows(tmp_path / "train.jsonl", {"x": 60, "y": 40})
    test = write_rows(tmp_path / "test.jsonl", {"x": 5, "y": 5}, "new ")
    job = recipe(3, train=train, test=test, validation_size=20, train_rows=30)
    whole = load_splits(job)
    for part in ("train", "validation", "test"):
        alone, wanted = load_part(job, part, whole.train.label_names), getattr(whole, part)
        assert alone.texts == wanted.texts and alone.labels.tolist() == wanted.labels.tolist(), part


def test_the_seed_draws_the_sample_and_all_rows_are_no_sample(tmp_path: Path) -> None:
    data = {"train": write_rows(tmp_path / "a.jsonl", {"x": 60, "y": 40})}
    data["validation"] = write_rows(tmp_path / "b.jsonl", {"x": 2, "y": 2}, "new ")
    samples = [load_splits(recipe(seed, **data, train_rows=30)).train.texts for seed in (0, 0, 1)]
    assert samples[0] == samples[1] != samples[2]
    every = load_splits(recipe(**data, train_rows=100))
    assert len(every.train) == 100 and not any("train_rows" in line for line in every.warnings)


def test_sizes_are_rounded_and_one_row_of_each_class_is_enough() -> None:
    rows = make_rows([10, 9])
    assert len(split_off(rows, 0.25, 0)[1]) == 5  # of 4.75
    assert len(split_off(rows, 2, 0)[1]) == 2


def test_a_text_repeats_another_whatever_blanks_stand_around_it() -> None:
    train = Rows(["apple ", "pear", "plum"], np.array([0, 1, 0]), ("a", "b"), "f")
    assert repeated_rows(Rows([" apple", "pear  ", "fig"], None, ("a", "b"), "g"), train) == 2


@pytest.mark.parametrize("part", ["test", "validation"])
def test_a_part_whose_texts_are_called_otherwise_says_what_to_rename(tmp_path: Path, part: str) -> None:
    (tmp_path / "train.csv").write_text(
        "review,label\n" + "".join(f"so good it is {n},{'ab'[n % 2]}\n" for n in range(8))
    )
    (tmp_path / "other.csv").write_text(
        "comment,label\n" + "".join(f"so bad it is {n},{'ab'[n % 2]}\n" for n in range(8))
    )
    given = {"train": str(tmp_path / "train.csv"), part: str(tmp_path / "other.csv"), "text": ["review"]}
    with pytest.raises(UserError, match="no column 'review', which holds the texts in the training data") as caught:
        load_splits(recipe(**given))
    said = str(caught.value).split("\n")[1]
    assert said.startswith("Rename its column 'comment' to 'review'; or train without this file, and then: ")
    assert said.endswith("featherweight evaluate RUN --data FILE --text comment --label COLUMN")


def test_numbers_for_named_classes_have_the_option_to_type(tmp_path: Path) -> None:
    train, test = write_rows(tmp_path / "train.jsonl", {"bad": 4, "good": 4}), tmp_path / "test.csv"
    test.write_text("text,label\none,0\ntwo,1\n")
    with pytest.raises(UserError, match="nothing says which class") as caught:
        load_splits(recipe(train=train, test=str(test), validation_size=2))
    option = str(caught.value).rpartition("--set ")[2].strip("'")
    assert option == 'data.labels=["bad", "good"]'
    splits = load_splits(recipe(train=train, test=str(test), validation_size=2, labels=["bad", "good"]))
    assert splits.test is not None
    assert splits.test.names_of(splits.test.labels) == ["bad", "good"]
