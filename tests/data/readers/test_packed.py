"""Zip archives, Excel workbooks, other compressions, and the lines to type for what is not read."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import sqlite3
import sys
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.text_files import workbook

from featherweight.data.source_tables import has_split, open_table
from featherweight.data.sources import read_rows
from featherweight.errors import UserError
from featherweight.recipe import DataRecipe

CSV = b"text,label\nOne,a\nTwo,b\n"


def zipped(files: dict[str, bytes], **more: Any) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", **more) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def read(folder: Path, name: str, content: bytes, **values: Any) -> Any:
    (folder / name).write_bytes(content)
    return read_rows(str(folder / name), DataRecipe(train=str(folder / name), **values))


@pytest.mark.parametrize(("name", "content"), [
    ("train.csv.zip", zipped({"train.csv": CSV})),
    ("data.zip", zipped({"README.txt": b"x", "data/": b"", "data/t.csv.gz": gzip.compress(CSV), "__MACOSX/t": b"x"})),
    ("train.csv", zipped({"t.jsonl": b'{"text": "One", "label": "a"}\n{"text": "Two", "label": "b"}\n'})),
    ("train.csv.bz2", bz2.compress(CSV)),
    ("train.csv.xz", lzma.compress(CSV)),
    ("train.xlsx", workbook([["text", "label"], ["One", "a"], ["Two", "b"]])),
    ("train.zip", zipped({"t.xlsx": workbook([["text", "label"], ["One", "a"], ["Two", "b"]])})),
    ("train.csv", workbook([["text", "label"], ["One", "a"], ["Two", "b"]])),
])  # fmt: skip
def test_packed_files_give_the_rows_in_them(tmp_path: Path, name: str, content: bytes) -> None:
    rows = read(tmp_path, name, content)
    assert (rows.texts, rows.label_names, rows.labels.tolist()) == (["One", "Two"], ("a", "b"), [0, 1])


def test_of_a_workbook_the_first_sheet_with_rows_is_read(tmp_path: Path) -> None:
    from datetime import date, datetime

    first = [[None, None], ["id", "text", None, "stars", "day"], [1, "One", "x", 5.0, datetime(2024, 5, 1, 9, 30)], [],
             [2, 2024, None, 1, date(2024, 5, 2)], [3, "Three", None, True, None, "beyond"], [None, " "]]  # fmt: skip
    path = tmp_path / "tickets.xlsx"
    path.write_bytes(workbook([], first, [["other"]]))
    table = open_table(str(path), DataRecipe(), "train")
    assert table.names == ("id", "text", "stars", "day")
    assert table.notes == (f"{path}: only its sheet 'Sheet 2' was read, not Sheet 3",)
    assert list(table.read("text")) == ["One", 2024, "Three"]
    assert list(table.read("stars")) == [5, 1, True]
    assert list(table.read("day")) == ["2024-05-01 09:30:00", "2024-05-02 00:00:00", None]


def test_a_workbook_without_a_header_takes_the_names_of_the_recipe(tmp_path: Path) -> None:
    content = workbook([["ham", "Hello there", 1], ["spam", "Win cash now", 2], ["ham", "Call me", 3]])
    with pytest.raises(UserError, match=r'first line seems to be a row.*\n.*\["label", "text", "column3"\]'):
        read(tmp_path, "a.xlsx", content)
    assert read(tmp_path, "a.xlsx", content, columns=["label", "text", "n"]).texts[0] == "Hello there"


def test_without_openpyxl_the_line_that_installs_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(UserError, match=r"Excel files need openpyxl: pip install openpyxl; or save"):
        read(tmp_path, "a.xlsx", b"PK\x03\x04")


REFUSED = [
    ("a.zip", zipped({"train.csv": CSV, "test.csv": CSV}), ["archive of 2 files (train.csv, test.csv)", "unpack it"]),
    ("a.zip", zipped({"README.md": b"x"}), ["no data file"]),
    ("a.zip", zipped({"b.zip": zipped({"t.csv": CSV})}), ["an archive inside another"]),
    ("a.zip", zipped({"t.csv": CSV * 90}, compression=zipfile.ZIP_DEFLATED)[:60], ["damaged"]),
    ("a.zip", b"", ["not a readable zip archive"]),
    ("a.csv.bz2", bz2.compress(CSV * 90)[:-9], ["damaged file"]),
    ("a.csv.xz", lzma.compress(CSV * 90)[:-9], ["damaged file"]),
    ("a.xlsx", zipped({"xl/workbook.xml": b"<x"}), ["not a readable Excel file"]),
    ("a.xlsx", workbook([], [[None]]), ["the file has no rows"]),
    ("a.xls", b"\xd0\xcf\x11\xe0", ["pip install xlrd first", "pandas.read_excel", "a-converted.csv"]),
    ("a.csv", b"\xd0\xcf\x11\xe0" + bytes(600), [".xls files cannot be read"]),
    ("a.feather", b"ARROW1", ["pandas.read_feather(sys.argv[1]).to_csv"]),
    ("a.sqlite", b"SQLite format 3\0", ["select * from TABLE", "import sys, sqlite3, pandas"]),
    ("a.doc", b"\xd0\xcf\x11\xe0" + bytes(600), ["is a document"]),
    ("a.npy", b"\x93NUMPY\1\0", ["import sys, numpy, pandas; pandas.DataFrame(numpy.load("]),
    ("a.npz", zipped({"x.npy": b"x", "y.npy": b"y"}), [".npz files cannot be read", "numpy.load", "a-converted.csv"]),
    ("a.dta", b"x", ["pandas.read_stata"]),
    ("a.tar.gz", gzip.compress(b"x" * 600, mtime=0), ["is an archive", "tar -xf"]),
    ("a.csv.gz", gzip.compress(bytes(257) + b"ustar" + bytes(300), mtime=0), ["is an archive", "tar -xf"]),
    ("a.7z", b"7z\xbc\xaf", ["7z x"]),
    ("a.pdf", b"%PDF-1.7", ["is a document", "in one folder for each class"]),
    ("a.docx", zipped({"word/document.xml": b"x"}), ["is a document"]),
    ("a.zip", zipped({"b/1.txt": b"x", "b/2.txt": b"y"}), ["python -m zipfile -e", "train", "a-converted/b"]),
    ("a.ods", zipped({"mimetype": b"x", "content.xml": b"x"}), [".ods files cannot be read", "pip install odfpy"]),
    ("a.arrow", b"\xff\xff\xff\xff", ["Arrow streams cannot be read", "pyarrow.ipc.open_stream"]),
    ("a.yml", b"nlu: []", ["pip install pyyaml first", "yaml.safe_load", "a-converted.json"]),
    ("a.toml", b"[[rows]]\ntext = 'x'\n", ["as a recipe only", "tomllib.load", "a.toml", "a-converted.json"]),
    ("a.sql", b"INSERT INTO t VALUES (1);", ["dump of a database"]),
    ("a.json", b"{'text': 'a', 'label': 1}\n", ["written as Python", "ast.literal_eval", "a-converted.jsonl"]),
    ("a.txt", b"(3 (2 It) (4 works))\n" * 3, ["a tree of labels", "sed -E", "a-converted.txt"]),
    ("a.txt", b"###1\nAIM\tTo see.\nEND\tSeen.\n\n###2\nAIM\tTo go.\n", ["most of its lines", "grep", "headings"]),
    ("a.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\n", ["pointer of Git LFS", "git lfs pull"]),
    ("a.csv", b"<!DOCTYPE html>\n<html></html>", ["is a web page"]),
    ("a.csv", b"text,label\n1,One,a\n2,Two,b\n", ["3 fields", "sed '1s/^/id,/' FILE > NEW"]),
    ("a.conf", b"hello", [".conf: not a kind of data file", "data.format"]),
    ("a.png", b"\x89PNG\r\n\x1a\n\x00\x01", [".png: not a kind of data file", ".parquet, .xlsx or .txt"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "words"), REFUSED, ids=[f"{n}-{name}" for n, (name, *_) in enumerate(REFUSED)]
)
def test_what_is_not_read_says_what_to_do(tmp_path: Path, name: str, content: bytes, words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        read(tmp_path, name, content)
    message = str(caught.value)
    assert message.startswith(str(tmp_path / name)) and message.count("\n") <= 1
    for word in words:
        assert word in message
    assert not (name.endswith(".png") and "data.format" in message), "a picture has no texts"


def test_the_line_that_converts_a_database_names_its_tables(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as database:
        database.execute("create table reviews(body text, stars int)")
        database.execute('create table "$(odd)"(x int)')
        database.commit()
    with pytest.raises(UserError, match=r"\.sqlite files cannot be read; convert .*\n.*'select \* from reviews'"):
        read(tmp_path, "a.db", (tmp_path / "a.db").read_bytes())


@pytest.mark.parametrize(("address", "words"), [
    ("https://example.org/data/train.csv", "and name train.csv: curl -LO https://example.org/data/train.csv"),
    ("http://example.org/export?format=csv&id=3", "curl -L -o export 'http://example.org/export?format=csv&id=3'"),
    ("https://github.com/me/news/blob/main/data/t%20t.csv",
     "name t t.csv: curl -LO 'https://raw.githubusercontent.com/me/news/main/data/t t.csv'"),
    ("https://huggingface.co/datasets/stanfordnlp/imdb", "give its name instead: stanfordnlp/imdb"),
    ("hf://datasets/stanfordnlp/imdb/data", "give its name instead: stanfordnlp/imdb"),
    ("https://huggingface.co/datasets/a/b/resolve/main/t.csv", "curl -LO https://huggingface.co/datasets/a/b/resolve"),
    ("s3://bucket/train.csv", "aws s3 cp s3://bucket/train.csv ."),
    ("https://www.kaggle.com/c/x/data", "download the file in a browser"),
    ("https://[", "download the file"),
])  # fmt: skip
def test_an_address_says_how_to_download_it(address: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        read_rows(address, DataRecipe())
    assert "address" in str(caught.value) and words in str(caught.value)


def test_an_empty_row_between_those_of_one_column_is_a_row(tmp_path: Path) -> None:
    sheet = [[None], ["text"], [None], ["one"], [" "], [None], ["two"], [None], [" "]]
    source = written_book(tmp_path, sheet)
    assert open_table(source, DataRecipe(), "test").read("text") == [None, "one", None, None, "two"]
    sheet = [["text", "n"], ["one", 1], [None, None], ["two", 2], [None, None]]
    assert open_table(written_book(tmp_path, sheet), DataRecipe(), "test").read("text") == ["one", "two"]


def written_book(folder: Path, sheet: list[list[Any]]) -> str:
    (folder / "rows.xlsx").write_bytes(workbook(sheet))
    return str(folder / "rows.xlsx")


def test_numbers_that_excel_has_rounded_are_pointed_out(tmp_path: Path) -> None:
    rows = [["text", "label", "id"], ["One", "a", 10**15], ["Two", "b", 3]]
    read_from = read(tmp_path, "a.xlsx", workbook(rows))
    assert (read_from.ids, len(read_from.notes)) == (["1000000000000000", "3"], 1)
    assert "Excel keeps 15 digits of a number, so 1000000000000000 may be rounded" in read_from.notes[0]
    rows[1][2] = 10**15 - 1
    assert read(tmp_path, "a.xlsx", workbook(rows)).notes == ()


def test_a_formula_that_openpyxl_cannot_parse_is_no_obstacle(tmp_path: Path) -> None:
    content = workbook([["text", "label", "length"], ["One", "a", "=LEN(A2)"], ["Two", "b", "=LEN(A3)"]])
    with zipfile.ZipFile(io.BytesIO(content)) as book, zipfile.ZipFile(tmp_path / "b.xlsx", "w") as damaged:
        for part in book.namelist():
            first = re.sub(rb"<f>LEN.A2.</f>", rb'<f t="shared" ref="C2:C3" si="0">A2&amp;"abc</f>', book.read(part))
            damaged.writestr(part, re.sub(rb"<f>LEN.A3.</f>", rb'<f t="shared" si="0"/>', first))
    read_from = read(tmp_path, "b.xlsx", (tmp_path / "b.xlsx").read_bytes())
    assert (read_from.texts, read_from.notes) == (["One", "Two"], ())


def test_formulas_whose_results_are_not_in_the_file_are_pointed_out(tmp_path: Path) -> None:
    rows = [["text", "label", "length"], ["One", "a", "=LEN(A2)"], ["Two", "b", "=LEN(A3)"]]
    content = workbook(rows)  # written by openpyxl, which computes nothing
    for name, packed in (("a.xlsx", content), ("a.xlsx.gz", gzip.compress(content))):
        read_from = read(tmp_path, name, packed)
        assert read_from.texts == ["One", "Two"]
        assert "formulas in the first rows, such as that in cell C2, have no results in the file" in read_from.notes[0]
    # As a spreadsheet program stores them: the result of one formula, and then an empty text as the result of each.
    one = (rb"(LEN.A2.</f>)<v(></v>| ?/>)", rb"\1<v>3</v>")
    empty = (rb'(<c r="C[23]")([^>]*>)', rb'\1 t="str"\2')
    for name, (pattern, stored) in {"b.xlsx": one, "c.xlsx": empty}.items():
        with zipfile.ZipFile(io.BytesIO(content)) as book, zipfile.ZipFile(tmp_path / name, "w") as computed:
            for part in book.namelist():
                computed.writestr(part, re.sub(pattern, stored, book.read(part)))
        assert read(tmp_path, name, (tmp_path / name).read_bytes()).notes == ()


def test_without_pyarrow_parquet_is_refused_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(UserError, match=r"rows\.parquet: Parquet files need pyarrow: pip install pyarrow; or use CSV"):
        read_rows(str(tmp_path / "rows.parquet"), DataRecipe())


def test_a_summary_in_front_and_a_row_of_groups_hide_no_rows(tmp_path: Path) -> None:
    summary: list[list[Any]] = [["Label", "Count"], ["a", 2], ["b", 2]]
    rows: list[list[Any]] = [["text", "label"], ["One", "a"], ["Two", "b"], ["Three", "a"], ["Four", "b"]]
    assert read(tmp_path, "a.xlsx", workbook(summary, rows)).texts == ["One", "Two", "Three", "Four"]
    assert read(tmp_path, "b.xlsx", workbook(rows, [["label", "text"], ["a", "About a"]])).texts[0] == "One"
    groups: list[list[Any]] = [["Kunde", None, "Bewertung", None], ["Nummer", "Kommentar", "Note", "Klasse"]]
    groups += [[n, f"Das Paket {n} ist nicht angekommen.", 1 + n % 5, "xy"[n % 2]] for n in range(8)]
    (tmp_path / "c.xlsx").write_bytes(workbook(groups))
    assert open_table(str(tmp_path / "c.xlsx"), DataRecipe(), "train").names == tuple(groups[1])


def test_sheets_called_like_parts_are_the_parts_of_a_data_set(tmp_path: Path) -> None:
    import openpyxl

    path = tmp_path / "set.xlsx"
    path.write_bytes(workbook([["Notes"]], [["text", "label"], ["Two", "b"]], [["text", "label"], ["One", "a"]]))
    book = openpyxl.load_workbook(path)
    for sheet, title in zip(book.worksheets, ("about", "Test", "Train"), strict=True):
        sheet.title = title
    book.save(path)
    data = DataRecipe(train=str(path))
    assert (has_split(data, "test"), has_split(data, "validation")) == (True, False)
    train, test = (read_rows(str(path), data, split=split) for split in ("train", "test"))
    assert (train.texts, test.texts) == (["One"], ["Two"])
    assert (train.origin, train.notes) == (
        f"{path} (Train)",
        (f"{path} (Train): only its sheet 'Train' was read, not about",),
    )
    with pytest.raises(UserError, match="no sheet for the part 'validation'; it has Train, Test"):
        read_rows(str(path), data, split="validation")
