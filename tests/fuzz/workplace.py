"""Folders, files and small models that the targets of the fuzzing need, in a folder of this process alone."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import struct
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

CONFIG = {
    "model_type": "bert", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8,
    "vocab_size": 20, "max_position_embeddings": 16, "id2label": {"0": "no", "1": "yes"},
}  # fmt: skip
NAME = "base_model.model.bert.encoder.layer.0.attention.self.query.lora_"
HEAD = {"base_model.model.classifier.weight": [2, 8], "base_model.model.classifier.bias": [2]}
LORA = {**HEAD, f"{NAME}A.weight": [1, 8], f"{NAME}B.weight": [8, 1]}
OWN = {"head.out.weight": [2, 8], "head.out.bias": [2]}
TOKENIZER = {
    "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "decoder": None,
    "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None,
    "model": {"type": "WordLevel", "vocab": {"[PAD]": 0, "[UNK]": 1, "it": 2, "twice": 3}, "unk_token": "[UNK]"},
}  # fmt: skip
EXPORTED = {"model.onnx": b"weights", "tokenizer.json": json.dumps(TOKENIZER).encode(), "recipe.toml": b"seed = 1\n"}
"""The files of an export besides its description."""


@cache
def workplace() -> Path:
    """A folder of this process alone."""
    return Path(tempfile.mkdtemp(prefix="fuzz-"))


def clean_up() -> None:
    """Remove what the targets have written."""
    shutil.rmtree(workplace(), ignore_errors=True)


def make_foreign(folder: Path, names: list[str], data: bytes) -> Path:
    """One of the files of ``folder``, which the first byte chooses, made of the other bytes; its path."""
    path = folder / names[data[0] % len(names) if data else 0]
    content = data[1:]
    if path.suffix == ".safetensors" and data[:1] < b"\x80":
        # A length that fits the header, most of the time: no chance finds it by itself.
        content = struct.pack("<Q", len(content)) + content + bytes(400)
    path.write_bytes(content)
    return path


def folder_with(name: str, tensors: dict[str, list[int]], file: str) -> Path:
    """An empty folder but for one file of tensors."""
    folder = workplace() / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / file).write_bytes(safetensors(tensors))
    return folder


def safetensors(tensors: dict[str, list[int]]) -> bytes:
    """A file of these names and shapes, all numbers zero."""
    entries, offset = {}, 0
    for name, shape in tensors.items():
        size = 4 * math.prod(shape)
        entries[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + bytes(offset)


def export_description(files: dict[str, bytes]) -> dict[str, Any]:
    """The content of export.json for an ONNX export of these files."""
    listed = {name: {"bytes": len(held), "sha256": hashlib.sha256(held).hexdigest()} for name, held in files.items()}
    return {
        "format": 1, "target": "onnx", "model_id": "a", "labels": ["no", "yes"], "temperature": 1.5, "max_length": 8,
        "long": "head", "window_overlap": 0.5, "pad_token_id": 0, "token_types": False, "files": listed,
    }  # fmt: skip


@cache
def base_folder() -> Path:
    """The folder of a backbone, with its config alone."""
    folder = workplace() / "base"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return folder
