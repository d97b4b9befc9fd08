"""A small ONNX export, written by hand: words to logits, without any training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from featherweight.files import sha256_of
from featherweight.inference.openvino import without_telemetry

WORDS = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "goal": 4, "treaty": 5}
LABELS = ("World", "Sports")


def write_onnx_export(folder: Path) -> Path:
    """An export whose logits are the sum of a row for each token: goal speaks for Sports, treaty for World."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    folder.mkdir(parents=True)
    rows = np.zeros((len(WORDS), 2), np.float32)
    rows[WORDS["goal"]], rows[WORDS["treaty"]] = (-2, 2), (2, -2)
    nodes = [
        helper.make_node("Gather", ["rows", "input_ids"], ["found"]),
        helper.make_node("ReduceSum", ["found", "axis"], ["logits"], keepdims=0),
    ]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["b", "t"]) for name in ("input_ids", "attention_mask")
    ]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["b", 2])
    constants = [numpy_helper.from_array(rows, "rows"), numpy_helper.from_array(np.array([1], np.int64), "axis")]
    graph = helper.make_graph(nodes, "words", inputs, [output], constants)
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), str(folder / "model.onnx"))
    _write_tokenizer(folder / "tokenizer.json")
    (folder / "recipe.toml").write_text('name = "words"\n[data]\ntrain = "x.csv"\n[backbone]\nname = "minilm"\n')
    files = {path.name: {"bytes": path.stat().st_size, "sha256": sha256_of(path)} for path in folder.iterdir()}
    described = {
        "format": 1, "target": "onnx", "model_id": "words-0123456789ab-onnx", "labels": LABELS, "temperature": 1.0,
        "thresholds": [], "max_length": 16, "long": "head", "window_overlap": 0.25, "pad_token_id": 0,
        "token_types": False, "files": files,
    }  # fmt: skip
    (folder / "export.json").write_text(json.dumps(described))
    return folder


def convert_to_openvino(folder: Path) -> None:
    """Make the export of ``write_onnx_export`` one for OpenVINO; its graph keeps fp32."""
    graph, described = folder / "model.onnx", json.loads((folder / "export.json").read_text("utf-8"))
    with without_telemetry():
        openvino = pytest.importorskip("openvino")
    openvino.save_model(openvino.Core().read_model(str(graph)), str(folder / "model.xml"), compress_to_fp16=False)
    graph.unlink()
    files = [path for path in folder.iterdir() if path.name != "export.json"]
    described["files"] = {path.name: {"bytes": path.stat().st_size, "sha256": sha256_of(path)} for path in files}
    (folder / "export.json").write_text(json.dumps({**described, "target": "openvino-int8"}), "utf-8")


def _write_tokenizer(path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordLevel(WORDS, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [("[CLS]", WORDS["[CLS]"]), ("[SEP]", WORDS["[SEP]"])]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    tokenizer.save(str(path))
