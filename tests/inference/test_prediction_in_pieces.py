"""Predictions for data larger than memory: read in pieces, checked first, followed, and written whole or not at all."""

from __future__ import annotations

import csv
import json
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from support.commands import Cli
from support.text_files import TEXTS, as_csv, as_parquet, many_rows, write

from featherweight import console as progress
from featherweight.errors import UserError
from featherweight.inference import output_files as predictions
from featherweight.inference.classifier import Classifier
from featherweight.inference.output_files import predict_file
from featherweight.recipe import Recipe
from featherweight.run.folder import Run
from featherweight.task.interface import SINGLE_LABEL


@pytest.mark.parametrize(
    ("ending", "kaggle"), [(".csv", False), (".csv", True), (".jsonl", False), (".parquet", False)]
)
def test_what_is_written_in_pieces_is_what_is_written_at_once(
    finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, kaggle: int
) -> None:
    source = write(tmp_path, "a.csv", as_csv(","))
    assert predict_file(finished_run.folder, source, tmp_path / f"whole{ending}", kaggle=bool(kaggle)) == len(TEXTS)
    monkeypatch.setattr(predictions, "PIECE", 2)
    assert predict_file(finished_run.folder, source, tmp_path / f"pieces{ending}", kaggle=bool(kaggle)) == len(TEXTS)
    whole, in_pieces = (table_of(tmp_path / f"{name}{ending}") for name in ("whole", "pieces"))
    assert list(whole) == list(in_pieces)
    for name in whole:
        if name.startswith("p_"):
            np.testing.assert_allclose(np.array(whole[name], float), np.array(in_pieces[name], float), atol=1e-5)
        else:
            assert whole[name] == in_pieces[name]


def table_of(path: Path) -> dict[str, list[Any]]:
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pydict()
    if path.suffix == ".jsonl":
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        return {name: [row[name] for row in rows] for name in rows[0]}
    with path.open(newline="") as file:
        found = list(csv.DictReader(file))
    return {name: [row[name] for row in found] for name in found[0]}


class Stub:
    """Classifies by the length of a text, and stumbles over one that says so."""

    labels = ("short", "long")
    task = SINGLE_LABEL
    recipe = Recipe()
    model, model_id, temperature = None, "stub", 1.0

    def probabilities(
        self, texts: Sequence[str], *, advance: Callable[[int], None] | None = None, warn: bool = True
    ) -> np.ndarray:
        if "stumble" in texts:
            raise RuntimeError("stumbled")
        for _ in texts if advance else ():
            advance(1)
        long = np.array([len(text) > 9 for text in texts], float)
        return np.stack([1 - long, long], 1)


@pytest.fixture
def stub_run(finished_run: Run, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(Classifier, "load", lambda run, **options: Stub())
    return finished_run.folder


@pytest.mark.parametrize(("kind", "ending"), [("csv", ".csv"), ("tsv", ".parquet"), ("jsonl", ".jsonl")])
def test_memory_does_not_grow_with_the_rows(
    stub_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, ending: str
) -> None:
    monkeypatch.setattr(predictions, "PIECE", 1_000)
    peaks = []
    # The first time imports what is needed; the others are longer than what is read to see how a file is written.
    for count in (1_000, 10_000, 30_000):
        source = many_rows(tmp_path, kind, count)
        tracemalloc.start()
        assert predict_file(stub_run, source, tmp_path / f"out-{count}{ending}") == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.2 * peaks[1] + 100_000


def test_nothing_is_classified_where_the_last_row_is_bad(
    finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictions, "PIECE", 2)
    monkeypatch.setattr(Classifier, "load", lambda run, **options: pytest.fail("a classifier was loaded"))
    source = write(tmp_path, "a.jsonl", "".join(json.dumps({"text": text}) + "\n" for text in [*TEXTS[:6], ["x"]]))
    with pytest.raises(UserError, match="row 7: 'text' holds a list"):
        predict_file(finished_run.folder, source, tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


@pytest.mark.parametrize(("name", "content"), [
    ("a.csv", as_csv(",", ["owl", " ", *TEXTS[:4], ""])),
    ("one_column.csv", "text\nowl\n\n" + "crow\n" * 4 + "\n"),
    ("texts.txt", "owl\n\n" + "a crow\n" * 4 + "\n"),
    ("a.jsonl", '{"text": "owl"}\n{"text": null}\n' + '{"text": "crow"}\n' * 4 + '{"n": 7}\n'),
    ("a.parquet", as_parquet(["owl", None, *TEXTS[:4], "\u200b"])),
])  # fmt: skip
@pytest.mark.parametrize("kaggle", [False, True])
def test_every_row_has_a_line_and_blank_ones_get_the_label_of_an_empty_text(
    finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: Any, kaggle: bool
) -> None:
    monkeypatch.setattr(predictions, "PIECE", 3)
    source, notes = write(tmp_path, name, content), list[str]()
    rows = predict_file(finished_run.folder, source, tmp_path / "out.csv", kaggle=kaggle, note=notes.append)
    assert rows == 7
    blank = Classifier.load(finished_run.folder).predict([""], warn=False)[0].label
    with (tmp_path / "out.csv").open(encoding="utf-8") as file:
        lines = [list(line.values()) for line in csv.DictReader(file)]
    assert len(lines) == 7 and [lines[1][1], lines[6][1]] == [blank, blank]
    assert notes[-1] == f"{source}: 2 rows are blank or missing (rows 2, 7); they get the label of an empty text"


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_a_failure_midway_leaves_nothing_and_an_older_output_whole(
    stub_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setattr(predictions, "PIECE", 2)
    source = write(tmp_path, "a.csv", as_csv(",", [*TEXTS[:5], "stumble", "x"]))
    (out := tmp_path / f"out{ending}").write_bytes(b"older")
    with pytest.raises(RuntimeError, match="stumbled"):
        predict_file(stub_run, source, out, replace=True)
    assert out.read_bytes() == b"older"
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", out.name}


def test_a_follower_is_told_the_rows_done_and_in_all(
    stub_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictions, "PIECE", 3)
    told: list[tuple[int, int]] = []
    source = write(tmp_path, "a.csv", as_csv(","))
    predict_file(stub_run, source, tmp_path / "out.csv", follow=lambda done, total: told.append((done, total)))
    assert told == [(done, 7) for done in range(1, 8)]


def test_progress_is_told_beside_the_output(
    cli: Cli, stub_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = cli("predict", stub_run, source := many_rows(tmp_path, "csv", 50), "-o", "out.csv")
    assert (answer.code, answer.out, answer.err) == (0, "out.csv: 50 predictions\n", "")
    monkeypatch.setattr(progress, "_QUIET_SECONDS", 0.0)
    answer = cli("predict", stub_run, source, "-o", "out.csv", "--force")
    assert answer.out == "out.csv: 50 predictions\n"
    lines = answer.err.splitlines()
    assert [line.partition("  ")[0] for line in lines] == [f"predicting {done}/50" for done in range(5, 51, 5)]
    assert all(line.endswith(" rows/s") for line in lines)
