"""Computes the logits of long texts, which are read in windows, with at most the memory of a micro-batch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, cat
from torch.utils.checkpoint import checkpoint

from featherweight.data.batches import Batch
from featherweight.training.job import Job


def text_logits(job: Job, model: Any, batch: Batch) -> Tensor:
    """Logits [texts, classes] of a batch; the logits of a text are the mean over its windows.

    If a single text has more windows than the memory allows at once, its windows go through ``model`` in parts.
    Each part is computed again in the backward pass (gradient checkpointing, Chen et al. 2016), with the same dropout,
    so that the memory holds the activations of one part only.
    """
    inputs = batch.inputs(job.engine.device)
    windows, length = batch.input_ids.shape
    parts = _parts(windows, length, _most_tokens(job)) if batch.means is not None else []
    if len(parts) < 2:
        return batch.averaged(model(*inputs))
    of_parts = [
        checkpoint(model, *(None if tensor is None else tensor[part] for tensor in inputs), use_reentrant=False)
        for part in parts
    ]
    return batch.averaged(cat(of_parts))


def forward_passes(job: Job, micro_batches: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """The windows that each forward pass computes for ``micro_batches`` of row indices.

    They are indices in ``job.train.by_window``, where each window is a text. A short text is one window.
    """
    passes: list[NDArray[np.int64]] = []
    for rows in micro_batches:
        windows = job.train.windows_of(rows)
        longest = int(job.train.by_window.lengths[windows].max())
        split = len(windows) > len(rows)
        passes += [windows[part] for part in _parts(len(windows), longest, _most_tokens(job))] if split else [windows]
    return passes


def _most_tokens(job: Job) -> int:
    """Most tokens of one forward pass: as many as the memory allows, and at most ``training.batch_tokens``."""
    return min(
        job.engine.training_micro_batch_tokens(job.network.architecture.hidden), job.recipe.training.batch_tokens
    )


def _parts(windows: int, length: int, most: int) -> list[slice]:
    at_once = max(1, most // length)
    return [slice(first, first + at_once) for first in range(0, windows, at_once)]
