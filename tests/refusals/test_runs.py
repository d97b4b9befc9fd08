"""Bad folders, full disks and damaged runs at the command line: refused, and nothing is lost or left behind."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors import SafetensorError
from support.commands import VERBS, Cli, refused, spoil

from featherweight.files import disk_refusal
from featherweight.run.lock import locked


def test_output_folder_that_is_taken(cli: Cli, job: Path, run: Path) -> None:
    naming = "--out run: contains another run; choose a new folder, or resume that run with --resume"
    refused(cli, "train", job, "--out", "run", naming=naming)
    refused(cli, "train", job, "--out", "run", "--resume", naming="run: --resume, but the recipe differs")
    Path("mine").mkdir()
    Path("mine/diary.txt").write_text("private")
    for more in ([], ["--resume"]):
        refused(cli, "train", job, "--out", "mine", *more, naming="--out mine: is not empty and contains no run")
    refused(cli, "train", job, "--out", "data.csv/run", naming="--out data.csv/run: data.csv is not a folder")
    with locked(Path("busy")):
        before = {"job.toml", "data.csv", "run", "mine", "texts.csv", "judged.csv", "busy"}
        answer = cli("train", job, "--out", "busy", "--resume")
        assert {path.name for path in Path().iterdir()} == before
    assert answer.code == 2


def full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def full_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk be full for the text file ``name``, after some letters of it."""
    write = Path.write_text

    def write_some(path: Path, text: str, *more: Any) -> int:
        if path.name.startswith(name):
            write(path, text[:10], *more)
            full()
        return write(path, text, *more)

    monkeypatch.setattr(Path, "write_text", write_some)


@pytest.mark.parametrize("file", ["recipe.toml", "weigh.json", "environment.json"])
def test_no_space_at_the_start(cli: Cli, job: Path, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    full_for(file, monkeypatch)
    naming = (f"runs/tiny/{file}: cannot be written: No space left on device", "free some space")
    refused(cli, "train", job, naming=naming)


def test_no_space_for_the_history_leaves_nothing(cli: Cli, job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from featherweight.training.history import History

    monkeypatch.setattr(History, "flush", full)
    refused(cli, "train", job, "--out", "a/b", naming="a/b: cannot be written: No space left on device")


def test_no_space_for_the_adapter_loses_no_training(cli: Cli, job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import safetensors.torch as saving

    def safetensors_full(*_: Any, **__: Any) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    with monkeypatch.context() as patch:
        patch.setattr(saving, "save_file", safetensors_full)
        answer = cli("train", job, "--out", "run")
    assert (answer.code, len(answer.err.splitlines())) == (2, 1)
    assert not list(Path("run").rglob("*part"))
    steps = len(Path("run/history.jsonl").read_text().splitlines())
    assert cli("train", job, "--out", "run", "--resume").code == 0
    assert len(Path("run/history.jsonl").read_text().splitlines()) == steps


def test_no_space_for_other_outputs(cli: Cli, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full_for("report.html", monkeypatch)
    full_for("plan.toml", monkeypatch)
    monkeypatch.setattr("featherweight.inference.writers.csv.writer", full)
    refused(
        cli, "predict", run, "texts.csv", "-o", "out.csv", naming="out.csv: cannot be written: No space left on device"
    )
    refused(cli, "plan", "--row", 1, "--out", "plan.toml", naming="plan.toml: cannot be written: No space left")
    shutil.rmtree("run/plots")
    answer = cli("report", run)
    assert answer.code == 2
    assert "run/report.html: cannot be written: No space left on device" in answer.err


@pytest.mark.parametrize(("arguments", "naming"), [
    (["nowhere.csv", "-o", "out.csv"], "nowhere.csv: no such file"),
    (["words.csv", "-o", "out.csv"], ("words.csv: no column 'text'", "words")),
    (["texts.pkl", "-o", "out.csv"], "texts.pkl: opening a .pkl file can run any code"),
    (["texts.csv"], "-o is missing: pass the file to write, such as labels.csv"),
    (["texts.csv", "-o", "out.xlsx"], "-o out.xlsx: unknown file extension"),
    (["texts.csv", "-o", "out.jsonl", "--kaggle"], "-o out.jsonl: a submission is a CSV file"),
    (["texts.csv", "-o", "words.csv"], "-o words.csv: exists; choose a new file"),
    (["texts.csv", "-o", "no/out.csv"], "-o no/out.csv: the folder no does not exist"),
    (["texts.csv", "-o", "/proc/out.csv"], "/proc/out.csv"),
    (["texts.csv", "-o", "x" * 300 + ".csv"], "File name too long"),
    (["texts.csv", "-o", "out.jsonl", "--safe-csv"], "--safe-csv: out.jsonl is not a CSV file"),
    (["texts.csv", "--kaggle", "--safe-csv"], "--safe-csv and --kaggle exclude each other"),
    (["texts.csv", "-o", "out.csv", "--text", "an apple"],
     ("texts.csv: no column 'an apple'; its columns are: text", "without a file, --text is a text to classify")),
    (["words.csv", "-o", "out.csv", "--text", "words", "--text", "wrods"],
     "words.csv: no column 'wrods'; did you mean 'words'? Its columns are: words\n"),
    (["notes.csv", "-o", "out.csv"],
     ("notes.csv: no column 'text', which held the texts in training; its columns are: tweetid, message",
      "Name the column with the texts: --text message")),
    ([], "FILE is missing"),
])  # fmt: skip
def test_bad_predict_arguments(cli: Cli, run: Path, arguments: list[str], naming: Any) -> None:
    Path("words.csv").write_text("words\napple\n", "utf-8")
    Path("notes.csv").write_text("tweetid,message\n1,we saw an owl\n2,the owl saw us\n", "utf-8")
    Path("texts.pkl").write_bytes(b"\x80\x04.")
    refused(cli, "predict", run, *arguments, naming=naming)


def test_evaluating_on_data_that_does_not_fit(cli: Cli, run: Path) -> None:
    Path("other.csv").write_text("text,label\napple,fruit\nsalt,stone\nflour,food\nbran,food\n", "utf-8")
    line = "other.csv: row 2: unknown label 'stone' (also 'food'); the classes are bird, fruit, metal"
    steps = "--drop-empty; to teach them: featherweight train --from run FILE"
    refused(cli, "evaluate", run, "--data", "other.csv", naming=(line, steps))
    Path("gaps.csv").write_text("text,label\n,fruit\nsalt,stone\n", "utf-8")
    line = "gaps.csv: row 2: unknown label 'stone'; the classes are bird, fruit, metal"
    refused(cli, "evaluate", run, "--data", "gaps.csv", "--drop-empty", naming=(line, steps))
    Path("emptied.csv").write_text("text,label\napple,fruit\nsalt,\nflour,\nbran,\n", "utf-8")
    assert "1 row" in cli("evaluate", run, "--data", "emptied.csv", "--drop-empty").out
    Path("numbers.csv").write_text("text,label\napple,0\nsalt,1\n", "utf-8")
    refused(
        cli, "evaluate", run, "--data", "numbers.csv", naming=("numbers.csv: its labels are numbers", "data.labels")
    )


@pytest.mark.parametrize(("arguments", "naming"), [
    ([], ("other.csv: no column 'label', which held the labels in training; its columns are: text, kind, n",
          "Name the column with the labels: --label kind")),
    (["--label", "sort"], ("other.csv: no column 'sort'", "--label COLUMN")),
    (["--text", "body", "--label", "kind"], ("other.csv: no column 'body'", "--text COLUMN")),
])  # fmt: skip
def test_evaluating_on_columns_of_other_names(cli: Cli, run: Path, arguments: list[str], naming: Any) -> None:
    Path("other.csv").write_text("text,kind,n\n" + "apple,fruit,1\nowl,bird,2\n" * 2, "utf-8")
    refused(cli, "evaluate", run, "--data", "other.csv", *arguments, naming=naming)
    refused(cli, "evaluate", run, "--label", "kind", naming="--label names a column of the data in --data")


@pytest.mark.parametrize("verb", VERBS)
def test_no_run_and_runs_of_a_newer_version(cli: Cli, run: Path, verb: str) -> None:
    command = VERBS[verb]
    environment = json.loads((run / "environment.json").read_text())
    (run / "environment.json").write_text(json.dumps({**environment, "format": 2}))
    (run / "recipe.toml").write_text("[of_tomorrow]\n")
    refused(cli, *command, naming="run: written by a newer Featherweight (layout 2, this version reads layout 1)")
    shutil.rmtree(run)
    refused(cli, *command, naming="run: not a run folder")


@pytest.mark.parametrize("verb", ["judge", "predict"])
def test_a_run_that_did_not_get_to_its_end(cli: Cli, run: Path, verb: str) -> None:
    shutil.rmtree(run / "adapter")
    refused(cli, *VERBS[verb], naming="run: contains no adapter")


@pytest.mark.parametrize("verb", ["judge", "predict"])
def test_adapter_of_a_newer_version(cli: Cli, run: Path, verb: str) -> None:
    path = run / "adapter" / "featherweight.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    refused(cli, *VERBS[verb], naming="adapter: written by a newer Featherweight (layout 2")


def change(**values: Any) -> Callable[[str], str]:
    """A JSON object with these values; ``test__rows=1`` sets ``rows`` in ``test``, None takes a key away."""

    def changed(text: str) -> str:
        content = json.loads(text)
        for path, value in values.items():
            *above, key = path.split("__")
            place = reduce(lambda inside, name: inside[name], above, content)
            place.pop(key) if value is None else place.update({key: value})
        return json.dumps(content)

    return changed


NO_OBJECT, ENDLESS, DIGITS = "[]", "[" * 100_000, '{"format": ' + "9" * 5000 + "}"
DAMAGE: list[tuple[str, str | bytes | Callable[[str], str] | None, str, str]] = [
    ("evaluation.json", '{"test": ', "evaluate report compare", "damaged"),
    ("evaluation.json", "{}", "evaluate", "damaged"),
    ("evaluation.json", None, "evaluate", "missing"),
    ("evaluation.json", NO_OBJECT, "evaluate report compare", "damaged: it contains no JSON object"),
    ("evaluation.json", ENDLESS, "evaluate report compare", "damaged: its lists or objects are nested too deeply"),
    ("evaluation.json", DIGITS, "evaluate report", "damaged"),
    ("evaluation.json", b"\xff\xfe", "evaluate report", "damaged"),
    ("evaluation.json", change(test=3), "evaluate report compare", "damaged: test: must be a table"),
    ("evaluation.json", change(shift=[1]), "evaluate report compare", "damaged: shift: must be a table"),
    ("evaluation.json", change(test__accuracy="x"), "evaluate report compare", "test.accuracy: must be a number"),
    ("evaluation.json", change(test__accuracy=float("nan")), "evaluate report", "test.accuracy: must be a finite"),
    ("evaluation.json", change(test__accuracy_interval=None), "evaluate report", "test.accuracy_interval: is missing"),
    ("evaluation.json", change(test__per_class=[{}]), "evaluate report", "test.per_class.0.label: is missing"),
    (
        "evaluation.json",
        change(test__confusion_matrix=[[1], [2, 3]]),
        "evaluate report",
        "have different numbers of classes",
    ),
    ("evaluation.json", change(test__temperature=0), "evaluate report", "test.temperature: must be greater than 0"),
    ("environment.json", NO_OBJECT, "evaluate judge report predict", "damaged"),
    ("environment.json", '{"format": "one"}', "evaluate judge report predict", "damaged"),
    ("environment.json", '{"format": true}', "evaluate report", "damaged: its key 'format' is True, not a number"),
    ("environment.json", change(seconds="long"), "report compare", "damaged: seconds: must be a number"),
    ("environment.json", change(label_column=3), "report compare", "damaged: label_column: must be a table"),
    ("environment.json", change(warnings=3), "report compare", "damaged: warnings: must be a list"),
    ("recipe.toml", "[data\n", "report predict compare", "line 1"),
    ("recipe.toml", "", "report predict compare", "the recipe is empty"),
    ("recipe.toml", b"name = '\xe9'", "report predict compare", "line 1 is not UTF-8"),
    ("recipe.toml", "backbone = 3", "report compare", "backbone: must be a table"),
    ("weigh.json", "\x00", "report compare", "damaged"),
    ("weigh.json", change(total="many"), "report compare", "damaged: total: must be a whole number"),
    ("weigh.json", "{}", "report compare", "damaged: total: is missing"),
    ("verification.json", "no", "report", "damaged"),
    ("verification.json", change(reloaded="same"), "report", "damaged: reloaded: must be a table"),
    ("verification.json", change(reloaded={"rows": 3}), "report", "reloaded.largest_difference: is missing"),
    ("history.jsonl", '{"kind": "st\n{}\n', "report compare", "line 1"),
    ("history.jsonl", "3\n4\n", "report compare", "line 1: damaged: it contains no JSON object"),
    ("history.jsonl", '{"step": 1}\n{"kind": "step"}\n', "report compare", "line 2: damaged: step: is missing"),
    ("history.jsonl", '{"step": 1, "loss": [1]}\n', "report compare", "line 1: damaged: loss: must be a number"),
    ("history.jsonl", '{"step": 1, "loss": ' + "9" * 400 + "}\n", "report", "line 1: damaged: loss: must be a number"),
    ("history.jsonl", b"\0" * 300 + b"\n{}\n", "report", "damaged: line 1 is not valid JSON; restore"),
    ("history.jsonl", ENDLESS + "\n{}\n", "report", "damaged: line 1 is not valid JSON; restore"),
    ("predictions.parquet", None, "compare", "missing"),
    ("predictions.parquet", "", "compare", "damaged"),
    ("predictions.parquet", "cut", "compare", "damaged"),
    ("predictions.parquet", b"PAR1" * 50, "compare", "damaged"),
]


@pytest.mark.parametrize(
    ("file", "content", "verb", "naming"),
    [(file, content, verb, naming) for file, content, verbs, naming in DAMAGE for verb in verbs.split()],
)
def test_damaged_runs(cli: Cli, run: Path, file: str, content: Any, verb: str, naming: str) -> None:
    spoil(run / file, content)
    refused(cli, *VERBS[verb], naming=(naming, f"run/{file}"))


@pytest.mark.parametrize(("file", "verb"), [
    ("evaluation.json", "evaluate"), ("evaluation.json", "report"), ("history.jsonl", "report"),
    ("weigh.json", "report"), ("predictions.parquet", "compare"), ("recipe.toml", "predict"),
])  # fmt: skip
def test_folders_in_the_place_of_files(cli: Cli, run: Path, file: str, verb: str) -> None:
    (run / file).unlink()
    (run / file).mkdir()
    refused(cli, *VERBS[verb], naming="run")


@pytest.mark.parametrize(("column", "values"), [
    ("label", range), ("row", lambda rows: ["one"] * rows), ("predicted", None), ("split", None),
])  # fmt: skip
def test_predictions_of_other_columns(cli: Cli, run: Path, column: str, values: Any) -> None:
    path = run / "predictions.parquet"
    table = pq.read_table(path)
    place = table.column_names.index(column)
    other = table.remove_column(place)
    if values is not None:
        other = other.add_column(place, column, pa.array(values(table.num_rows)))
    pq.write_table(other, path)
    refused(cli, "compare", "run", naming=("run/predictions.parquet: damaged", column))


@pytest.mark.parametrize(("out", "make", "naming"), [
    ("texts.csv", None, "-o texts.csv: cannot be created, because texts.csv is a file; choose another folder"),
    ("/proc/comparison", None, "/proc/comparison"),
    ("other/comparison", lambda path: path.parent.symlink_to("other"), "check the path"),
])  # fmt: skip
def test_bad_places_for_a_comparison(cli: Cli, run: Path, out: str, make: Any, naming: str) -> None:
    if make is not None:
        make(Path(out))
    refused(cli, "compare", "run", "-o", out, naming=naming)


def test_a_file_without_permission_is_not_called_a_full_disk(tmp_path: Path) -> None:
    """Also one that was to be read: as the texts of a folder."""
    denied = PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(tmp_path / "a.txt"))
    said = f"{tmp_path / 'a.txt'}: cannot be used: Permission denied; change its permissions or use another folder"
    assert str(disk_refusal(denied, tmp_path)) == said
    assert "cannot be written" in str(disk_refusal(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), tmp_path))
