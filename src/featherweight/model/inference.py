"""Logits for many encoded texts: long ones together, short ones together, next to no padding."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from featherweight.data.batches import Encoded, collate, sorted_batches
from featherweight.model.engine import Engine, autocast
from featherweight.model.network import Network

BATCH_TOKENS = 8192
"""Tokens of one prediction batch, padding included: large enough for full speed, small enough for any memory."""


def predict_logits(
    network: Network,
    encoded: Encoded,
    engine: Engine,
    pad_id: int,
    *,
    batch_tokens: int = BATCH_TOKENS,
    advance: Callable[[int], None] | None = None,
    part: tuple[int, int] = (0, 1),
) -> np.ndarray:
    """Logits [rows, labels], float64, in the order of the rows; ``advance`` is told the rows done after each batch.

    ``part = (k, n)`` computes only every n-th batch from the k-th on and leaves the other rows zero, so that the
    results of n processes add up to the whole.
    """
    logits = np.zeros((len(encoded), len(network.labels)))
    training = network.training
    network.eval()
    with torch.inference_mode(), autocast(engine):
        for rows in sorted_batches(encoded.lengths, batch_tokens=batch_tokens)[part[0] :: part[1]]:
            batch = collate(encoded, rows, pad_id)
            output = network(batch.input_ids.to(engine.device), batch.attention_mask.to(engine.device))
            logits[rows] = output.double().cpu().numpy()
            if advance:
                advance(len(rows))
    network.train(training)
    return logits
