"""The bytes of a data file, unpacked if it is compressed: gzip, zstd, bzip2, xz, or a zip archive of one file."""

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
from featherweight.hints import to_install

COMPRESSED = (".gz", ".zst", ".zstd", ".bz2", ".xz")
ZIP = b"PK\x03\x04"
HEAD = 2**16
"""Number of bytes at the start of a file that are used to detect its kind, encoding and dialect."""
DAMAGED = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, gzip.BadGzipFile)
"""Exceptions of the unpacking libraries for a damaged file; zstd raises an OSError without an error number."""
_GZIP, _ZSTD, _BZIP2, _XZ = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ\x00"
_MAGIC = max(map(len, (_GZIP, _ZSTD, _BZIP2, _XZ)))


@dataclass(frozen=True)
class Content:
    """The content of a data file, which can be opened several times."""

    path: Path
    origin: str
    """Name of the file in messages."""
    member: str | None = None
    """Name of the file in the zip archive ``path``; None if ``path`` is the file itself."""

    @property
    def name(self) -> str:
        """The file name, whose extension says what kind of file it is."""
        return self.path.name if self.member is None else self.member.rsplit("/", 1)[-1]

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The unpacked bytes. The first bytes of the file, not its name, decide how it is unpacked."""
        with ExitStack() as stack:
            with self._raw() as file:
                start = file.read(_MAGIC)
            yield _unpacked(stack.enter_context(self._raw()), start, stack, self.origin)

    def head(self, size: int = HEAD) -> bytes:
        """The first ``size`` unpacked bytes; empty if the file is damaged."""
        try:
            with self.open() as file:
                return file.read(size)
        except (*DAMAGED, OSError):
            return b""  # the reader of the file will raise the error with a better message

    def is_packed(self) -> bool:
        """Whether the file is compressed or in an archive."""
        with self.path.open("rb") as file:
            start = file.read(_MAGIC)
        return self.member is not None or start.startswith((_GZIP, _ZSTD, _BZIP2, _XZ))

    def damaged(self, error: Exception) -> UserError:
        """The error for a file that cannot be unpacked."""
        with self.path.open("rb") as file:
            kind = "gzip file" if file.read(2) == _GZIP else "file"
        return UserError(f"{self.origin}: damaged {kind}: {error or 'it ends too soon'}; get the file again")

    @contextmanager
    def _raw(self) -> Iterator[IO[bytes]]:
        if self.member is None:
            with self.path.open("rb") as file:
                yield file
            return
        with zipfile.ZipFile(self.path) as archive:
            try:
                opened = archive.open(self.member)
            except (RuntimeError, NotImplementedError) as error:  # encrypted, or of an unsupported compression method
                raise UserError(
                    f"{self.origin}: cannot be unpacked ({error}); "
                    "unpack it yourself, and use the path of the unpacked file"
                ) from None
            with opened:
                yield opened


def _unpacked(file: IO[bytes], start: bytes, stack: ExitStack, origin: str) -> BinaryIO:
    if start.startswith(_ZSTD):
        try:
            import pyarrow
        except ImportError:
            raise UserError(
                f"{origin}: .zst files need pyarrow: {to_install('pyarrow')}; or unpack it: zstd -d FILE"
            ) from None

        return cast(BinaryIO, stack.enter_context(pyarrow.input_stream(file, compression="zstd")))
    for magic, opened in ((_GZIP, gzip.open), (_BZIP2, bz2.open), (_XZ, lzma.open)):
        if start.startswith(magic):
            return cast(BinaryIO, stack.enter_context(opened(file)))
    return cast(BinaryIO, file)
