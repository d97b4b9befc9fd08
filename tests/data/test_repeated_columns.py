"""Two columns with the same name are refused wherever one of them would be used, and otherwise named as not used."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featherweight.data.id_column import ROW, named_ids
from featherweight.data.new_columns import with_new_columns
from featherweight.data.sources import read_rows
from featherweight.data.text_pieces import text_pieces
from featherweight.errors import UserError
from featherweight.hints import Caller, called_from
from featherweight.recipe import DataRecipe
from featherweight.workflows.own_data import draft_recipe
from featherweight.workflows.request import requested

ROWS = [[f"the parcel number {n} has not arrived", "ab"[n % 2], "cd"[n % 2]] for n in range(12)]
WRITERS: dict[str, Callable[[pd.DataFrame, str], Any]] = {
    "rows.csv": lambda frame, path: frame.to_csv(path, index=False),
    "rows.xlsx": lambda frame, path: frame.to_excel(path, index=False),
    "rows.json": lambda frame, path: Path(path).write_text(
        json.dumps({"columns": list(frame.columns), "data": frame.to_numpy().tolist()})
    ),
    "rows.parquet": lambda frame, path: pq.write_table(as_arrow(frame), path),
}


def as_arrow(frame: pd.DataFrame) -> pa.Table:
    return pa.table([list(frame.iloc[:, place]) for place in range(frame.shape[1])], names=list(frame.columns))


def frame(*names: str) -> pd.DataFrame:
    return pd.DataFrame([row[: len(names)] for row in ROWS], columns=list(names))


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(
    ("names", "twice"),
    [
        (("text", "label", "label"), "label"),
        (("text", "text", "label"), "text"),
        (("text", "Label", "Label"), "Label"),
        (("review", "sentiment", "sentiment"), "sentiment"),
        (("review", "review", "sentiment"), "review"),
    ],
)
def test_a_column_that_is_there_twice_is_refused(tmp_path: Path, name: str, names: tuple[str, ...], twice: str) -> None:
    WRITERS[name](frame(*names), path := str(tmp_path / name))
    with pytest.raises(UserError, match=f"two columns are called '{twice}'"):
        draft_recipe(path)
    with pytest.raises(UserError, match=f"two columns are called '{twice}'|called '{twice}' \\(rename them\\)"):
        read_rows(path, DataRecipe())


@pytest.mark.parametrize("of", [lambda rows: rows, as_arrow], ids=["pandas", "arrow"])
def test_so_are_those_of_rows_in_memory(of: Callable[[pd.DataFrame], Any]) -> None:
    for names, twice in ((("text", "label", "label"), "label"), (("review", "topic", "topic"), "topic")):
        request = requested(of(frame(*names)))
        told = f"two columns are called '{twice}', which may hold the labels\nRename"
        with called_from(Caller.ARGUMENTS), pytest.raises(UserError, match=told) as e:
            request._draft({"train": "rows.parquet"}, ())
        assert str(e.value).endswith('name another column with label="COLUMN"')


@pytest.mark.parametrize("rows", [{"text": ["a"], 1: ["b"], "1": ["c"]}, [{"text": "a", 1: "b", "1": "c"}]])
def test_keys_that_are_the_same_as_texts_are_two_columns(rows: Any) -> None:
    with pytest.raises(UserError, match=r"its columns are: text, and several called '1' \(rename them\)\n"):
        requested(rows)._draft({"train": "rows.parquet"}, ())


def test_no_other_column_is_taken_in_their_place(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("review,sentiment,sentiment,topic\n" + "".join(f"{t},{a},{a},{c}\n" for t, a, c in ROWS))
    with pytest.raises(UserError, match="two columns are called 'sentiment', which may hold the labels"):
        draft_recipe(str(path))
    path.write_text("review,note,note,topic\n" + "".join(f"{t},{a},{a},{c}\n" for t, a, c in ROWS))
    assert (
        draft_recipe(str(path))
        .notes[0]
        .endswith("labels from 'topic' (by its name); not used: two columns called 'note'")
    )


@pytest.mark.usefixtures("as_options")
def test_columns_that_differ_in_case_are_named(tmp_path: Path) -> None:
    frame("text", "LABEL", "Label").to_csv(path := tmp_path / "rows.csv", index=False)
    with pytest.raises(
        UserError, match="LABEL, Label could each be the column 'label'\nName the right one with --label"
    ):
        read_rows(str(path), DataRecipe())
    assert read_rows(str(path), DataRecipe(label="Label")).label_names == ("c", "d")


def test_new_rows_with_two_columns_of_texts_or_ids_are_refused(tmp_path: Path) -> None:
    frame("text", "text").to_csv(path := tmp_path / "rows.csv", index=False)
    with pytest.raises(UserError, match="two columns are called 'text'; rename one"):
        with_new_columns(DataRecipe(), str(path))
    frame("text", "id", "id").to_csv(path, index=False)
    pieces = lambda wanted: text_pieces(str(path), DataRecipe(), split="test", rows=5, find_ids=named_ids(wanted))  # noqa: E731
    with pytest.raises(UserError, match="two columns are called 'id'; rename one"):
        next(pieces(None))
    assert next(pieces(ROW)).ids is None
