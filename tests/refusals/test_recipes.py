"""Bad recipes and overrides at the command line: refused in a line or two that name file, line and key."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.commands import Cli, refused

HUGE = 10**30
NO_VALUE = "the value is empty; give one (only optional keys can be removed)"


@pytest.mark.parametrize(("override", "naming"), [
    ("adapter.lora.rank=0", ("adapter.lora.rank=0", "must be at least 1")),
    (f"adapter.lora.rank={HUGE}", "adapter.lora.0.rank: must be at most 1,000,000 (it is 1000"),
    (f"budget={HUGE}", "budget: must be at most 1,000,000,000,000"),
    (f"seed={HUGE}", "seed: must be at most 2,147,483,647"),
    (f"data.train_rows={HUGE}", "data.train_rows: must be at most 1,000,000,000"),
    (f"data.max_length={HUGE}", "data.max_length: must be at most 1,000,000"),
    (f"training.max_steps={HUGE}", "training.max_steps: must be at most 1,000,000,000"),
    (f"training.batch_size={HUGE}", "training.batch_size: must be at most 1,000,000,000"),
    (f"training.evaluate_every={HUGE}", "training.evaluate_every: must be at most 1,000,000,000"),
    (f"evaluation.bins={HUGE}", "evaluation.bins: must be at most 1,000"),
    ("training.epochs=1e300", "training.epochs: must be at most 10,000"),
    ("training.epochs=nan", "training.epochs: must be a finite number"),
    ("training.learning_rate=-1", "training.learning_rate: must be greater than 0"),
    ("data.validation_size=7.5", "data.validation_size: must be a fraction below 1 or a whole number"),
    ("adapter.lora.layers=0-7", ("adapter.lora.0", "the backbone has layers 0 to 1")),
    ("adapter.lora.layers=0-999999999", "adapter.lora.0.layers: must be all, lower-half"),
    ('adapter.lora.roles=["keys"]', ("adapter.lora.0.roles", "did you mean 'key'")),
    ("training.epoch=3", "unknown key 'training.epoch'; did you mean 'training.epochs'?"),
    ("training.epochs=" + "x" * 100_000, "--set training.epochs=xxxx"),
    ("x" * 100_000 + "=3", "--set xxxx"),
    (".".join("a" * 5000) + "=3", "write it as section.key=value"),
    ("training.epochs=\x1b[2J", "--set training.epochs=\\x1b[2J: training.epochs: must be a number"),
    ("name=../up", "name: must consist of letters, digits, '.', '_' and '-'"),
    ('data.train="  "', "data.train: must not be blank; name a file or a data set (it is '  ')"),
    ('data.validation=" "', "data.validation: must not be blank; name a file or a data set (it is ' ')"),
    ('evaluation.shift=["\\t"]', "evaluation.shift.0: must not be blank; name a file or a data set"),
    ("data.train=", f"--set data.train=: {NO_VALUE}"),
    ("backbone.name=", f"--set backbone.name=: {NO_VALUE}"),
    ("training.learning_rate=", f"--set training.learning_rate=: {NO_VALUE}"),
    ("training=", f"--set training=: {NO_VALUE}"),
    ("budget=300", ("budget = 300 exceeded by", "head, linear: 66", "adapter.lora=")),
    ("budget=10", ("budget = 10 exceeded by", "no adapter fits")),
    ("adapter.lora.rank=33", "adapter.lora: rank = 33 is more than the smaller dimension of encoder"),
    ("data.max_length=131", "data.max_length = 131: "),
    ('data.labels=["bird", "metal"]', "data.csv: row 1: unknown label 'fruit'"),
    ("training.class_weights=[1.0, 2.0, 3.0]", "training.class_weights has 3 numbers; the data has 2 classes"),
    ("training.class_weights=[0.0, 0.0]", "training.class_weights: number 1 is 0, but its class has training rows"),
    ("training.r_drop=-1", "training.r_drop: must be at least 0"),
    ("training.r_drop=1", "training.r_drop = 1 compares two passes with dropout, but the recipe has no dropout"),
    ("training.precision=fp16", "training.precision = 'fp16' needs a GPU"),
    ('evaluation.shift=["perturbed:colours"]', "'perturbed:colours' is not a known perturbation"),
    ('evaluation.shift=["test"]', "evaluation.shift: 'test' is the name of the run's own test rows"),
    ("backbone.name=nobody/nothing", "backbone.name = nobody/nothing: the hub does not answer"),
    ("backbone.name=./nowhere", "backbone.name = ./nowhere: no such folder"),
    ("backbone.name=data.csv", "backbone.name = data.csv: is a file"),
    ("backbone.name=~nobody-of-that-name/x", "backbone.name = ~nobody-of-that-name/x: cannot be used as a path"),
    ("training.teacher=~nobody-of-that-name/x", "~nobody-of-that-name/x: no such folder; name finished runs"),
    ("training.soup=~nobody-of-that-name/x", "~nobody-of-that-name/x: no such folder; name finished runs"),
    ("adapter.start_from=~nobody-of-that-name/x", "~nobody-of-that-name/x: not a run folder (it does not exist)"),
    ("data.drop=~nobody-of-that-name/x.csv", "data.drop: ~nobody-of-that-name/x.csv: no such file"),
    ("backbone.name=" + "x" * 5000, "cannot be used as a path: File name too long"),
])  # fmt: skip
def test_bad_recipe_values(cli: Cli, job: Path, override: str, naming: Any) -> None:
    refused(cli, "train", job, "--set", override, "--out", "run", naming=naming)


def test_tracker_that_is_not_installed(cli: Cli, job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featherweight.workflows.prepare.find_spec", lambda name: None)
    naming = "training.trackers: wandb is not installed: pip install wandb"
    refused(cli, "train", job, "--set", 'training.trackers=["wandb"]', "--out", "run", naming=naming)


@pytest.mark.parametrize("verb", ["train", "weigh", "rounds", "recipes"])
@pytest.mark.parametrize(("text", "naming"), [
    ("", "job.toml: the recipe is empty"),
    ("[data]\ntrain = 'a.csv'\n[training]\nepochs = 1\nepochs = 2\n", "job.toml: line 5: duplicate key 'epochs'"),
    ("[adapter]\nlora = [{roles = ['query'], rank = 0}]\n", "job.toml: adapter.lora.0.rank: must be at least 1"),
    ("[adapter]\nrank = 4\n", "job.toml: unknown key 'adapter.rank'"),
    ("epochs = [1,\n", "job.toml: line"),
    ("name = 'caf\xe9'".encode("latin-1"), "job.toml: line 1 is not UTF-8"),
    ("name = 'a'".encode("utf-16"), "job.toml: line 1 is not UTF-8"),
    (b"name = 'a\0b'", "job.toml: line 1: not valid TOML"),
    ("data = 'train.csv'", "job.toml: data: must be a table"),
    ("'\\u001b[31m' = 1\n\"\\u001b[31m\" = 1", "job.toml: unknown key '"),
    ("a = " + "[" * 100_000, "job.toml: lists or tables are nested too deeply"),
    ("a = " + "{a = " * 100_000, "job.toml: lists or tables are nested too deeply"),
    (".".join("a" * 100_000) + " = 1", "job.toml: lists or tables are nested too deeply"),
    ("a = {" + ", ".join(f"k{n} = 1" for n in range(20_000)) + "}", "job.toml: unknown key 'a'"),
    ("x = '" + "x" * 2_000_000 + "'", "job.toml: is larger than 1,000,000 bytes"),
    ("budget = 0x" + "f" * 5000, "job.toml: budget: must be at most 1,000,000,000,000"),
    ("budget = " + "9" * 5000, "job.toml: not valid TOML"),
])  # fmt: skip
def test_bad_recipe_files(cli: Cli, text: str | bytes, naming: str, verb: str) -> None:
    Path("job.toml").write_bytes(text.encode() if isinstance(text, str) else text)
    refused(cli, verb, "job.toml", naming=naming)


@pytest.mark.parametrize(("name", "make", "naming"), [
    ("nothing-like-it.toml", None, "nothing-like-it.toml: no such recipe file"),
    ("newsbrief", None, "newsbrief: no such recipe file and no built-in recipe; did you mean 'newsbriefs'?"),
    ("loop.toml", lambda path: path.symlink_to(path.name), "cannot be read as a recipe file: Too many levels"),
    ("folder", Path.mkdir, "folder: is a folder, not a recipe"),
    ("/dev/zero", None, "/dev/zero: is larger than 1,000,000 bytes"),
    ("x" * 5000, None, "cannot be read as a recipe file: File name too long"),
    ("", None, ".: is a folder, not a recipe"),
])  # fmt: skip
def test_recipes_that_are_no_files(cli: Cli, name: str, make: Callable[[Path], Any] | None, naming: str) -> None:
    if make is not None:
        make(Path(name))
    refused(cli, "train", name, naming=naming)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to the superuser")
def test_recipe_and_data_that_may_not_be_read(cli: Cli, job: Path) -> None:
    Path("data.csv").chmod(0)
    refused(cli, "train", job, "--out", "run", naming="data.csv: cannot be read: Permission denied")
    job.chmod(0)
    refused(cli, "train", job, naming="cannot be read as a recipe file: Permission denied")
