"""The network of a folder that PEFT saved: rebuilt by PEFT itself, then compared with the file, tensor by tensor.

PEFT leaves what a file lacks as it was drawn at random, and passes over what it does not know; here both are refused.
"""

from __future__ import annotations

from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification

from featherweight.adapter.build import quiet, unreadable
from featherweight.adapter.peft.folder import (
    WEIGHTS,
    PeftFolder,
    head_is_missing,
    is_original,
    plain_name,
)
from featherweight.backbone.resolve import Backbone
from featherweight.errors import UserError
from featherweight.model.network import Network


def build_peft_network(found: PeftFolder, backbone: Backbone) -> Network:
    """The network of ``found`` on its base, in fp32 on the CPU, as PEFT computes it; the adapter alone is trainable.

    Raises UserError, before the base's weights are read, where a tensor does not fit the base or is missing; and where
    a part of the model is neither in the base nor in the file, or the file has numbers that are not finite.
    """
    with torch.random.fork_rng(devices=[]), quiet():
        config = _config(found, backbone)
        _require_fit(found, config)
        base, drawn = _load_base(backbone, config)
        _require_nothing_random(found, drawn)
        model = PeftModel.from_pretrained(base, str(found.folder), config=_lora(found), is_trainable=True)
        _require_loaded(found, model)
    return Network(model.eval(), None, found.labels, found.architecture)


def _config(found: PeftFolder, backbone: Backbone) -> Any:
    try:
        config = AutoConfig.from_pretrained(backbone.folder, trust_remote_code=False)
    except Exception as error:  # what a config says may make the library raise anything
        raise unreadable(backbone, error) from None
    config.num_labels = len(found.labels)
    return config


def _lora(found: PeftFolder, **changes: Any) -> LoraConfig:
    try:
        return LoraConfig(**found.settings.for_peft() | changes)
    except (TypeError, ValueError) as error:
        raise UserError(f"{found.folder}: PEFT refuses the settings: {_first_line(error)}") from None


def _require_fit(found: PeftFolder, config: Any) -> None:
    """Compare names and shapes with what PEFT makes of the settings on a base without weights."""
    try:
        with torch.device("meta"):
            skeleton = AutoModelForSequenceClassification.from_config(config)
            # Where LoRA starts from does not change a shape, and needs weights.
            model = get_peft_model(skeleton, _lora(found, init_lora_weights=True), low_cpu_mem_usage=True)
    except UserError:
        raise
    except Exception as error:
        # PEFT raises anything at all where its settings do not suit a model.
        raise UserError(
            f"{found.folder}: PEFT cannot adapt this base by these settings: {_first_line(error)}"
        ) from None
    expected = {plain_name(name): tuple(tensor.shape) for name, tensor in _trained(model).items()}
    path = found.folder / WEIGHTS
    if missing := sorted(expected.keys() - found.tensors.keys()):
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UserError(f"{path}: lacks {missing[0]}{more}, which its settings train")
    every = {plain_name(name): tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    for name, header in found.tensors.items():
        shape = expected.get(name) or every.get(name)
        if shape is None:
            raise UserError(f"{path}: holds {name}, which neither its base has nor its settings train")
        if shape != header.shape:
            raise UserError(f"{path}: {name} has shape {header.shape}, its base takes {shape}")


def _trained(model: PeftModel) -> dict[str, torch.Tensor]:
    """What PEFT would save of ``model``, without the originals that it keeps of a trained head."""
    saved = get_peft_model_state_dict(model, save_embedding_layers=False)
    return {name: tensor for name, tensor in saved.items() if not is_original(name)}


def _load_base(backbone: Backbone, config: Any) -> tuple[nn.Module, set[str]]:
    """The base with its classification head, and the names of what its file lacks, which is drawn at random."""
    options: dict[str, Any] = {"config": config, "dtype": torch.float32, "ignore_mismatched_sizes": True}
    try:
        model, told = AutoModelForSequenceClassification.from_pretrained(
            backbone.folder, use_safetensors=True, trust_remote_code=False, output_loading_info=True, **options
        )
    except Exception as error:
        raise unreadable(backbone, error) from None
    return model, {*told["missing_keys"], *(key[0] for key in told["mismatched_keys"])}


def _require_nothing_random(found: PeftFolder, drawn: set[str]) -> None:
    trained = {name.replace(".base_layer.", ".") for name in found.tensors}
    if lost := sorted(drawn - trained):
        raise UserError(head_is_missing(found.folder, lost[0]))


def _require_loaded(found: PeftFolder, model: PeftModel) -> None:
    """Each tensor of the file must stand in the model, and each trained tensor of the model must come from the file."""
    path = found.folder / WEIGHTS
    live = {plain_name(name): tensor for name, tensor in (_parameters(model) | _trained(model)).items()}
    for name, tensor in load_file(path).items():
        if is_original(name):
            continue
        if not torch.isfinite(tensor).all():
            raise UserError(f"{path}: {plain_name(name)} has numbers that are not finite; the training diverged")
        if not torch.equal(live[plain_name(name)], tensor.float()):
            raise UserError(f"{path}: {plain_name(name)} is there twice, with different numbers; the file is damaged")
    if lost := sorted({plain_name(name) for name in _trained(model)} - found.tensors.keys()):
        raise UserError(f"{path}: lacks {lost[0]}, and PEFT drew it at random")


def _parameters(model: PeftModel) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in model.state_dict().items() if not is_original(name)}


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
