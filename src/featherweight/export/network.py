"""Loads the network for an export: in transformers' classes and fp32, with the adapter merged into its weights."""

from __future__ import annotations

from pathlib import Path

from featherweight.adapter.merge import merge_adapter
from featherweight.backbone.loading import quiet
from featherweight.inference.runner import Loaded
from featherweight.inference.trained import load_run


def merged_for_export(run: Path) -> Loaded:
    """The classifier of ``run`` in transformers' classes, on the CPU in fp32, with the adapter merged."""
    with quiet():
        loaded = load_run(run, precision="fp32", device="cpu", lean=False, merge=False)
        network = loaded.model.network  # type: ignore[attr-defined]
        merge_adapter(network)
        for parameter in network.parameters():
            parameter.requires_grad_(False)
    return loaded
