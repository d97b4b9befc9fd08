"""Describes an encoder of an unknown family by its transformers class, built on torch's meta device without weights."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from featherweight.backbone.architecture import Architecture, HeadTensor, Linear
from featherweight.errors import UserError, first_line
from featherweight.recipe import ROLES, Role

if TYPE_CHECKING:
    from torch import nn

_LABELS = 9973
"""A number of labels that differs from every real width, so that the head's output dimensions can be recognised."""


def architecture_from_class(config: dict[str, Any], roles: Mapping[Role, str]) -> Architecture:
    """The architecture of any encoder that transformers supports; ``roles`` names its linear layers.

    Imports torch and transformers. Raises UserError if transformers does not know the model, it is not an encoder, or
    ``roles`` is empty or names a layer that does not exist (the message lists the existing ones).
    """
    from torch import nn
    from transformers import AutoModel

    built = _config_object(config)
    encoder = _build_without_weights(AutoModel, built)
    modules = {name: module for name, module in encoder.named_modules() if isinstance(module, nn.Linear)}
    if not roles:
        raise UserError(_roles_hint(built.model_type, modules))
    linears = _linears_by_role(built.model_type, modules, roles)
    adapted = {linear.name for linear in linears}
    parameters = {n: p for n, p in encoder.named_parameters() if not n.startswith("pooler.")}
    others = (
        (n, p.numel()) for n, p in parameters.items() if n.endswith(".bias") and n.removesuffix(".bias") not in adapted
    )
    prefix, heads, tensors = _native_head(built)
    return Architecture(
        model_type=built.model_type,
        layers=max(linear.layer for linear in linears) + 1,
        hidden=int(built.hidden_size),
        linears=linears,
        other_biases=tuple(others),
        prefix=prefix,
        head_modules=heads,
        head_tensors=tensors,
        encoder_parameters=sum(p.numel() for p in parameters.values()),
    )


def architecture_from_class_without_roles(config: dict[str, Any]) -> Architecture:
    """The architecture, without ``linears``, of any encoder that transformers supports.

    Imports torch and transformers. Raises UserError if transformers does not know the model or it is not an encoder.
    """
    from transformers import AutoModel

    built = _config_object(config)
    sizes = [
        p.numel() for n, p in _build_without_weights(AutoModel, built).named_parameters() if not n.startswith("pooler.")
    ]
    prefix, heads, tensors = _native_head(built)
    hidden = int(built.hidden_size)
    return Architecture(built.model_type, 0, hidden, (), (), prefix, heads, tensors, encoder_parameters=sum(sizes))


def _config_object(config: dict[str, Any]) -> Any:
    from transformers import CONFIG_MAPPING, AutoConfig
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    model_type = config["model_type"]
    if model_type not in CONFIG_MAPPING:
        raise UserError(
            f"backbone.name: transformers does not know models of type {model_type!r}, and code that ships with a "
            "model is never run; choose an encoder of another family"
        )
    # auto_map refers to code outside transformers, so it is left out.
    plain = {key: value for key, value in config.items() if key not in ("auto_map", "id2label", "label2id")}
    try:
        built = AutoConfig.for_model(**{**plain, "num_labels": _LABELS})
    except Exception as error:
        # Wrong values raise many different exceptions.
        raise UserError(
            f"config.json: not a valid {model_type} configuration: {first_line(error)[:200]}; get the file again"
        ) from None
    only_causal = (
        model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and model_type not in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    )
    if built.is_encoder_decoder or only_causal:
        kind = "sequence-to-sequence model" if built.is_encoder_decoder else "decoder"
        raise UserError(f"backbone.name: {model_type} is a {kind}; Featherweight trains encoders such as roberta-base")
    return built


def _build_without_weights(kind: Any, config: Any) -> nn.Module:
    import torch

    try:
        with torch.device("meta"):
            return kind.from_config(config)
    except Exception as error:
        # A model class may raise any exception for a config that it was not written for.
        problem = f"a {config.model_type} model cannot be built from its config: {first_line(error)[:200]}"
        raise UserError(f"backbone.name: {problem}") from None


def _split_at_layer(name: str) -> tuple[str, int, str] | None:
    """The parts of a module name: ``encoder.layer.3.attn.q`` gives ("encoder.layer", 3, "attn.q").

    None if the module is not inside a numbered layer.
    """
    match = re.match(r"^(.*?)\.(\d+)\.(.+)$", name)
    return (match[1], int(match[2]), match[3]) if match else None


def _roles_hint(model_type: str, modules: Mapping[str, Any]) -> str:
    widths = _widths(modules)
    if not widths:
        return f"backbone.name: {_linear_layers(model_type, modules)}, so LoRA cannot adapt it here"
    return (
        f"backbone.name: {model_type} is not a built-in encoder family; its linear layers are: "
        f"{', '.join(widths.values())}\n"
        f"Set the roles of the layers to adapt in the recipe: {_example(widths)}"
    )


def _linear_layers(model_type: str, modules: Mapping[str, Any]) -> str:
    widths = _widths(modules)
    named = f"the linear layers of {model_type} are: {', '.join(widths.values())}"
    return named if widths else f"{model_type} has no linear layers inside numbered layers"


def _widths(modules: Mapping[str, Any]) -> dict[str, str]:
    """For each linear layer of an encoder layer, its name with its widths: ``attn.q (768 to 768)``."""
    widths: dict[str, str] = {}
    for name, module in modules.items():
        if parts := _split_at_layer(name):
            widths.setdefault(parts[2], f"{parts[2]} ({module.in_features} to {module.out_features})")
    return widths


def _example(names: Iterable[str]) -> str:
    names = list(names)
    likely = [next((n for n in names if key in n.lower()), None) for key in ("q", "v")]
    query, value = likely[0] or "attn.q_proj", likely[1] or "attn.v_proj"
    return f'[backbone.roles] query = "{query}", value = "{value}"; the roles are {", ".join(ROLES)}'


def _linears_by_role(model_type: str, modules: Mapping[str, Any], roles: Mapping[Role, str]) -> tuple[Linear, ...]:
    wanted: dict[str, list[Role]] = {}
    for role in ROLES:
        if role in roles:
            wanted.setdefault(roles[role], []).append(role)
    linears: list[Linear] = []
    stacks: set[str] = set()
    for name, module in modules.items():
        parts = _split_at_layer(name)
        if parts and parts[2] in wanted:
            stacks.add(parts[0])
            size = (module.in_features, module.out_features, module.bias is not None)
            linears.append(Linear(name, tuple(wanted[parts[2]]), parts[1], *size))
    for module_name, names in wanted.items():
        if not any(set(names) <= set(linear.roles) for linear in linears):
            problem = f"backbone.roles.{names[0]}: no linear layer {module_name!r} in the layers of this encoder"
            raise UserError(f"{problem}\n{_linear_layers(model_type, modules)}")
    if len(stacks) > 1:
        raise UserError(
            f"backbone.roles: the model has several lists of layers with these names: {', '.join(sorted(stacks))}; "
            "give names that only one of them has"
        )
    return tuple(linears)


def _native_head(config: Any) -> tuple[str, tuple[str, ...], tuple[HeadTensor, ...]]:
    """``prefix``, ``head_modules`` and ``head_tensors`` of the Architecture, from transformers' classification class.

    All three are empty if transformers has no such class for this encoder.
    """
    from transformers import AutoModelForSequenceClassification

    try:
        model = _build_without_weights(AutoModelForSequenceClassification, config)
    except UserError:
        return "", (), ()
    prefix = str(model.base_model_prefix)
    body = dict(model.named_parameters())
    outside = {n: p for n, p in body.items() if not n.startswith(f"{prefix}.") or n.startswith(f"{prefix}.pooler.")}
    modules = (f"{prefix}.pooler" if n.startswith(f"{prefix}.") else n.partition(".")[0] for n in outside)
    return prefix, tuple(dict.fromkeys(modules)), tuple(_head_tensor(n, tuple(p.shape)) for n, p in outside.items())


def _head_tensor(name: str, shape: tuple[int, ...]) -> HeadTensor:
    # A dimension of size _LABELS is the number of labels; the product of the others is the size per label.
    size = math.prod(width for width in shape if width != _LABELS)
    by_label = _LABELS in shape
    return HeadTensor(name, 0 if by_label else size, size if by_label else 0, is_bias=name.endswith(".bias"))
