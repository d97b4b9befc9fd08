"""Every kind of data file gives the same rows, and a bad one says where it is bad."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featherweight.data.sources import read_rows
from featherweight.errors import UserError
from featherweight.recipe import DataRecipe

pytestmark = pytest.mark.usefixtures("as_options")

TEXTS = ["Shares fall, again", 'He said "no"', "Größe, naïve — 東京", "two\nlines", "tab\there"]
LABELS = ["Business", "World", "World", "Sports", "Sports"]
NAMES = ("Business", "Sports", "World")


def as_csv(delimiter: str = ",") -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerows([["text", "label"], *zip(TEXTS, LABELS, strict=True)])
    return out.getvalue().encode()


def as_jsonl() -> bytes:
    rows = ({"text": text, "label": label} for text, label in zip(TEXTS, LABELS, strict=True))
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()


def as_json() -> bytes:
    return b"[" + b",".join(as_jsonl().splitlines()) + b"]"


def as_parquet(**columns: list[Any]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.table(columns or {"text": TEXTS, "label": LABELS}), out)
    return out.getvalue()


def zstd(content: bytes) -> bytes:
    import pyarrow as pa

    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as packed:
        packed.write(content)
    return out.getvalue().to_pybytes()


WRITERS = {
    "csv": as_csv,
    "tsv": lambda: as_csv("\t"),
    "json": as_json,
    "jsonl": as_jsonl,
    "parquet": as_parquet,
}
PACKERS = {"": bytes, ".gz": gzip.compress, ".zst": zstd}


def write(folder: Path, name: str, content: bytes | str) -> str:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def read(source: str, **values: Any) -> Any:
    return read_rows(source, DataRecipe(train=source, **values))


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("kind", WRITERS)
def test_every_kind_plain_or_compressed_gives_the_same_rows(tmp_path: Path, kind: str, packing: str) -> None:
    rows = read(write(tmp_path, f"train.{kind}{packing}", PACKERS[packing](WRITERS[kind]())))
    assert rows.texts == TEXTS
    assert rows.label_names == NAMES
    assert [NAMES[label] for label in rows.labels] == LABELS
    assert rows.labels.dtype == "int64"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), min_size=1)
            .map(lambda text: f"x{text}")
            .filter(lambda text: text.strip()),
            st.sampled_from("abc"),
        ),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from(["csv", "tsv", "jsonl", "json"]),
)
def test_any_text_survives_the_way_through_a_file(tmp_path: Path, rows: list[tuple[str, str]], kind: str) -> None:
    path = tmp_path / f"any.{kind}"
    if kind in ("csv", "tsv"):
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter="," if kind == "csv" else "\t").writerows([("text", "label"), *rows])
    else:
        objects = [{"text": text, "label": label} for text, label in rows]
        content = json.dumps(objects) if kind == "json" else "\n".join(map(json.dumps, objects))
        path.write_text(content, "utf-8")
    assert read(str(path)).texts == [text for text, _ in rows]


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    rows = read(write(tmp_path, "excel.csv", "\ufefftext;label\r\nGoal!;Sports\r\nVote;World\r\n"))
    assert (rows.texts, rows.label_names) == (["Goal!", "Vote"], ("Sports", "World"))


def test_a_tsv_may_use_quotation_marks_as_plain_characters(tmp_path: Path) -> None:
    rows = read(write(tmp_path, "plain.tsv", 'text\tlabel\n"Yes" he said\tWorld\nno "end\tSports\n'))
    assert rows.texts == ['"Yes" he said', 'no "end']


def test_several_text_columns_are_joined_by_a_space(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "title,description,label\nA, b ,x\n,only this,y\n")
    assert read(path).texts == ["A b", "only this"]
    assert read(path, text=["description", "title"]).texts == ["b A", "only this"]


def test_columns_are_found_whatever_their_case(tmp_path: Path) -> None:
    rows = read(write(tmp_path, "a.csv", "Id,Text,Label\n7,one,x\n8,two,y\n"))
    assert (rows.texts, rows.label_names, rows.ids) == (["one", "two"], ("x", "y"), ["7", "8"])


def test_the_id_column_is_kept_with_and_without_labels(tmp_path: Path) -> None:
    path = write(tmp_path, "test.parquet", as_parquet(ID=[3.0, 1.0], text=["a", "b"]))
    rows = read_rows(path, DataRecipe(), labelled=False)
    assert (rows.ids, rows.labels, rows.label_names) == (["3", "1"], None, ())


AG_NEWS = '"3","Oil up","Crude rose."\n"1","Vote","Ballots, counted."\n'


@pytest.mark.parametrize(("content", "values"), [
    (AG_NEWS + "2,Goal,Late.\n4,Chip,Small.\n", {}),
    ("Class Index,Title,Description\n" + AG_NEWS, {}),
    (AG_NEWS, {"format": "ag_news"}),
])  # fmt: skip
def test_the_original_ag_news_files_count_classes_from_one(
    tmp_path: Path, content: str, values: dict[str, Any]
) -> None:
    rows = read(write(tmp_path, "train.csv", content), **values)
    assert rows.texts[:2] == ["Oil up Crude rose.", "Vote Ballots, counted."]
    assert rows.label_names == ("World", "Sports", "Business", "Sci/Tech")
    assert rows.labels.tolist()[:2] == [2, 0]


def test_class_names_beside_a_parquet_column_are_used(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    features = {"label": {"names": ["ham", "spam"], "_type": "ClassLabel"}}
    table = pa.table({"text": ["a", "b"], "label": [1, 0]})
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, tmp_path / "a.parquet")
    rows = read(str(tmp_path / "a.parquet"))
    assert (rows.label_names, rows.labels.tolist()) == (("ham", "spam"), [1, 0])


BAD = [
    ("ragged.csv", "text,label\na,x\nb\n", ["line 3", "1 field", "2"]),
    ("ragged.csv", "text,label\na,b,x\n", ["line 2", "3 fields", "double quotes"]),
    ("ragged.csv", 'text,label\n"two\nlines",x\nb\n', ["line 4", "1 field"]),
    ("open.csv", 'text,label\n"a,x\nb,y\n', ["line 2", "quoting"]),
    ("wrong.csv", b"text,label\nGr\xc3\xb6\xc3\x9fe,x\ncaf\xe9,y\n", ["line 3, byte 4 (0xe9)", "UTF-8"]),
    ("latin.jsonl.gz", gzip.compress(b'{"text": "caf\xe9"}\n', mtime=0), ["line 1, byte 14", "UTF-8", "data.encoding"]),
    ("wrong.csv.zst", zstd(b"text,label\nGr\xc3\xb6\xc3\x9fe,x\ncaf\xe9,y\n"), ["line 3, byte 4 (0xe9)", "UTF-8"]),
    ("cut.csv", "text,label\na,x\n".encode("utf-16")[:-1], ["cannot be read as utf-16", "data.encoding"]),
    ("han.csv", "text,label\n今天天气很好,x\n".encode("gb18030"), ["not UTF-8", "--set data.encoding=gb18030"]),
    ("kana.csv", "text,label\nこんにちは,x\n".encode("shift_jis"), ["--set data.encoding=shift_jis"]),
    ("russian.csv", "text,label\nпривет мир,x\n".encode("cp1251"), ["--set data.encoding=cp1251"]),
    ("twice.csv", "text,text,label\na,b,c\n", ["two columns", "'text'"]),
    ("void.csv", "", ["empty"]),
    ("header.csv", "text,label\n", ["empty", "at least one row"]),
    ("void.jsonl", "\n\n", ["no rows"]),
    ("void.json", "[]", ["no rows"]),
    ("broken.jsonl", '{"text": "a", "label": 1}\n{"text": "b",\n', ["line 2", "broken JSON"]),
    ("broken.json", '[{"text": "a"},\n{"text" "b"}]', ["line 2", "broken JSON", "column 9"]),
    ("deep.json", "[" * 100_000, ["broken JSON"]),
    ("list.jsonl", '{"text": "a", "label": 1}\n[1, 2]\n', ["row 2", "not a JSON object"]),
    ("not.parquet", "text,label\na,b\n", ["not a readable Parquet file"]),
    ("cut.parquet", as_parquet()[:-20], ["not a readable Parquet file"]),
    ("cut.csv.gz", gzip.compress(as_csv() * 50, mtime=0)[:-12], ["damaged gzip"]),
    ("cut.csv.zst", zstd(as_csv())[:-6], ["damaged"]),
    ("empty.csv", "text,label\na,x\n  ,y\nb,x\n,y\n", ["row 2", "empty", "1 more row"]),
    ("missing.jsonl", '{"text": "a", "label": "x"}\n{"label": "y"}\n', ["row 2", "empty"]),
    ("other.csv", "body,label\na,x\n", ["no column 'text'", "body, label", "data.text"]),
    ("near.csv", "text,labels\na,x\n", ["no column 'label'", "did you mean 'labels'"]),
    ("gap.csv", "text,label\na,x\nb,\n", ["row 2", "label is missing"]),
    ("half.jsonl", '{"text": "a", "label": 0}\n{"text": "b", "label": 0.5}\n', ["row 2", "0.5"]),
    ("nested.jsonl", '{"text": ["a"], "label": 0}\n', ["row 1", "list"]),
    ("surrogate.jsonl", '{"text": "\\ud800", "label": 0}\n', ["row 1", "a lone surrogate"]),
    ("ag.csv", "1,A,b\n2,C,d\n3,E,f\n4,G,h\n" * 3000 + "5,C,d\n", ["row 12001", "'5'", "1 to 4", "data.columns"]),
    ("notes.txt", "hello", ["no column 'label'", "__label__x before each text"]),
    ("empty.txt", "\n \n", ["the file is empty"]),
    ("noending", "hello", ["no extension"]),
    ("posts.pkl", b"\x80\x04", ["any code", "pandas.read_pickle(sys.argv[1]).to_csv(sys.argv[2], index=False)"]),
    ("posts.pickle.gz", b"\x80\x04", ["any code"]),
    ("posts.pt", b"PK", ["any code", "python -c"]),
    ("posts.bin", b"PK", ["any code"]),
    ("posts.csv", b"\x80\x04\x95", ["has the content of a .pkl file", "/posts-converted.csv"]),
    ("posts.parquet.gz", gzip.compress(b"\x80\x05\x95", mtime=0), ["has the content of a .pkl file", "any code"]),
    ("posts.jsonl", b"ccopy_reg\n_reconstructor\n", ["has the content of a .pkl file"]),
    ("posts.tsv", b"(dp0\nS'text'\n", ["has the content of a .pkl file"]),
    ("posts", b"\x80\x02}q", ["has the content of a .pkl file"]),
    ("posts.json", b"PK\x03\x04" + bytes(26) + b"archive/data.pkl", ["has the content of a .pt file", "torch.load"]),
]


@pytest.mark.parametrize(("name", "content", "words"), BAD, ids=[f"{name}-{row}" for row, (name, *_) in enumerate(BAD)])
def test_a_bad_file_is_refused_with_its_name_and_the_place(
    tmp_path: Path, name: str, content: bytes | str, words: list[str]
) -> None:
    path = write(tmp_path, name, content)
    with pytest.raises(UserError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(path)
    assert message.count("\n") <= 1
    for word in words:
        assert word in message


def test_texts_that_begin_like_an_old_pickle_are_read(tmp_path: Path) -> None:
    for header in ("ctext", "category", "(lp0)", "comment"):
        path = write(tmp_path, "data.csv", f"{header},text,label\na,b,x\nc,d,y\n")
        assert len(read(path)) == 2


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, "train.csv", as_csv())
    with pytest.raises(UserError, match=r"trian\.csv: no such file; did you mean .*train\.csv"):
        read(str(tmp_path / "trian.csv"))
    with pytest.raises(UserError, match="no folder"):
        read(str(tmp_path / "nowhere" / "train.csv"))


def test_reading_needs_no_heavy_library() -> None:
    import subprocess
    import sys

    heavy = "('torch', 'transformers', 'datasets', 'sklearn', 'pandas', 'pyarrow')"
    code = (
        "import sys; from featherweight.data.sources import read_rows; from featherweight.recipe import DataRecipe; "
        f"read_rows('newsbriefs', DataRecipe()); sys.exit(any(name in sys.modules for name in {heavy}))"
    )
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": "src"}, check=False).returncode == 0


def test_a_parquet_file_may_have_decimals_and_texts_as_bytes(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = pa.array([1, 0, None, 1], pa.int64()).cast(pa.decimal128(20, 0))
    columns = {"text": pa.array([text.encode() for text in TEXTS[:4]]), "label": numbers.fill_null(0)}
    pq.write_table(
        pa.table({**columns, "price": pa.array([1, 2, 3, 4]).cast(pa.decimal128(21, 1))}), tmp_path / "a.parquet"
    )
    rows = read_rows(str(tmp_path / "a.parquet"), DataRecipe())
    assert (rows.texts, rows.names_of(rows.labels)) == (TEXTS[:4], ["1", "0", "0", "1"])


def test_decimals_keep_all_of_their_digits_also_inside_others(tmp_path: Path) -> None:
    from decimal import Decimal

    import pyarrow as pa
    import pyarrow.parquet as pq

    ids = [f"{2**53 + 1}", f"{2**53 + 2}", f"{2**53 + 1}.25", "4.5"]
    exact = pa.array(map(Decimal, ids), pa.decimal128(38, 2))
    labels = pa.array(
        [{"code": Decimal(f"{2**53 + n % 2}")} for n in range(4)], pa.struct({"code": pa.decimal128(20, 1)})
    )
    pq.write_table(pa.table({"text": TEXTS[:4], "id": exact, "kind": labels}), tmp_path / "a.parquet")
    rows = read_rows(str(tmp_path / "a.parquet"), DataRecipe(label="kind.code"))
    assert (rows.ids, rows.label_names) == (ids, (f"{2**53}", f"{2**53 + 1}"))
    amounts = pa.array([Decimal(f"{2**53 + n % 2}.5") for n in range(4)], pa.decimal128(20, 1))
    pq.write_table(pa.table({"text": TEXTS[:4], "label": amounts}), tmp_path / "b.parquet")
    named = DataRecipe(labels=(f"{2**53}.5", f"{2**53 + 1}.5"))
    assert read_rows(str(tmp_path / "b.parquet"), named).labels.tolist() == [0, 1, 0, 1]
