"""Saves the trained tensors in PEFT's format, with everything needed to load them again, and loads them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featherweight.adapter.trained import ADAPTER_NAME, peft_name
from featherweight.backbone.describe import architecture_of
from featherweight.backbone.folder import TensorHeader, read_header
from featherweight.backbone.resolve import Backbone
from featherweight.budget.weigh import weigh
from featherweight.errors import UserError, damaged
from featherweight.files import sha256_of, share_weights, sync_folder
from featherweight.recipe import Recipe
from featherweight.run.folder import read_json

if TYPE_CHECKING:
    from torch import Tensor

    from featherweight.model.network import Network

FORMAT = 1
"""Version of the adapter folder's layout; an adapter with a newer version raises an error."""
DESCRIPTION = "featherweight.json"
WEIGHTS = ("adapter_model.safetensors", "head.safetensors")
"""The file that PEFT itself can load, and the file with all other trained tensors."""


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
    """Write ``folder`` atomically: PEFT's format plus head, trained biases, labels, recipe and tokenizer.

    Raises OSError if the disk is full or not writable; an earlier adapter in ``folder`` is then unchanged.
    """
    from safetensors.torch import save_file

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
    share_weights(part, DESCRIPTION)
    sync_folder(part)
    if folder.exists():
        shutil.rmtree(folder)
    part.rename(folder)


def read_description(folder: Path) -> dict[str, Any]:
    """Labels and temperature of a saved adapter.

    Raises UserError if ``folder`` contains no adapter, or one of a newer version of Featherweight.
    """
    path = folder / DESCRIPTION
    if not folder.is_dir():
        raise UserError(f"{folder}: no such run or adapter folder")
    if not path.is_file():
        raise UserError(f"{folder}: contains no adapter ({DESCRIPTION} is missing); pass the folder of a finished run")
    return read_json(path, newest=FORMAT)


def saved_tensors(folder: Path) -> dict[str, TensorHeader]:
    """Types and shapes of all saved tensors by name, from the headers of the files.

    Raises UserError if a file is damaged.
    """
    headers: dict[str, TensorHeader] = {}
    for name in WEIGHTS:
        if os.path.lexists(folder / name):
            headers |= read_header(folder / name)
    return headers


def check_adapter(folder: Path, recipe: Recipe, backbone: Backbone, labels: Sequence[str]) -> None:
    """Raise UserError unless the saved files have exactly as many parameters as ``recipe`` trains.

    Call it before the network is built. Then a recipe from an untrusted source, such as one with a huge rank, cannot
    allocate more memory for its adapter than the saved files take. Only the headers of the files are read.
    """
    if recipe.adapter.lora == "auto":
        raise damaged(
            folder / "recipe.toml",
            "adapter.lora is 'auto', but the recipe of a saved adapter must list its LoRA tables",
        )
    if (folder / "adapter_config.json").exists() and not (folder / WEIGHTS[0]).exists():
        # PEFT would look for a pickle instead.
        raise damaged(folder, f"the adapter lacks its weights, {WEIGHTS[0]}")
    headers = saved_tensors(folder)
    if other := next((name for name, header in headers.items() if header.dtype != "F32"), None):
        raise damaged(folder, f"{other} has the type {headers[other].dtype}; a saved adapter must have F32")
    architecture = architecture_of(backbone.config, recipe.backbone.roles)
    wanted, saved = weigh(recipe, architecture, len(labels)).total, sum(x.parameters for x in headers.values())
    if wanted != saved:
        lack, more = f"lacks {wanted - saved:,} of the {wanted:,}", f"has {saved - wanted:,} more than the {wanted:,}"
        problem = f"{lack if saved < wanted else more} parameters that its recipe trains"
        raise damaged(folder, f"the saved adapter {problem}")


def load_adapter(network: Network, folder: Path) -> None:
    """Load a saved adapter into a newly built ``network``. Raises UserError as ``set_tensors`` does."""
    set_tensors(network, saved_values(folder), folder)


def adapter_files(folder: Path) -> list[Path]:
    """The files with the tensors of a saved adapter: adapter_model.safetensors, head.safetensors, or both."""
    return [folder / name for name in WEIGHTS if (folder / name).is_file()]


def weights_sha256(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file with the tensors of a saved adapter, by the name of the file."""
    return {file.name: sha256_of(file) for file in adapter_files(folder)}


def saved_values(folder: Path) -> dict[str, Tensor]:
    """All tensors of a saved adapter by PEFT's tensor names. Raises UserError if a file is damaged."""
    return {name: tensor for file in adapter_files(folder) for name, tensor in _read_tensors(file).items()}


def set_tensors(network: Network, tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Set the trainable parameters of ``network`` to ``tensors``, which were read from ``folder``.

    Raises UserError, naming the folder and the tensor, if a trained tensor is missing, unknown or of another shape.
    """
    live = {peft_name(name): parameter for name, parameter in network.trainable().items()}
    missing, unknown = sorted(live.keys() - tensors.keys()), sorted(tensors.keys() - live.keys())
    if missing or unknown:
        problem = f"lacks {missing[0]}" if missing else f"contains {unknown[0]}, which this recipe does not train"
        raise damaged(folder, f"the saved adapter {problem}")
    for name, parameter in live.items():
        if parameter.shape != tensors[name].shape:
            shapes = f"{tuple(tensors[name].shape)}, not {tuple(parameter.shape)}"
            raise damaged(folder, f"{name} has shape {shapes}, so the adapter was trained with another recipe")
        if not tensors[name].isfinite().all():
            raise damaged(folder, f"{name} contains NaN or infinity")
        parameter.data.copy_(tensors[name])


def _save_peft_config(network: Network, part: Path, home: Path, recipe: Recipe, backbone: Backbone) -> None:
    wrapped: Any = network.encoder
    values = wrapped.peft_config[ADAPTER_NAME].to_dict()
    values["inference_mode"] = True
    values["base_model_name_or_path"] = str(backbone.folder)
    if recipe.adapter.initialisation == "eva":
        # EVA only initialises A. A loaded adapter has a trained A, and PEFT must not ask for data again.
        values |= {"init_lora_weights": True, "eva_config": None}
    if recipe.adapter.head == "native":
        _write_labelled_base(network, part / "backbone", backbone, recipe)
        values["base_model_name_or_path"] = str((home / "backbone").resolve())
    (part / "adapter_config.json").write_text(json.dumps(values, indent=2, default=_jsonable) + "\n", "utf-8")


def _write_labelled_base(network: Network, base: Path, backbone: Backbone, recipe: Recipe) -> None:
    """Write a base model folder for PEFT: a config with the labels, and links to the weights of the backbone.

    ``AutoPeftModelForSequenceClassification`` reads the number of labels only from the config of the base model.
    """
    assert backbone.folder is not None
    base.mkdir()
    config = {**backbone.config, "id2label": dict(enumerate(network.labels))}
    config["label2id"] = {label: number for number, label in enumerate(network.labels)}
    if recipe.task == "multi-label":
        config["problem_type"] = "multi_label_classification"
    # Training converts the weights to fp32, whatever type they are stored in; PEFT must do the same.
    config.pop("torch_dtype", None)
    config["dtype"] = "float32"
    (base / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    for weights in sorted(backbone.folder.glob("*.safetensors*")):
        (base / weights.name).symlink_to(weights.resolve())


def _read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file by name. Raises UserError if the file cannot be read."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise damaged(path, f"cannot be read as a safetensors file: {error}") from None


def _cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().float().cpu().contiguous().clone() for name, tensor in tensors.items()}


def _jsonable(value: Any) -> Any:
    return sorted(value) if isinstance(value, set) else str(getattr(value, "value", value))
