"""Builds the network of a saved adapter without PEFT and transformers: importing them takes longer than a prediction.

This works on a CPU, for LoRA on an encoder family with a lean pass (Featherweight's own forward pass, ``model/lean``).
``build.py`` builds all other networks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from featherweight.adapter.trained import ADAPTER_NAME, mark_trainable
from featherweight.backbone.architecture import Architecture
from featherweight.backbone.describe import architecture_of
from featherweight.backbone.families import FAMILIES
from featherweight.backbone.folder import weight_files
from featherweight.backbone.resolve import Backbone
from featherweight.budget.weigh import adapted_linears
from featherweight.model.lean.bare_encoder import Read, bare_classifier, bare_encoder
from featherweight.model.lean.encoder import why_not_lean
from featherweight.model.network import LinearHead, Network
from featherweight.recipe import LoraLayers, Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping


def bare_network(recipe: Recipe, backbone: Backbone, labels: Sequence[str]) -> Network | None:
    """Build the network of ``build_network`` without PEFT and transformers; return None if that is not possible.

    The tensors have the same names, but only the lean pass (Featherweight's own forward pass, ``model/lean``) can
    compute logits from them. The adapter is not loaded yet. The result is None for an encoder that the lean pass does
    not support, for DoRA, for PiSSA (which changes the frozen weights), and if names or shapes of the weights are not
    those that config.json implies.
    """
    family = FAMILIES.get(backbone.config["model_type"])
    if family is None or family.lean is None or recipe.backbone.roles or recipe.adapter.dora:
        return None
    if recipe.adapter.initialisation == "pissa":
        return None
    architecture = architecture_of(backbone.config)
    try:
        with ExitStack() as files, torch.random.fork_rng(devices=[]):
            network = _network(recipe, backbone, tuple(labels), architecture, _reader(backbone, files, family.prefix))
    except (LookupError, ValueError, TypeError):
        return None  # transformers supports more tensor names, or reports the error
    return None if why_not_lean(network) else network


def _network(
    recipe: Recipe, backbone: Backbone, labels: tuple[str, ...], architecture: Architecture, read: Read
) -> Network:
    native = recipe.adapter.head == "native"
    model = bare_encoder(backbone.config, architecture, read)
    adapted = adapted_linears(recipe.adapter, architecture)
    for name, table in adapted.items():
        _adapt(model, name, table, rslora=recipe.adapter.rslora)
    model = bare_classifier(model, architecture, len(labels)) if native else model
    head = None if native else LinearHead(architecture.hidden, len(labels), recipe.adapter.pooling)
    network = Network(BareAdapter(model) if adapted else model, head, labels, architecture)
    mark_trainable(network, recipe.adapter, architecture)
    return network


class BareAdapter(nn.Module):
    """A wrapper around the encoder that replaces PEFT's wrapper, and gives the tensors the same names as PEFT does."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.base_model = nn.Module()
        self.base_model.model = model

    def get_base_model(self) -> nn.Module:
        """The wrapped model."""
        return self.base_model.get_submodule("model")

    def merge_and_unload(self) -> nn.Module:
        """Merge the LoRA matrices of each adapted layer into its weight, and return the model without wrapper."""
        model = self.get_base_model()
        for name, module in list(model.named_modules()):
            if isinstance(module, LoraLinear):
                model.set_submodule(name, module.merged())
        return model


class LoraLinear(nn.Module):
    """A linear layer with its two small LoRA matrices, which have PEFT's names (Hu et al. 2021)."""

    def __init__(self, base_layer: nn.Linear, rank: int, scale: float) -> None:
        super().__init__()
        self.base_layer = base_layer
        down, up = (
            nn.Linear(base_layer.in_features, rank, bias=False),
            nn.Linear(rank, base_layer.out_features, bias=False),
        )
        self.lora_A, self.lora_B = nn.ModuleDict({ADAPTER_NAME: down}), nn.ModuleDict({ADAPTER_NAME: up})
        self.lora_dropout: Mapping[str, Any] = {ADAPTER_NAME: None}
        self.scaling = {ADAPTER_NAME: scale}

    def merged(self) -> nn.Linear:
        """The linear layer with W + scale B A instead of W, computed in the same order as in PEFT."""
        down, up = (module[ADAPTER_NAME].get_parameter("weight") for module in (self.lora_A, self.lora_B))
        weight = self.base_layer.weight
        weight.data = weight.data + (up @ down).detach() * self.scaling[ADAPTER_NAME]
        return self.base_layer


def _adapt(encoder: nn.Module, name: str, table: LoraLayers, *, rslora: bool) -> None:
    scale = table.effective_alpha / (math.sqrt(table.rank) if rslora else table.rank)
    layer: Any = encoder.get_submodule(name)
    encoder.set_submodule(name, LoraLinear(layer, table.rank, scale))


def _reader(backbone: Backbone, files: ExitStack, prefix: str) -> Read:
    """A function that reads one tensor of the backbone by its name in the encoder: ``embeddings.LayerNorm.bias``.

    If the backbone's files lack this name, it reads ``PREFIX.embeddings.LayerNorm.bias``. The files are opened here;
    the caller closes them by ``files``.
    """
    assert backbone.folder is not None
    opened = [files.enter_context(safe_open(path, framework="pt")) for path in weight_files(Path(backbone.folder))]
    homes = {name: file for file in opened for name in file.keys()}  # noqa: SIM118 (no mapping)

    def read(name: str) -> Tensor:
        name = name if name in homes else f"{prefix}.{name}"
        return homes[name].get_tensor(name)

    return read
