"""The distinct texts of several parts of the data as one set."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from featherweight.data.encoding import Encoded


@dataclass(frozen=True, eq=False)
class Pool:
    """n distinct texts, the shortest first, in an order that depends on their tokens alone.

    Two seeds that split the same rows differently have the same pool.
    """

    encoded: Encoded
    """All texts of all parts, part after part."""
    chosen: NDArray[np.int64]
    """Places in ``encoded`` of the different texts, [n]."""
    offsets: NDArray[np.int64]
    """Tokens before each of them, and at the end of all of them, [n + 1]."""
    starts: tuple[NDArray[np.int64], ...]
    """For each part, the tokens that stand before each of its texts in the pool."""
    fingerprint: str
    """SHA-256 over the tokens of the different texts."""

    def __len__(self) -> int:
        return len(self.chosen)

    def places(self, part: int, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Places in the pool of the texts at ``rows`` of one of the parts."""
        return np.searchsorted(self.offsets, self.starts[part][rows])

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each of the different texts."""
        return np.diff(self.offsets)


def pool_of(parts: Sequence[Encoded]) -> Pool:
    """The pool of all texts of ``parts``."""
    tokens = np.empty(sum(len(part.tokens) for part in parts), np.int32)
    for part, end in zip(parts, np.cumsum([len(part.tokens) for part in parts]).tolist(), strict=True):
        tokens[end - len(part.tokens) : end] = part.tokens[:]
    lengths = np.concatenate([part.lengths for part in parts])
    encoded = Encoded(tokens, _offsets(lengths), None, 0, "")
    digests = _digests(encoded)
    order = np.lexsort((digests[:, 1], digests[:, 0], lengths))
    ordered = np.column_stack([lengths[order].astype(np.uint64), digests[order]])
    new = np.ones(len(order), bool)
    new[1:] = (ordered[1:] != ordered[:-1]).any(1)
    chosen = order[new]
    offsets = _offsets(lengths[chosen])
    starts = np.empty(len(order), np.int64)
    starts[order] = offsets[np.cumsum(new) - 1]
    ends = np.cumsum([len(part) for part in parts])[:-1]
    fingerprint = hashlib.sha256(ordered[new].tobytes()).hexdigest()
    return Pool(encoded, chosen, offsets, tuple(np.split(starts, ends)), fingerprint)


def _offsets(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _digests(encoded: Encoded) -> NDArray[np.uint64]:
    """128 bits a text, [n, 2]: enough that two different texts never share them."""
    bounds = encoded.offsets.tolist()
    each = (hashlib.blake2b(encoded.tokens[a:b].data, digest_size=16).digest() for a, b in pairwise(bounds))
    return np.frombuffer(b"".join(each), "<u8").reshape(-1, 2)
