"""Hidden states of many texts in one file: written once, whole or not at all, and read a batch at a time.

A file is a header of JSON, then the states of all tokens one after the other. The header is written last and holds the
checksum of the rest; only then the file gets its name.
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
_HEADER = 4096  # a page, so that the states begin on one
_FORMAT = 1
# numpy has no bf16: its bits as they are.
_KINDS: dict[str, np.dtype[Any]] = {"bf16": np.dtype(np.int16), "fp32": np.dtype(np.float32)}


class StatesFile:
    """States [tokens, hidden] in a file mapped into memory."""

    def __init__(self, path: Path, tokens: int, hidden: int, precision: str) -> None:
        self.path = path
        self._precision = precision
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._states = np.frombuffer(self._map, _KINDS[precision], offset=_HEADER).reshape(tokens, hidden)

    def tokens(self, first: int, end: int) -> NDArray:
        """States [end - first, hidden] of the tokens from ``first`` on; bf16 as int16 bits."""
        return self._states[first:end]

    def padded(self, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> torch.Tensor:
        """States [b, t, hidden] of b texts whose first tokens are at ``starts``; zero behind the end of a text."""
        import torch

        out = np.zeros((len(starts), int(lengths.max()), self._states.shape[1]), self._states.dtype)
        for row, (start, length) in enumerate(zip(starts.tolist(), lengths.tolist(), strict=True)):
            out[row, :length] = self._states[start : start + length]
        # What was read stays in the system's cache of files; it need not count as this process's memory as well.
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)
        states = torch.from_numpy(out)
        return states.view(torch.bfloat16) if self._precision == "bf16" else states


@dataclass(frozen=True, eq=False)
class KeptStates:
    """The states of one part of the data, as places in a file."""

    file: StatesFile
    starts: NDArray[np.int64]
    """Place of each text's first token."""
    lengths: NDArray[np.int64]
    """Tokens of each text."""

    def padded(self, rows: NDArray[np.int64]) -> torch.Tensor:
        """States [b, t, hidden] of the texts at ``rows``, padded with zeros to the longest of them."""
        return self.file.padded(self.starts[rows], self.lengths[rows])


def states_bytes(tokens: int, hidden: int, precision: str) -> int:
    """Size of the file that holds the states of so many tokens."""
    return _HEADER + tokens * hidden * _KINDS[precision].itemsize


def write_states(path: Path, tokens: int, hidden: int, precision: str, chunks: Iterable[NDArray]) -> None:
    """Write ``chunks`` of states [some, hidden], in the file's own type, one after the other; all of them or nothing.

    Of two processes that write the same file the later one replaces the earlier one's, and whoever has that one open
    keeps it. Raises OSError where the disk refuses, and what ``chunks`` raises.
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
    """The file at ``path`` with a verified checksum; None where it is missing, damaged, or holds other states."""
    expected = {"format": _FORMAT, "tokens": tokens, "hidden": hidden, "precision": precision}
    try:
        if path.stat().st_size != states_bytes(tokens, hidden, precision):
            return None
        with path.open("rb", buffering=0) as file:
            header = json.loads(file.read(_HEADER))
            # Read, not mapped: every byte of a mapped file would count as this process's memory.
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if header != expected | {"sha256": digest}:
            return None
        os.utime(path)  # the list of the cache's contents says when a file was last used
        return StatesFile(path, tokens, hidden, precision)
    except (OSError, ValueError):
        return None
