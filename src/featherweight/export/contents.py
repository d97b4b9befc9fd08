"""The files of an export beside its weights: tokenizer, recipe and export.json."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from featherweight.environment import processor_name, versions
from featherweight.files import sha256_of, write_json
from featherweight.formatting import without_paths
from featherweight.inference.exported import FILE, FORMAT
from featherweight.inference.runner import Loaded
from featherweight.run.folder import read_json

_LIBRARIES = {
    "onnx": ("onnx", "onnxruntime"),
    "onnx-int8": ("onnx", "onnxruntime"),
    "openvino-int8": ("onnx", "nncf", "openvino"),
}
"""The libraries that write or compute an export, by target; the others are in ``versions``."""
_OF_TOKENIZERS = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "recipe.toml")


def copy_text_files(adapter: Path, folder: Path) -> None:
    """Copy the tokenizer and the recipe of a saved adapter."""
    for name in _OF_TOKENIZERS:
        if (adapter / name).is_file():
            shutil.copyfile(adapter / name, folder / name)


def copy_results(run: Path, folder: Path) -> None:
    """Copy the metrics and the parameter count of ``run`` to the export ``folder``, which may be used without the run.

    The texts that the run classified wrongly are left out, because an export may be given to others.
    """
    for name in ("evaluation.json", "weigh.json"):
        if (run / name).is_file():
            write_json(folder / name, without_mistakes(read_json(run / name)))


def described_training(environment: Mapping[str, Any]) -> dict[str, Any]:
    """What export.json says about the training, with the keys of environment.json, for cards: rows, start, warnings.

    ``environment`` is the content of environment.json. An adapted backbone is described as well. Paths are shortened to
    names, because an export may be given to others.
    """
    backbone = environment.get("backbone") or {}
    adapted = backbone.get("adapted")
    if adapted:
        backbone = {**backbone, "adapted": _without_folders(adapted)}
    return {
        "data": {part: {"rows": found.get("rows")} for part, found in (environment.get("data") or {}).items()},
        "started": environment.get("started"),
        "backbone": {key: backbone[key] for key in ("sha256", "adapted") if backbone.get(key)},
        "warnings": [without_paths(warning) for warning in environment.get("warnings") or ()],
    }


def _without_folders(adapted: Mapping[str, Any]) -> dict[str, Any]:
    """The content of adapted.json with the plain name of its source, which may itself have been adapted, and so on."""
    source = {**adapted["source"], "name": without_paths(adapted["source"]["name"])}
    if source.get("adapted"):
        source["adapted"] = _without_folders(source["adapted"])
    return {**adapted, "source": source}


def without_mistakes(values: Any) -> Any:
    """``values`` with an empty list under each key ``mistakes`` (the wrongly classified texts), at any depth."""
    if not isinstance(values, dict):
        return values
    return {key: [] if key == "mistakes" else without_mistakes(value) for key, value in values.items()}


def gives_token_types(loaded: Loaded) -> bool:
    """Whether an export of the model needs ``token_type_ids`` as an input.

    It does if the model takes pairs, its tokenizer returns token types for them, and its encoder uses these.
    """
    import torch

    network: Any = loaded.model.network  # type: ignore[attr-defined]
    pairs = loaded.recipe.data.join == "pair" and "token_type_ids" in loaded.model.tokenizer.model_input_names
    return pairs and bool(network.types_read(torch.zeros(1, 1, dtype=torch.int64)))


def describe_export(
    loaded: Loaded, target: str, token_types: bool, environment: Mapping[str, Any], **more: Any
) -> dict[str, Any]:
    """The content of export.json, without the list of files and the comparison with the run.

    ``token_types`` is whether the model takes ``token_type_ids``. ``environment`` is the content of environment.json,
    empty for a run of an early version. ``more`` are further entries, such as the settings of the quantisation.
    """
    data, long_texts = loaded.recipe.data, loaded.model.long_texts
    return {
        "format": FORMAT,
        "target": target,
        "model_id": f"{loaded.model_id}-{target}",
        "labels": list(loaded.model.labels),
        "task": loaded.task.name,
        "temperature": loaded.temperature,
        "thresholds": list(loaded.task.thresholds),
        "max_length": data.max_length,
        "long": long_texts.how,
        "window_overlap": long_texts.overlap,
        "most_windows": long_texts.most,
        "pair": list(data.text) if data.join == "pair" else None,
        "pad_token_id": int(loaded.model.tokenizer.pad_token_id),
        "token_types": token_types,
        "label_column": environment.get("label_column"),
        **described_training(environment),
        "processor": processor_name(),
        "versions": versions() | _versions_of(_LIBRARIES.get(target, ())),
        **more,
    }


def _versions_of(packages: Sequence[str]) -> dict[str, str]:
    return {package: metadata.version(package) for package in packages}


def write_description(folder: Path, description: dict[str, Any]) -> None:
    """Write export.json with the size and the sha256 of every other file of ``folder``."""
    others = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != FILE)
    files = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        for path in others
    }
    write_json(folder / FILE, {**description, "files": files})
