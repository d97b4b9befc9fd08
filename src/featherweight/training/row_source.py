"""Makes the training batches for a GPU.

If all rows fit into a small share of the GPU's memory, they are copied there once, and each batch is gathered there.
Otherwise each batch is made in main memory and copied to the GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featherweight.data.batches import Batch, Encoded, copied, window_means

Collate = Callable[[Encoded, NDArray[np.int64], int], Batch]
_SHARE_OF_FREE_MEMORY = 0.05


class RowSource(Protocol):
    """Makes the training batches on the device that trains."""

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """The batch of the rows with the indices ``rows``, as ``data.batches.collate`` makes it, but on the device."""

    def labels(self, rows: NDArray[np.int64]) -> Tensor:
        """The labels of ``rows``, on the device."""


def row_source(encoded: Encoded, device: str, pad_id: int, collate: Collate) -> RowSource | None:
    """The source of batches of ``encoded`` on ``device``; None on a CPU, where no batch has to be copied.

    All rows are put on the device if they take at most a twentieth of its free memory and have no cached states.
    """
    if device == "cpu":
        return None
    free = torch.cuda.mem_get_info(device)[0] if device.startswith("cuda") else 0
    if encoded.states is None and device_bytes(encoded) <= free * _SHARE_OF_FREE_MEMORY:
        return DeviceRows(encoded, device, pad_id)
    return CopiedRows(encoded, device, pad_id, collate)


def device_bytes(encoded: Encoded) -> int:
    """Bytes that the tokens and labels of ``encoded`` take on a device."""
    assert encoded.labels is not None
    return 4 * int(encoded.offsets[-1]) + encoded.labels.nbytes


class CopiedRows:
    """Makes batches in main memory with ``collate``, and copies them to the device without waiting for it.

    So the next batch is made while the device still computes a step.
    """

    def __init__(self, encoded: Encoded, device: str, pad_id: int, collate: Collate) -> None:
        self._encoded, self._device, self._pad_id, self._collate = encoded, device, pad_id, collate

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """The batch of ``rows``, on the device."""
        batch = self._collate(self._encoded, rows, self._pad_id)
        on_device = replace(batch)
        for name, value in vars(batch).items():
            if isinstance(value, Tensor):
                setattr(on_device, name, copied(value, self._device))
        return on_device

    def labels(self, rows: NDArray[np.int64]) -> Tensor:
        """The labels of ``rows``, on the device."""
        assert self._encoded.labels is not None
        return copied(torch.from_numpy(self._encoded.labels[rows]), self._device)


class DeviceRows:
    """All rows are on the device. For each batch, only the row indices are copied, and the batch is made there."""

    def __init__(self, encoded: Encoded, device: str, pad_id: int) -> None:
        assert encoded.labels is not None
        self._encoded, self._device, self._pad_id = encoded, device, pad_id
        self._tokens = torch.from_numpy(np.array(encoded.tokens[: int(encoded.offsets[-1])], np.int32)).to(device)
        self._labels = torch.from_numpy(np.asarray(encoded.labels)).to(device)

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """The batch of ``rows``, on the device."""
        encoded, rows = self._encoded, np.asarray(rows, np.int64)
        windows = encoded.windows_of(rows)
        starts = encoded.offsets[windows]
        sizes = encoded.offsets[windows + 1] - starts
        pairs = encoded.seconds is not None
        given = [starts, sizes, *([encoded.seconds[windows]] if encoded.seconds is not None else [])]
        on_device = copied(torch.from_numpy(np.concatenate([*given, rows])), self._device)
        first, size, *second = on_device[: len(given) * len(windows)].view(len(given), -1, 1)
        places = torch.arange(int(sizes.max()), device=self._device)
        inside = places < size
        tokens = self._tokens[torch.where(inside, first + places, 0)]
        means = window_means(encoded.windows[rows]) if encoded.windows is not None else None
        return Batch(
            rows,
            torch.where(inside, tokens.long(), self._pad_id),
            inside.long(),
            self._labels[on_device[len(given) * len(windows) :]],
            token_types=(inside & (places >= second[0])).long() if pairs else None,
            means=None if means is None else copied(means, self._device),
        )

    def labels(self, rows: NDArray[np.int64]) -> Tensor:
        """The labels of ``rows``, on the device."""
        return self._labels[copied(torch.from_numpy(np.asarray(rows, np.int64)), self._device)]
