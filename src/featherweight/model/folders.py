"""Check a backbone's folder before anything is built from it: config, tokenizer, and whole safetensors files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from featherweight.errors import UserError

_TOKENIZERS = (
    ("tokenizer.json",),
    ("vocab.txt",),
    ("vocab.json", "merges.txt"),
    ("sentencepiece.bpe.model",),
    ("spm.model",),
    ("spiece.model",),
)
"""Sets of files of which one suffices to build a fast tokenizer."""

_PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "model.pth")


def read_config(folder: Path) -> dict[str, Any]:
    """The parsed config.json of ``folder``. Raises UserError where it is missing, broken, or no JSON object."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{path}: missing; a backbone folder holds config.json, the tokenizer and model.safetensors"
        ) from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: not valid JSON: {error.msg} in line {error.lineno}; get the file again") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte {error.start} is not UTF-8; get the file again") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    if not isinstance(config, dict):
        raise UserError(f"{path}: must hold a JSON object with the model's settings")
    return config


def check_folder(folder: Path, name: str) -> None:
    """Raise UserError unless ``folder`` holds whole safetensors weights and a tokenizer; ``name`` is for messages."""
    files = weight_files(folder)
    if not files:
        raise UserError(_no_weights(folder, name))
    for file in files:
        _check_safetensors(file)
    if not any(all((folder / file).is_file() for file in files) for files in _TOKENIZERS):
        raise UserError(f"{folder}: no tokenizer; add tokenizer.json, or vocab.txt, or vocab.json with merges.txt")


def weight_files(folder: Path) -> list[Path]:
    """model.safetensors, or the files that model.safetensors.index.json lists; empty where there is neither.

    Raises UserError for an index that is broken or names a file outside the folder or one that is not there.
    """
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file():
        return [single]
    if not index.is_file():
        return []
    try:
        names = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{index}: not a weight index; get the file again") from None
    for name in names:
        if not isinstance(name, str) or Path(name).name != name or not (folder / name).is_file():
            raise UserError(f"{index}: names {name!r}, which is not a file in this folder")
    return [folder / name for name in names]


def _check_safetensors(path: Path) -> None:
    # The library checks header length, JSON, and that the tensors' offsets fill the file exactly.
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as weights:
            empty = not list(weights.keys())
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path}: damaged or cut short ({error}); get the file again") from None
    if empty:
        raise UserError(f"{path}: holds no tensors; get the file again")


def _no_weights(folder: Path, name: str) -> str:
    if not any((folder / file).is_file() for file in _PICKLED):
        return f"{folder}: model.safetensors is missing; a backbone folder holds it beside config.json"
    return pickle_refused(str(folder), name)


def pickle_refused(place: str, name: str) -> str:
    """The message for weights that come as a pickle alone, with the line that converts them."""
    convert = (
        f"from transformers import AutoModel as M, AutoTokenizer as T; n, d = {name!r}, 'converted'; "
        "M.from_pretrained(n).save_pretrained(d); T.from_pretrained(n).save_pretrained(d)"
    )
    return (
        f"{place}: the weights are a pickle (pytorch_model.bin), which can run any code when it is opened; "
        "Featherweight takes safetensors only\n"
        f'If you trust the source, convert them once: python -c "{convert}" and set backbone.name = "converted"'
    )
