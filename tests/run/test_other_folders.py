"""Paths that are no run folders: the message says what they are, and what to name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.support.commands import Cli

from featherweight import UserError
from featherweight.run.folder import Run, refuse_adapter


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in (
        "run/recipe.toml",
        "run/adapter/recipe.toml",
        "run/exports/onnx/export.json",
        "run/exports/onnx/model.onnx",
        "saved/adapter_config.json",
        "saved/adapter_model.safetensors",
        "checkpoint/config.json",
        "empty/notes.md",
        "many/a/recipe.toml",
        "many/b/recipe.toml",
    ):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("")
    return tmp_path


SAID = {
    "run/recipe.toml": "(it is a file); name the folder, run, which is a run",
    "run/exports": "(it contains no recipe.toml); name one of the folders in it: run/exports/onnx",
    "run/exports/onnx/model.onnx": "(it is a file); name the folder, run/exports/onnx, which is an export",
    "saved": "(PEFT saved it); only predict, evaluate, weigh and report read such a folder",
    "saved/adapter_model.safetensors": "(it is a file); name the folder, saved, which is a folder that PEFT saved",
    "checkpoint": "as a backbone it can be trained further: featherweight train FILE --backbone checkpoint",
    "empty": "(it contains no recipe.toml); name a folder that train wrote",
    "empty/notes.md": "(it is a file); name a folder that train wrote",
    "many": "name one of the folders in it: many/a, many/b",
    "savd": "(it does not exist; did you mean saved?); name a folder that train wrote",
}


@pytest.mark.parametrize("path", SAID)
def test_what_is_no_run_is_named(place: Path, path: str) -> None:
    with pytest.raises(UserError) as refused:
        Run(path)
    assert str(refused.value).startswith(f"{path}: not a run folder (")
    assert str(refused.value).endswith(SAID[path])


@pytest.mark.parametrize("verb", ["report", "verify", "compare", "export", "push", "evaluate"])
def test_the_adapter_of_a_run_is_not_the_run(cli: Cli, place: Path, verb: str) -> None:
    more = {"export": ["--to", "onnx"], "push": ["me/fruit", "--dry-run"]}.get(verb, [])
    before = sorted(place.rglob("*"))
    answer = cli(verb, "run/adapter", *more)
    assert (answer.code, answer.err) == (
        2, "featherweight: run/adapter: is only the adapter of a run; name the run itself, run\n",
    )  # fmt: skip
    assert sorted(place.rglob("*")) == before
    refuse_adapter("run")


@pytest.mark.parametrize(("path", "kind"), [("run", "a run"), ("run/exports/onnx", "an export")])
def test_a_run_is_no_data(cli: Cli, place: Path, path: str, kind: str) -> None:
    answer = cli("check", path)
    assert answer.code == 2
    assert answer.err.startswith(f"featherweight: {path}: is {kind}, not data; name a file")


@pytest.mark.parametrize("verb", ["check", "train", "weigh"])
def test_a_model_is_no_data(cli: Cli, verb: str, tiny_backbones: Mapping[str, Path]) -> None:
    folder = tiny_backbones["bert"]
    answer = cli(verb, str(folder))
    said = f"featherweight: {folder}: is a model that transformers saved, not data; to train it further: "
    assert (answer.code, answer.err) == (2, f"{said}featherweight train FILE --backbone {folder}\n")


def test_a_data_set_with_a_config_of_its_own_is_data(cli: Cli, place: Path) -> None:
    Path("data").mkdir()
    Path("data/config.json").write_text('{"version": 1}', "utf-8")
    Path("data/train.csv").write_text("text,label\ngood,a\nbad,b\n", "utf-8")
    assert "2 rows, columns text, label" in cli("check", "data").out
