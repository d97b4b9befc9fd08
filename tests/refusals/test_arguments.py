"""Bad arguments and output places of every verb: refused, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.commands import Cli, refused


@pytest.mark.parametrize(("arguments", "naming"), [
    (["trian"], ("No such command", "See: featherweight --help")),
    (["weigh"], ("Missing argument", "See: featherweight weigh --help")),
    (["train", "job.toml", "job.toml"], "unexpected extra argument"),
    (["train", "job.toml", "--sett", "a=1"], "No such option: --sett"),
    (["train", "job.toml", "--out"], "Option '--out' requires an argument"),
    (["train", "job.toml", "--budget", "ten"], "with --budget ten: budget: must be a count such as 1000000, 100k or"),
    (["weigh", "nowhere.toml"], "nowhere.toml: no such recipe file"),
    *(([name, "roberta-base"], "roberta-base: is a backbone, not data or a recipe; name it with --set back")
      for name in ("train", "plan", "weigh", "new", "check", "noise", "search", "adapt", "rounds")),
    (["plan", "mpnet", "--labels", "3"], "mpnet: is a backbone, not data or a recipe; name it with --set backbone"),
    (["weigh", "job.toml", "--budget", "0"], "budget: must be at least 1"),
    (["plan", "--backbone", "./nowhere"], "backbone.name = ./nowhere: no such folder"),
    (["plan", "--labels", "1"], "--labels"),
    (["plan", "--budget", "1,5M"], "budget: must be a count such as 1000000, 100k or 1M"),
    (["plan", "--budget", "1"], "budget = 1: no adapter fits"),
    (["plan", "--bias", "some"], "adapter.bias: must be none, lora or all"),
    (["plan", "--row", "1"], "--row and --out must be used together"),
    (["plan", "--row", "99", "--out", "plan.toml"], "--row 99"),
    (["plan", "--row", "1", "--out", "job.toml"], "--out job.toml"),
    (["plan", "--row", "1", "--out", "plan.txt"], "--out plan.txt: a recipe is a TOML file"),
    (["plan", "--text", "body", "--label", "sort"], "--text names a column of a file: name the file too"),
    (["plan", "--label", "sort"], "--label names a column of a file: name the file too"),
    (["plan", "--row", "1", "--out", "nowhere/plan.toml"], "nowhere/plan.toml"),
    (["plan", "--row", "1", "--out", "/proc/plan.toml"], "/proc/plan.toml"),
    (["check", "nowhere.csv"], "nowhere.csv: no such file"),
    (["check", "."], ".: this folder was not saved by `datasets`"),
    (["check", ""], "data.train: must not be empty"),
    (["check", "data.csv", "--test", "nowhere.csv"], "nowhere.csv: no such file"),
    (["check", "data.csv", "--text", "words"], "data.csv: no column 'words'"),
    (["check", "data.csv", "--label", ""], "data.label: must not be empty"),
    (["check", "data.csv", "--clean", "all"], "data.clean: must be none or ag_news"),
    (["check", "data.csv", "--max-length", "3"], "--max-length"),
    (["check", "data.csv", "--max-length", str(10**30)], "data.max_length: must be at most 1,000,000"),
    (["check", "data.csv", "--backbone", "./nowhere"], "backbone.name = ./nowhere: no such folder"),
    (["rounds"], "Missing argument"),
    (["rounds", "job.toml", "job.toml"], "two of the recipes are called 'tiny'"),
    (["rounds", "job.toml", "--seeds", "0"], "--seeds"),
    (["rounds", "job.toml", "--seeds", str(10**30)], "--seeds"),
    (["rounds", "job.toml", "--set", "epochs=1"], "unknown key 'epochs'; did you mean 'training.epochs'?"),
    (["rounds", "job.toml", "-o", "data.csv"], "data.csv"),
    (["rounds", "job.toml", "-o", "/proc/rounds"], "/proc/rounds"),
    (["compare"], "Missing argument"),
    (["compare", "nowhere"], "nowhere: not a run folder"),
    (["compare", "data.csv"], "data.csv: not a run folder"),
    (["evaluate", "nowhere"], "nowhere: not a run folder"),
    (["evaluate", "x" * 100_000], "File name too long"),
    (["report", "nowhere"], "nowhere: not a run folder"),
    (["verify"], "Missing argument"),
    (["verify", "nowhere"], "nowhere: not a run folder"),
    (["verify", "data.csv"], "data.csv: not a run folder"),
    (["cache", "everything"], "cache everything: no such kind"),
    (["predict", "nowhere", "data.csv", "-o", "out.csv"], "nowhere: not a run folder (it does not exist)"),
    (["predict", "data.csv", "data.csv", "-o", "out.csv"], "data.csv: not a run folder (it is a file)"),
    (["check", "data.csv", "--label", "labl"], "data.csv: no column 'labl'; did you mean 'label'?"),
    (["adapt"], "Missing argument"),
    (["adapt", "job.toml", "-o", "data.csv"], "-o data.csv: exists already; choose a new folder"),
    (["adapt", "job.toml", "-o", "data.csv/x"], "-o data.csv/x: cannot be created, because data.csv is a file"),
    (["adapt", "job.toml", "--lr", "0"], "--lr"),
    (["adapt", "job.toml", "--epochs", "nan"], "--epochs"),
    (["adapt", "job.toml", "--max-length", "100000", "-o", "a"], "--max-length 100000: "),
    (["adapt", "job.toml", "--backbone", "./nowhere", "-o", "a"], "backbone.name = ./nowhere: no such folder"),
    (["recipes", "nowhere"], "nowhere: no such recipe file and no built-in recipe"),
    (["recipes", "r1", "r2"], "unexpected extra argument"),
    (["doctor", "now"], "unexpected extra argument"),
    (["serve"], "Missing argument"),
    (["serve", "nowhere", "--port", "0"], "nowhere: not a run folder"),
    (["serve", "data.csv", "--port", "0"], "data.csv: not a run folder"),
    (["serve", "nowhere", "--port", "99999"], "--port"),
    (["serve", "r", "--host", "0.0.0.0"], "featherweight serve r --host 0.0.0.0 --port 8000 --token-file"),
    (["serve", "r", "--token-file", "nowhere"], "--token-file nowhere: cannot be read: No such file"),
    (["serve", "r", "--token-file", "job.toml"], "--token-file job.toml: a token has at least 16"),
    (["serve", "r", "--examples", "nowhere"], "--examples nowhere: cannot be read"),
    (["serve", "r", "--queue", "100"], "--queue 100: one request may have"),
])  # fmt: skip
def test_bad_arguments(cli: Cli, job: Path, arguments: list[str], naming: Any) -> None:
    refused(cli, *arguments, naming=naming)


def test_a_misspelled_run_is_told_the_folder_beside_it(cli: Cli, job: Path) -> None:
    Path("runs/reviews").mkdir(parents=True)
    naming = "runs/reviws: not a run folder (it does not exist; did you mean runs/reviews?)"
    refused(cli, "predict", "runs/reviws", "data.csv", "-o", "out.csv", naming=naming)


@pytest.mark.parametrize(("out", "make", "naming"), [
    ("/proc/run", None, "--out /proc/run: cannot be created: No such file or directory; choose another folder"),
    ("/dev/null", None, "--out /dev/null: /dev/null is not a folder"),
    ("data.csv", None, "--out data.csv: data.csv is not a folder"),
    ("data.csv/run", None, "--out data.csv/run: data.csv is not a folder"),
    ("x" * 300, None, "File name too long"),
    ("loop", lambda path: path.symlink_to("loop"), "loop: File exists; check the path"),
    ("loop/run", lambda path: path.parent.symlink_to("loop"), "check the path"),
    ("link", lambda path: path.symlink_to("gone"), "link: File exists; check the path"),
    ("mine", lambda path: (path / "notes").mkdir(parents=True), "--out mine: is not empty and contains no run"),
])  # fmt: skip
def test_bad_places_for_a_run(
    cli: Cli, job: Path, out: str, make: Callable[[Path], Any] | None, naming: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if make is not None:
        make(Path(out))
    refused(cli, "train", job, "--out", out, naming=naming)
