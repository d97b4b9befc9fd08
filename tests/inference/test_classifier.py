"""Prediction for data larger than memory, and for single texts: read in pieces, checked first, followed, shown."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.commands import Cli

from featherweight import console as progress
from featherweight.data.sources import read_rows, text_pieces
from featherweight.errors import UserError
from featherweight.inference import output_files as predictions
from featherweight.inference.classifier import Classifier
from featherweight.inference.output_files import predict_file
from featherweight.recipe import DataRecipe
from featherweight.run.folder import Run
from featherweight.task.interface import SINGLE_LABEL

TEXTS = ["apple pear plum", 'robin, crow and "heron"', "zinc\tsilver", "two\nlines", "owl", "Größe — 東京", "iron"]
IDS = [f"{number:03d}" for number in (17, 3, 99, 8, 21, 4, 50)]


def as_csv(delimiter: str, texts: Sequence[str] = TEXTS) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter).writerows([["ID", "text"], *zip(IDS, texts, strict=True)])
    return out.getvalue().encode()


def as_objects(texts: Sequence[str] = TEXTS) -> list[str]:
    return [json.dumps({"ID": row, "text": text}) for row, text in zip(IDS, texts, strict=True)]


def as_parquet(texts: Sequence[str | None] = TEXTS, **options: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"embedding": [[0.5]] * len(texts), "text": texts, "ID": IDS}), out, **options)
    return out.getvalue()


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


def write(folder: Path, name: str, content: bytes | str) -> str:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


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


def many_rows(folder: Path, kind: str, count: int) -> str:
    path = folder / f"{count}.{kind}"
    if kind == "parquet":  # all rows in one row group, as most tools write them
        pq.write_table(pa.table({"text": [f"text {row} of many" for row in range(count)]}), path)
    elif kind == "jsonl":
        path.write_text("".join(f'{{"text": "text {row} of many"}}\n' for row in range(count)))
    else:
        path.write_text("text\n" + "".join(f"text {row} of many\n" for row in range(count)))
    return str(path)


@pytest.mark.parametrize(("kind", "ending"), [("csv", ".csv"), ("tsv", ".parquet"), ("jsonl", ".jsonl")])
def test_memory_does_not_grow_with_the_rows(
    stub_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, ending: str
) -> None:
    monkeypatch.setattr(predictions, "PIECE", 1_000)
    peaks = []
    for count in (1_000, 3_000, 30_000):  # the first time imports what is needed
        source = many_rows(tmp_path, kind, count)
        tracemalloc.start()
        assert predict_file(stub_run, source, tmp_path / f"out-{count}{ending}") == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.2 * peaks[1] + 100_000


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


def test_texts_are_classified_and_shown(cli: Cli, finished_run: Run) -> None:
    texts = ["apple pear [bold]plum[/bold]", "crow " * 20, "iron\x1b[31m copper"]
    answer = cli("predict", finished_run.folder, *(part for text in texts for part in ("--text", text)))
    assert (answer.code, answer.err) == (0, "")
    head, *rows = answer.out.splitlines()
    assert head.split() == ["text", "label", "bird", "fruit", "metal"]
    expected = Classifier.load(finished_run.folder).predict(texts)
    assert len(rows) == 3
    for row, prediction in zip(rows, expected, strict=True):
        shown = [f"{share:.4f}" for share in prediction.probabilities.values()]
        assert row.split()[-4:] == [prediction.label, *shown]
    assert rows[0].startswith("apple pear [bold]plum[/bold]")
    assert rows[1].startswith("crow crow") and "... " in rows[1]
    assert "\x1b" not in answer.out


def test_of_many_classes_the_likeliest_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    from featherweight.cli.tables import prediction_table
    from featherweight.console import plain_console
    from featherweight.inference.classifier import Prediction

    shares = {f"class {number}": share for number, share in enumerate(np.linspace(0, 0.2, 11))}
    plain_console().print(prediction_table(["a text"], [Prediction("class 10", shares)]))
    row = capsys.readouterr().out.splitlines()[1]
    assert " ".join(row.split()) == "a text class 10 class 10 0.2000 class 9 0.1800 class 8 0.1600"


@pytest.mark.parametrize(("arguments", "words"), [
    (["texts.csv", "--text", "owl"], "-o is missing"),
    (["--text", "owl", "-o", "out.csv"], "--out and --text exclude each other"),
    (["--text", "owl", "--kaggle"], "--kaggle and --text exclude each other"),
    (["-o", "out.csv"], 'FILE is missing: pass a file of texts, or a text with --text "..."'),
])  # fmt: skip
def test_bad_use_of_text(cli: Cli, finished_run: Run, arguments: list[str], words: str) -> None:
    answer = cli("predict", finished_run.folder, *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert words in answer.err
    assert list(Path().iterdir()) == []
