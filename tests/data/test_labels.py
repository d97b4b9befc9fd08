"""Labels become class numbers, and no label is guessed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featherweight.data.class_names import label_names_of
from featherweight.data.label_spelling import alike, class_names, meant_name, nearly_alike
from featherweight.data.labels import NO_NAMES, code_labels
from featherweight.errors import UserError
from featherweight.recipe import DataRecipe

pytestmark = pytest.mark.usefixtures("as_options")

AG = ("World", "Sports", "Business", "Sci/Tech")
NFC, NFD = "\u00c9conomie", "E\u0301conomie"
"""One word, whose first letter is one character, or a letter and an accent."""


@pytest.mark.parametrize(
    ("values", "options", "codes", "names"),
    [
        (["b", " a ", "b"], {}, [1, 0, 1], ("a", "b")),
        (["10", "9", "10"], {}, [1, 0, 1], ("9", "10")),
        ([10, 9, 2], {}, [2, 1, 0], ("2", "9", "10")),
        ([1, 2, 4], {}, [0, 1, 2], ("1", "2", "4")),
        ([1.0, 0.0], {}, [1, 0], ("0", "1")),
        (["1.0", "0.0"], {}, [1, 0], ("0", "1")),
        ([True, False], {}, [1, 0], ("false", "true")),
        (["007", "7"], {}, [0, 1], ("007", "7")),
        (["True", "False"], {}, [1, 0], ("False", "True")),
        ([True, False], {"names": ("False", "True")}, [1, 0], ("False", "True")),
        (["True", "FALSE"], {"names": ("false", "true")}, [1, 0], ("false", "true")),
        ([True, "true", "False"], {}, [1, 1, 0], ("False", "true")),
        (["True", "true", "False"], {}, [1, 1, 0], ("False", "true")),
        ([1, 0], {"names": ("False", "True")}, [1, 0], ("False", "True")),
        (["0.0", "1.0"], {"names": ("false", "true")}, [0, 1], ("false", "true")),
        ([True, False], {"names": ("0", "1")}, [1, 0], ("0", "1")),
        ([1, 0], {"names": ("true", "false"), "numbered": True}, [1, 0], ("true", "false")),
        ([NFD, "Sport"], {"names": ("Sport", NFC)}, [1, 0], ("Sport", NFC)),
        ([NFC, "Sport"], {"names": ("Sport", NFD)}, [1, 0], ("Sport", NFD)),
        ([NFC, NFD, "Sport"], {}, [1, 1, 0], ("Sport", NFC)),
        ([NFD, "Zoo"], {}, [0, 1], (NFD, "Zoo")),  # as earlier versions numbered them
        ([NFC, NFD], {"names": (NFD, NFC)}, [1, 0], (NFD, NFC)),
        (["1", "2"], {"names": ("1", "2", "other")}, [0, 1], ("1", "2", "other")),
        ([2.0, 1.0], {"names": ("1", "2", "other")}, [1, 0], ("1", "2", "other")),
        (["1.0", "other"], {"names": ("1", "2", "other")}, [0, 2], ("1", "2", "other")),
        ([1.0, "other", "1"], {}, [0, 1, 0], ("1", "other")),
        ([3, 0], {"names": AG, "numbered": True}, [3, 0], AG),
        (["3", "0"], {"names": AG, "numbered": True}, [3, 0], AG),
        (["Sports", "World"], {"names": AG}, [1, 0], AG),
        ([4, 1], {"names": ("1", "2", "4")}, [2, 0], ("1", "2", "4")),
        ([0, 1], {"carried": ("ham", "spam")}, [0, 1], ("ham", "spam")),
        ([0, 1], {"carried": ("spam", "ham"), "names": ("ham", "spam")}, [1, 0], ("ham", "spam")),
        ([0, 1], {"carried": ("Sports", "World"), "names": AG}, [1, 0], AG),
        ([0, 1], {"carried": ("a", "b"), "names": ("A", "B"), "rename": True}, [0, 1], ("A", "B")),
        ([0, 1], {"carried": ("a", "b"), "names": ("b", "a"), "rename": True}, [1, 0], ("b", "a")),
    ],
)
def test_labels_of_every_sort(values: list[Any], options: dict[str, Any], codes: list[int], names: tuple[str]) -> None:
    coded, agreed = code_labels(values, "f", **options)
    assert (coded.tolist(), agreed) == (codes, names)


@pytest.mark.parametrize(
    ("values", "options", "words"),
    [
        (["World", "Sport"], {"names": AG}, ["row 2", "'Sport'", "did you mean 'Sports'"]),
        ([0, 4], {"names": AG, "numbered": True}, ["row 2", "4", "0 to 3"]),
        ([-1], {"names": AG, "numbered": True}, ["row 1", "-1"]),
        ([0, 2], {"carried": ("a", "b")}, ["row 2", "2", "0 to 1"]),
        ([0, -1], {"carried": ("a", "b")}, ["row 2", "If -1 means no label", "data.empty=drop"]),
        ([0, 1, -1], {"names": ("b", "a"), "numbered": True}, ["row 3", "If -1 means no label", "data.empty=drop"]),
        ([0, 1, -1], {"names": ("b", "a", "c"), "numbered": True}, ["row 3: unknown label -1", "0 to 2: correct"]),
        ([0, 1], {"carried": ("a", "b"), "names": AG}, ["row 1", "'a'"]),
        ([0, 1], {"names": ("a", "b")}, ["numbers", "data.labels"]),
        ([0, 2], {"names": ("False", "True")}, ["numbers", "data.labels"]),
        (["1", "2"], {"names": ("01", "02")}, ["without the leading zeros of the classes (01, 02)", "dtype=str"]),
        (["0.5", "1.0"], {}, ["row 1", '--set \'data.labels=["0.5", "1.0"]\'']),
        (["a", "-", "b"], {}, ["row 2", "missing (-)", '--set \'data.labels=["-", "a", "b"]\'']),
        (["a", None], {}, ["row 2", "missing"]),
        ([1.0, float("nan")], {}, ["row 2", "missing"]),
        ([0.5], {}, ["row 1", "0.5"]),
        ([float("inf")], {}, ["row 1", "inf"]),
        (["a", "nan"], {}, ["row 2", "missing (nan)", "data.labels"]),
        (["a", "b", "NaN"], {}, ["row 3", "missing (NaN)"]),
        (["a", ["b"]], {}, ["row 2", "list"]),
        ([], {}, ["empty"]),
    ],
)
def test_a_label_that_cannot_be_meant_is_refused(values: list[Any], options: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        code_labels(values, "data.csv", **options)
    for word in ["data.csv", *words]:
        assert word in str(caught.value)


LABEL = st.text(st.characters(categories=("L",)), min_size=1, max_size=4).map(alike)


@given(st.lists(LABEL.filter(lambda label: label.casefold() not in NO_NAMES), min_size=1))  # those mean: missing
def test_the_names_give_back_the_labels(values: list[str]) -> None:
    codes, names = code_labels(values, "f")
    assert [names[code] for code in codes] == values
    assert list(names) == sorted(set(values))


def test_the_names_are_sorted_as_the_rows_spell_them_and_alike_ones_are_one_class() -> None:
    assert class_names(["b", NFD, "a", NFC]) == tuple(sorted(("a", "b", NFC)))
    assert class_names([10, 9]) == ("9", "10")
    assert class_names(["a", "\ufeffa", "b\u200b", "b"]) == ("a", "b")
    assert class_names(["TRUE", "true", "FALSE"]) == ("FALSE", "true")


def test_texts_that_look_like_gaps_and_amounts_are_classes_where_somebody_says_so() -> None:
    for names in (("3.10", "3.11"), ("nan", "yes")):
        with pytest.raises(UserError, match=r"data\.labels"):
            code_labels(list(names), "f")
        assert code_labels(list(names), "f", names=names)[1] == names
    assert code_labels(["007", "-1", "1.0"], "f")[1] == ("-1", "007", "1.0")


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (["Yes", "YES", "no"], "case: 'Yes' and 'YES'"),
        (["a b", "a  b"], "blanks: 'a b' and 'a  b'"),
        (["7", "007"], "leading zeros: '7' and '007'"),
        (["A b", "a  b", "x"], "case or blanks: 'A b' and 'a  b'"),
        (["0", "no", "nope"], None),
    ],
)
def test_names_that_may_be_one_class_are_named(names: list[str], what: str | None) -> None:
    expected = what and f"labels that differ only in {what}; they count as different classes"
    assert nearly_alike(names) == expected


def test_a_minus_is_a_class_beside_a_plus() -> None:
    assert code_labels(["+", "-", "+"], "f")[1] == ("+", "-")


def test_names_of_a_recipe_touch_no_data() -> None:
    assert label_names_of(DataRecipe(train="no/such/file.csv", labels=("a", "b"))) == ("a", "b")
    code = (
        "import sys; from featherweight.data.class_names import label_names_of as names_of; "
        "from featherweight.recipe import DataRecipe; "
        "assert names_of(DataRecipe())[1] == 'Sports'; sys.exit('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": "src"}, check=False).returncode == 0


def test_names_of_a_file_are_those_of_its_training_rows(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("text,label\na,y\n,x\n")  # the empty text is no matter of the labels
    assert label_names_of(DataRecipe(train=str(path))) == ("x", "y")


@pytest.mark.parametrize(("labels", "naming"), [
    (("4,5", "3,0", "4"), r"row 1: label 4,5 is not a whole number(.|\n)*data\.labels=.*label_separator"),
    (("pos", "NA", "neg"), r"row 2: the label is missing \(NA\)\n.*data\.empty=drop.*data\.labels="),
])  # fmt: skip
def test_amounts_with_commas_and_the_missing_value_of_r_are_no_classes(labels: tuple[str, ...], naming: str) -> None:
    with pytest.raises(UserError, match=naming):
        code_labels(labels, "rows")


@pytest.mark.parametrize("labels", [("DE", "FR", "NA"), ("1,2,3", "4,5", "1"), ("4,0", "5,0", "3,0"), ("4,5", "four")])
def test_codes_of_countries_and_lists_of_numbers_are_classes(labels: tuple[str, ...]) -> None:
    assert code_labels(labels, "rows")[1] == tuple(sorted(labels))


HALVES = ("0.5", "1.0", "1.5", "5.0")


@pytest.mark.parametrize("values", [[0.5, 5.0, 1.0, 1.5], [0.5, 5, 1, 1.5], ["0.5", "5.0", "1.0", "1.5"]])
def test_half_stars_are_classes_in_numbers_as_in_texts(values: list[Any]) -> None:
    with pytest.raises(UserError, match=r"row 1: label 0\.5 is not a whole number(.|\n)*data\.labels="):
        code_labels(values, "stars")
    numbers, names = code_labels(values, "stars", names=HALVES, numbered=True)
    assert (numbers.tolist(), names) == ([0, 3, 1, 2], HALVES)
    with pytest.raises(UserError, match=r"row 1: unknown label '2\.5'; the classes are 0\.5, 1\.0, 1\.5, 5\.0\n"):
        code_labels([2.5], "stars", names=HALVES, numbered=True)


@pytest.mark.parametrize(("label", "names", "meant"), [
    ("7.5", ("3.5", "4.5"), None),
    ("-1", ("0", "1"), None),
    ("17", ("1", "7"), None),
    ("7 stars", ("3 stars", "4 stars"), None),
    ("7 star", ("3 stars", "7 stars"), "7 stars"),
    ("level 01", ("level 1", "level 10"), "level 1"),
    ("sprots", ("Sports", "World"), "Sports"),
])  # fmt: skip
def test_a_number_is_no_misspelling_of_another_number(label: str, names: tuple[str, ...], meant: str | None) -> None:
    assert meant_name(label, names) == meant
