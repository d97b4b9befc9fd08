"""The mean of several adapters that were trained from a common start: a model soup."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from featherweight.adapter.storage import saved_values
from featherweight.errors import damaged

if TYPE_CHECKING:
    from torch import Tensor


def mean_of(folders: Sequence[Path]) -> dict[str, Tensor]:
    """The mean of each saved tensor over the adapters in ``folders``, in fp32, by PEFT's name of the tensor.

    This is the uniform soup of Wortsman et al. 2022 (arXiv 2203.05482). Sums are in fp64, and their terms are sorted,
    so that the order of ``folders`` changes no bit. The mean of one adapter is that adapter. Raises UserError as
    ``same_tensors_of`` does.
    """
    import torch

    adapters = same_tensors_of(folders)
    return {
        name: torch.stack([tensors[name].double() for tensors in adapters]).sort(dim=0).values.mean(dim=0).float()
        for name in adapters[0]
    }


def same_tensors_of(folders: Sequence[Path]) -> list[dict[str, Tensor]]:
    """The saved tensors of each adapter in ``folders``, by PEFT's name of the tensor; all have the same names.

    Raises UserError if a tensor is missing, of another shape than in the first adapter, or not finite.
    """
    adapters = [saved_values(folder) for folder in folders]
    for folder, tensors in zip(folders, adapters, strict=True):
        _require_alike(folder, tensors, folders[0], adapters[0])
    return adapters


def _require_alike(folder: Path, tensors: dict[str, Tensor], first_folder: Path, first: dict[str, Tensor]) -> None:
    if other := sorted(tensors.keys() ^ first.keys()):
        raise damaged(folder, f"the saved adapter and that of {first_folder} do not both have {other[0]}")
    for name, tensor in tensors.items():
        if tensor.shape != first[name].shape:
            shapes = f"{tuple(tensor.shape)}, not {tuple(first[name].shape)} as in {first_folder}"
            raise damaged(folder, f"{name} has shape {shapes}")
        if not tensor.isfinite().all():
            raise damaged(folder, f"{name} contains NaN or infinity")
