"""Checks the folder of a backbone before anything is built from it: config, tokenizer and safetensors files."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
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
"""Sets of files; each set is sufficient to build a fast tokenizer."""

_TOKENIZER_SETTINGS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")

_PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "model.pth")


def read_config(folder: Path) -> dict[str, Any]:
    """The parsed config.json of ``folder``. Raises UserError if it is missing, damaged or not a JSON object."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if (folder / "adapter_config.json").is_file():
            raise UserError(f"{folder}: is an adapter, not a backbone; name the folder of its base model") from None
        raise UserError(
            f"{path}: missing; a backbone folder has config.json, the tokenizer and model.safetensors"
        ) from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: not valid JSON: {error.msg} in line {error.lineno}; get the file again") from None
    except RecursionError:
        raise UserError(f"{path}: its lists or objects are nested too deeply; get the file again") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte {error.start} is not UTF-8; get the file again") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; check its permissions") from None
    except ValueError:
        raise UserError(f"{path}: contains a number with thousands of digits; get the file again") from None
    if not isinstance(config, dict):
        raise UserError(f"{path}: must contain a JSON object with the model's settings; get the file again")
    return config


def check_folder(folder: Path, name: str) -> None:
    """Raise UserError unless ``folder`` has complete safetensors weights and a tokenizer; messages use ``name``."""
    check_weights(folder, name)
    if not has_tokenizer(folder):
        raise UserError(f"{folder}: no tokenizer; add tokenizer.json, or vocab.txt, or vocab.json with merges.txt")


def check_weights(folder: Path, name: str) -> None:
    """Raise UserError unless ``folder`` has complete safetensors weights; messages call the backbone ``name``."""
    files = weight_files(folder)
    if not files:
        if any((folder / file).is_file() for file in _PICKLED):
            raise UserError(pickle_refused(str(folder), name))
        raise UserError(f"{folder}: model.safetensors is missing; a backbone folder has it next to config.json")
    for file in files:
        read_header(file)


def has_tokenizer(folder: Path) -> bool:
    """Whether ``folder`` has the files of a fast tokenizer."""
    return any(all((folder / file).is_file() for file in files) for files in _TOKENIZERS)


def tokenizer_files(folder: Path) -> list[Path]:
    """All files in ``folder`` that belong to its tokenizer."""
    names = {name for names in _TOKENIZERS for name in names} | {*_TOKENIZER_SETTINGS}
    return [folder / name for name in sorted(names) if (folder / name).is_file()]


def weight_files(folder: Path) -> list[Path]:
    """model.safetensors, or the files that model.safetensors.index.json lists; empty if neither file exists.

    Raises UserError if the index is damaged, or lists a file that is missing or outside the folder.
    """
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file():
        return [single]
    if not index.is_file():
        return []
    try:
        names = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError(f"{index}: not a valid index of weight files; get the file again") from None
    for name in names:
        if not isinstance(name, str) or Path(name).name != name or not (folder / name).is_file():
            raise UserError(f"{index}: lists {name!r}, which is not a file in this folder; get the files again")
    return [folder / name for name in names]


@dataclass(frozen=True)
class TensorHeader:
    """Shape and type of a tensor, from the header of its safetensors file."""

    shape: tuple[int, ...]
    dtype: str
    """Type of the elements in the notation of safetensors: F32, BF16, ..."""

    @property
    def parameters(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


def read_header(path: Path) -> dict[str, TensorHeader]:
    """Shape and type of every tensor in a safetensors file, by name; the values are not read.

    Raises UserError if the file is damaged, truncated, or has no tensors.
    """
    # The library checks the header's length, its JSON, and that the tensors' offsets cover the file exactly.
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as weights:
            slices = {name: weights.get_slice(name) for name in weights.keys()}  # noqa: SIM118 (no mapping)
            headers = {name: TensorHeader(tuple(part.get_shape()), part.get_dtype()) for name, part in slices.items()}
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path}: damaged or truncated ({error}); get the file again") from None
    if not headers:
        raise UserError(f"{path}: contains no tensors; get the file again")
    return headers


def pickle_refused(place: str, name: str) -> str:
    """The error message for a backbone whose weights exist only as a pickle, with a command that converts them."""
    convert = (
        f"from transformers import AutoModel as M, AutoTokenizer as T; n, d = {name!r}, 'converted'; "
        "M.from_pretrained(n).save_pretrained(d); T.from_pretrained(n).save_pretrained(d)"
    )
    return (
        f"{place}: the weights are a pickle (pytorch_model.bin), which can run any code when it is opened; "
        "Featherweight reads only safetensors\n"
        f'If you trust the source, convert them once: python -c "{convert}" and set backbone.name = "converted"'
    )
