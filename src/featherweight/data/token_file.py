"""A file of token ids in NumPy's format (.npy), written in chunks and read slice by slice."""

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

_BLOCK = 2**20  # number of bytes per update of the checksum


class TokenFile:
    """The token ids (int32) in a file; a slice reads only its part of the file.

    The file is read, not memory-mapped: every page of a mapped file would count as memory of this process.
    """

    dtype = np.dtype(np.int32)

    def __init__(self, path: Path) -> None:
        """Open the file; raises OSError or ValueError if it is not a complete file of token ids."""
        self._file: IO[bytes] = path.open("rb", buffering=0)
        self._tokens = (path.stat().st_size - len(_header(0))) // 4
        # The header is compared, not parsed: parsing a damaged header may raise any exception.
        if self._tokens < 0 or self._file.read(len(_header(0))) != _header(self._tokens):
            self._file.close()
            raise ValueError(f"{path}: incomplete, or not a file of token ids")

    def __len__(self) -> int:
        return self._tokens

    def __getitem__(self, place: slice) -> NDArray[np.int32]:
        start, stop, _ = place.indices(len(self))
        data = read_at(self._file.fileno(), 4 * max(0, stop - start), len(_header(0)) + 4 * start)
        return np.frombuffer(data, self.dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """All token ids as an array in memory."""
        return self[:].astype(dtype or self.dtype)

    @property
    def checksum(self) -> int:
        """CRC-32 of all token ids; reads the whole file."""
        found = 0
        for start in range(0, len(self), _BLOCK // 4):
            found = zlib.crc32(self[start : start + _BLOCK // 4].data, found)
        return found


def write_tokens(path: Path, pieces: Iterable[NDArray[np.int32]]) -> int:
    """Write the token ids in ``pieces`` to the file ``path``, atomically, and return the CRC-32 of all token ids.

    Raises OSError if the disk is full or not writable.
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
    """The header of a .npy file; its length is the same for any number of tokens."""
    header = io.BytesIO()
    npy.write_array_header_1_0(header, {"descr": "<i4", "fortran_order": False, "shape": (tokens,)})
    return header.getvalue()
