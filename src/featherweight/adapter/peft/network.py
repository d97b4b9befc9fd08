"""Loads the network of a folder that PEFT saved, with PEFT itself, and compares it with the file tensor by tensor.

PEFT leaves missing tensors at their random initialisation and ignores unknown ones; here both are errors.
"""

from __future__ import annotations

from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification

from featherweight.adapter.peft.folder import (
    WEIGHTS,
    PeftFolder,
    head_is_missing,
    is_original,
    plain_name,
)
from featherweight.backbone.loading import quiet, unreadable
from featherweight.backbone.resolve import Backbone
from featherweight.errors import UserError, first_line
from featherweight.model.network import Network


def build_peft_network(found: PeftFolder, backbone: Backbone) -> Network:
    """The network of ``found`` on its base model, in fp32 on the CPU, as PEFT loads it; only the adapter is trainable.

    Raises UserError if a trained tensor is missing or does not fit the base model (checked before the weights of the
    base model are read), if a tensor is neither in the base model nor in the file, or if the file has NaN or infinity.
    """
    with torch.random.fork_rng(devices=[]), quiet():
        config = _config(found, backbone)
        _require_fit(found, config)
        base, random_names = _load_base(backbone, config)
        _require_nothing_random(found, random_names)
        model = _load_adapter(found, base)
        _require_loaded(found, model)
    return Network(model.eval(), None, found.labels, found.architecture)


def _config(found: PeftFolder, backbone: Backbone) -> Any:
    try:
        config = AutoConfig.from_pretrained(backbone.folder, trust_remote_code=False)
    except Exception as error:  # wrong values in the config can make the library raise any exception
        raise unreadable(backbone, error) from None
    config.num_labels = len(found.labels)
    return config


def _lora(found: PeftFolder, **changes: Any) -> LoraConfig:
    try:
        return LoraConfig(**found.settings.for_peft() | changes)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{found.folder}: PEFT rejects the settings in adapter_config.json: {first_line(error)[:200]}\n"
            "Save the adapter again with PEFT's save_pretrained"
        ) from None


def _require_fit(found: PeftFolder, config: Any) -> None:
    """Raise UserError unless the saved names and shapes are those that PEFT creates from the settings."""
    try:
        with torch.device("meta"):
            skeleton = AutoModelForSequenceClassification.from_config(config)
            # The default initialisation is used, because others need weights; it does not change shapes.
            model = get_peft_model(skeleton, _lora(found, init_lora_weights=True), low_cpu_mem_usage=True)
    except UserError:
        raise
    except Exception as error:
        # PEFT raises many different exceptions if its settings do not fit a model.
        raise UserError(
            f"{found.folder}: PEFT cannot apply these settings to the base model: {first_line(error)[:200]}\n"
            "Use the base model that this adapter was trained on"
        ) from None
    expected = {plain_name(name): tuple(tensor.shape) for name, tensor in _trained(model).items()}
    path = found.folder / WEIGHTS
    if missing := sorted(expected.keys() - found.tensors.keys()):
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UserError(
            f"{path}: lacks {missing[0]}{more}, which the settings in adapter_config.json train; save the adapter again"
        )
    all_shapes = {plain_name(name): tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    for name, header in found.tensors.items():
        shape = expected.get(name) or all_shapes.get(name)
        if shape is None:
            place = "neither the base model nor a module that adapter_config.json trains has a tensor of this name"
            remedy = "Use the base model that this adapter was trained on, or save the adapter again"
            raise UserError(f"{path}: contains {name}, but {place}\n{remedy}")
        if shape != header.shape:
            problem = f"{name} has shape {header.shape}, but the base model needs {shape}"
            raise UserError(f"{path}: {problem}\nUse the base model that this adapter was trained on")


def _trained(model: PeftModel) -> dict[str, torch.Tensor]:
    """The tensors of ``model`` that PEFT would save, except values from before the training (``is_original``)."""
    saved = get_peft_model_state_dict(model, save_embedding_layers=False)
    return {name: tensor for name, tensor in saved.items() if not is_original(name)}


def _load_base(backbone: Backbone, config: Any) -> tuple[nn.Module, set[str]]:
    """The base model with its classification head, and the names of its randomly initialised tensors.

    Tensors are initialised at random if the base model's file lacks them.
    """
    options: dict[str, Any] = {"config": config, "dtype": torch.float32, "ignore_mismatched_sizes": True}
    try:
        model, loading = AutoModelForSequenceClassification.from_pretrained(
            backbone.folder, use_safetensors=True, trust_remote_code=False, output_loading_info=True, **options
        )
    except Exception as error:
        raise unreadable(backbone, error) from None
    return model, {*loading["missing_keys"], *(key[0] for key in loading["mismatched_keys"])}


def _load_adapter(found: PeftFolder, base: nn.Module) -> PeftModel:
    try:
        return PeftModel.from_pretrained(base, str(found.folder), config=_lora(found), is_trainable=True)
    except KeyError as error:
        # PEFT saves a module that modules_to_save names inside of another one, but cannot load it.
        saved = ", ".join(found.settings.modules_to_save or ())
        raise UserError(
            f"{found.folder}: PEFT cannot load what it saved here: it lacks {first_line(error)[:200]}\n"
            f"Train again with modules_to_save (here {saved}) without a module that is inside another one of them"
        ) from None


def _require_nothing_random(found: PeftFolder, random_names: set[str]) -> None:
    trained = {name.replace(".base_layer.", ".") for name in found.tensors}
    if missing := sorted(random_names - trained):
        raise UserError(head_is_missing(found.folder, missing[0]))


def _require_loaded(found: PeftFolder, model: PeftModel) -> None:
    """Raise UserError unless the loaded ``model`` has exactly the trained tensors of the file, with equal values."""
    path = found.folder / WEIGHTS
    live = {plain_name(name): tensor for name, tensor in (_parameters(model) | _trained(model)).items()}
    for name, tensor in load_file(path).items():
        if is_original(name):
            continue
        if not torch.isfinite(tensor).all():
            raise UserError(
                f"{path}: {plain_name(name)} contains NaN or infinity; the training diverged: "
                "use an earlier checkpoint, or train again with a lower learning rate"
            )
        if not torch.equal(live[plain_name(name)], tensor.float()):
            raise UserError(f"{path}: contains {plain_name(name)} twice, with different values; save the adapter again")
    if missing := sorted({plain_name(name) for name in _trained(model)} - found.tensors.keys()):
        raise UserError(f"{path}: lacks the trained values of {missing[0]}; save the adapter again")


def _parameters(model: PeftModel) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in model.state_dict().items() if not is_original(name)}
