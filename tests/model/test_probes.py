"""Probes: a tokenizer or weights that changed since a model was saved are refused when it is loaded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from featherweight.errors import UserError
from featherweight.inference.classifier import Classifier


@pytest.fixture
def copied(finished_run: Any, tmp_path: Path) -> Path:
    return shutil.copytree(finished_run.folder / "adapter", tmp_path / "adapter", symlinks=True)


def test_every_run_stores_token_ids_and_logits(finished_run: Any) -> None:
    stored = json.loads((finished_run.folder / "adapter" / "probes.json").read_text("utf-8"))
    assert len(stored["texts"]) == len(stored["ids"]) == len(stored["logits"]) == 3
    assert stored["ids"][2][0] == 101 and stored["ids"][2][-1] == 102  # [CLS] and [SEP]
    assert "adapter/probes.json" in json.loads((finished_run.folder / "manifest.json").read_text("utf-8"))["files"]


def test_another_tokenizer_is_refused(copied: Path) -> None:
    file = copied / "tokenizer.json"
    content = json.loads(file.read_text("utf-8"))
    content["normalizer"]["lowercase"] = not content["normalizer"]["lowercase"]
    file.write_text(json.dumps(content), "utf-8")
    with pytest.raises(UserError, match="its tokenizer gives other tokens here than when the model was saved"):
        Classifier.load(copied)


def test_other_weights_are_refused(copied: Path) -> None:
    file = (
        copied / "head.safetensors" if (copied / "head.safetensors").is_file() else copied / "adapter_model.safetensors"
    )
    tensors = load_file(file)
    save_file({name: tensor * 3 + 1 for name, tensor in tensors.items()}, file)
    with pytest.raises(UserError, match="the model gives other logits here than when it was saved"):
        Classifier.load(copied)


def test_without_probes_and_with_those_of_another_version_nothing_is_refused(copied: Path) -> None:
    file = copied / "probes.json"
    stored = json.loads(file.read_text("utf-8"))
    expected = Classifier.load(copied).logits(["apple"])
    file.write_text(json.dumps({**stored, "texts": ["another"], "ids": [[1]]}), "utf-8")
    assert (Classifier.load(copied).logits(["apple"]) == expected).all()
    file.unlink()
    assert (Classifier.load(copied).logits(["apple"]) == expected).all()


def test_damaged_probes_are_refused(copied: Path) -> None:
    (copied / "probes.json").write_text('{"ids": "x"}', "utf-8")
    with pytest.raises(UserError, match=r"probes\.json: damaged"):
        Classifier.load(copied)
