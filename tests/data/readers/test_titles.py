"""Titles above a header are left out, of sheets and of text tables; what only looks like a title is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.text_files import workbook

from featherweight.data.sources import read_rows
from featherweight.errors import UserError
from featherweight.recipe import DataRecipe


@pytest.mark.parametrize(
    ("above", "left_out"),
    [
        ([["Tickets of May"], []], "Tickets of May"),
        ([["Tickets"], [None, "by the help desk"]], "Tickets, by the help desk"),
        ([], None),
    ],
)
def test_a_title_above_the_header_of_a_sheet_is_left_out(
    above: list[list[Any]], left_out: str | None, tmp_path: Path
) -> None:
    sheet = [*above, ["Nr", "Text", "Label"], [1, "one", "a"], [2, "two", "b"]]
    (tmp_path / "titled.xlsx").write_bytes(workbook(sheet))
    rows = read_rows(str(tmp_path / "titled.xlsx"), DataRecipe())
    assert (list(rows.texts), rows.label_names) == (["one", "two"], ("a", "b"))
    assert [note.rpartition("left out: ")[2] for note in rows.notes] == ([left_out] if left_out else [])


def test_a_column_alone_and_rows_without_a_header_are_no_titles(tmp_path: Path) -> None:
    (tmp_path / "alone.xlsx").write_bytes(workbook([["text"], ["one"], ["two"]]))
    assert list(read_rows(str(tmp_path / "alone.xlsx"), DataRecipe(), labelled=False).texts) == ["one", "two"]


def test_the_sheet_with_the_table_is_read_and_a_row_above_its_names_is_left_out(tmp_path: Path) -> None:
    rows = [[n, f"text {n}", "ab"[n % 2]] for n in range(6)]
    path = tmp_path / "sheets.xlsx"
    path.write_bytes(workbook([["Export of May"], ["by the help desk"]], [["Id", "Text", "Label"], *rows]))
    read_all = read_rows(str(path), DataRecipe())
    assert len(read_all) == 6 and read_all.notes == (f"{path}: only its sheet 'Sheet 2' was read, not Sheet 1",)
    path.write_bytes(workbook([["Ticket", None, "Result"], ["Id", "Text", "Label"], *rows]))
    read_all = read_rows(str(path), DataRecipe())
    assert (len(read_all), read_all.label_names) == (6, ("a", "b"))
    assert read_all.notes == (f"{path}: what stands above its header was left out: Ticket, Result",)


ROWS = [f"{n},text {'abcdefghijkl'[n]},{'xy'[n % 2]}" for n in range(12)]


@pytest.mark.parametrize(
    ("above", "separator", "left_out"),
    [
        (["Tickets of May,,", ",,"], ",", "Tickets of May"),  # as spreadsheets write it
        (["Tickets of May"], ",", "Tickets of May"),  # as people and programs write it
        (["Tickets, all of May", "", "by the help desk"], ";", "Tickets, all of May, by the help desk"),
        (['"Tickets', 'of May",,'], ",", r"Tickets\nof May"),
    ],
)
def test_a_title_above_the_header_of_a_table_is_left_out(
    tmp_path: Path, above: list[str], separator: str, left_out: str
) -> None:
    path = tmp_path / "titled.csv"
    path.write_text("\n".join([*above, *(row.replace(",", separator) for row in ["Nr,Text,Label", *ROWS])]), "utf-8")
    read = read_rows(str(path), DataRecipe())
    assert (len(read), read.texts[0], read.label_names) == (12, "text a", ("x", "y"))
    assert read.notes[-1] == f"{path}: what stands above its header was left out: {left_out}"


@pytest.mark.parametrize(
    ("content", "data", "rows"),
    [
        ("\n".join(["Text,,", *ROWS]), {}, 12),  # a column alone has a name, and its rows are rows
        ("\n".join(["remark,,", *ROWS]), {"text": ("remark",)}, 12),
        ("text\n" + "so, it is\n" * 8, {"separator": "|"}, 8),
        ("utterance\none\ntwo\nthree", {"text": ("utterance",)}, 3),
        ('text,label\n"one\ntwo, three",a\n"x\ny",b\n', {}, 2),
    ],
)
def test_a_first_row_of_one_field_is_no_title(tmp_path: Path, content: str, data: dict[str, Any], rows: int) -> None:
    (tmp_path / "alone.csv").write_text(content, "utf-8")
    read = read_rows(str(tmp_path / "alone.csv"), DataRecipe(**data), labelled=False)
    assert len(read) == rows and not any("above" in note for note in read.notes)


def test_a_title_above_what_may_be_rows_is_refused_with_the_line_to_type(tmp_path: Path) -> None:
    (tmp_path / "titled.csv").write_text("Tickets of May\n\nwords,kind\none,a\n", "utf-8")  # perhaps a row, too
    with pytest.raises(UserError, match=r"line 3: 2 fields, but the first line has 1\n.*tail -n \+3 FILE > NEW"):
        read_rows(str(tmp_path / "titled.csv"), DataRecipe())
