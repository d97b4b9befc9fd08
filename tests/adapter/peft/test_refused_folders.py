"""Folders that are no whole LoRA classifier: refused with the reason, before anything large is allocated."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from support.commands import Cli, refused
from support.peft_adapters import LABELS, VARIANTS, WEIGHTS, save_by_hand, set_keys

from featherweight.adapter.peft.folder import read_peft_folder
from featherweight.errors import UserError
from featherweight.inference.classifier import Classifier
from featherweight.run.folder import read_json

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


@pytest.fixture(scope="session")
def sound(tiny_backbones: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound folder: RoBERTa with LoRA on query and value, and all biases."""
    folder = tmp_path_factory.mktemp("peft") / "sound"
    save_by_hand(folder, tiny_backbones["roberta"], **VARIANTS["roberta"][1])
    return folder


@pytest.fixture
def spoilt(sound: Path, cli: Cli) -> Path:
    """A copy of it in the working directory, to be spoilt."""
    shutil.copytree(sound, "saved")
    return Path("saved")


def without(*parts: str) -> Callable[[Path], None]:
    """Take the tensors whose names hold one of ``parts`` out of the file."""

    def spoil(folder: Path) -> None:
        tensors = load_file(folder / WEIGHTS)
        save_file({n: t for n, t in tensors.items() if not any(part in n for part in parts)}, folder / WEIGHTS)

    return spoil


def changed(part: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    """Change the tensors whose names hold ``part``."""

    def spoil(folder: Path) -> None:
        tensors = {n: change(t) if part in n else t for n, t in load_file(folder / WEIGHTS).items()}
        save_file({n: np.ascontiguousarray(t) for n, t in tensors.items()}, folder / WEIGHTS)

    return spoil


def more(name: str, shape: tuple[int, ...]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        save_file({**load_file(folder / WEIGHTS), name: np.ones(shape, np.float32)}, folder / WEIGHTS)

    return spoil


def settings(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: set_keys(folder / "adapter_config.json", **changes)


def base_config(**changes: Any) -> Callable[[Path], None]:
    """Let the folder name a copy of its base with another config.json."""

    def spoil(folder: Path) -> None:
        place = json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]
        shutil.copytree(place, "base")
        set_keys(Path("base/config.json"), **changes)
        set_keys(folder / "adapter_config.json", base_model_name_or_path="base")

    return spoil


def huge(folder: Path) -> None:
    """A hole of two terabytes on the disk, that a header calls one tensor of the adapter."""
    name, shape = "base_model.model.roberta.encoder.layer.0.output.dense.lora_A.weight", [10**10, 48]
    header = json.dumps({name: {"dtype": "F32", "shape": shape, "data_offsets": [0, 4 * 48 * 10**10]}}).encode()
    with (folder / WEIGHTS).open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + 4 * 48 * 10**10)


def pickled(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "adapter_model.bin")


QUERY, QUERY0 = (f"roberta.encoder.layer.{layer}.attention.self.query" for layer in (1, 0))
REFUSED: dict[str, tuple[Callable[[Path], None], str | tuple[str, ...]]] = {
    "no settings": (lambda f: (f / "adapter_config.json").unlink(), "adapter_config.json: missing"),
    "settings are no JSON": (lambda f: (f / "adapter_config.json").write_text("{"), "adapter_config.json: damaged"),
    "settings are a list": (lambda f: (f / "adapter_config.json").write_text("[]"), "it contains no JSON object"),
    "settings of megabytes": (
        lambda f: (f / "adapter_config.json").write_text("[" + " " * 5_000_000 + "]"), "too many for an adapter_config",
    ),
    "another method": (settings(peft_type="IA3"), "peft_type is 'IA3'; only LORA is supported"),
    "another task": (settings(task_type="CAUSAL_LM"), "task_type is 'CAUSAL_LM'; only text classifiers"),
    "a linear head that was not copied": (
        settings(task_type="FEATURE_EXTRACTION"), "classifiers (SEQ_CLS) are supported\nIf a run of Featherweight",
    ),
    "no task": (settings(task_type=None), "task_type is missing"),
    "a kind of LoRA that is not known": (settings(use_qalora=True), "use_qalora is set, which selects"),
    "code named in the settings": (settings(megatron_config={"a": 1}), "megatron_config is set"),
    "a start that cannot be repeated": (settings(init_lora_weights="loftq"), "init_lora_weights: changed the weights"),
    "rank of no number": (settings(r="8"), "r: must be a whole number"),
    "alpha of no end": (settings(lora_alpha=float("inf")), "lora_alpha: must be a finite number"),
    "another rank": (settings(r=4), "has shape (2, 32), but the base model needs (4, 32)"),
    "an absurd rank": (settings(r=10**9), "has shape (2, 32), but the base model needs (1000000000, 32)"),
    "a pattern without end": (settings(target_modules="((a+)+)+$"), "target_modules: is too complex a pattern"),
    "no targets here": (settings(target_modules=["q_proj"]), "PEFT cannot apply these settings to the base model"),
    "more targets than tensors": (settings(target_modules=["query", "value", "key"]), "which the settings in"),
    "fewer targets than tensors": (settings(target_modules=["value"]), f"lacks {QUERY0}.bias and 1 more, which the"),
    "no base": (settings(base_model_name_or_path=None), "base_model_name_or_path names no base model"),
    "a base that is not there": (settings(base_model_name_or_path="./nowhere"), ("saved: its base", "no such folder")),
    "a base that leads out": (settings(base_model_name_or_path="../secret"), "is a relative path out of the folder"),
    "a base that is a decoder": (base_config(architectures=["GPT2LMHeadModel"]), "is a decoder"),
    "a base of another size": (base_config(hidden_size=64), "has shape"),
    "a number a text": (base_config(problem_type="regression"), "was trained for regression; only classifiers are"),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), f"{WEIGHTS}: missing"),
    "pickled weights": (pickled, ("adapter_model.bin: a pickle can run any code", "safetensors")),
    "weights cut short": (lambda f: (f / WEIGHTS).write_bytes((f / WEIGHTS).read_bytes()[:-9]), "damaged or truncated"),
    "weights of no tensors": (without("base_model"), "contains no tensors"),
    "weights of two terabytes": (huge, ("parameters, too many for an adapter", "the base model has only")),
    "no head": (without("classifier"), ("classifier.dense.weight is neither in the adapter nor", "'classifier' in")),
    "half a head": (without("out_proj"), "classifier.out_proj.weight is neither in the adapter nor in its base"),
    "a head of one class": (changed("out_proj", lambda t: t[:1]), "has shape (1, 32)"),
    "an A without its B": (without("query.lora_B"), "query.lora_A.weight has no matching B matrix"),
    "ranks that differ": (changed("query.lora_A", lambda t: t[:1]), "has rank 1, but its B matrix has rank 2"),
    "a lost layer": (without(f"{QUERY}.lora"), f"lacks {QUERY}.lora_A.weight"),
    "a lost bias": (without(f"{QUERY}.base_layer.bias"), f"lacks {QUERY}.base_layer.bias"),
    "a shape that does not fit": (changed("LayerNorm.bias", lambda t: t[:8]), "has shape (8,), but the base"),
    "whole numbers": (changed("LayerNorm.bias", lambda t: t.astype(np.int64)), "has type I64"),
    "an empty tensor": (changed("LayerNorm.bias", lambda t: t[:0]), "has the empty shape (0,)"),
    "no numbers": (changed("query.lora_B", lambda t: t * np.nan), "contains NaN or infinity"),
    "a tensor of nobody": (more("base_model.model.evil.weight", (3,)), "contains evil.weight, but neither the base"),
    "a tensor of another library": (more("lora.evil", (3,)), "'lora.evil' was not written by PEFT"),
    "a name that rings": (more("base_model.model.\x1b[2J", (3,)), "was not written by PEFT"),
    "two heads that differ": (changed("modules_to_save.default.out_proj.bias", lambda t: t + 1), "twice"),
    "label names that do not fit": (
        lambda f: (f / "config.json").write_text('{"id2label": {"0": "a", "1": "b"}}'), "2 names, but the head has 3",
    ),
    "label names that are one": (
        lambda f: (f / "config.json").write_text('{"id2label": {"0": "a", "1": "a", "2": "b"}}'), "a different name",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused_folders(spoilt: Path, cli: Cli, tiny_data: dict[str, Path], case: str) -> None:
    spoil, naming = REFUSED[case]
    spoil(spoilt)
    if case == "weights of two terabytes":  # which are too many to be compared before and after
        with pytest.raises(UserError, match="parameters, too many for an adapter"):
            read_peft_folder(spoilt)
        return
    given = [] if case.startswith("label names") else ["--labels", ",".join(LABELS)]
    refused(cli, "evaluate", "saved", "--data", tiny_data["test"], *given, naming=naming)


def test_options_that_do_not_fit(spoilt: Path, cli: Cli, tiny_data: dict[str, Path]) -> None:
    Path("run").mkdir()
    Path("run/recipe.toml").write_text('name = "mine"\n')
    judge = ("--data", tiny_data["test"], "--labels")
    refused(cli, "evaluate", "saved", *judge, "a,b", naming="--labels for saved: 2 names, but the head has 3 classes")
    refused(cli, "evaluate", "saved", *judge, "a,b,a", naming="each class needs a different name")
    unknown = ("row 1: unknown label 'fruit' (also ", "; the classes are x, y, z", "--drop-empty")
    refused(cli, "evaluate", "saved", *judge, "x,y,z", naming=unknown)
    refused(cli, "evaluate", "saved", naming="PEFT saves no metrics and no test set; add --data with labelled rows")
    refused(
        cli, "evaluate", "saved", *judge, "a,b,c", "--task", "tags", naming="--task takes one of single-label, multi"
    )
    refused(cli, "predict", "saved", "--text", "a", "--join", "pairs", naming="--join takes one of text, pair, not")
    refused(cli, "predict", "run", "--text", "a", "--join", "pair", naming="run: is a run; --join is for folders that")
    refused(cli, "evaluate", "run", *judge, "a,b,c", naming="run: is a run; --labels is for folders that PEFT saved")
    refused(cli, "predict", "run", "x.csv", "-o", "y.csv", "--labels", "a,b", naming="run: is a run; --labels is for")
    refused(cli, "report", "run", "--out", "page.html", naming="run: is a run; --out is for folders that PEFT saved")
    refused(cli, "weigh", "saved", "--set", "adapter.dora=true", naming="saved: is already trained")
    refused(cli, "weigh", "saved", "--budget", "", naming=("saved with --budget ", "must be a count such as"))


@pytest.mark.parametrize("beside", [None, "vocab.txt"])
def test_the_folder_above_checkpoints_is_told_to_name_one(spoilt: Path, cli: Cli, beside: str | None) -> None:
    Path("out").mkdir()
    spoilt.rename("out/checkpoint-10")
    Path("out/runs/today").mkdir(parents=True)  # where Trainer writes the files of TensorBoard
    for place in ("runs/today", "runs", "."):
        Path("out", place, "events.out.tfevents.1.host.2.0").write_bytes(b"")
    if beside:  # a file of a tokenizer, not a text
        Path("out/checkpoint-10", beside).write_text("apple\n", "utf-8")
    naming = "out: is not data, but contains out/checkpoint-10 (a folder that PEFT saved); name such a folder"
    refused(cli, "weigh", "out", naming=naming)
    refused(cli, "new", "out", naming=naming)
    naming = "out: not a run folder (it contains no recipe.toml); name one of the folders in it: out/checkpoint-10"
    refused(cli, "report", "out", "--out", "page.html", naming=naming)


def test_a_folder_of_texts_is_data_beside_the_adapters_trained_on_it(spoilt: Path, cli: Cli) -> None:
    for label in ("bird", "fruit"):
        Path("texts", label).mkdir(parents=True)
        for number in range(8):
            Path("texts", label, f"{number}").write_text(f"{label} {number}", "utf-8")
    spoilt.rename("texts/saved")
    Path("texts/saved/vocab.txt").write_text("apple\n", "utf-8")  # not a text
    assert "16 rows, 2 classes" in cli("new", "texts").err


@pytest.mark.parametrize("file", [WEIGHTS, "adapter_config.json"])
def test_a_file_of_the_folder_is_told_to_name_the_folder(spoilt: Path, cli: Cli, file: str) -> None:
    refused(cli, "weigh", spoilt / file, naming=f"saved/{file}: is a file in a folder that PEFT saved; name the folder")


def test_a_trained_module_inside_another_one_is_refused(
    tmp_path: Path, tiny_backbones: dict[str, Path], cli: Cli, tiny_data: dict[str, Path]
) -> None:
    save_by_hand(tmp_path / "nested", tiny_backbones["roberta"], target_modules=["query"], modules_to_save=["out_proj"])
    given = ["--data", tiny_data["test"], "--labels", ",".join(LABELS)]
    refused(cli, "evaluate", tmp_path / "nested", *given, naming=("nested: PEFT cannot load", "(here out_proj, "))


@pytest.mark.parametrize("command", [["evaluate", "saved"], ["report", "saved", "--out", "page.html"]])
def test_rows_are_read_before_the_model_is_loaded(
    spoilt: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setattr(Classifier, "load", lambda *given, **options: pytest.fail("a model was loaded"))
    labels = ("--labels", ",".join(LABELS))
    refused(cli, *command, "--data", "gone.csv", *labels, naming="gone.csv: no such file")
    Path("rows.csv").write_text("text,label\napple,fruit\nowl,beast\n", "utf-8")
    refused(cli, *command, "--data", "rows.csv", *labels, naming="rows.csv: row 2: unknown label 'beast'")


def test_a_base_out_of_reach_is_named_by_an_option(spoilt: Path, cli: Cli, tiny_backbones: dict[str, Path]) -> None:
    values = read_json(spoilt / "adapter_config.json")
    (spoilt / "adapter_config.json").write_text(json.dumps(values | {"base_model_name_or_path": "acme/tuned-roberta"}))
    said = "saved: its base model acme/tuned-roberta is not on this machine, and the hub cannot be reached"
    refused(cli, "predict", "saved", "--text", "plum", naming=(said, "Add --base FOLDER"))
    refused(cli, "predict", "saved", "--text", "plum", "--base", "nowhere", naming="--base nowhere: no such folder")
    refused(cli, "weigh", "newsbriefs", "--base", "x", naming="--base is for folders that PEFT saved")
    base = tiny_backbones["roberta"]
    names = ("--labels", ",".join(LABELS))
    assert "plum" in cli("predict", "saved", "--text", "plum", "--base", base, *names).out
    by_header, by_base = cli("weigh", "saved"), cli("weigh", "saved", "--base", base)
    assert by_header.code == by_base.code == 0 and said in by_header.err
    totals = [answer.out.split("trainable")[1].split()[0] for answer in (by_header, by_base)]
    assert totals[0] == totals[1]
    assert "LoRA query" in by_header.out and "head, classifier.out_proj" in by_header.out
    over = cli("weigh", "saved", "--budget", "5")
    assert over.code == 2 and "over budget = 5" in over.err


def test_the_settings_of_an_adapter_are_no_data_of_the_folder_above(cli: Cli) -> None:
    Path("out/adapter").mkdir(parents=True)
    Path("out/adapter/adapter_config.json").write_text('{"r": 8}', "utf-8")
    refused(cli, "weigh", "out", naming="out: is not data, but contains out/adapter (a folder that PEFT saved)")
    Path("out/data").mkdir()
    Path("out/data/rows.csv").write_text("text,label\n" + "an apple,a\na bird,b\n" * 8, "utf-8")
    assert "16 rows, 2 classes" in cli("new", "out").err
