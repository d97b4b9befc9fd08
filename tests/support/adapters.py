"""Built and saved adapters of tiny recipes."""

from __future__ import annotations

from pathlib import Path

from featherweight.adapter.build import build_network
from featherweight.adapter.storage import save_adapter
from featherweight.backbone.resolve import resolve_backbone
from featherweight.backbone.tokenizer import load_tokenizer
from featherweight.model.network import Network
from featherweight.recipe import Recipe

LABELS = ("fruit", "metal", "bird")


def built(recipe: Recipe) -> Network:
    return build_network(recipe, resolve_backbone(recipe.backbone), LABELS).eval()


def saved(network: Network, folder: Path, recipe: Recipe) -> Path:
    backbone = resolve_backbone(recipe.backbone)
    save_adapter(network, folder, recipe, backbone, load_tokenizer(backbone.folder))
    return folder
