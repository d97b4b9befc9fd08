"""A file with the hidden states of many texts: written once, atomically, and read one batch at a time.

It starts with a JSON header, followed by the states of all tokens. The header contains the checksum of the rest and is
written last; then the file is renamed to its final name.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from featherweight.cache import is_left_over
from featherweight.files import replace_file

if TYPE_CHECKING:
    import torch

SUFFIX = ".states"
_HEADER = 4096  # bytes: one memory page, so that the states start at a page boundary
_FORMAT = 1
# numpy has no bf16 type: its bits are stored as int16.
_KINDS: dict[str, np.dtype[Any]] = {"bf16": np.dtype(np.int16), "fp32": np.dtype(np.float32)}


class StatesFile:
    """Hidden states [tokens, hidden] in a memory-mapped file."""

    def __init__(self, path: Path, tokens: int, hidden: int, precision: str) -> None:
        self.path = path
        self._precision = precision
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._states = np.frombuffer(self._map, _KINDS[precision], offset=_HEADER).reshape(tokens, hidden)

    def tokens(self, first: int, end: int) -> NDArray:
        """States [end - first, hidden] of the tokens from ``first`` to ``end`` - 1; bf16 as int16 bits."""
        return self._states[first:end]

    def padded(self, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> torch.Tensor:
        """States [b, t, hidden] of b texts, padded with zeros.

        ``starts`` [b] are the indices of their first tokens in the file, ``lengths`` [b] their numbers of tokens.
        """
        import torch

        out = np.zeros((len(starts), int(lengths.max()), self._states.shape[1]), self._states.dtype)
        for row, (start, length) in enumerate(zip(starts.tolist(), lengths.tolist(), strict=True)):
            out[row, :length] = self._states[start : start + length]
        # The pages that were read stay in the system's file cache; they need not count as memory of this process.
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)
        states = torch.from_numpy(out)
        return states.view(torch.bfloat16) if self._precision == "bf16" else states


@dataclass(frozen=True, eq=False)
class CachedStates:
    """The hidden states of one split, in a file that several splits share."""

    file: StatesFile
    starts: NDArray[np.int64]
    """Index in the file of the first token of each text."""
    lengths: NDArray[np.int64]
    """Number of tokens of each text."""

    def padded(self, rows: NDArray[np.int64]) -> torch.Tensor:
        """States [b, t, hidden] of the texts with the indices ``rows`` [b], padded with zeros to the longest text."""
        return self.file.padded(self.starts[rows], self.lengths[rows])


def states_bytes(tokens: int, hidden: int, precision: str) -> int:
    """Size in bytes of a file with the hidden states of ``tokens`` tokens, each with ``hidden`` numbers."""
    return _HEADER + tokens * hidden * _KINDS[precision].itemsize


def write_states(path: Path, tokens: int, hidden: int, precision: str, chunks: Iterable[NDArray]) -> None:
    """Write the states in ``chunks`` one after the other to the file ``path``, which appears only when it is complete.

    Each chunk is [n, hidden], fp32, or bf16 as int16 bits. If two processes write the same file, the later file
    replaces the earlier one; a process that has the earlier file open can still read it. Raises OSError if the disk is
    full or not writable, and any exception of ``chunks``.
    """

    def write(file: BinaryIO) -> None:
        digest = hashlib.sha256()
        file.seek(_HEADER)
        for chunk in chunks:
            digest.update(chunk.data)
            file.write(chunk.data)
        header = {"format": _FORMAT, "tokens": tokens, "hidden": hidden, "precision": precision}
        file.seek(0)
        file.write(json.dumps(header | {"sha256": digest.hexdigest()}).encode().ljust(_HEADER))
        file.flush()
        os.fsync(file.fileno())

    for part in path.parent.glob(f".*{SUFFIX}.*.part"):
        if is_left_over(part):
            part.unlink(missing_ok=True)
    replace_file(path, write)


def open_states(path: Path, tokens: int, hidden: int, precision: str) -> StatesFile | None:
    """The file at ``path``, its checksum verified; None if it is missing, damaged, or of another size or precision."""
    expected = {"format": _FORMAT, "tokens": tokens, "hidden": hidden, "precision": precision}
    try:
        if path.stat().st_size != states_bytes(tokens, hidden, precision):
            return None
        with path.open("rb", buffering=0) as file:
            header = json.loads(file.read(_HEADER))
            # The file is read, not mapped: every byte of a mapped file would count as memory of this process.
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if header != expected | {"sha256": digest}:
            return None
        os.utime(path)  # `featherweight cache` shows when a file was last used
        return StatesFile(path, tokens, hidden, precision)
    except (OSError, ValueError):
        return None
