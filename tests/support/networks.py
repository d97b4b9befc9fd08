"""Small networks with adapters, and batches for them."""

from __future__ import annotations

from typing import Any

import torch

from featherweight.adapter.build import build_network
from featherweight.adapter.merge import merge_adapter
from featherweight.backbone.resolve import resolve_backbone
from featherweight.model.engine import Engine, move_to_engine
from featherweight.model.lean.forward_only import drop_gradients
from featherweight.model.network import Network

LABELS = ("fruit", "metal", "bird")
ALL_ROLES = ["query", "key", "value", "attention_output", "mlp_up", "mlp_down"]
LEAN = ("bert", "roberta", "distilbert", "mpnet", "electra")
PLAIN = Engine("cpu", "fp32", "test", lean=False)
ADAPTERS = [
    {"head": "linear", "lora": [{"roles": ["query", "value"], "rank": 2}]},
    {"head": "linear", "pooling": "first", "lora": [{"roles": ALL_ROLES, "rank": 3}], "bias": "all"},
    {"head": "native", "lora": [{"roles": ALL_ROLES, "rank": 3, "alpha": 5}], "bias": "lora"},
    {"head": "native", "lora": [{"roles": ["value"], "layers": "lower-half"}], "bias": "all", "rslora": True},
    {"head": "native", "lora": []},
]


def network_for(recipe: Any, engine: Engine) -> Network:
    network = build_network(recipe, resolve_backbone(recipe.backbone), LABELS)
    generator = torch.Generator().manual_seed(3)
    for parameter in network.trainable().values():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)
    move_to_engine(network, engine)
    return network


def batch(padded: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    ids = torch.randint(1000, 30000, (4, 9), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    if padded:
        for row, length in enumerate((9, 7, 4, 1)):
            ids[row, length:], mask[row, length:] = 0, 0
    return ids, mask, torch.tensor([0, 1, 2, 1])


def merged_network(recipe: Any, engine: Engine) -> Network:
    """The network of ``recipe`` with the same random adapter as ``network_for`` gives it, ready for prediction."""
    network = network_for(recipe, PLAIN)
    merge_adapter(network)
    move_to_engine(network, engine)
    drop_gradients(network)
    return network.eval()
