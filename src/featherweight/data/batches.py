"""Batches of texts of similar length: the rows of each batch, and its tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from featherweight.data.encoding import Encoded, encode

if TYPE_CHECKING:
    import torch

__all__ = [
    "Batch",
    "Encoded",
    "batches_in_epoch",
    "collate",
    "encode",
    "epoch_batches",
    "even_batches",
    "padded",
    "padding_share",
    "sorted_batches",
]

_POOL = 100  # number of batches whose rows are sorted by length together: little padding, but still well shuffled
_EVEN_IS_WORTH = 1.03  # even batches may have at most this many times as many tokens as full batches, padding included


@dataclass
class Batch:
    """A batch of b rows as tensors, padded to the t tokens of the longest row.

    A long text that is split into windows (overlapping parts, classified one by one) has one row per window; ``means``
    averages the logits of its windows.
    """

    rows: NDArray[np.int64]
    """Indices of the texts in the data."""
    input_ids: torch.Tensor
    """int64 [b, t]"""
    attention_mask: torch.Tensor
    """int64 [b, t]: 1 for tokens, 0 for padding."""
    labels: torch.Tensor | None
    """int64 [b]; or int8 [b, classes] if a text may have several labels."""
    states: torch.Tensor | None = None
    """Cached outputs of the frozen layers, [b, t, hidden]; None if there are none."""
    token_types: torch.Tensor | None = None
    """For pairs of texts, int64 [b, t]: 0 in the first text, 1 in the second; None if the model has no token types."""
    means: torch.Tensor | None = None
    """Matrix float32 [texts, b] that averages the logits of each text's windows; None if each text is one row."""

    def averaged(self, logits: torch.Tensor) -> torch.Tensor:
        """Logits of the texts, [texts, classes], from ``logits`` of the rows, [b, classes]."""
        return logits if self.means is None else self.means.to(logits.device) @ logits

    def inputs(self, device: str) -> tuple[torch.Tensor | None, ...]:
        """Token ids, attention mask, cached states and token types on ``device``: the network's arguments, in order."""
        tensors = (self.input_ids, self.attention_mask, self.states, self.token_types)
        return tuple(None if tensor is None else copied(tensor, device) for tensor in tensors)


def copied(tensor: torch.Tensor, device: str) -> torch.Tensor:
    """``tensor`` on ``device``; to a GPU it is copied from pinned memory, without waiting for running GPU work."""
    if device.startswith("cuda") and tensor.device.type == "cpu":
        # torch reuses the pinned memory only after the copy from it has ended.
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def epoch_batches(
    lengths: NDArray[np.int64],
    *,
    seed: int,
    epoch: int,
    batch_size: int,
    batch_tokens: int,
    windows: NDArray[np.int64] | None = None,
) -> list[NDArray[np.int64]]:
    """The batches of one epoch as arrays of row indices; every row occurs once, and seed and epoch determine the order.

    A batch has at most ``batch_size`` rows and ``batch_tokens`` tokens, including padding; a longer row is a batch of
    its own. If no batch reaches the limit of tokens, all batches except one have ``batch_size`` rows. Rows of similar
    length are in the same batch: the rows are shuffled and divided into pools of about ``_POOL`` batches, each pool is
    sorted by length and cut into batches, and then all batches are shuffled. If texts are read in windows, ``windows``
    has their number for each text, and the tokens of all windows count.
    """
    random = np.random.default_rng([seed, epoch])
    lengths = np.asarray(lengths)
    shuffled = random.permutation(len(lengths))
    bounds = _pool_bounds(len(lengths), batch_size)
    pool = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
    # Rows of equal length keep their shuffled order, because the sort is stable.
    order = shuffled[np.lexsort((lengths[shuffled], pool))]
    cuts = _batch_bounds(lengths[order], bounds, batch_size, batch_tokens, None if windows is None else windows[order])
    batches = np.split(order, cuts[1:-1]) if len(lengths) else []
    return [batches[place] for place in random.permutation(len(batches))]


def batches_in_epoch(lengths: NDArray[np.int64], *, seed: int, epoch: int, batch_size: int, batch_tokens: int) -> int:
    """Number of batches that ``epoch_batches`` returns: rows / batch_size, rounded up; more if texts are long."""
    lengths = np.asarray(lengths)
    if len(lengths) and batch_size * int(lengths.max()) <= batch_tokens:
        return -(-len(lengths) // batch_size)
    return len(epoch_batches(lengths, seed=seed, epoch=epoch, batch_size=batch_size, batch_tokens=batch_tokens))


def sorted_batches(
    lengths: NDArray[np.int64],
    *,
    batch_tokens: int,
    batch_size: int = 1024,
    windows: NDArray[np.int64] | None = None,
) -> list[NDArray[np.int64]]:
    """Batches for prediction: every row once, the longest first, with little padding; limits as in `epoch_batches`.

    The longest rows come first, so that a lack of memory is noticed at once.
    """
    lengths = np.asarray(lengths)
    if not len(lengths):
        return []
    ascending = np.argsort(lengths, kind="stable")
    bounds, counts = np.array([0, len(lengths)]), None if windows is None else windows[ascending]
    cuts = _batch_bounds(lengths[ascending], bounds, batch_size, batch_tokens, counts)
    return [rows[::-1].copy() for rows in reversed(np.split(ascending, cuts[1:-1]))]


def even_batches(
    lengths: NDArray[np.int64], *, batch_tokens: int, windows: NDArray[np.int64] | None = None
) -> list[NDArray[np.int64]]:
    """Batches like those of `sorted_batches`, but all with the same number of rows (plus or minus one).

    One full batch and one small batch take longer to compute than two batches of half the size. If equal batches need
    much more padding or more than ``batch_tokens`` tokens, the result is that of `sorted_batches`.
    """
    full = sorted_batches(lengths, batch_tokens=batch_tokens, windows=windows)
    if len(full) < 2:
        return full
    even = np.array_split(np.concatenate(full), len(full))
    of_full, of_even = ([_padded(lengths, windows, rows) for rows in batches] for batches in (full, even))
    return even if max(of_even) <= batch_tokens and sum(of_even) <= _EVEN_IS_WORTH * sum(of_full) else full


def padding_share(lengths: NDArray[np.int64], batches: list[NDArray[np.int64]]) -> float:
    """Share of all tokens in ``batches`` that are padding."""
    padded = sum(_padded(lengths, None, rows) for rows in batches)
    return 1 - int(lengths.sum()) / padded if padded else 0.0


def _padded(lengths: NDArray[np.int64], windows: NDArray[np.int64] | None, rows: NDArray[np.int64]) -> int:
    """Number of tokens of a batch of ``rows``, including padding."""
    if windows is None:
        return len(rows) * int(lengths[rows].max())
    return int(windows[rows].sum()) * int((lengths[rows] // windows[rows]).max())


def collate(encoded: Encoded, rows: NDArray[np.int64], pad_id: int) -> Batch:
    """Tensors of the texts at ``rows``, padded on the right with ``pad_id`` to the longest of them."""
    import torch

    rows = np.asarray(rows, np.int64)
    windows = encoded.windows_of(rows)
    input_ids, mask, types = map(_tensor, padded(encoded, windows, pad_id))
    assert input_ids is not None and mask is not None
    labels = None if encoded.labels is None else torch.from_numpy(encoded.labels[rows])
    states = encoded.states.padded(windows) if encoded.states else None
    means = window_means(encoded.windows[rows]) if encoded.windows is not None else None
    return Batch(rows, input_ids, mask, labels, states, types, means)


def padded(
    encoded: Encoded, windows: NDArray[np.int64], pad_id: int, width: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64] | None]:
    """Token ids, mask and token types, int64 [windows, t]; the types are None if the tokenizer has none.

    ``windows`` are the indices of windows, counted over all texts of ``encoded`` (a text without windows counts as
    one); t is the length of the longest of them, or ``width`` if that is more.
    """
    starts = encoded.offsets[windows]
    sizes = encoded.offsets[windows + 1] - starts
    places = np.arange(max(sizes.max(), width))
    mask = places < sizes[:, None]
    input_ids = np.full(mask.shape, pad_id, np.int64)
    for row, (start, size) in enumerate(zip(starts.tolist(), sizes.tolist(), strict=True)):
        input_ids[row, :size] = encoded.tokens[start : start + size]
    types = None
    if encoded.seconds is not None:
        types = (mask & (places >= encoded.seconds[windows, None])).astype(np.int64)
    return input_ids, mask.astype(np.int64), types


def _tensor(array: NDArray[np.int64] | None) -> torch.Tensor | None:
    import torch

    return None if array is None else torch.from_numpy(array)


def window_means(windows: NDArray[np.int64]) -> torch.Tensor | None:
    """The matrix [texts, windows] that averages the windows of each text; None if each text has one window."""
    import torch

    if (windows == 1).all():
        return None
    owners = np.repeat(np.arange(len(windows)), windows)
    means = np.zeros((len(windows), len(owners)), np.float32)
    means[owners, np.arange(len(owners))] = 1 / windows[owners]
    return torch.from_numpy(means)


def _pool_bounds(rows: int, batch_size: int) -> NDArray[np.int64]:
    """Row indices where the pools begin, and where the last one ends.

    A pool is a group of rows that are sorted by length together: enough for about ``_POOL`` full batches. All pools
    have about the same size, and only the last one may end with a smaller batch.
    """
    batches = -(-rows // batch_size)
    pools = max(1, round(batches / _POOL))
    return np.minimum(np.linspace(0, batches, pools + 1).round().astype(np.int64) * batch_size, rows)


def _batch_bounds(
    ascending: NDArray[np.int64],
    bounds: NDArray[np.int64],
    batch_size: int,
    batch_tokens: int,
    windows: NDArray[np.int64] | None,
) -> list[int]:
    """Row indices where the batches begin, and where the last one ends.

    No batch crosses one of ``bounds``. Between two bounds the lengths ``ascending`` are sorted, shortest first, so the
    last row of a batch is its longest.
    """
    widths = ascending if windows is None else ascending // windows
    before = np.arange(len(ascending) + 1) if windows is None else np.concatenate([[0], np.cumsum(windows)])
    lengths, counts = widths.tolist(), before.tolist()
    cuts = [0]
    for stop in bounds[1:].tolist():
        while cuts[-1] < stop:
            start = cuts[-1]
            end = min(start + batch_size, stop)
            if (counts[end] - counts[start]) * lengths[end - 1] > batch_tokens:
                needed = widths[start:end] * (before[start + 1 : end + 1] - counts[start])
                end = start + max(1, int(np.searchsorted(needed, batch_tokens, side="right")))
            cuts.append(end)
    return cuts
