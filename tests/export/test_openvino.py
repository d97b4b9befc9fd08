"""Exports to OpenVINO: they compute without torch and ONNX Runtime, and say what is missing or damaged."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.exports import Exports

import featherweight
from featherweight.errors import UserError
from featherweight.export.card import render_card
from featherweight.inference.classifier import Classifier
from featherweight.workflows.export import export_run

pytest.importorskip("nncf", reason="the extra openvino is not installed")
pytestmark = pytest.mark.slow
TEXTS = ["apple pear plum", "robin and crow", "zinc silver iron"]


@pytest.fixture
def folder(exports: Exports, tiny_recipe: Any) -> Path:
    """The export of a run with a native head and random weights."""
    adapter = {"head": "native", "bias": "all", "lora": [{"roles": ["query", "value", "mlp_up"], "rank": 2}]}
    exports.add("bert", tiny_recipe("bert", adapter=adapter))
    return exports["bert", "openvino-int8"]


def test_its_description_says_how_it_was_made_and_its_weights_are_small(folder: Path, exports: Exports) -> None:
    written = json.loads((folder / "export.json").read_text("utf-8"))
    assert written["quantization"]["calibration_rows"] == 48  # all training rows: 60 without the 12 for validation
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


def test_the_other_texts_of_a_batch_change_nothing(folder: Path) -> None:
    classifier = Classifier.load(folder)
    alone = np.concatenate([classifier.logits([text]) for text in TEXTS])
    np.testing.assert_allclose(alone, classifier.logits(TEXTS), atol=1e-4)


def test_nncf_sends_no_reports_of_its_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    code = "from featherweight.export.openvino import import_nncf\nimport os\nimport_nncf()\n"
    code += "from nncf.telemetry.wrapper import NNCFTelemetry, telemetry\n"
    assert python(code + "print(isinstance(telemetry, NNCFTelemetry), os.environ.get('NNCF_CI'))") == "False None\n"


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


def test_without_the_training_rows_nothing_is_written(tiny_recipe: Any, exports: Exports, tmp_path: Path) -> None:
    data = {"train": str(tmp_path / "gone.csv"), "test": None, "labels": ["fruit", "metal", "bird"]}
    run = exports.add("no rows", tiny_recipe("bert", data=data, adapter={"head": "native"}))
    with pytest.raises(
        UserError, match=r"needs the training rows .*gone\.csv: no such file(.|\n)*onnx-int8, which needs none"
    ):
        export_run(run, "openvino-int8", tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(UserError, match=r'needs openvino: pip install "featherweight\[openvino\]"'):
        Classifier.load(folder)
