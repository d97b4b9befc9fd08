"""Token numbers in a file of NumPy's own kind, written as they come and read a piece at a time."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from featherweight.cache import is_left_over
from featherweight.data.readers.columns import read_at
from featherweight.files import replace_file

_BLOCK = 2**20  # bytes that the checksum takes at a time


class TokenFile:
    """Token numbers (int32) of a file; a slice reads as many of them.

    The file is read, not mapped: every page of a mapped file would count as this process's memory.
    """

    dtype = np.dtype(np.int32)

    def __init__(self, path: Path) -> None:
        """Raises OSError and ValueError for what is no such file."""
        self._file: IO[bytes] = path.open("rb", buffering=0)
        self._tokens = (path.stat().st_size - len(_header(0))) // 4
        # Compared, not parsed: a damaged header may raise anything.
        if self._tokens < 0 or self._file.read(len(_header(0))) != _header(self._tokens):
            self._file.close()
            raise ValueError(f"{path}: not whole, or not token numbers")

    def __len__(self) -> int:
        return self._tokens

    def __getitem__(self, place: slice) -> NDArray[np.int32]:
        start, stop, _ = place.indices(len(self))
        data = read_at(self._file.fileno(), 4 * max(0, stop - start), len(_header(0)) + 4 * start)
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
        file.write(_header(0))
        for piece in pieces:
            file.write(piece.data)
            count, checksum = count + len(piece), zlib.crc32(piece.data, checksum)
        file.seek(0)
        file.write(_header(count))

    for part in path.parent.glob(f".*{path.suffix}.*.part"):
        if is_left_over(part):
            part.unlink(missing_ok=True)
    replace_file(path, write)
    return checksum


@cache
def _header(tokens: int) -> bytes:
    """NumPy's header; of the same length for any number, for which it leaves room to grow."""
    header = io.BytesIO()
    npy.write_array_header_1_0(header, {"descr": "<i4", "fortran_order": False, "shape": (tokens,)})
    return header.getvalue()
