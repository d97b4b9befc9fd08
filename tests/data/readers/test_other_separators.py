"""Separators of several characters, and blanks in tables of R: read, and never taken for a part of the text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from featherweight.data.readers.long_separators import long_separator
from featherweight.data.source_tables import open_table
from featherweight.data.sources import read_rows
from featherweight.errors import UserError
from featherweight.recipe import DataRecipe

pytestmark = pytest.mark.usefixtures("as_options")

PAIRS = [(f'They "do" it, number {number}.', "yes" if number % 2 else "no") for number in range(12)]


def read(folder: Path, content: str, name: str, **values: Any) -> Any:
    (folder / name).write_text(content, "utf-8")
    return read_rows(str(folder / name), DataRecipe(train=str(folder / name), **values))


def of_pairs(rows: Any) -> list[tuple[str, str]]:
    return [(text, rows.label_names[label]) for text, label in zip(rows.texts, rows.labels, strict=True)]


@pytest.mark.parametrize("mark", [" +++$+++ ", ":::", " ::: ", "::", "||", "|||", "@@@", "\t\t", " => ", "<=>"])
@pytest.mark.parametrize("name", ["rows.txt", "rows.csv"])
def test_a_separator_of_several_characters(tmp_path: Path, mark: str, name: str) -> None:
    lines = [mark.join(("u0", label, text)) for text, label in PAIRS]
    with pytest.raises(UserError) as refused:
        read(tmp_path, "\n".join(lines), name)
    written = mark.strip(" ").replace("\t", "<TAB>")
    assert f'--set \'data.columns=["column1", "label", "text"]\'; or write column1{written}' in str(refused.value)
    rows = read(tmp_path, "\n".join(lines), name, columns=["speaker", "label", "text"])
    assert of_pairs(rows) == PAIRS
    assert rows.notes[0].endswith(f"its fields are separated by {mark.strip(' ')!r}")
    assert of_pairs(read(tmp_path, "\n".join([mark.join(("who", "label", "text")), *lines]), name)) == PAIRS


@pytest.mark.parametrize(("lines", "usual", "agreement", "columns"), [
    (["I like C++ a lot", "and C++ is fine"], ",", 0.0, 0),
    (["a::b,x", "c::d,y"], ",", 1.0, 0),
    (["### One", "### Two"], "\t", 0.0, 0),
    (["so ::: so", "so so"], "\t", 0.0, 0),
    (["see http://a.b/c", "or http://d.e/f"], "\t", 0.0, 0),
    (["x||one", "y||two"], "|", 1.0, 3),
])  # fmt: skip
def test_marks_within_texts_separate_nothing(lines: list[str], usual: str, agreement: float, columns: int) -> None:
    assert long_separator(lines, usual, agreement, columns) is None


def of_r(between: str, *, names: bool = True) -> str:
    lines = []
    for number, (text, label) in enumerate(PAIRS, 1):
        escaped = text.replace('"', '\\"')
        lines.append(between.join([*([f'"{number}"'] if names else []), f'"{escaped}"', f'"{label}"']))
    return "\n".join([f'"text"{between}"label"', *lines]) + "\n"


@pytest.mark.parametrize("name", ["rows.txt", "rows.csv", "rows.dat"])
@pytest.mark.parametrize("between", [" ", ",", "\t", ";"])
def test_tables_of_r_with_the_names_of_their_rows(tmp_path: Path, name: str, between: str) -> None:
    rows = read(tmp_path, of_r(between), name)
    assert of_pairs(rows) == PAIRS
    assert rows.ids is not None and list(rows.ids) == [str(number) for number in range(1, 13)]
    assert any(note.endswith("before its fields, as R writes it: the column 'id'") for note in rows.notes)
    assert of_pairs(read(tmp_path, of_r(" ", names=False), name)) == PAIRS


def test_a_name_before_the_rows_has_a_column_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('"id","text","label"\n"1","a7","one","x"\n"2","a8","two","y"\n')
    table = open_table(str(path), DataRecipe(train=str(path)), "train")
    assert (table.names, list(table.read("row")), list(table.read("id"))) == (
        ("row", "id", "text", "label"),
        ["1", "2"],
        ["a7", "a8"],
    )


@pytest.mark.parametrize("content", [
    "text,label\ngreat, truly,pos\nbad, sadly,neg\n",
    '"text","label"\n"great", truly,pos\n"bad", sadly,neg\n',
])  # fmt: skip
def test_a_text_with_a_comma_is_no_name_of_a_row(tmp_path: Path, content: str) -> None:
    with pytest.raises(UserError, match="line 2: 3 fields, but the first line has 2"):
        read(tmp_path, content, "rows.csv")


def test_quoted_lines_of_prose_stay_texts(tmp_path: Path) -> None:
    content = '"Hello there"\n"What a day"\n"Good night"\n'
    (tmp_path / "rows.txt").write_text(content)
    table = open_table(str(tmp_path / "rows.txt"), DataRecipe(train="rows.txt"), "train")
    assert list(table.read("text")) == content.splitlines()
