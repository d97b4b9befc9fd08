"""Save what is trained in PEFT's format, with all that a later load needs, and put it back into a fresh network."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from featherweight.adapter.build import ADAPTER_NAME
from featherweight.backbone.describe import architecture_of
from featherweight.backbone.folder import TensorHeader, read_header
from featherweight.backbone.resolve import Backbone
from featherweight.budget.weigh import weigh
from featherweight.errors import UserError
from featherweight.files import sync_folder
from featherweight.model.network import Network
from featherweight.recipe import Recipe
from featherweight.run.folder import read_json

FORMAT = 1
"""Version of the adapter folder's layout; a newer one is refused."""
DESCRIPTION = "featherweight.json"
WEIGHTS = ("adapter_model.safetensors", "head.safetensors")
"""What PEFT's format holds, and the rest."""


def save_adapter(
    network: Network,
    folder: Path,
    recipe: Recipe,
    backbone: Backbone,
    tokenizer: Any,
    *,
    temperature: float = 1.0,
    thresholds: Sequence[float] = (),
) -> None:
    """Write ``folder``: PEFT's format plus head, trained biases, labels, recipe and tokenizer; whole or not at all.

    Raises OSError where the disk is full or closed to writing; an earlier adapter in ``folder`` then still stands.
    """
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    wrapped = hasattr(network.encoder, "peft_config")
    trained = {peft_name(name): tensor for name, tensor in network.trainable().items()}
    inside = {name: tensor for name, tensor in trained.items() if wrapped and not name.startswith("head.")}
    outside = {name: tensor for name, tensor in trained.items() if name not in inside}
    if inside:
        save_file(_cpu(inside), part / "adapter_model.safetensors", metadata={"format": "pt"})
        _save_peft_config(network, part, folder, recipe, backbone)
    if outside:
        save_file(_cpu(outside), part / "head.safetensors", metadata={"format": "pt"})
    description = {
        "format": FORMAT,
        "labels": list(network.labels),
        "temperature": temperature,
        "backbone_sha256": backbone.sha256,
    }
    if thresholds:
        description["thresholds"] = list(thresholds)
    (part / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n", "utf-8")
    (part / "recipe.toml").write_text(recipe.to_toml(), "utf-8")
    tokenizer.save_pretrained(part)
    for weights in part.glob("*.safetensors"):
        # safetensors writes for the owner alone; a run is shared like any other file.
        weights.chmod((part / DESCRIPTION).stat().st_mode)
    sync_folder(part)
    if folder.exists():
        shutil.rmtree(folder)
    part.rename(folder)


def read_description(folder: Path) -> dict[str, Any]:
    """Labels and temperature of a saved adapter. Raises UserError where the folder is none or of a newer version."""
    path = folder / DESCRIPTION
    if not folder.is_dir():
        raise UserError(f"{folder}: no such run or adapter folder")
    if not path.is_file():
        raise UserError(f"{folder}: no adapter here ({DESCRIPTION} is missing); name a finished run's folder")
    return read_json(path, newest=FORMAT)


def saved_tensors(folder: Path) -> dict[str, TensorHeader]:
    """Names, types and shapes of all saved tensors, by the files' headers. Raises UserError where one is damaged."""
    headers: dict[str, TensorHeader] = {}
    for name in WEIGHTS:
        if os.path.lexists(folder / name):
            headers |= read_header(folder / name)
    return headers


def check_adapter(folder: Path, recipe: Recipe, backbone: Backbone, labels: Sequence[str]) -> None:
    """Raise UserError unless the saved files hold as many numbers as ``recipe`` trains; only their headers are read.

    What a network would take of memory is so bounded by what lies on the disk, whoever wrote the recipe.
    """
    if recipe.adapter.lora == "auto":
        raise UserError(f"{folder / 'recipe.toml'}: adapter.lora is 'auto'; a saved adapter's recipe names its tables")
    if (folder / "adapter_config.json").exists() and not (folder / WEIGHTS[0]).exists():
        # PEFT would look for a pickle in its place.
        raise UserError(f"{folder}: the saved adapter lacks {WEIGHTS[0]}, which adapter_config.json speaks of")
    headers = saved_tensors(folder)
    if other := next((name for name, header in headers.items() if header.dtype != "F32"), None):
        raise UserError(f"{folder}: {other} holds numbers of type {headers[other].dtype}; an adapter is saved as F32")
    architecture = architecture_of(backbone.config, recipe.backbone.roles)
    wanted, held = weigh(recipe, architecture, len(labels)).total, sum(x.parameters for x in headers.values())
    if wanted != held:
        lack, more = f"lacks {wanted - held:,} of the {wanted:,}", f"holds {held - wanted:,} more than the {wanted:,}"
        problem = f"{lack if held < wanted else more} parameters that its recipe trains"
        raise UserError(f"{folder}: the saved adapter {problem}; it belongs to another recipe or is incomplete")


def load_adapter(network: Network, folder: Path) -> None:
    """Put a saved adapter into a freshly built ``network``; every trained tensor must be there, with its shape.

    Raises UserError, naming the file and tensor, where one is missing, unknown or of another shape.
    """
    tensors: dict[str, Tensor] = {}
    for name in WEIGHTS:
        if (folder / name).is_file():
            tensors |= read_tensors(folder / name)
    live = {peft_name(name): parameter for name, parameter in network.trainable().items()}
    missing, unknown = sorted(live.keys() - tensors.keys()), sorted(tensors.keys() - live.keys())
    if missing or unknown:
        problem = f"lacks {missing[0]}" if missing else f"holds {unknown[0]}, which this recipe does not train"
        raise UserError(f"{folder}: the saved adapter {problem}; it belongs to another recipe or is incomplete")
    for name, parameter in live.items():
        if parameter.shape != tensors[name].shape:
            shapes = f"{tuple(tensors[name].shape)}, not {tuple(parameter.shape)}"
            raise UserError(f"{folder}: {name} has shape {shapes}; it belongs to another recipe")
        if not tensors[name].isfinite().all():
            raise UserError(f"{folder}: {name} holds numbers that are not finite; the adapter is damaged")
        parameter.data.copy_(tensors[name])


def peft_name(name: str) -> str:
    """The name under which PEFT saves the trained tensor that the network calls ``name``."""
    name = name.removeprefix("encoder.").replace(f".modules_to_save.{ADAPTER_NAME}.", ".")
    return name.replace(f".{ADAPTER_NAME}.weight", ".weight").replace(f"_vector.{ADAPTER_NAME}", "_vector")


def _save_peft_config(network: Network, part: Path, home: Path, recipe: Recipe, backbone: Backbone) -> None:
    wrapped: Any = network.encoder
    values = wrapped.peft_config[ADAPTER_NAME].to_dict()
    values["inference_mode"] = True
    values["base_model_name_or_path"] = str(backbone.folder)
    if recipe.adapter.initialisation == "eva":
        # EVA only chooses the start of A; a loaded adapter has its trained A and must not ask for data again.
        values |= {"init_lora_weights": True, "eva_config": None}
    if recipe.adapter.head == "native":
        _write_labelled_base(network, part / "backbone", backbone, recipe)
        values["base_model_name_or_path"] = str((home / "backbone").resolve())
    (part / "adapter_config.json").write_text(json.dumps(values, indent=2, default=_jsonable) + "\n", "utf-8")


def _write_labelled_base(network: Network, base: Path, backbone: Backbone, recipe: Recipe) -> None:
    """A folder for PEFT's auto class: the backbone's weights (linked) under a config that knows the labels.

    ``AutoPeftModelForSequenceClassification`` takes the number of labels from the base model's config alone.
    """
    assert backbone.folder is not None
    base.mkdir()
    config = {**backbone.config, "id2label": dict(enumerate(network.labels))}
    config["label2id"] = {label: number for number, label in enumerate(network.labels)}
    if recipe.task == "multi-label":
        config["problem_type"] = "multi_label_classification"
    # Training takes the weights as fp32, whatever type they are stored in; PEFT is to do the same.
    config.pop("torch_dtype", None)
    config["dtype"] = "float32"
    (base / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    for weights in sorted(backbone.folder.glob("*.safetensors*")):
        (base / weights.name).symlink_to(weights.resolve())


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file by name. Raises UserError where it cannot be read."""
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: not a readable safetensors file: {error}") from None


def _cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().float().cpu().contiguous().clone() for name, tensor in tensors.items()}


def _jsonable(value: Any) -> Any:
    return sorted(value) if isinstance(value, set) else str(getattr(value, "value", value))
