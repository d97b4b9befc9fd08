"""What check says of labels, and of the validation part of data."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from support.reviews import write_reviews

from featherweight.recipe import Recipe
from featherweight.workflows.check import check, inspection_lines
from featherweight.workflows.own_data import draft_recipe, with_guessed_columns


def lines_for(tmp_path: Path, *labels: str, label: str = "label") -> list[str]:
    file = tmp_path / "rows.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows(
            [("text", label), *((f"text {n} of some words", label) for n, label in enumerate(labels))]
        )
    values = {"data": {"train": str(file), "label": label}, "backbone": {"name": "minilm"}}
    return inspection_lines(check(Recipe.parse(values)))


def test_labels_that_differ_only_in_case_are_named(tmp_path: Path) -> None:
    lines = lines_for(tmp_path, *["spam", "ham", "SPAM", "Ham", "other"] * 4)
    assert (
        "  labels that differ only in case: 'spam' and 'SPAM', 'ham' and 'Ham'; they count as different classes"
        in lines
    )


def test_very_many_labels_are_not_all_listed(tmp_path: Path) -> None:
    labels = [f"kind {n}" for n in range(100)]
    assert sum("kind" in line for line in lines_for(tmp_path, *labels * 2)) == 100
    lines = lines_for(tmp_path, *labels * 2, *labels[:60], "kind 100", "kind 100")
    assert sum("kind" in line for line in lines) == 50
    assert lines[52].split() == ["and", "51", "more", "labels", "with", "2", "to", "3", "rows", "each"]
    assert lines[51].split() == ["3", "1.1%", "kind", "49"]


@pytest.mark.usefixtures("as_options")
def test_further_columns_of_labels_are_named(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    rows = [f"text {n} of some words,{'ab'[n % 2]},{'b' if n == 4 else ''}," for n in range(12)]
    file.write_text("\n".join(["text,label1,label2,label3", *rows]) + "\n", "utf-8")
    values = {"train": str(file), "label": "label1"}
    note = (
        "label2 holds classes of 'label1', too. If a text may have several labels, write them into one column, such as "
        "a|b, and add --set task=multi-label"
    )
    assert f"  {note}" in inspection_lines(check(Recipe.parse({"data": values, "backbone": {"name": "minilm"}})))
    assert draft_recipe(str(file)).notes[2] == f"rows.csv: {note}"
    file.write_text(file.read_text("utf-8").replace(",b,\n", ",new,\n"), "utf-8")
    assert len(draft_recipe(str(file)).notes) == 2  # other classes than those of the first column


def test_a_file_of_dropped_rows_is_checked_too(tmp_path: Path) -> None:
    data = tmp_path / "rows.csv"
    data.write_text("text,label\n" + "".join(f"apple {n},a\ncrow {n},b\n" for n in range(10)), "utf-8")
    values = {"train": str(data), "drop": str(tmp_path / "missing.csv")}
    *_, last = inspection_lines(check(Recipe.parse({"data": values, "backbone": {"name": "minilm"}})))
    assert last.startswith("  data.drop: ") and "missing.csv: no such file" in last


def test_labels_that_differ_otherwise_are_not(tmp_path: Path) -> None:
    assert not any("only in case" in line for line in lines_for(tmp_path, *["spam", "spams", "ham"] * 4))


def test_names_with_line_breaks_take_one_line(tmp_path: Path) -> None:
    lines = lines_for(tmp_path, *["sport\nball", "tech"] * 4, label="Kind\n(by hand)")
    assert not any("\n" in line for line in lines)
    assert "  texts from text; labels from Kind\\n(by hand)" in lines
    assert any(line.endswith("50.0%  sport\\nball") for line in lines)


def test_the_counts_are_those_of_the_training(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    lines = ["text,label", *(f"text {n} of some words,{'ab'[n % 2]}" for n in range(20)), ",a", "no label,", "?,n/a"]
    file.write_text("\n".join(lines) + "\n", "utf-8")
    found = check(Recipe.parse({"data": {"train": str(file), "test": str(file), "empty": "drop"}}))
    for name in ("train", "test"):
        part = found.parts[name]
        assert (part.rows, part.labels) == (20, {"a": 10, "b": 10})
    left_out = "  3 of 23 rows left out (data.empty): 1 without a text (row 21), 2 without a label (rows 22, 23)"
    assert inspection_lines(found).count(left_out) == 2
    assert found.shared == {"test": 20}


def test_check_uses_the_validation_part_as_a_training_does(tiny_backbones: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    write_reviews(str(folder / "train.csv"))
    rows = (folder / "train.csv").read_text("utf-8").splitlines()
    (folder / "validation.csv").write_text("\n".join([*rows[:3], rows[1].rpartition(",")[0] + ",Z"]) + "\n", "utf-8")
    given = Recipe.parse(
        {"data": {"train": str(folder), "max_length": 64}, "backbone": {"name": str(tiny_backbones["bert"])}}
    )
    found = check(with_guessed_columns(given), own_split=True)
    assert "validation" in found.parts
    assert len(found.refusals) == 1 and "unknown label 'Z'" in found.refusals[0]
