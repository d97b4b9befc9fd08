"""Damaged and foreign adapters, tokenizers and checkpoints: refused before anything large is made of them."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from support.commands import VERBS, Cli, refused, spoil

WEIGHTS, DESCRIPTION, RECIPE, TOKENIZER = "adapter_model.safetensors", "featherweight.json", "recipe.toml", "tokenizer"


def header(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    """Change the first tensor's entry in a safetensors header, and leave the numbers as they are."""

    def changed(adapter: Path) -> None:
        content = (adapter / WEIGHTS).read_bytes()
        (size,) = struct.unpack("<Q", content[:8])
        entries = json.loads(content[8 : 8 + size])
        change(next(entry for name, entry in entries.items() if name != "__metadata__"))
        text = json.dumps(entries).encode()
        (adapter / WEIGHTS).write_bytes(struct.pack("<Q", len(text)) + text + content[8 + size :])

    return changed


def length(size: int) -> Callable[[Path], None]:
    """Let the header claim to be so long."""

    def changed(adapter: Path) -> None:
        content = (adapter / WEIGHTS).read_bytes()
        (adapter / WEIGHTS).write_bytes(struct.pack("<Q", size) + content[8:])

    return changed


def tensors(change: Callable[[dict[str, np.ndarray], str], Any]) -> Callable[[Path], None]:
    """Change the tensors, of which the second argument names one."""

    def changed(adapter: Path) -> None:
        found = load_file(adapter / WEIGHTS)
        change(found, min(found))
        save_file(found, adapter / WEIGHTS, metadata={"format": "pt"})

    return changed


def described(**values: Any) -> Callable[[Path], None]:
    def changed(adapter: Path) -> None:
        path = adapter / DESCRIPTION
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return changed


def tokenizer(change: Callable[[dict[str, Any]], Any], file: str = "tokenizer.json") -> Callable[[Path], None]:
    def changed(adapter: Path) -> None:
        content = json.loads((adapter / file).read_text())
        change(content)
        (adapter / file).write_text(json.dumps(content))

    return changed


def written(file: str, content: Any) -> Callable[[Path], None]:
    return lambda adapter: spoil(adapter / file, content)


def in_recipe(old: str, new: str) -> Callable[[Path], None]:
    return written(RECIPE, lambda text: text.replace(old, new))


def folder_instead(adapter: Path) -> None:
    (adapter / WEIGHTS).unlink()
    (adapter / WEIGHTS).mkdir()


def huge_rank(adapter: Path) -> None:
    in_recipe("rank = 2", "rank = 1000000")(adapter)
    in_recipe("budget = 1000000\n", "budget = 1000000000000\n")(adapter)


CUT = "adapter_model.safetensors: damaged or truncated"
NUMBERS = "a number of more than 4,000 digits"
OTHER = 'lora = "auto"'
BAD_ADAPTERS = [
    (written(WEIGHTS, None), "run/adapter: damaged: the adapter lacks its weights"),
    (written(WEIGHTS, "cut"), CUT),
    (written(WEIGHTS, ""), CUT),
    (written(WEIGHTS, b"\0" * 5000), CUT),
    (written(WEIGHTS, b"\x80\x04." * 500), CUT),
    (length(2**63), CUT),
    (length(2**40), CUT),
    (length(0), CUT),
    (header(lambda entry: entry.update(shape=[10**12, 10**6])), CUT),
    (header(lambda entry: entry.update(shape=[2**62, 8])), CUT),
    (header(lambda entry: entry.update(shape=[-1, 8])), CUT),
    (header(lambda entry: entry.update(data_offsets=[0, 10**12])), CUT),
    (header(lambda entry: entry.update(data_offsets=[0, 8])), CUT),
    (header(lambda entry: entry.update(dtype="Q9")), CUT),
    (header(lambda entry: entry.update(dtype="I32")), "has the type I32; a saved adapter must have F32"),
    (header(lambda entry: entry.update(shape=[*entry["shape"][::-1], 1])), "has shape"),
    (tensors(lambda found, name: found.update({name: found[name].T.copy() + np.nan})), "contains NaN or infinity"),
    (tensors(lambda found, name: found.update({"\x1b[31m": found[name]})), "the saved adapter has 32 more than the"),
    (tensors(lambda found, name: found.update({"\x1b[31m": found.pop(name)})), "the saved adapter lacks base_model"),
    (tensors(lambda found, name: found.pop(name)), "the saved adapter lacks"),
    (folder_instead, CUT),
    (written(DESCRIPTION, None), "run/adapter: contains no adapter (featherweight.json is missing)"),
    (written(DESCRIPTION, "{}"), "featherweight.json: damaged: labels: is missing"),
    (written(DESCRIPTION, "[]"), "featherweight.json: damaged: it contains no JSON object"),
    (written(DESCRIPTION, "[" * 100_000), "featherweight.json: damaged: its lists or objects are nested"),
    (written(DESCRIPTION, b'{"a": "\xe9"}'), "featherweight.json: damaged"),
    (described(format=2), "run/adapter: written by a newer Featherweight (layout 2, this version reads layout 1)"),
    (described(format="1"), "featherweight.json: damaged: its key 'format' is '1', not a number"),
    (described(labels=[]), "featherweight.json: damaged: labels: must have at least 2"),
    (described(labels=["bird"]), "featherweight.json: damaged: labels: must have at least 2"),
    (described(labels=["bird", "bird", "metal"]), "featherweight.json: damaged: labels: 'bird' is listed twice"),
    (described(labels=[1, 2, 3]), "featherweight.json: damaged: labels.0: must be text"),
    (described(labels={"bird": 0}), "featherweight.json: damaged: labels: must be a list"),
    (described(labels=["bird", "fruit"]), "the saved adapter has 33 more than the"),
    (described(labels=[f"class {n}" for n in range(100_000)]), "lacks 3,299,901 of the"),
    (described(temperature="hot"), "featherweight.json: damaged: temperature: must be a number"),
    (described(temperature=-1), "featherweight.json: damaged: temperature: must be greater than 0"),
    (described(temperature=float("nan")), "featherweight.json: damaged: temperature: must be a finite number"),
    (described(backbone_sha256=3), "featherweight.json: damaged: backbone_sha256: must be text"),
    (described(backbone_sha256="0" * 64), "are not those of the training"),
    (written(RECIPE, None), "recipe.toml: missing; the saved adapter is incomplete"),
    (written(RECIPE, "[x"), "run/adapter/recipe.toml: line 1"),
    (in_recipe("rank = 2", "rank = 3"), "lacks 256 of the"),
    (in_recipe("rank = 2", "rank = 1"), "the saved adapter has 256 more than the"),
    (huge_rank, "of the 256,0"),
    (written(RECIPE, "[adapter]\nlora = 'auto'"), "the weights of minilm on this machine are not"),
    (written("tokenizer.json", None), "tokenizer.json: missing; the saved adapter is incomplete"),
    (written("tokenizer.json", "{"), "the tokenizer cannot be loaded"),
    (written("tokenizer.json", "[]"), "the tokenizer cannot be loaded"),
    (written("tokenizer.json", "cut"), "the tokenizer cannot be loaded"),
    (written("tokenizer.json", b"\xff" * 100), "the tokenizer cannot be loaded"),
    (tokenizer(lambda file: file["model"].update(type="Own")), "the tokenizer cannot be loaded"),
    (tokenizer(lambda file: file["model"].update(vocab={})), "the tokenizer has an empty vocabulary"),
    (tokenizer(lambda file: file["model"]["vocab"].update(apple=2**31)), "'apple' has the id 2,147,483,648"),
    (tokenizer(lambda file: file["model"]["vocab"].update(apple=10**30)), "'apple' has the id 1,000"),
    (tokenizer(lambda file: file["added_tokens"][0].update(id=10**6)), "has the id 1,000,000, but the backbone has"),
    (written("tokenizer_config.json", "{"), "the tokenizer cannot be loaded"),
    (written("tokenizer_config.json", "[]"), "the tokenizer cannot be loaded"),
    (tokenizer(lambda file: file.update(pad_token=None), "tokenizer_config.json"), "has no padding token"),
    (tokenizer(lambda file: file.update(tokenizer_class="Own", auto_map={"AutoTokenizer": ["own.Own", None]}),
               "tokenizer_config.json"), "contains custom code"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "naming"), BAD_ADAPTERS, ids=[f"{naming}" for _, naming in BAD_ADAPTERS])
def test_bad_adapters(cli: Cli, run: Path, change: Callable[[Path], None], naming: str) -> None:
    change(run / "adapter")
    refused(cli, *VERBS["predict"], naming=naming)


def test_a_saved_adapter_never_runs_the_code_beside_it(cli: Cli, run: Path) -> None:
    (run / "adapter" / "own.py").write_text("open('ran', 'w')\n")
    settings = {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["own.Own", "own.Own"]}}
    tokenizer(lambda file: file.update(settings), "tokenizer_config.json")(run / "adapter")
    cli(*VERBS["predict"])
    assert not Path("ran").exists()


def test_a_huge_foreign_adapter_is_refused_by_its_header(cli: Cli, run: Path) -> None:
    # 40 GB on paper, a hole on the disk: nothing of it may be read.
    path = run / "adapter" / WEIGHTS
    entry = {"a": {"dtype": "F32", "shape": [10**10], "data_offsets": [0, 4 * 10**10]}}
    text = json.dumps(entry).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    os.truncate(path, 8 + len(text) + 4 * 10**10)
    answer = cli(*VERBS["predict"])
    path.unlink()
    assert answer.code == 2
    assert "run/adapter: damaged: the saved adapter has 9,99" in answer.err


def both(file: str, content: Any) -> Callable[[Path], None]:
    """Put ``content`` into the place of a file of each of the two checkpoints."""

    def changed(checkpoint: Path) -> None:
        for step in checkpoint.iterdir():
            spoil(step / file, content)

    return changed


def one_tensor_less(checkpoint: Path) -> None:
    for step in checkpoint.iterdir():
        found = load_file(step / "tensors.safetensors")
        found.pop(min(found))
        save_file(found, step / "tensors.safetensors")


BAD_CHECKPOINTS = [
    (both("state.json", None), "No such file"),
    (both("state.json", "{"), "Expecting"),
    (both("state.json", "[" * 100_000), "maximum recursion depth"),
    (both("state.json", "[]"), "state.json has no checksum"),
    (both("state.json", '{"sha256": "0"}'), "the checksum does not match"),
    (both("state.json", b"\xff"), "damaged"),
    (both("tensors.safetensors", None), "No such file"),
    (both("tensors.safetensors", "cut"), "the checksum does not match"),
    (both("tensors.safetensors", struct.pack("<Q", 2**63)), "the checksum does not match"),
    (one_tensor_less, "the checksum does not match"),
]


@pytest.mark.parametrize(("change", "naming"), BAD_CHECKPOINTS, ids=[naming for _, naming in BAD_CHECKPOINTS])
def test_bad_checkpoints(cli: Cli, run: Path, change: Callable[[Path], None], naming: str) -> None:
    (run / "verification.json").unlink()  # a run without it is not complete
    change(run / "checkpoint")
    message = refused(cli, "train", "run/recipe.toml", "--out", "run", "--resume", naming=naming)
    assert "run/checkpoint/step-" in message
    assert "no undamaged checkpoint to resume from" in message
