"""Bad folders, full disks and damaged runs at the command line: refused, and nothing is lost or left behind."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli, refused
from safetensors import SafetensorError

from featherweight.run import Run, locked


@pytest.fixture
def run(cli: Cli, finished_run: Run) -> Path:
    """A copy of a finished run in the working directory, to be spoilt."""
    shutil.copytree(finished_run.folder, "run", symlinks=True)
    Path("texts.csv").write_text("text\napple\n", "utf-8")
    Path("judged.csv").write_text("text,label\napple,fruit\n", "utf-8")
    return Path("run")


def test_output_folder_that_is_taken(cli: Cli, job: Path, run: Path) -> None:
    naming = "--out run: holds another run; name a new folder, or go on with that run by --resume"
    refused(cli, "train", job, "--out", "run", naming=naming)
    refused(cli, "train", job, "--out", "run", "--resume", naming="run: --resume, but the recipe differs")
    Path("mine").mkdir()
    Path("mine/diary.txt").write_text("private")
    for more in ([], ["--resume"]):
        refused(cli, "train", job, "--out", "mine", *more, naming="--out mine: is not empty and holds no run")
    refused(cli, "train", job, "--out", "data.csv/run", naming="--out data.csv/run: data.csv is no folder")
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
    from featherweight.model import saving

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
    import pandas as pd

    full_for("report.html", monkeypatch)
    full_for("plan.toml", monkeypatch)
    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
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
    (["empty.csv", "-o", "out.csv"], "empty.csv: row 2: the text is empty"),
    (["texts.pkl", "-o", "out.csv"], "texts.pkl: opening a .pkl file can run any code"),
    (["texts.csv", "-o", "out.xlsx"], "-o out.xlsx: the ending says the format"),
    (["texts.csv", "-o", "out.jsonl", "--kaggle"], "-o out.jsonl: a submission is a CSV file"),
    (["texts.csv", "-o", "words.csv"], "-o words.csv: exists; name a new file"),
    (["texts.csv", "-o", "no/out.csv"], "-o no/out.csv: the folder no does not exist"),
])  # fmt: skip
def test_bad_predict_arguments(cli: Cli, run: Path, arguments: list[str], naming: Any) -> None:
    Path("words.csv").write_text("words\napple\n", "utf-8")
    Path("empty.csv").write_text("text,n\napple,1\n,2\n", "utf-8")
    Path("texts.pkl").write_bytes(b"\x80\x04.")
    refused(cli, "predict", run, *arguments, naming=naming)


def test_evaluating_on_data_that_does_not_fit(cli: Cli, run: Path) -> None:
    Path("other.csv").write_text("text,label\napple,fruit\nsalt,stone\n", "utf-8")
    naming = "other.csv: row 2: unknown label 'stone'; the classes are bird, fruit, metal"
    refused(cli, "evaluate", run, "--data", "other.csv", naming=naming)
    Path("numbers.csv").write_text("text,label\napple,0\nsalt,1\n", "utf-8")
    refused(
        cli, "evaluate", run, "--data", "numbers.csv", naming=("numbers.csv: its labels are numbers", "data.labels")
    )


VERBS = {
    "evaluate": ("evaluate", "run"),
    "judge": ("evaluate", "run", "--data", "judged.csv"),
    "report": ("report", "run"),
    "predict": ("predict", "run", "texts.csv", "-o", "out.csv"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_no_run_and_runs_of_a_newer_version(cli: Cli, run: Path, verb: str) -> None:
    command = VERBS[verb]
    environment = json.loads((run / "environment.json").read_text())
    (run / "environment.json").write_text(json.dumps({**environment, "format": 2}))
    (run / "recipe.toml").write_text("[of_tomorrow]\n")
    refused(cli, *command, naming="run: written by a newer Featherweight (layout 2, this one reads 1); update it")
    shutil.rmtree(run)
    refused(cli, *command, naming="run: no run folder")


@pytest.mark.parametrize("verb", ["judge", "predict"])
def test_a_run_that_did_not_get_to_its_end(cli: Cli, run: Path, verb: str) -> None:
    shutil.rmtree(run / "adapter")
    refused(cli, *VERBS[verb], naming="run: no adapter here")


@pytest.mark.parametrize("verb", ["judge", "predict"])
def test_adapter_of_a_newer_version(cli: Cli, run: Path, verb: str) -> None:
    path = run / "adapter" / "featherweight.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    refused(cli, *VERBS[verb], naming="adapter: written by a newer Featherweight (layout 2")


DAMAGE = [
    ("evaluation.json", '{"test": ', ("evaluate", "report"), "damaged"),
    ("evaluation.json", "{}", ("evaluate",), "damaged"),
    ("evaluation.json", None, ("evaluate",), "missing"),
    ("environment.json", "[]", tuple(VERBS), "damaged"),
    ("environment.json", '{"format": "one"}', tuple(VERBS), "damaged"),
    ("recipe.toml", "[data\n", ("judge", "report", "predict"), "line 1"),
    ("weigh.json", "\x00", ("report",), "damaged"),
    ("verification.json", "no", ("report",), "damaged"),
    ("history.jsonl", '{"kind": "st\n{}\n', ("report",), "line 1"),
    ("adapter/featherweight.json", "{}", ("judge", "predict"), "damaged"),
    ("adapter/featherweight.json", None, ("judge", "predict"), "is missing"),
    ("adapter/recipe.toml", None, ("judge", "predict"), "recipe.toml: missing; the saved adapter is incomplete"),
    ("adapter/adapter_model.safetensors", None, ("judge", "predict"), "lacks"),
    ("adapter/adapter_model.safetensors", "cut", ("judge", "predict"), "not a readable safetensors file"),
    ("adapter/tokenizer.json", None, ("judge", "predict"), "tokenizer.json: missing; the saved adapter is incomplete"),
    ("adapter/tokenizer.json", "{", ("judge", "predict"), "tokenizer"),
]


@pytest.mark.parametrize(("file", "content", "verbs", "naming"), DAMAGE)
def test_damaged_runs(cli: Cli, run: Path, file: str, content: str | None, verbs: tuple[str, ...], naming: str) -> None:
    path = run / file
    if content is None:
        path.unlink()
    elif content == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        path.write_text(content, "utf-8")
    place = "run/adapter" if file.startswith("adapter/") else f"run/{file}"
    for verb in verbs:
        refused(cli, *VERBS[verb], naming=(naming, place))
