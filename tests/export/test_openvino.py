"""Exports to OpenVINO: they compute without torch and ONNX Runtime, and say what is missing or damaged."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.endings import quick_endings
from support.exports import Exports, as_exported, in_this_process

import featherweight
from featherweight import train
from featherweight.errors import UserError
from featherweight.export import gate, openvino
from featherweight.export.card import render_card
from featherweight.inference.classifier import Classifier
from featherweight.workflows.export import export_run

MISSING = importlib.util.find_spec("nncf") is None  # importing it here would report its use
pytestmark = [pytest.mark.slow, pytest.mark.skipif(MISSING, reason="the extra openvino is not installed")]
TEXTS = ["apple pear plum", "robin and crow", "zinc silver iron"]


@pytest.fixture
def folder(exports: Exports, tiny_recipe: Any) -> Path:
    """The export of a run with a native head and random weights."""
    adapter = {"head": "native", "bias": "all", "lora": [{"roles": ["query", "value", "mlp_up"], "rank": 2}]}
    exports.add("bert", tiny_recipe("bert", adapter=adapter))
    return exports["bert", "openvino-int8"]


def test_its_description_says_how_it_was_made_and_its_weights_are_small(folder: Path, exports: Exports) -> None:
    written = json.loads((folder / "export.json").read_text("utf-8"))
    made = written["quantization"]
    assert made["calibration_texts"] == 48  # all training rows: 60 without the 12 for validation
    assert made["reduce_range"] == (not made["processor_flags"])
    assert {"openvino", "nncf", "onnx"} <= set(written["versions"])
    assert {"model.xml", "model.bin", "tokenizer.json"} <= set(written["files"])
    whole = exports["bert", "onnx"] / "model.onnx"
    assert written["comparison"]["bytes"] == (folder / "model.bin").stat().st_size < 0.5 * whole.stat().st_size


def test_the_model_card_names_library_and_file(folder: Path) -> None:
    card = render_card(folder)
    assert "library_name: openvino\n" in card and "`model.xml` takes" in card


IN_A_PROCESS = """
import json, sys
for name in ("torch", "transformers", "peft", "onnx", "onnxruntime", "nncf", "sklearn", "scipy"):
    sys.modules[name] = None
from featherweight import Classifier
print(json.dumps(Classifier.load(sys.argv[1]).logits(json.loads(sys.argv[2])).tolist()))
"""


def python(code: str, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(Path(featherweight.__file__).parents[1])}
    program = [sys.executable, "-c", code, *arguments]
    return subprocess.run(program, capture_output=True, text=True, check=True, env=environment).stdout


def test_it_needs_only_openvino_and_tokenizers(folder: Path) -> None:
    found = json.loads(python(IN_A_PROCESS, str(folder), json.dumps(TEXTS)))
    np.testing.assert_allclose(found, Classifier.load(folder).logits(TEXTS), atol=1e-4)


def test_of_many_rows_300_at_equal_distances_are_read() -> None:
    places = openvino._spread(1000)
    assert len(places) == 300 and (places[0], places[-1]) == (0, 999) and set(np.diff(places)) == {3, 4}
    assert openvino._spread(7).tolist() == [*range(7)]


REPORTS = """
import sys
from featherweight import Classifier
from featherweight.export.openvino import quantise_with
from featherweight.inference.openvino import without_telemetry
Classifier.load(sys.argv[1])
with without_telemetry():
    import nncf
from nncf.telemetry.wrapper import NNCFTelemetry, telemetry
print(isinstance(telemetry, NNCFTelemetry), "openvino_telemetry" in sys.modules)
"""


def test_neither_library_reports_its_use(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CI", "NNCF_CI", "NNCF_DEV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert python(REPORTS, str(folder)) == "False False\n"
    assert not (tmp_path / "intel").exists()


def test_damaged_files_are_refused(folder: Path, tmp_path: Path) -> None:
    def copy(name: str) -> Path:
        return Path(shutil.copytree(folder, tmp_path / name))

    short, graph = copy("short") / "model.bin", copy("graph") / "model.xml"
    short.write_bytes(short.read_bytes()[:-1])
    content = graph.read_bytes()
    graph.write_bytes(b"?" * len(content))
    with pytest.raises(UserError, match=r"model\.bin: has .* bytes, not"):
        Classifier.load(short.parent)
    with pytest.raises(UserError, match=r"model\.xml: was changed after the export; export the run again"):
        Classifier.load(graph.parent)
    as_exported(graph.parent, "model.xml")
    with pytest.raises(UserError, match=r"model\.xml: cannot be loaded by OpenVINO; export\.json has the version"):
        Classifier.load(graph.parent)
    weights = copy("weights") / "model.bin"
    weights.write_bytes(bytes(weights.stat().st_size))
    with pytest.raises(UserError, match=r"model\.bin: was changed after the export; export the run again"):
        Classifier.load(weights.parent)
    as_exported(weights.parent, "model.bin")
    with pytest.raises(UserError, match=r"weights.model\.xml: cannot be loaded by OpenVINO"):
        Classifier.load(weights.parent)


def test_other_logits_than_at_the_export_are_refused(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    probes = json.loads((copy / "probes.json").read_text("utf-8"))
    probes["logits"] = [[2 * value + 1 for value in row] for row in probes["logits"]]
    (copy / "probes.json").write_text(json.dumps(probes), "utf-8")
    described = json.loads((copy / "export.json").read_text("utf-8"))
    described["files"].pop("probes.json", None)
    (copy / "export.json").write_text(json.dumps(described), "utf-8")
    with pytest.raises(UserError, match=r"other logits here(.|\n)*the versions of the libraries in its export\.json"):
        Classifier.load(copy)


def test_without_the_training_rows_nothing_is_written(tiny_recipe: Any, exports: Exports, tmp_path: Path) -> None:
    data = {"train": str(tmp_path / "gone.csv"), "test": None, "labels": ["fruit", "metal", "bird"]}
    run = exports.add("no rows", tiny_recipe("bert", data=data, adapter={"head": "native"}))
    with pytest.raises(
        UserError, match=r"needs the training rows .*gone\.csv: no such file(.|\n)*onnx-int8\", which needs none"
    ):
        export_run(run, "openvino-int8", tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_changed_training_rows_are_refused(tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = tmp_path / "rows.csv"
    lines = [f"{word} {number},{label}" for number in range(12) for word, label in (("apple", "a"), ("crow", "b"))]
    rows.write_text("\n".join(["text,label", *lines]), "utf-8")
    data = {"train": str(rows), "test": None, "validation_size": 4}
    with quick_endings():
        run = train(tiny_recipe("bert", data=data, training={"max_steps": 1}), tmp_path / "run")
    rows.write_text(
        rows.read_text("utf-8").replace("apple 3,a", "apple 3,b"), "utf-8"
    )  # so that other rows are drawn for validation
    with pytest.raises(UserError, match=r"rows\.csv: has changed since the training: its texts differ\n.*onnx-int8"):
        export_run(run.folder, "openvino-int8", tmp_path / "out")


def test_rows_in_memory_are_found_where_the_run_was_moved(
    tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "in_fresh_process", in_this_process)
    monkeypatch.setitem(gate.LEAST_AGREEMENT, "openvino-int8", 0.0)
    frame = pd.DataFrame({"text": [f"apple {n}" for n in range(12)] * 2, "label": [*"ab"] * 12})
    backbone = str(tiny_recipe("bert").backbone.name)
    with quick_endings():
        run = train(frame, backbone=backbone, overrides=["training.max_steps=1"], out=tmp_path / "run")
    moved = run.folder.rename(tmp_path / "moved")
    assert export_run(moved, "openvino-int8", tmp_path / "out")["comparison"]["source"] == "validation rows"


def test_missing_packages_are_named(
    folder: Path, tiny_recipe: Any, exports: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, find = exports.add("bert", tiny_recipe("bert")), importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "nncf" else find(name))
    with pytest.raises(UserError, match=r"needs nncf: pip install nncf$"):
        export_run(run, "openvino-int8", "out")


def test_a_missing_package_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(UserError, match=r"needs openvino: pip install openvino$"):
        Classifier.load(folder)
