"""Targets of the fuzzing that read data files; the first byte of the input is often a choice, not content."""

from __future__ import annotations

from functools import cache
from typing import Any

from fuzz.workplace import workplace


def read_delimited(data: bytes) -> None:
    """CSV and TSV; the first byte says which, and whether it is an unlabelled file."""
    _read_rows(".tsv" if data[:1] > b"\x80" else ".csv", data)


def read_headerless(data: bytes) -> None:
    """Tables whose columns the recipe names, in an encoding that the first byte chooses."""
    encoding = [None, "cp1252", "utf-16", "gb18030"][data[0] % 4 if data else 0]
    _read_rows(".csv", data, columns=("label", "text"), encoding=encoding)


def read_lines(data: bytes) -> None:
    """Files whose kind only the content tells; the first byte says whether a format is named."""
    formats = ["auto", "fasttext", "text@label", "lines"]
    _read_rows(".txt" if data[:1] < b"\xf0" else "", data, format=formats[data[0] // 2 % 4 if data else 0])


def read_zip(data: bytes) -> None:
    """A zip archive, or a file of any kind in a sound one; the first byte says which."""
    import zipfile

    if data[:1] < b"\x80":
        _read_rows(".zip", data[:1] + b"PK\x03\x04" + data[1:])
        return
    path = workplace() / "sound.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(["rows.csv", "rows.jsonl", "rows.txt", "rows.parquet"][data[0] % 4], data[1:])
    _read_rows(".zip", data[:1] + path.read_bytes())


def read_compressed(data: bytes) -> None:
    """Bytes that claim to be compressed, or a foreign file that is soundly compressed; the first byte says which."""
    import bz2
    import gzip
    import lzma

    import pyarrow

    first = data[0] if data else 0
    if first < 0x80:
        magic = (b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ\x00")[first // 2 % 4]
        _read_rows(".csv.gz", data[:1] + magic + data[1:])
        return
    zstd = pyarrow.Codec("zstd")
    packed = (gzip.compress, lambda given: zstd.compress(given, asbytes=True), bz2.compress, lzma.compress)
    ending = (".csv.gz", ".jsonl.zst", ".txt.bz2", ".parquet.xz")[first // 8 % 4]
    _read_rows(ending, data[:1] + packed[first // 2 % 4](data[1:]))


def read_excel(data: bytes) -> None:
    """A workbook whose sheet or strings are foreign XML."""
    import io
    import zipfile

    foreign = ["xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "xl/workbook.xml"][data[0] % 3 if data else 0]
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(_workbook())) as sound, zipfile.ZipFile(out, "w") as archive:
        for name in sound.namelist():
            archive.writestr(name, data[1:] if name == foreign else sound.read(name))
    _read_rows(".xlsx", data[:1] + out.getvalue())


def read_folder(data: bytes) -> None:
    """A folder of texts, one of which is foreign."""
    from featherweight.data.sources import read_rows
    from featherweight.recipe import DataRecipe

    folder = workplace() / "texts"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "1.txt").write_text(f"text {name}")
    (folder / "a" / "2.txt").write_bytes(data)
    rows = read_rows(str(folder), DataRecipe())
    assert len(rows) == 3 and rows.label_names == ("a", "b")
    "".join(rows.texts).encode()


def read_shards(data: bytes) -> None:
    """A folder of two files of one table, the second of which is foreign; the first byte says of which kind."""
    from featherweight.data.sources import read_rows
    from featherweight.recipe import DataRecipe

    folder = workplace() / "shards"
    ending = ".csv" if data[:1] > b"\x80" else ".jsonl"
    for path in (folder / "part-1.csv", folder / "part-1.jsonl", folder / "part-2.csv", folder / "part-2.jsonl"):
        path.unlink(missing_ok=True)
    folder.mkdir(exist_ok=True)
    first = "text,label\none,a\n" if ending == ".csv" else '{"text": "one", "label": "a"}\n'
    (folder / f"part-1{ending}").write_text(first)
    (folder / f"part-2{ending}").write_bytes(data[1:])
    rows = read_rows(str(folder), DataRecipe(train=str(folder)))
    assert rows.texts[0] == "one" and (len(rows) > 1 or not data[1:].strip())  # an empty part has no rows
    "".join([*rows.texts, *rows.label_names, *rows.notes]).encode()


def read_json(data: bytes) -> None:
    """JSON and JSON Lines."""
    _read_rows(".json" if data[:1] > b"\x80" else ".jsonl", data)


def read_nested(data: bytes) -> None:
    """JSON whose texts and labels are inside others."""
    _read_rows(".json" if data[:1] > b"\x80" else ".jsonl", data, text=("data.text",), label="a.0.label")


def read_annotations(data: bytes) -> None:
    """What annotation tools export; all rows must stay, whether they have a label or not."""
    from featherweight.data.source_tables import open_table
    from featherweight.data.sources import read_rows
    from featherweight.workflows.own_data import draft_recipe

    path = workplace() / ("tasks.json" if data[:1] > b"\x80" else "tasks.jsonl")
    path.write_bytes(data[1:])
    recipe = draft_recipe(str(path)).recipe
    rows = read_rows(str(path), recipe.data)
    table = open_table(str(path), recipe.data, "train")
    left_out = (*rows.left_out.without_text, *rows.left_out.without_label) if rows.left_out else ()
    assert len(table.read(recipe.data.text[0])) == len(rows) + len(left_out)
    "".join([*map(str, rows.texts), *rows.label_names, *rows.notes]).encode()


def guess_columns(data: bytes) -> None:
    """Rows of any values, in which the columns of texts and labels are looked for."""
    from featherweight.workflows.own_data import draft_recipe

    path = workplace() / "mine.jsonl"
    path.write_bytes(data[1:])
    draft = draft_recipe(str(path), ["task=multi-label"] if data[:1] > b"\x80" else [])
    assert draft.recipe.data.text
    draft.to_toml().encode()


def read_label_lists(data: bytes) -> None:
    """Rows with several labels: lists, texts with separators, or columns of 0 and 1; the first byte says which."""
    from featherweight.data.label_lists import cell_of, code_label_lists
    from featherweight.data.sources import read_rows
    from featherweight.recipe import Recipe

    kind = data[0] % 3 if data else 0
    path = workplace() / ("several.csv" if kind else "several.jsonl")
    path.write_bytes(data[1:])
    values: dict[str, Any] = {"label": ["a", "b"]} if kind == 2 else {}
    rows = read_rows(str(path), Recipe.parse({"task": "multi-label", "data": values}).data)
    assert rows.labels is not None and rows.labels.shape == (len(rows.texts), len(rows.label_names))
    assert set(rows.labels.ravel().tolist()) <= {0, 1}
    if kind < 2 and rows.labels.any():  # what a prediction writes must be read again as the same labels
        cells = [cell_of(labels, rows.label_names) for labels in rows.names_of(rows.labels)]
        again, _ = code_label_lists(cells, "again", names=rows.label_names)
        assert again.tolist() == rows.labels.tolist()


def read_sample(data: bytes) -> None:
    """A contest's sample submission; the first byte says which ending it has, and how the labels were written."""
    from featherweight.inference.submission.matching import layout_like
    from featherweight.inference.submission.sample import read_sample
    from featherweight.inference.submission.trained_labels import TrainedLabels

    path = workplace() / ("sample.jsonl" if data[:1] > b"\x80" else "sample.csv")
    path.write_bytes(data[1:])
    written = [("no", "yes"), ("-1", "0", "1"), ("1.0", "2.0"), ("True", "False")][data[0] % 4 if data else 0]
    found = read_sample(path, lambda names: names[0])
    layout, notes = layout_like(found, TrainedLabels(written, written, "label"))
    assert sorted(layout.columns) == sorted({layout.id_column, *found.other_columns})
    assert bool(layout.shares) != (len(layout.values) == len(written))
    "".join([*layout.columns, *layout.values, *notes]).encode()


def _read_rows(ending: str, data: bytes, **values: Any) -> None:
    from featherweight.data.sources import read_rows
    from featherweight.recipe import DataRecipe

    path = workplace() / f"rows{ending}"
    path.write_bytes(data[1:])
    labelled = not data[:1] or data[0] % 2 == 0
    rows = read_rows(str(path), DataRecipe(**values), labelled=labelled)
    assert len(rows.texts) > 0
    assert all(text.strip() for text in rows.texts)
    assert rows.labels is None or (rows.labels.min() >= 0 and rows.labels.max() < len(rows.label_names))
    "".join([*rows.texts, *rows.label_names, *(rows.ids or ())]).encode()


@cache
def _workbook() -> bytes:
    import io

    import openpyxl

    book = openpyxl.Workbook()
    for row in (["text", "label"], ["one", "a"], ["two", 2]):
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()
