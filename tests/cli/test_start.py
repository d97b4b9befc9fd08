"""How little a command loads: what it does not need is not imported, and an error comes before what takes seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.old_run import placed_here

import featherweight

HEAVY = (
    *("accelerate", "datasets", "matplotlib", "numpy", "pandas", "peft", "pyarrow", "pydantic", "scipy", "sklearn"),
    *("torch", "transformers"),
)
PROGRAM = f"""
import contextlib, io, json, sys
from featherweight.cli.main import app
from featherweight.errors import UserError
for words in json.loads(sys.argv[1]):
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            app(words, standalone_mode=False)
            error = ""
        except (UserError, SystemExit) as raised:
            error = str(raised)
    loaded = [name for name in {HEAVY} if name in sys.modules]
    print(json.dumps([error.partition(chr(10))[0], loaded]))
"""
RECIPE_ALONE = ["pydantic"]  # which typer's help loads, too
ROWS_TOO = ["numpy", "pydantic"]
TOKENS_TOO = ["numpy", "pydantic", "transformers"]


def loaded_by(*commands: list[str]) -> list[tuple[str, list[str]]]:
    """For each command, run in this order by one new process, its error and the libraries that are loaded by then."""
    environment = {**os.environ, "PYTHONPATH": str(Path(featherweight.__file__).parents[1])}
    program = [sys.executable, "-c", PROGRAM, json.dumps(commands)]
    done = subprocess.run(program, capture_output=True, text=True, check=True, env=environment)
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the run ``finished`` and a file of rows."""
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text("text,label\napple,fruit\ncrow,bird\n", "utf-8")
    return placed_here()


def test_what_needs_no_model_loads_no_library_for_models(here: Path) -> None:
    run, before = "finished", sorted(here.iterdir())
    table: list[tuple[list[str], str, list[str]]] = [
        (["--help"], "", []),
        (["predict", "--help"], "", RECIPE_ALONE),
        (["recipes"], "", RECIPE_ALONE),
        (["weigh", "r4"], "", RECIPE_ALONE),
        (["plan"], "", RECIPE_ALONE),
        (["train", "nothing"], "nothing: no", RECIPE_ALONE),
        (["train", "r4", "--set", "training.nothing=1"], "unknown key", RECIPE_ALONE),
        (["predict", run, "--text", "apple", "-o", "out.csv"], "exclude each other", RECIPE_ALONE),
        (["compare", "nowhere"], "not a run folder", RECIPE_ALONE),
        (["predict", "nowhere", "--text", "apple"], "not a run folder", ROWS_TOO),
        (["predict", run, "nothing.csv", "-o", "out.csv"], "no such file", ROWS_TOO),
        (["predict", run, "nothing.csv", "--kaggle", "-o", "out.csv"], "no such file", ROWS_TOO),
        (["evaluate", run], "", ROWS_TOO),
        (["evaluate", run, "--data", "nothing.csv"], "no such file", ROWS_TOO),
        (["verify", "nowhere"], "not a run folder", ROWS_TOO),
        (["report", "nowhere"], "not a run folder", ROWS_TOO),
        (["train", "newsbriefs", "--budget", "10"], "exceeded by", ROWS_TOO),
        (["train", "newsbriefs", "--set", "data.train=nothing.csv"], "no such file", ROWS_TOO),
        (["train", "newsbriefs", "--set", "backbone.name=./nowhere"], "nowhere", ROWS_TOO),
        (["check", "rows.csv"], "", TOKENS_TOO),
    ]
    found = loaded_by(*(words for words, _, _ in table))
    for (words, error, libraries), (message, loaded) in zip(table, found, strict=True):
        assert error in message and bool(error) == bool(message), (words, message)
        assert loaded == libraries, words
    assert sorted(here.iterdir()) == before


def test_a_run_classifies_without_peft_and_transformers(here: Path) -> None:
    run = "finished"
    found = loaded_by(["predict", run, "--text", "apple"], ["predict", run, "rows.csv", "-o", "out.jsonl"])
    assert found == [("", ["numpy", "pydantic", "torch"])] * 2
    assert len(Path("out.jsonl").read_text("utf-8").splitlines()) == 2
