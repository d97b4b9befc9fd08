"""The network that is exported: of transformers' own classes, in fp32, with the adapter merged."""

from __future__ import annotations

from pathlib import Path

from featherweight.adapter.merge import merge_adapter
from featherweight.backbone.loading import quiet
from featherweight.inference.runner import Loaded
from featherweight.inference.trained import load_run


def merged_for_export(run: Path) -> Loaded:
    """The run's classifier on the CPU in fp32; its network is merged and computed by transformers' classes."""
    with quiet():
        loaded = load_run(run, precision="fp32", device="cpu", lean=False, merge=False)
        network = loaded.model.network  # type: ignore[attr-defined]
        merge_adapter(network)
        for parameter in network.parameters():
            parameter.requires_grad_(False)
    return loaded
