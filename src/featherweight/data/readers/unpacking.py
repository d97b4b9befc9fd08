"""The bytes of a data file: as they are, or unpacked from gzip, zstd, bzip2, xz or a zip archive of one file."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

from featherweight.errors import UserError

COMPRESSED = (".gz", ".zst", ".zstd", ".bz2", ".xz")
ZIP = b"PK\x03\x04"
HEAD = 2**16
"""First bytes of a file by which its kind, its encoding and its dialect are told."""
DAMAGED = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, gzip.BadGzipFile)
"""What the unpacking libraries raise for a damaged file; zstd raises an OSError without a number."""
_GZIP, _ZSTD, _BZIP2, _XZ = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ\x00"
_MAGIC = max(map(len, (_GZIP, _ZSTD, _BZIP2, _XZ)))


@dataclass(frozen=True)
class Content:
    """The content of a data file, which may be opened as often as one likes."""

    path: Path
    origin: str
    """What messages call it."""
    member: str | None = None
    """Its name in the zip archive ``path``; None where ``path`` is the file itself."""

    @property
    def name(self) -> str:
        """The name whose ending says the kind of file."""
        return self.path.name if self.member is None else self.member.rsplit("/", 1)[-1]

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The unpacked bytes; the first bytes tell the compression, whatever the name says."""
        with ExitStack() as stack:
            with self._raw() as file:
                start = file.read(_MAGIC)
            yield _unpacked(stack.enter_context(self._raw()), start, stack)

    def head(self, size: int = HEAD) -> bytes:
        """The first ``size`` unpacked bytes; what can be read of them where the file is damaged."""
        try:
            with self.open() as file:
                return file.read(size)
        except (*DAMAGED, OSError):
            return b""  # its reader says better what is wrong

    def is_packed(self) -> bool:
        """Whether the bytes on the disk are others than the content."""
        with self.path.open("rb") as file:
            start = file.read(_MAGIC)
        return self.member is not None or start.startswith((_GZIP, _ZSTD, _BZIP2, _XZ))

    def damaged(self, error: Exception) -> UserError:
        """The refusal of a file that cannot be unpacked."""
        with self.path.open("rb") as file:
            kind = "gzip file" if file.read(2) == _GZIP else "file"
        return UserError(f"{self.origin}: damaged {kind}: {error or 'it ends too soon'}")

    @contextmanager
    def _raw(self) -> Iterator[IO[bytes]]:
        if self.member is None:
            with self.path.open("rb") as file:
                yield file
            return
        with zipfile.ZipFile(self.path) as archive:
            try:
                opened = archive.open(self.member)
            except (RuntimeError, NotImplementedError) as error:  # encrypted, or compressed in a rare way
                raise UserError(
                    f"{self.origin}: cannot be unpacked ({error}); unpack it, and name the file in it"
                ) from None
            with opened:
                yield opened


def _unpacked(file: IO[bytes], start: bytes, stack: ExitStack) -> BinaryIO:
    if start.startswith(_ZSTD):
        import pyarrow

        return cast(BinaryIO, stack.enter_context(pyarrow.input_stream(file, compression="zstd")))
    for magic, opened in ((_GZIP, gzip.open), (_BZIP2, bz2.open), (_XZ, lzma.open)):
        if start.startswith(magic):
            return cast(BinaryIO, stack.enter_context(opened(file)))
    return cast(BinaryIO, file)
