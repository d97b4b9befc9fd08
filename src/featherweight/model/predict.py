"""Logits for many encoded texts: long ones together, short ones together, next to no padding."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from featherweight.data.batches import Encoded, collate, sorted_batches
from featherweight.model.engine import Engine, autocast
from featherweight.model.network import Network
from featherweight.model.threads import workers_for

_BATCH_TOKENS = 8192  # large enough for full speed on a GPU, small enough for any memory


def predict_logits(
    network: Network,
    encoded: Encoded,
    engine: Engine,
    pad_id: int,
    *,
    advance: Callable[[int], None] | None = None,
    part: tuple[int, int] = (0, 1),
) -> np.ndarray:
    """Logits [rows, labels], float64, in the order of the rows; ``advance`` is told the rows done after each batch.

    ``part = (k, n)`` computes only every n-th batch from the k-th on and leaves the other rows zero, so that the
    results of n processes add up to the whole.
    """
    logits = np.zeros((len(encoded), len(network.labels)))
    training = network.training
    if training:  # the change of mode walks through every module, which takes as long as a short text
        network.eval()

    def predicted(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        # Both contexts hold for the thread that enters them.
        with torch.inference_mode(), autocast(engine):
            output = network(*collate(encoded, rows, pad_id).inputs(engine.device))
            return output.double().cpu().numpy()

    batches = prediction_batches(encoded, engine)[part[0] :: part[1]]
    # The lean pass runs on a processor alone; transformers' own one is not made for several threads.
    workers = workers_for(len(batches)) if network.lean is not None and batches else None
    found = workers.each(predicted, batches) if workers else map(predicted, batches)
    for rows, some in zip(batches, found, strict=True):
        logits[rows] = some
        if advance:
            advance(len(rows))
    if training:
        network.train()
    return logits


def prediction_batches(encoded: Encoded, engine: Engine) -> list[NDArray[np.int64]]:
    """The batches in which ``predict_logits`` goes through the rows, the longest texts first."""
    return sorted_batches(encoded.lengths, batch_tokens=min(_BATCH_TOKENS, engine.piece_tokens))
