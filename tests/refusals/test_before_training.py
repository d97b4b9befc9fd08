"""What a command needs at its end is checked before its first training: a wrong name costs seconds, not hours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from support.commands import Cli, refused

from featherweight.recipe import Recipe
from featherweight.workflows.rounds import Planned


@pytest.fixture(autouse=True)
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that begins is an error of the test."""

    def train(*_: Any, **__: Any) -> None:
        raise AssertionError("a training has begun")

    for name in (
        "featherweight.workflows.noise_audit.train_in_a_process",
        "featherweight.workflows.search.train_in_a_process",
        "featherweight.workflows.rounds.train_planned",
        "featherweight.workflows.train.fit_prepared",
        "featherweight.training.masked_language.loop.fit_masked",
    ):
        monkeypatch.setattr(name, train)


MISSING: dict[str, str] = {
    'data.test="missing.csv"': "missing.csv: no such file",
    'evaluation.shift=["missing.csv"]': "missing.csv: no such file",
    'data.validation="missing.csv"': "missing.csv: no such file",
    'data.drop="missing.csv"': "data.drop: missing.csv: no such file",
    'training.teacher=["missing"]': "training.teacher: ",
    'adapter.start_from="missing"': "missing: not a run folder",
    'backbone.name="./missing"': "backbone.name = ./missing: no such folder",
}
"""Settings that name something that does not exist, with the message."""
WRONG: dict[str, str] = {
    "data.max_length=100000": "data.max_length = 100000: ",
    "training.r_drop=0.5": "the recipe has no dropout",
    "training.class_weights=[1, 2, 3]": "training.class_weights has 3 numbers; the data has 2 classes",
    "budget=10": "budget = 10 exceeded",
}
"""Settings that do not fit the data or the backbone."""
IRRELEVANT = {
    "noise": ("evaluation.shift", "data.validation", "training.teacher", "adapter.start_from"),
    "search": ("training.r_drop", "budget"),
    "adapt": ("training.", "adapter.", "budget"),
}
"""Settings that a command does not use; a search may change some of them."""


def cases(command: str) -> list[tuple[str, str]]:
    return [case for case in {**MISSING, **WRONG}.items() if not case[0].startswith(IRRELEVANT.get(command, ("-",)))]


@pytest.mark.parametrize(("setting", "naming"), cases("noise"))
def test_noise(cli: Cli, job: Path, setting: str, naming: str) -> None:
    pytest.importorskip("cleanlab")
    refused(cli, "noise", job, "--set", setting, "-o", "out", naming=naming)


def test_noise_with_test_rows_that_cannot_be_read(cli: Cli, job: Path) -> None:
    pytest.importorskip("cleanlab")
    Path("broken.parquet").write_bytes(b"PAR1 and nothing else")
    Path("empty.csv").write_text("text,label\napple,fruit\n,fruit\n", "utf-8")
    Path("folder").mkdir()
    refused(cli, "noise", job, "--test", "missing.csv", naming="missing.csv: no such file")
    refused(cli, "noise", job, "--test", "broken.parquet", naming="broken.parquet: ")
    refused(cli, "noise", job, "--test", "empty.csv", naming="empty.csv: row 2: the text is empty")
    refused(cli, "noise", job, "--test", "folder", naming="folder: ")


def test_noise_with_more_folds_than_rows(cli: Cli, job: Path) -> None:
    pytest.importorskip("cleanlab")
    naming = "data.csv: no class has more than 10 rows; set --folds to 10 or less"
    refused(cli, "noise", job, "--folds", "11", naming=naming)


@pytest.mark.parametrize(("setting", "naming"), cases("search"))
def test_search(cli: Cli, job: Path, setting: str, naming: str) -> None:
    pytest.importorskip("optuna")
    refused(cli, "search", job, "--set", setting, "-o", "out", naming=naming)


def test_search_with_test_rows_in_the_home_folder_of_nobody(cli: Cli, job: Path) -> None:
    pytest.importorskip("optuna")
    file = "~nobody-of-that-name/rows.csv"
    refused(cli, "search", job, "--test", file, "-o", "out", naming=f"{file}: no such file")


@pytest.mark.parametrize("storage", ["nonsense", "sqlite:////missing/search.db"])
def test_search_with_a_database_that_cannot_be_opened(cli: Cli, job: Path, storage: str) -> None:
    pytest.importorskip("optuna")
    refused(cli, "search", job, "--storage", storage, "-o", "out", naming="--storage")


@pytest.mark.parametrize(("setting", "naming"), cases("adapt"))
def test_adapt(cli: Cli, job: Path, setting: str, naming: str) -> None:
    refused(cli, "adapt", job, "--set", setting, "-o", "out", naming=naming)


def test_adapt_names_the_option_that_set_the_length(cli: Cli, job: Path) -> None:
    naming = ("--max-length 500: ", "can read at most 130 tokens; write --max-length 130")
    refused(cli, "adapt", job, "--max-length", "500", "-o", "out", naming=naming)


@pytest.mark.parametrize(("setting", "naming"), cases("train"))
def test_train(cli: Cli, job: Path, setting: str, naming: str) -> None:
    refused(cli, "train", job, "--set", setting, "--out", "out", naming=naming)


def other(job: Path, setting: str) -> Path:
    """A second recipe, called other, with one setting changed."""
    recipe = Recipe.load(job, [setting]).with_values(name="other")
    Path("other.toml").write_text(recipe.to_toml(), "utf-8")
    return Path("other.toml")


@pytest.mark.parametrize(("setting", "naming"), [
    *cases("rounds"),
    ('training.soup=["missing"]', "missing: no such folder; name finished runs"),
    pytest.param(
        'training.precision="fp16"',
        "training.precision = 'fp16' needs a GPU",
        marks=pytest.mark.skipif(torch.cuda.is_available(), reason="fp16 works on a GPU"),
    ),
])  # fmt: skip
def test_a_later_recipe_of_rounds(cli: Cli, job: Path, setting: str, naming: str) -> None:
    refused(cli, "rounds", job, other(job, setting), "--seeds", "1", "--out", "out", naming=naming)


def test_a_tracker_of_a_later_recipe_of_rounds(cli: Cli, job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featherweight.workflows.prepare.find_spec", lambda name: None)
    recipes = job, other(job, 'training.trackers=["wandb"]')
    refused(cli, "rounds", *recipes, "--seeds", "1", naming="training.trackers: wandb is not installed")


def test_a_folder_of_a_later_run_of_rounds(cli: Cli, job: Path) -> None:
    folder = Path("out") / "other" / "seed-0"
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("mine", "utf-8")
    recipes = job, other(job, "training.learning_rate=0.01")
    naming = "out/other/seed-0: is not empty and contains no run"
    refused(cli, "rounds", *recipes, "--seeds", "1", "--out", "out", naming=naming)


def test_a_round_may_name_a_run_of_the_same_rounds(cli: Cli, job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []

    def train_planned(run: Planned, *_: Any) -> None:
        begun.append(run.recipe.name)
        raise KeyboardInterrupt

    monkeypatch.setattr("featherweight.workflows.rounds.train_planned", train_planned)
    named = [f"out/{Recipe.load(job).name}/seed-0"]
    answer = cli("rounds", job, other(job, f"training.teacher={json.dumps(named)}"), "--seeds", "1", "--out", "out")
    assert begun == [Recipe.load(job).name], answer.err


def test_a_teacher_without_its_backbone(cli: Cli, job: Path, run: Path, tiny_backbones: Any) -> None:
    recipe = run / "recipe.toml"
    recipe.write_text(recipe.read_text("utf-8").replace(str(tiny_backbones["bert"]), "/no/such/backbone"), "utf-8")
    data = Path("data.csv").read_text("utf-8").replace("fruit", "metal").splitlines()
    more = [line.replace("apple", "pear").replace("metal", "fruit") for line in data[1:] if "apple" in line]
    Path("data.csv").write_text("\n".join([*data, *more]) + "\n", "utf-8")
    naming = "training.teacher: backbone.name = /no/such/backbone: no such folder"
    refused(cli, "train", job, "--set", 'training.teacher=["run"]', "--out", "out", naming=naming)


def test_the_corrected_call_is_no_other_audit(cli: Cli, job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What only the first training finds is refused without a trace, too."""
    pytest.importorskip("cleanlab")
    from featherweight.errors import UserError

    def refuse(*_: Any, **__: Any) -> None:
        raise UserError("the tokenizer is damaged")

    monkeypatch.setattr("featherweight.workflows.noise_audit.train_in_a_process", refuse)
    monkeypatch.setattr("featherweight.workflows.search.train_in_a_process", refuse)
    refused(cli, "noise", job, "-o", "out/audit", naming="the tokenizer is damaged")
    pytest.importorskip("optuna")
    refused(cli, "search", job, "-o", "out/search", naming="the tokenizer is damaged")
