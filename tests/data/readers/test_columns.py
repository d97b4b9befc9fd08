"""Columns larger than memory: what lies in the file is what was put in, however it is asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featherweight.data.readers import columns
from featherweight.data.readers.columns import CHUNK, StoredColumn, stored, taken
from featherweight.data.source_tables import open_table
from featherweight.data.sources import read_rows
from featherweight.errors import UserError
from featherweight.recipe import DataRecipe

TEXTS = [f"Größe 東京 🙂 {'long ' * (row % 40)}{row}" for row in range(2 * CHUNK + 500)]


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns that go to the file after some kilobytes."""
    monkeypatch.setattr(columns, "_KEPT", 50_000)


def in_file(values: Any) -> StoredColumn:
    found = stored(values)
    assert isinstance(found, StoredColumn)
    return found


@pytest.mark.usefixtures("small_memory")
def test_what_lies_in_the_file_is_what_was_put_in() -> None:
    values: list[Any] = [*TEXTS, "", None, 7, "half \ud800", *TEXTS[::-1], 2.5]
    found = in_file(iter(values))
    assert list(found) == values and len(found) == len(values)
    assert found[0] == values[0] and found[-1] == 2.5 and found[len(TEXTS) + 1] is None
    for part in (slice(10, 30), slice(None, 5), slice(-3, None), slice(0, None, 1700), slice(9, 3), slice(50, 40, -2)):
        assert found[part] == values[part]
    with pytest.raises(IndexError):
        found[len(values)]


@pytest.mark.usefixtures("small_memory")
def test_some_of_the_values_are_taken_in_their_order() -> None:
    values: list[Any] = [*TEXTS, None, *TEXTS]
    places = np.random.default_rng(0).permutation(len(values))[:900]
    some = taken(in_file(values), places.tolist())
    assert isinstance(some, StoredColumn) and list(some) == [values[place] for place in places]
    assert taken(values, [3, 1]) == [values[3], values[1]]
    assert some[100:100] == [] and list(taken(some, [5, 5])) == [some[5]] * 2


def test_a_short_column_stays_in_memory_and_its_labels_are_one_object() -> None:
    found = stored(json.loads(json.dumps(["World", "Sports"] * 500)))
    assert isinstance(found, list) and len(set(map(id, found))) == 2


@pytest.mark.usefixtures("small_memory")
def test_many_different_short_values_go_to_the_file_as_well() -> None:
    names = [f"row {row}" for row in range(columns._SHARED + 3 * CHUNK)]
    assert list(in_file(names)) == names


def test_a_system_that_gives_a_part_at_a_time_is_asked_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(100)))
    monkeypatch.setattr(columns, "_MOST", 7)
    with path.open("rb") as file:
        assert columns.read_at(file.fileno(), 50, 20) == bytes(range(20, 70))
        assert columns.read_at(file.fileno(), 0, 20) == b""
        with pytest.raises(OSError, match="shorter"):
            columns.read_at(file.fileno(), 50, 60)


@pytest.mark.usefixtures("small_memory")
def test_the_file_has_no_name_and_goes_with_its_last_reader(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FEATHERWEIGHT_CACHE", str(tmp_path))
    found = in_file(TEXTS)
    some = found.take([1, 2])
    assert list(tmp_path.iterdir()) == []
    file = found._file
    del found
    assert list(some) == TEXTS[1:3] and not file.closed


@pytest.mark.usefixtures("small_memory")
def test_a_disk_that_refuses_leaves_all_in_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way of a folder")
    monkeypatch.setenv("FEATHERWEIGHT_CACHE", str(blocked))
    assert stored(TEXTS) == TEXTS

    def homeless() -> None:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(columns, "_temporary_file", homeless)
    assert stored(TEXTS) == TEXTS


@pytest.mark.usefixtures("small_memory")
def test_a_disk_that_fills_up_half_way_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    real = columns._temporary_file

    class Filling:
        def __init__(self) -> None:
            self.file, self.left = real(), 3

        def fileno(self) -> int:
            return self.file.fileno()

        def write(self, data: memoryview) -> int:
            self.left -= 1
            if self.left < 0:
                raise OSError("no space left on device")
            return self.file.write(data[: max(1, len(data) // 2)])

    monkeypatch.setattr(columns, "_temporary_file", Filling)
    assert stored(TEXTS) == TEXTS


@pytest.mark.usefixtures("small_memory")
@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet", "saved"])
def test_long_files_give_the_rows_that_short_ones_give(ending: str, tmp_path: Path) -> None:
    import pandas as pd
    from datasets import Dataset

    count = 2 * 10_000 + 7  # more than two pieces
    numbers = range(count)
    texts = [f"text {row} {'x' * 60}" for row in numbers]
    labels = [("b", "a")[row % 2] for row in numbers]
    rows = pd.DataFrame({"id": [f"row {row}" for row in numbers], "text": texts, "label": labels})
    path = tmp_path / f"train.{ending}"
    if ending == "jsonl":
        rows.to_json(path, orient="records", lines=True)
    elif ending == "csv":
        rows.to_csv(path, index=False)
    elif ending == "parquet":
        rows.to_parquet(path)
    else:
        Dataset.from_pandas(rows).save_to_disk(str(path))
    found = read_rows(str(path), DataRecipe(train=str(path)))
    assert isinstance(found.texts, StoredColumn)
    assert list(found.texts) == rows["text"].tolist() and list(found.ids or ()) == rows["id"].tolist()
    assert found.labels is not None and [found.label_names[label] for label in found.labels] == rows["label"].tolist()
    some = found.take(np.array([20_003, 4]))
    assert list(some.texts) == [rows["text"][20_003], rows["text"][4]] and list(some.ids or ()) == [
        "row 20003",
        "row 4",
    ]


def test_a_key_that_comes_late_is_missing_before(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    lines = [json.dumps({"text": f"text {row}"} | ({"label": "a"} if row >= 12_000 else {})) for row in range(12_010)]
    path.write_text("\n".join(lines), "utf-8")
    data = DataRecipe(train=str(path))
    table = open_table(str(path), data, "train")
    assert table.names == ("text", "label") and list(table.read("label")).index("a") == 12_000
    with pytest.raises(UserError, match=r"row 1: the label is missing"):
        read_rows(str(path), data)
    lines[11_000] = json.dumps({"text": None, "label": "a"})
    path.write_text("\n".join(lines), "utf-8")
    with pytest.raises(UserError, match=r"row 11001: the text is empty"):
        read_rows(str(path), data, labelled=False)
