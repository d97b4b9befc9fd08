"""Token numbers in a file of NumPy's own kind, written as they come and read a piece at a time."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from featherweight.data.cache import replace_file

_BLOCK = 2**20  # bytes that the checksum takes at a time


class TokenFile:
    """Token numbers (int32) of a file; a slice reads as many of them.

    The file is read, not mapped: every page of a mapped file would count as this process's memory.
    """

    dtype = np.dtype(np.int32)

    def __init__(self, path: Path) -> None:
        """Raises OSError and ValueError for what is no such file."""
        self._file: IO[bytes] = path.open("rb", buffering=0)
        version = npy.read_magic(self._file)
        if version != (1, 0):
            raise ValueError(f"{path}: not written here")
        shape, _, dtype = npy.read_array_header_1_0(self._file)
        self._start, self._tokens = self._file.tell(), int(np.prod(shape))
        if len(shape) != 1 or dtype != self.dtype or path.stat().st_size != self._start + 4 * self._tokens:
            raise ValueError(f"{path}: not whole, or not token numbers")

    def __len__(self) -> int:
        return self._tokens

    def __getitem__(self, place: slice) -> NDArray[np.int32]:
        start, stop, _ = place.indices(len(self))
        data = os.pread(self._file.fileno(), 4 * max(0, stop - start), self._start + 4 * start)
        return np.frombuffer(data, self.dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """All of them, in memory."""
        return self[:].astype(dtype or self.dtype)

    @property
    def checksum(self) -> int:
        """CRC-32 of all tokens, read once more."""
        found = 0
        for start in range(0, len(self), _BLOCK // 4):
            found = zlib.crc32(self[start : start + _BLOCK // 4].data, found)
        return found


def write_tokens(path: Path, pieces: Iterable[NDArray[np.int32]]) -> int:
    """Write ``pieces``, one after the other, into the file at ``path``; returns the CRC-32 of all of them.

    Raises OSError where the disk refuses: then ``path`` is as it was.
    """
    count = checksum = 0

    def write(file: IO[bytes]) -> None:
        nonlocal count, checksum
        _write_header(file, 0)
        for piece in pieces:
            file.write(piece.data)
            count, checksum = count + len(piece), zlib.crc32(piece.data, checksum)
        file.seek(0)
        _write_header(file, count)  # as long as the first: NumPy leaves room for the number to grow

    replace_file(path, write)
    return checksum


def _write_header(file: IO[bytes], tokens: int) -> None:
    npy.write_array_header_1_0(file, {"descr": "<i4", "fortran_order": False, "shape": (tokens,)})
