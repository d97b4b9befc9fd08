"""Wrong usage is refused in a line that says where to look; help, version, and faults of the program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.commands import Cli, said

from featherweight import __version__
from featherweight.errors import UserError


@pytest.mark.parametrize(("arguments", "message"), [
    (["fly"], "No such command 'fly'.\nSee: featherweight --help"),
    (["chekc"], "No such command 'chekc'; did you mean 'check'?\nSee: featherweight --help"),
    (["merge", "run"], "No such command 'merge'; here it is: featherweight export RUN --to merged\n"),
    (["version"], "No such command 'version'; here it is: featherweight --version\n"),
    (["evaluate", "run", "a.csv"], "Got unexpected extra argument(s) (a.csv); here it is --data a.csv\n"),
    (["train", "a.csv", "b.csv"], "Got unexpected extra argument(s) (b.csv); here it is --test b.csv\n"),
    (["train", "a.csv", "runs/mine"], "Got unexpected extra argument(s) (runs/mine); here it is --out runs/mine\n"),
    (["new", "a.csv", "mine.toml"], "Got unexpected extra argument(s) (mine.toml); here it is --out mine.toml\n"),
    (["predict", "run", "a.csv", "b.csv"], "Got unexpected extra argument(s) (b.csv); here it is --out b.csv\n"),
    (["predict", "run", "good", "film"], "Got unexpected extra argument(s) (film); here it is --text 'good film'\n"),
    (["predict", "run", "a good film"], "a good film: no such file; to classify this text: --text 'a good film'\n"),
    (["predict", "run", "a good film", "-o", "a.csv"], "a good film: no such file; to classify this text: --text "),
    (["predict", "run", "good " * 99], "good good good"),
    (["predict", "run", "I **love** it"], "I **love** it: no such file; to classify this text: --text 'I **lov"),
    (["compare", "run", "-o"], "Option '-o' requires an argument.\nSee: featherweight compare --help"),
    (["check", "a.csv", "--out", "a"], "No such option: --out; here the result is printed: > FILE\n"),
    (["adapt", "a.csv", "--learning-rate", "1e-4"], "No such option: --learning-rate; here it is --lr 1e-4\n"),
    (["predict", "run", "a.csv", "--json"], "No such option: --json; the ending of --out chooses the format: -o"),
    (["export", "run", "--onnx"], "No such option: --onnx; the target follows --to\n"),
    (["serve", "run", "--api-key", "secret"], "No such option: --api-key; write the token to a file: --token-file"),
    (["noise", "a.csv", "--cv", "3"], "No such option: --cv; here it is --folds 3\n"),
    (["weigh"], "Missing argument"),
    (["train", "r1", "--budgets", "1M"], "No such option: --budgets; did you mean --budget?\n"),
    (["train", "r1", "--unheard-of"], "No such option: --unheard-of\nSee: featherweight train --help\n"),
    (["train", "a.csv", "--lr", "1e-4"], "No such option: --lr; here it is a key of the recipe: --set "
     "training.learning_rate=1e-4\n"),
    (["train", "a.csv", "--epochs=3"], "No such option: --epochs; here it is a key of the recipe: --set "
     "training.epochs=3\n"),
    (["train", "a.csv", "--fp16", "--resume"], "No such option: --fp16; here it is a key of the recipe: --set "
     "training.precision=...\n"),
    (["train", "a.csv", "--seed", "one"], "No such option: --seed; here it is a key of the recipe: --set seed=...\n"),
    (["train", "a.csv", "--output", "my run"], "No such option: --output; here it is --out 'my run'\n"),
    (["train", "--config", "a.toml"], "No such option: --config; files have no option here: featherweight train FILE"),
    (["predict", "run", "--input", "a.csv"], "No such option: --input; files have no option here: featherweight pred"),
    (["predict", "run", "a.csv", "--text-column", "a"], "No such option: --text-column; here it is --text a\n"),
    (["export", "run", "--format", "onnx"], "No such option: --format; here it is --to onnx\n"),
    (["export", "run", "--lr", "1e-4"], "No such option: --lr; it belongs to the training: featherweight train FILE "
     "--set training.learning_rate=1e-4\n"),
    (["export", "run", "--overwrite"], "No such option: --overwrite; here it is --force\n"),
    (["predict", "--model", "run", "a.csv"], "No such option: --model; the run has no option here: featherweight "
     "predict RUN FILE ...\n"),
    (["predict", "run", "a.csv", "--format", "json"], "No such option: --format; the ending of the file chooses the"),
    (["predict", "run", "a.csv", "--batch-size", "8"], "No such option: --batch-size; batches are chosen by the "),
    (["serve", "run", "--device", "cpu"], "No such option: --device; the device is chosen by itself"),
    (["evaluate", "run", "--output", "a"], "No such option: --output; here the result is printed: --json > FILE\n"),
    (["evaluate", "run", "--test", "a.csv"], "No such option: --test; here it is --data a.csv\n"),
    (["serve", "run", "--bind", "::1"], "No such option: --bind; here it is --host ::1\n"),
    (["new", "a.csv", "--text_column", "a"], "No such option: --text_column; here it is --text a\n"),
    (["new", "a.csv", "--device", "cuda"], "No such option: --device; the device is chosen by itself"),
    (["serve", "run", "--format", "onnx"], "No such option: --format; answers are JSON; to serve an export, make it"),
    (["serve", "run", "--output", "a"], "No such option: --output; the server writes no file; to label a file: "
     "featherweight predict RUN FILE -o OUT\n"),
    (["serve", "run", "--data", "a.csv"], "No such option: --data; the server gets texts over HTTP; to label a file: "),
    (["serve", "run", "--api-key", "a"], "No such option: --api-key; write the token to a file: --token-file FILE"),
    (["export", "run", "--data", "a.csv"], "No such option: --data; to evaluate an export on other rows: featherweight "
     "evaluate EXPORT --data FILE\n"),
    (["export", "run", "--int8"], "No such option: --int8; here it is --to onnx-int8 or --to openvino-int8\n"),
    (["push", "run", "--repo-id", "me/a"], "No such option: --repo-id; here it follows the run: featherweight push "),
    (["push", "run", "me/a", "--token", "b"], "No such option: --token; log in by `hf auth login`, or set HF_TOKEN\n"),
    (["export", "run"], "Missing option --to TARGET: merged (transformers), onnx, onnx-int8 or openvino-int8\nSee: "),
    (["push", "run"], "Missing argument REPO: the repository on the hub: user/name\nSee: featherweight push --help\n"),
    (["plan", "--labels", "1"], "--labels 1: must be at least 2\nSee: featherweight plan --help\n"),
    (["serve", "run", "--port", "x"], "--port x: must be a whole number\n"),
    (["serve", "run", "--receive-seconds", "soon"], "--receive-seconds soon: must be a number\n"),
    (["plan", "--row", "1"], "--row and --out must be used together"),
])  # fmt: skip
def test_wrong_usage_is_one_line_and_where_to_look(cli: Cli, arguments: list[str], message: str) -> None:
    answer = cli(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"featherweight: {message}")
    assert len(answer.err.splitlines()) <= 2


def test_files_of_a_pattern_without_quotes_are_told_the_pattern(cli: Cli) -> None:
    for name in ("part-1.csv", "part-2.csv", "part-3.csv", "other.csv"):
        Path(name).write_text("text,label\n", "utf-8")
    parts = ("part-1.csv", "part-2.csv", "part-3.csv")
    quoted = "; to read several files as one table, put their pattern in quotes: {}\n"
    assert quoted.format("'part-*.csv'") in cli("train", *parts).err
    assert quoted.format("'part-*.csv'") in cli("predict", "run", *parts, "-o", "out.csv").err
    assert quoted.format("'*.csv'") in cli("check", "other.csv", *parts).err


def test_files_that_exist_are_no_output_and_parts_are_no_pattern(cli: Cli) -> None:
    for name in ("train.csv", "validation.csv", "test.csv", "a.csv", "b.csv"):
        Path(name).write_text("text,label\n", "utf-8")
    for arguments in (["train", "train.csv", "validation.csv", "test.csv"], ["predict", "run", "a.csv", "b.csv"]):
        assert "here it is" not in (said := cli(*arguments).err) and "quotes" not in said
    assert "; here it is --budget 100k\n" in cli("train", "a.csv", "100k").err
    assert "; here it is --out out.csv\n" in cli("predict", "run", "long text " * 50, "out.csv").err


def test_many_files_are_told_their_pattern_at_once(cli: Cli) -> None:
    names = [f"part-{number}.csv" for number in range(3000)]
    for name in names:
        Path(name).touch()
    assert "'part-*.csv'" in cli("train", *names).err


def test_help_and_version(cli: Cli) -> None:
    assert said(cli, "--version") == f"featherweight {__version__}\n"
    assert said(cli) == said(cli, "--help")
    verbs = ("train", "weigh", "plan", "evaluate", "report", "predict", "check", "recipes", "doctor")
    assert all(verb in said(cli) for verb in verbs)
    assert all("Usage: featherweight" in said(cli, verb, "--help") for verb in verbs)


def test_help_promises_only_what_the_command_does(cli: Cli) -> None:
    assert not [verb for verb in ("noise", "search", "adapt") if "evaluated once" in said(cli, verb, "--help")]
    assert "an export" not in said(cli, "report", "--help")


def test_debug_shows_where_an_error_comes_from(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError):
        cli("--debug", "weigh", "r9")


def test_a_fault_of_the_program_is_a_failure_in_two_lines(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise KeyError("surprise")

    monkeypatch.setattr("featherweight.workflows.weigh.resolve", broken)
    answer = cli("weigh", "r1")
    assert answer.code == 1
    assert answer.err.splitlines()[0] == "featherweight: KeyError: 'surprise'"
    assert "--debug" in answer.err.splitlines()[1]


def test_a_full_memory_is_no_fault_of_the_program(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nMore lines")

    monkeypatch.setattr("featherweight.workflows.weigh.resolve", full)
    answer = cli("weigh", "r1")
    assert answer.code == 1 and "bug" not in answer.err
    first, second = answer.err.splitlines()
    assert first == "featherweight: not enough memory (CUDA out of memory. Tried to allocate 2 GiB.)"
    assert second == "A training needs less with --set training.batch_size=8 --set training.accumulate=4"
