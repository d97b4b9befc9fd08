"""The pool: all texts of the training and validation splits without duplicates, whose states are cached."""

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
    """The n distinct texts of several splits, sorted by length and then by a hash of their tokens, the shortest first.

    So two seeds that divide the same rows differently into splits have the same pool, and share its cached states.
    """

    encoded: Encoded
    """All texts of all splits, one split after the other."""
    chosen: NDArray[np.int64]
    """Indices [n] in ``encoded`` of the distinct texts."""
    offsets: NDArray[np.int64]
    """Number of tokens before each distinct text, and of all of them, [n + 1]."""
    starts: tuple[NDArray[np.int64], ...]
    """For each split, the number of tokens in the pool before each of the split's texts."""
    fingerprint: str
    """SHA-256 of the tokens of the distinct texts."""

    def __len__(self) -> int:
        return len(self.chosen)

    def indices(self, split: int, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Indices in the pool of the texts that have the indices ``rows`` in the split with number ``split``."""
        return np.searchsorted(self.offsets, self.starts[split][rows])

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of tokens of each distinct text, [n]."""
        return np.diff(self.offsets)


def pool_of(parts: Sequence[Encoded]) -> Pool:
    """The distinct texts of the splits ``parts``; if texts are read in windows, the distinct windows."""
    # Texts that are read in windows have states for each of them.
    parts = [part.by_window for part in parts]
    tokens = np.empty(sum(len(part.tokens) for part in parts), np.int32)
    for part, end in zip(parts, np.cumsum([len(part.tokens) for part in parts]).tolist(), strict=True):
        tokens[end - len(part.tokens) : end] = part.tokens[:]
    lengths = np.concatenate([part.lengths for part in parts])
    seconds = [part.seconds for part in parts if part.seconds is not None]
    encoded = Encoded(tokens, _offsets(lengths), None, 0, "", seconds=np.concatenate(seconds) if seconds else None)
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
    """A hash of 128 bits for each text, as two numbers [texts, 2]; different texts practically never have the same."""
    bounds = encoded.offsets.tolist()
    # Two pairs with the same tokens are different texts if their second texts begin at different tokens.
    keys = [b""] * len(encoded) if encoded.seconds is None else [b"%d" % second for second in encoded.seconds.tolist()]
    each = (
        hashlib.blake2b(encoded.tokens[a:b].data, digest_size=16, key=key).digest()
        for (a, b), key in zip(pairwise(bounds), keys, strict=True)
    )
    return np.frombuffer(b"".join(each), "<u8").reshape(-1, 2)
