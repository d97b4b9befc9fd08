"""Logits of many encoded texts, in batches of texts of similar length, so that there is little padding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featherweight.data.batches import Encoded, collate, sorted_batches
from featherweight.model.engine import Engine, autocast
from featherweight.model.network import Network
from featherweight.model.threads import workers_for

_BATCH_TOKENS = 8192  # large enough for full speed on a GPU, small enough for any memory
_UNREAD = 32  # batches; their logits are read from a GPU together


def predict_logits(
    network: Network,
    encoded: Encoded,
    engine: Engine,
    pad_id: int,
    *,
    advance: Callable[[int], None] | None = None,
    part: tuple[int, int] = (0, 1),
) -> np.ndarray:
    """Logits [rows, labels], float64, in the order of the rows; for a text with windows, the mean over its windows.

    ``advance`` is called after each batch with its number of rows. ``part = (k, n)`` makes this process, number k of n
    (from 0), compute only the batches k, k + n, k + 2n and so on. Its logits of the other rows are 0, so that the sum
    of the arrays of all n processes is the full result.
    """
    apart = encoded.by_window
    logits = np.zeros((len(apart), len(network.labels)))
    training = network.training
    if training:  # eval() visits every module, which takes as long as predicting a short text
        network.eval()

    def predicted(rows: NDArray[np.int64]) -> Tensor:
        # Both contexts apply only to the thread that enters them.
        with torch.inference_mode(), autocast(engine):
            return network(*collate(apart, rows, pad_id).inputs(engine.device)).double()

    batches = prediction_batches(apart, engine)[part[0] :: part[1]]
    # Only the lean pass, which runs on processors, is thread-safe; transformers' own forward pass is not.
    on_processor = engine.device == "cpu"
    workers = workers_for(len(batches)) if network.lean is not None and batches and on_processor else None
    outputs = workers.each(predicted, batches) if workers else map(predicted, batches)
    results = read(outputs, 1 if on_processor else _UNREAD)
    for rows, batch_logits in zip(batches, results, strict=True):
        logits[rows] = batch_logits
        if advance:
            advance(encoded.texts_begun(rows))
    if training:
        network.train()
    return encoded.averaged(logits)


def read(outputs: Iterable[Tensor], at_once: int) -> Iterator[NDArray[np.float64]]:
    """Each of ``outputs`` as an array; ``at_once`` of them are copied from the device together, which saves time."""
    outputs = iter(outputs)
    while block := list(islice(outputs, at_once)):
        whole = block[0].numpy(force=True) if len(block) == 1 else torch.cat(block).numpy(force=True)
        yield from np.split(whole, np.cumsum([len(output) for output in block[:-1]]))


def prediction_batches(encoded: Encoded, engine: Engine) -> list[NDArray[np.int64]]:
    """The batches (arrays of row indices) that ``predict_logits`` uses, the longest texts first."""
    return sorted_batches(encoded.lengths, batch_tokens=min(_BATCH_TOKENS, engine.micro_batch_tokens))
