"""Hidden states after the frozen layers: how they are computed, and the cache key that identifies them."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import torch
from numpy.typing import NDArray

from featherweight.data.batches import collate, sorted_batches
from featherweight.model.network import Network, frozen_layers, layer_of
from featherweight.training.prefix_cache.texts import Pool

_SETTINGS = ("model_type", "num_attention_heads", "layer_norm_eps", "pad_token_id", "position_embedding_type")


def prefix_key(network: Network, pool: Pool, precision: str) -> str:
    """Cache key of the hidden states of ``pool`` after the frozen layers: whatever changes the states changes the key.

    It is the SHA-256 of the tokens, the number of frozen layers, their weights, the precision, and the settings of the
    encoder that these layers read.
    """
    encoder, architecture = network.plain_encoder(), network.architecture
    frozen = frozen_layers(encoder, architecture)
    settings = [str(getattr(encoder.config, name, None)) for name in _SETTINGS]
    digest = hashlib.sha256(json.dumps(["lean", precision, frozen, pool.fingerprint, *settings]).encode())
    for name, parameter in encoder.named_parameters():
        if layer_of(name, architecture) < frozen:
            digest.update(name.encode())
            digest.update(parameter.detach().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def states_of(network: Network, pool: Pool, rows: NDArray[np.int64], pad_id: int) -> NDArray:
    """Hidden states [tokens, hidden] of the pool's texts ``rows``, computed as one batch; bf16 as int16 bits.

    ``tokens`` counts the tokens of all these texts, one text after the other, without padding.
    """
    assert network.lean is not None
    batch = collate(pool.encoded, pool.chosen[rows], pad_id)
    with torch.inference_mode(), torch.autocast("cpu", enabled=False):
        types = network.types_read(batch.token_types).get("token_type_ids")
        states = network.lean.lower(batch.input_ids, batch.attention_mask, types)[batch.attention_mask.bool()]
    return (states.view(torch.int16) if states.dtype == torch.bfloat16 else states).numpy()


def states_by_text(
    network: Network, pool: Pool, rows: NDArray[np.int64], pad_id: int, batch_tokens: int
) -> dict[int, NDArray]:
    """For each index in ``rows``, the hidden states [tokens, hidden] of that text of the pool.

    They are computed in batches of texts of similar length, at most ``batch_tokens`` tokens each.
    """
    states_of_row: dict[int, NDArray] = {}
    for batch in sorted_batches(pool.lengths[rows], batch_tokens=batch_tokens):
        ends = np.cumsum(pool.lengths[rows[batch]])[:-1]
        states = np.split(states_of(network, pool, rows[batch], pad_id), ends)
        states_of_row |= zip(rows[batch].tolist(), states, strict=True)
    return states_of_row


def difference(one: NDArray, other: NDArray) -> float:
    """Largest absolute difference between two arrays of states of the same shape."""
    if np.array_equal(one, other):
        return 0.0
    first, second = (torch.from_numpy(array.copy()) for array in (one, other))
    if first.dtype == torch.int16:
        first, second = first.view(torch.bfloat16), second.view(torch.bfloat16)
    return float((first.float() - second.float()).abs().max())
