"""What the commands say and write when all is well, and how they end when it is not."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.commands import Cli, refused, said

from featherweight import console as progress
from featherweight.recipe import Recipe
from featherweight.run.folder import Run
from featherweight.training.checkpoint import has_checkpoint

SOURCE = Path(__file__).parents[2] / "src"


@pytest.mark.parametrize(("name", "total", "margin"), [
    ("r1", "962,308", "37,692"), ("r2", "888,580", "111,420"), ("r3", "888,580", "111,420"), ("r4", "990,724", "9,276"),
])  # fmt: skip
def test_weigh_prints_the_published_counts(cli: Cli, name: str, total: str, margin: str) -> None:
    lines = said(cli, "weigh", name).splitlines()
    assert lines[0] == f"{name} on roberta-base, 4 labels"
    rows = {line.rpartition("  ")[0].strip(): line.split()[-1] for line in lines[2:-1]}
    assert (rows["trainable"], rows["budget"], rows["margin"]) == (total, "1,000,000", margin)
    assert rows["head, classifier.dense"] == "590,592"
    assert json.loads(said(cli, "weigh", name, "--json"))["total"] == int(total.replace(",", ""))


def test_weigh_over_the_budget_prints_the_count_and_fails(cli: Cli) -> None:
    answer = cli("weigh", "r4", "--budget", "900k")
    assert answer.code == 2
    assert "990,724" in answer.out
    assert "-90,724" in answer.out
    assert "budget = 900,000 exceeded by 90,724" in answer.err
    assert len(answer.err.splitlines()) == 2


def test_plan_recommends_all_layers_under_a_linear_head(cli: Cli) -> None:
    lines = said(cli, "plan", "--backbone", "roberta-base", "--labels", 4, "--budget", "1M").splitlines()
    assert lines[0] == "roberta-base, 4 labels, a budget of 1,000,000 trainable parameters"
    roles = "query key value attention_output mlp_up mlp_down"
    assert lines[2].split() == ["1", "linear", *roles.split(), "all", "6", "998,404", "1,596", "recommended"]


def test_a_row_of_the_plan_is_a_recipe(cli: Cli) -> None:
    row = said(cli, "plan", "--backbone", "minilm", "--budget", "100k").splitlines()[3].split()
    out = said(cli, "plan", "--backbone", "minilm", "--budget", "100k", "--row", 2, "--out", "my plan.toml")
    total = row[-2]
    assert out.startswith(f"my plan.toml: {total} trainable parameters")
    assert out.endswith("featherweight train 'my plan.toml'\n")
    assert Recipe.load("my plan.toml").name == "my-plan"
    assert f"trainable {total}" in " ".join(said(cli, "weigh", "my plan.toml").split())


def test_a_row_of_the_plan_counts_dora_and_the_roles_of_the_recipe(cli: Cli) -> None:
    roles = ("backbone.roles.query=attention.self.query", "backbone.roles.value=attention.self.value")
    given = ["--backbone", "minilm", "--budget", "100k", "--set", "adapter.dora=true"]
    given += [word for role in roles for word in ("--set", role)]
    rows = [line.split() for line in said(cli, "plan", *given).splitlines()[2:-1]]
    assert rows[0][2:4] == ["query", "value"] and not any("key" in row for row in rows)
    said(cli, "plan", *given, "--row", 1, "--out", "dora.toml")
    assert Recipe.load("dora.toml").adapter.dora
    assert f"trainable {rows[0][-3]}" in " ".join(said(cli, "weigh", "dora.toml").split())  # and within the budget
    refused(cli, "plan", *given, "--budget", "2k", naming="the smallest adapter with LoRA and DoRA has 2,692")


def test_a_plan_says_which_keys_it_does_not_use(cli: Cli) -> None:
    plain = cli("plan", "--labels", 1_000)
    lora = 'adapter.lora=[{roles = ["query"], rank = 500}]'
    answer = cli("plan", "--labels", 1_000, "--set", lora, "--set", "adapter.head=native")
    assert answer.out == plain.out and "roberta-base, 1,000 labels" in plain.out
    assert answer.err.splitlines() == [
        "note: adapter.lora has no effect on a plan; to count the parameters of your own: featherweight weigh",
        "note: adapter.head has no effect on a plan, which has rows for every head",
    ]
    assert plain.err == cli("plan", "--set", "adapter.lora=auto").err == ""


def test_recipes_are_listed_and_printed(cli: Cli) -> None:
    listed = said(cli, "recipes")
    assert all(name in listed for name in ("newsbriefs", "r1", "r2", "r3", "r4", "roberta-base"))
    Path("copy.toml").write_text(said(cli, "recipes", "r4"))
    assert Recipe.load("copy.toml") == Recipe.load("r4")


def test_check_tells_what_is_wrong_with_the_data(cli: Cli) -> None:
    Path("train.csv").write_text("text,label\napple,a\napple,b\n,a\ncrow,b\ncrow,b\n" + "long " * 30 + ",a\n", "utf-8")
    Path("test.csv").write_text("text,label\napple,a\nowl,b\n", "utf-8")
    out = said(cli, "check", "train.csv", "--test", "test.csv", "--max-length", 16)
    for part in (
        "train  train.csv: 6 rows, columns text, label",
        "1 empty text: row 3",
        "2 rows repeat an earlier text",
        "1 text occurs with more than one label",
        "1 row is a training row, too",
        "max_length = 16 truncates 1 row,",
    ):
        assert part in out


def test_doctor_names_versions_and_backbones(cli: Cli) -> None:
    out = said(cli, "doctor")
    assert all(word in out for word in ("torch", "peft", "processor", "backbone minilm", "available", "cache"))
    assert all(package in out for package in ("openpyxl", "cleanlab", "psycopg", "prometheus_client"))


def test_train_then_evaluate_report_and_predict(cli: Cli, tiny_recipe: Any, tiny_data: dict[str, Path]) -> None:
    Path("job.toml").write_text(tiny_recipe(training={"max_steps": 6}).to_toml(), "utf-8")
    out = said(cli, "train", "job.toml", "--set", "seed=3", "--budget", "5k", "--out", "runs/mine")
    run = Run("runs/mine")
    assert (run.recipe.seed, run.recipe.budget, run.complete) == (3, 5_000, True)
    test = run.evaluation["test"]
    for part in ("tiny: loading", "step      6/6  loss", "step      3  validation accuracy", "tokens/s",
                 f"test         accuracy {test['accuracy']:.2%} (95% interval", f"{run.weight['total']:,} trainable",
                 "Report: runs/mine/report.html"):  # fmt: skip
        assert part in out
    assert f"test         accuracy {test['accuracy']:.2%}" in said(cli, "evaluate", "runs/mine")
    assert json.loads(said(cli, "evaluate", "runs/mine", "--json")) == run.evaluation
    shutil.rmtree("runs/mine/plots")
    run.report.unlink()
    assert said(cli, "report", "runs/mine").startswith("Report: runs/mine/report.html\n")
    assert run.report.is_file()
    assert Path("runs/mine/plots/confusion_matrix.png").is_file()
    judged = said(cli, "evaluate", "runs/mine", "--data", tiny_data["shift"])
    assert "18 rows" in judged
    assert [line.split()[0] for line in judged.splitlines()[-3:]] == ["bird", "fruit", "metal"]
    answer = cli("predict", "runs/mine", tiny_data["test"], "--kaggle")
    assert (answer.code, answer.out) == (0, "submission.csv: 24 predictions\n")
    assert "no id column found" in answer.err
    assert list(pd.read_csv("submission.csv").columns) == ["ID", "label"]


def test_labels_and_paths_are_printed_as_they_are(cli: Cli, job: Path, in_this_process: None) -> None:
    text = Path("data.csv").read_text("utf-8").replace("fruit", "[b]").replace("bird", "[/b] :cat:")
    Path("[red]").mkdir()
    for name in ("data.csv", "[red]/[shift].csv"):
        Path(name).write_text(text, "utf-8")
    out = said(cli, "train", job, "--set", 'evaluation.shift=["[red]/[shift].csv"]', "--out", "[red]/run")
    assert "shift: [red]/[shift].csv accuracy" in out
    assert "Report: [red]/run/report.html" in out
    evaluated = cli("evaluate", "[red]/run", "--data", "[red]/[shift].csv")
    assert evaluated.code == 0 and "[/b] :cat:" in evaluated.out
    assert "[red]/[shift].csv" in evaluated.err and "training text" in evaluated.err
    assert "50.0%  [/b] :cat:" in said(cli, "check", "[red]/[shift].csv")


def test_a_diverged_training_is_a_failure_and_names_the_rows(cli: Cli, tiny_recipe: Any) -> None:
    wild = {"learning_rate": 1e30, "clip": 0.0, "warmup": 0}
    Path("job.toml").write_text(tiny_recipe(training=wild).to_toml(), "utf-8")
    answer = cli("train", "job.toml")
    assert answer.code == 1
    assert "is not finite; rows of the training split: " in answer.err
    assert len(answer.err.splitlines()) == 1


def test_on_a_terminal_there_is_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    with progress.follow() as follower:
        follower.started(4, 0, ["a note [not markup]"])
        for step in range(1, 5):
            follower.stepped({"step": step, "loss": 1 / step, "accuracy": 0.5, "tokens": 100})
        follower.evaluated({"step": 4, "accuracy": 0.9, "loss": 0.3}, True)
    out = capsys.readouterr().out
    for part in ("a note [not markup]", "4/4", "validation accuracy 90.00%", "best so far", "finishing"):
        assert part in out


def test_the_progress_shows_the_mean_of_the_first_steps_and_then_a_moving_average() -> None:
    follower = progress.Follower()
    shares = [0.0, 0.5, 1.0, 1.0] * 5
    for step, share in enumerate(shares, 1):
        follower.stepped({"step": step, "loss": 2 * share, "accuracy": share, "tokens": 1})
    assert (follower.loss, follower.accuracy) == pytest.approx((1.25, 0.625))
    follower.stepped({"step": 21, "loss": 0.0, "accuracy": 0.0, "tokens": 1})
    assert (follower.loss, follower.accuracy) == pytest.approx((0.95 * 1.25, 0.95 * 0.625))


def featherweight(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "featherweight", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment}
    return subprocess.Popen(command, **{**pipes, **options})


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    process = featherweight("recipes", "r4")
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() in (0, 1)  # typer's own answer is 1, where the output is not buffered


@pytest.mark.slow
def test_a_training_in_its_own_process_is_quiet_stops_on_request_and_goes_on(
    cli: Cli, tiny_recipe: Any, in_this_process: None
) -> None:
    long = tiny_recipe(training={"epochs": 20, "evaluate_every": 40})
    Path("job.toml").write_text(long.to_toml(), "utf-8")
    process = featherweight("train", "job.toml", "--out", "run")
    while not process.stdout.readline().startswith("step"):
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate()
    assert process.returncode == 143
    assert err.startswith("featherweight: stopped after step")
    assert len(err.splitlines()) == 1
    assert "Report: run/report.html" in said(cli, "train", "job.toml", "--out", "run", "--resume")
    assert [record["step"] for record in Run("run").history if record["kind"] == "step"] == list(range(1, 121))


@pytest.mark.parametrize("limit", [500, 3_000, 60_000])
def test_files_that_cannot_grow_end_a_training_in_one_line(cli: Cli, tiny_recipe: Any, cache: Path, limit: int) -> None:
    """As on a full disk: the first file that needs more than ``limit`` bytes cannot be written."""
    Path("job.toml").write_text(tiny_recipe().to_toml(), "utf-8")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        answer = cli("train", "job.toml", "--out", "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert answer.code == 2, answer.err
    assert "cannot be written: File too large; free some space" in answer.err
    assert len(answer.err.splitlines()) == 1
    # Nothing stays of a run that has nothing worth keeping; what was trained stays, to be resumed.
    trained = limit == 60_000
    assert sorted(path.name for path in Path().iterdir()) == (["job.toml", "run"] if trained else ["job.toml"])
    assert has_checkpoint(Path("run/checkpoint")) == trained
