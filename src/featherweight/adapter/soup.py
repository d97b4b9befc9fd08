"""Averages adapters that were trained from the same initial weights (a model soup)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from featherweight.adapter.storage import saved_values
from featherweight.errors import damaged

if TYPE_CHECKING:
    from torch import Tensor


def mean_of(folders: Sequence[Path]) -> dict[str, Tensor]:
    """The mean of each saved tensor over the adapters in ``folders``, as fp32 tensors by PEFT's tensor names.

    This is the uniform soup of Wortsman et al. 2022 (arXiv 2203.05482). Sums are computed in fp64 with sorted terms, so
    the result is the same bit for bit in any order of ``folders``. The mean of one adapter is that adapter. Raises
    UserError as ``same_tensors_of`` does.
    """
    import torch

    adapters = same_tensors_of(folders)
    return {
        name: torch.stack([tensors[name].double() for tensors in adapters]).sort(dim=0).values.mean(dim=0).float()
        for name in adapters[0]
    }


def same_tensors_of(folders: Sequence[Path]) -> list[dict[str, Tensor]]:
    """For each adapter in ``folders``, its saved tensors by PEFT's tensor names; all adapters have the same names.

    Raises UserError if a tensor exists in only some of the adapters, has another shape than in the first adapter, or
    contains NaN or infinity.
    """
    adapters = [saved_values(folder) for folder in folders]
    for folder, tensors in zip(folders, adapters, strict=True):
        _require_alike(folder, tensors, folders[0], adapters[0])
    return adapters


def _require_alike(folder: Path, tensors: dict[str, Tensor], first_folder: Path, first: dict[str, Tensor]) -> None:
    if other := sorted(tensors.keys() ^ first.keys()):
        raise damaged(folder, f"of this adapter and the adapter in {first_folder}, only one has the tensor {other[0]}")
    for name, tensor in tensors.items():
        if tensor.shape != first[name].shape:
            shapes = f"{tuple(tensor.shape)}, not {tuple(first[name].shape)} as in {first_folder}"
            raise damaged(folder, f"{name} has shape {shapes}")
        if not tensor.isfinite().all():
            raise damaged(folder, f"{name} contains NaN or infinity")
