"""Chooses the parameters of a network that are trained, and the names under which PEFT saves them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featherweight.backbone.architecture import Architecture
from featherweight.budget.weigh import adapted_linears
from featherweight.recipe import AdapterRecipe

if TYPE_CHECKING:
    from featherweight.model.network import Network

ADAPTER_NAME = "default"
"""PEFT's own name for the first adapter of a model."""


def mark_trainable(network: Network, adapter: AdapterRecipe, architecture: Architecture) -> None:
    """Set ``requires_grad`` for exactly the parameters that the recipe trains, and freeze all others.

    PEFT's own selection misses some heads, and treats some parameters as biases although they are not biases.
    """
    prefix = f"{architecture.prefix}." if adapter.head == "native" else ""
    adapted = adapted_linears(adapter, architecture)
    biases = {"none": set(), "lora": {f"{name}.bias" for name in adapted}, "all": set()}[adapter.bias]
    if adapter.bias == "all":
        biases = {f"{linear.name}.bias" for linear in architecture.linears if linear.bias}
        biases |= {name for name, _ in architecture.other_biases}
    biases = {prefix + name for name in biases}
    heads = tuple(f"{name}." for name in architecture.head_modules) if adapter.head == "native" else ()
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(_is_trained(name, biases, heads))


def _is_trained(name: str, biases: set[str], heads: tuple[str, ...]) -> bool:
    if name.startswith("head.") or ".lora_" in name:
        return True
    if ".original_module." in name:
        return False
    plain = name.removeprefix("encoder.").removeprefix("base_model.model.")
    plain = plain.replace(f".modules_to_save.{ADAPTER_NAME}.", ".").replace(".base_layer.", ".")
    return plain in biases or plain.startswith(heads or ("\0",))


def peft_name(name: str) -> str:
    """The name under which PEFT saves the trained tensor ``name`` of the network."""
    name = name.removeprefix("encoder.").replace(f".modules_to_save.{ADAPTER_NAME}.", ".")
    return name.replace(f".{ADAPTER_NAME}.weight", ".weight").replace(f"_vector.{ADAPTER_NAME}", "_vector")
