"""Runs with random adapters on tiny backbones, and their exports; the slow ONNX graph of a run is made once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from featherweight.data.pairs import Text
from featherweight.export import gate
from featherweight.files import sha256_of
from featherweight.inference.classifier import Classifier
from featherweight.recipe import Recipe
from support.adapters import built, saved


def made_run(recipe: Recipe, folder: Path) -> Path:
    """A run folder with what an export reads of it: the recipe, and an adapter with random values."""
    network = built(recipe)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for name, parameter in network.named_parameters():
            if parameter.requires_grad:
                # A head of larger weights: so the classes are told apart.
                parameter.data += (1.0 if "lora" not in name and parameter.ndim > 1 else 0.1) * torch.randn_like(
                    parameter
                )
    folder.mkdir(parents=True)
    (folder / "recipe.toml").write_text(recipe.to_toml(), "utf-8")
    saved(network, folder / "adapter", recipe)
    return folder


def in_this_process(folder: Path, texts: Sequence[Text]) -> gate.Answer:
    """In the place of ``gate.in_fresh_process``: the same logits without a new process."""
    precision = "fp32" if (folder / "model.safetensors").is_file() else "auto"
    return gate.Answer(Classifier.load(folder, precision=precision).logits(texts), 1.0, 1.0)


def as_exported(folder: Path, name: str) -> None:
    """Write the hash of a changed file into export.json, as if it had been exported like this."""
    described = json.loads((folder / "export.json").read_text("utf-8"))
    described["files"][name]["sha256"] = sha256_of(folder / name)
    (folder / "export.json").write_text(json.dumps(described), "utf-8")


class Exports(dict[tuple[str, str], Path]):
    """The folder of an export by key of its run and target, made when it is first asked for."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.runs: dict[str, Path] = {}

    def add(self, key: str, recipe: Recipe) -> Path:
        """The run ``key``, made of ``recipe`` if it does not exist yet."""
        if key not in self.runs:
            self.runs[key] = made_run(recipe, self._root / key)
        return self.runs[key]

    def __missing__(self, which: tuple[str, str]) -> Path:
        from featherweight.export import onnx
        from featherweight.workflows.export import export_run

        key, target = which
        graph = self._root / f"{key}.onnx"
        write = onnx.write_onnx

        def once(network: Any, path: Path, *, token_types: bool) -> None:
            if not graph.exists():
                write(network, graph, token_types=token_types)
            shutil.copyfile(graph, path)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(onnx, "write_onnx", once)
            patch.setattr(gate, "in_fresh_process", in_this_process)
            for small in ("onnx-int8", "openvino-int8"):
                patch.setitem(gate.LEAST_AGREEMENT, small, 0.0)  # random weights decide by little
            export_run(self.runs[key], target, self._root / f"{key}-{target}")
        self[which] = self._root / f"{key}-{target}"
        return self[which]
