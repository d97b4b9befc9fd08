"""Files of texts read in pieces: the same rows as at once, the same errors, and little memory."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.text_files import IDS, TEXTS, as_csv, as_objects, as_parquet, many_rows, write

from featherweight.data.sources import read_rows
from featherweight.data.text_pieces import text_pieces
from featherweight.errors import UserError
from featherweight.recipe import DataRecipe

FILES: dict[str, Callable[[], bytes]] = {
    "a.csv": lambda: as_csv(","),
    "a.tsv": lambda: as_csv("\t"),
    "a.csv.gz": lambda: gzip.compress(as_csv(";")),
    "plain.tsv": lambda: b"ID\ttext\n1\ta\n2\t5\" pipe\n3\t\"b\n4\tc\n5\td\"\n",
    "a.jsonl": lambda: "\n\n".join(as_objects()).encode(),
    "lines.json": lambda: ("\n" + "\n".join(as_objects())).encode(),
    "array.json": lambda: ("[\n" + ",".join(as_objects()) + "]").encode(),
    "a.parquet": as_parquet,
    "groups.parquet": lambda: as_parquet(row_group_size=3),
    "a.parquet.gz": lambda: gzip.compress(as_parquet()),
    "header.csv": lambda: b"Class Index,Title,Description\n" + b"3,Shares,fall again\n" * 5,
    "published.csv": lambda: b"3,Shares,fall again\n1,War,ends\n2,Team,wins\n4,Chip,ships\n3,Shares,rise\n",
}  # fmt: skip


def pieces(source: str, rows: int) -> list[Any]:
    return list(text_pieces(source, DataRecipe(train=source), split="test", rows=rows))


@pytest.mark.parametrize("rows", [1, 2, 7, 100])
@pytest.mark.parametrize("name", FILES)
def test_pieces_are_the_whole(tmp_path: Path, name: str, rows: int) -> None:
    source = write(tmp_path, name, FILES[name]())
    whole, found = read_rows(source, DataRecipe(train=source), labelled=False), pieces(source, rows)
    assert [text for piece in found for text in piece.texts] == whole.texts
    assert [row for piece in found for row in piece.ids or []] == (whole.ids or [])
    assert all(len(piece) <= rows for piece in found)
    assert len(found) >= len(whole) / rows


@pytest.mark.parametrize("splits", [False, True])
def test_pieces_of_a_saved_folder_and_of_the_built_in_set(tmp_path: Path, splits: bool) -> None:
    datasets = pytest.importorskip("datasets")
    saved = datasets.Dataset.from_dict({"text": TEXTS, "ID": IDS})
    (datasets.DatasetDict(test=saved) if splits else saved).save_to_disk(str(tmp_path / "saved"))
    found = pieces(str(tmp_path / "saved"), 3)
    assert [len(piece) for piece in found] == [3, 3, 1]
    assert [text for piece in found for text in piece.texts] == TEXTS
    assert [row for piece in found for row in piece.ids] == IDS
    assert [len(piece) for piece in pieces("newsbriefs", 100)] == [100, 100, 40]


BAD = [
    ("two.csv", "text\na\nb\n ,\n", "line 4: 2 fields, but the first line has 1"),
    ("quote.csv", 'text\na\nb\nc\n"d\n', "line 5: broken quoting"),
    ("nul.csv", "text\na\nb\nc\0\n", "line 4 holds a NUL byte"),
    ("classes.csv", "1,a,b\n2,c,d\n4,e,f\n3,e,f\n7,g,h\n", "its first line seems to be a row"),
    ("line.jsonl", '{"text": "a"}\n{"text": "b"}\n{"text": "c"}\n{"text"\n', "line 4: broken JSON"),
    ("list.jsonl", '{"text": "a"}\n{"text": "b"}\n{"text": "c"}\n["d"]\n', "row 4: not a JSON object"),
    ("half.jsonl", '{"text": "a"}\n{"text": "b"}\n{"text": "\\ud800"}\n', "row 3: 'text' holds a lone surrogate"),
    ("kind.jsonl", '{"text": "a"}\n{"text": "b"}\n{"text": "c"}\n{"text": [1]}\n', "row 4: 'text' holds a list"),
    (
        "late.jsonl",
        '{"text": "a"}\n{"text": "b"}\n{"text": "c", "ID": 1}\n',
        "row 3, or one shortly after it, has a column",
    ),
    ("nothing.csv", "text\n", "the data set is empty"),
    ("nothing.jsonl", "", "the file has no rows"),
]


@pytest.mark.parametrize(("name", "content", "words"), BAD)
def test_rows_are_counted_from_the_start_of_the_file(tmp_path: Path, name: str, content: Any, words: str) -> None:
    source = write(tmp_path, name, content)
    with pytest.raises(UserError) as refused:
        pieces(source, 2)
    assert str(refused.value).startswith(f"{source}: ")
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (['{"id": 1, "text": "a"}', '{"text": "b"}'], "has no column 'id', but the 1 rows before it do"),
        (['{"text": "a"}', '{"id": 2, "text": "b"}'], "has a column 'id', but the 1 rows before it do not"),
    ],
)
def test_a_part_with_other_columns_is_named(tmp_path: Path, parts: list[str], words: str) -> None:
    for number, row in enumerate(parts):
        write(tmp_path, f"part-{number}.jsonl", f"{row}\n")
    with pytest.raises(UserError) as refused:
        pieces(str(tmp_path), 2)
    assert words in str(refused.value)


def test_memory_of_parquet_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    default, peaks = pa.default_memory_pool(), []
    for count in (100_000, 400_000):
        source = many_rows(tmp_path, "parquet", count)
        pool = pa.proxy_memory_pool(default)
        pa.set_memory_pool(pool)
        try:
            assert sum(map(len, pieces(source, 1_000))) == count
        finally:
            pa.set_memory_pool(default)
        peaks.append(pool.max_memory())
    assert peaks[1] < 1.2 * peaks[0]
