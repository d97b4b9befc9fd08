"""Decodes text files: as UTF-8, by their byte order mark, as the recipe says, or as cp1252 if they are not UTF-8."""

from __future__ import annotations

import codecs
import io
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, TextIO, cast

from featherweight.data.readers.encoding_guess import HIGH, WESTERN, other_script, other_western
from featherweight.data.readers.unpacking import DAMAGED, HEAD, Content
from featherweight.errors import UserError
from featherweight.hints import to_set

PADDING = "\0 \t\r\n"
"""What a line without content consists of; some programs fill the end of a file with NUL bytes."""
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark has the same first bytes
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_UTF8 = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_CUT = re.compile(rb"(?:[\xc2-\xf4]|[\xe0-\xf4][\x80-\xbf]|[\xf0-\xf4][\x80-\xbf]{2})\Z")
"""An incomplete UTF-8 character at the end of a block."""
_WESTERN_RUN = 3
"""Maximum number of adjacent bytes above ASCII in Western text; in other scripts whole words consist of them."""


class FileText:
    """An open text file, and notes for the user on how its bytes were decoded."""

    def __init__(self, lines: TextIO, western: _Western | None, note: str | None) -> None:
        self.lines = lines
        self._western, self._note = western, note

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on the part of the text that has been read so far."""
        if self._western is not None and self._western.is_western:
            told, other = f"its bytes are not UTF-8, and were read as {WESTERN}", self._western.other
            if other:
                return (f"{told}; they may be {other}: if letters look wrong, {to_set(f'data.encoding={other}')}",)
            return (f"{told}; if letters look wrong, name the encoding: {to_set('data.encoding=NAME')}",)
        return (self._note,) if self._note else ()


@contextmanager
def open_text(content: Content, encoding: str | None, *, guess: bool) -> Iterator[FileText]:
    """The text of ``content`` with its original line ends; ``encoding`` is that of the recipe, if it sets one.

    With ``guess``, bytes that are not UTF-8 are decoded as cp1252 if they look like it. Raises UserError if a byte
    cannot be decoded (the message names its line), or if the file is damaged.
    """
    head = content.head()
    found, note = _encoding(head, encoding)
    western = None
    try:
        with content.open() as file:
            raw = file
            if guess and found is None:
                western = _Western(file, content.origin)
                raw = cast(BinaryIO, io.BufferedReader(western, HEAD))
            with io.TextIOWrapper(raw, encoding=found or "utf-8-sig", newline="") as text:
                yield FileText(text, western, note)
    except UnicodeError:
        raise UserError(_wrong_byte(content, found)) from None
    except DAMAGED as error:
        raise content.damaged(error) from None


def head_text(content: Content, encoding: str | None) -> tuple[str, bool]:
    """The beginning of the text, and whether the file goes on after it. Bytes that cannot be decoded become U+FFFD."""
    head = content.head(HEAD + 1)
    found, _ = _encoding(head, encoding)
    if found is None:
        found = "utf-8" if _is_utf8(head) else WESTERN
    return head[:HEAD].decode(found, "replace"), len(head) > HEAD


def decoded(content: bytes, encoding: str | None, origin: str) -> tuple[str, bool]:
    """The text of a whole file, and whether it was decoded as cp1252 because it is not UTF-8.

    Raises UserError if the bytes fit neither, or not the ``encoding`` of the recipe.
    """
    found, _ = _encoding(content, encoding)
    try:
        return content.decode(found or "utf-8"), False
    except UnicodeError as error:
        if found is not None or _is_utf8(content):
            place = f"byte {error.start + 1}" if isinstance(error, UnicodeDecodeError) else "it"
            remedy = "save the file as UTF-8, or set data.encoding to its encoding"
            raise UserError(f"{origin}: {place} cannot be read as {found or 'UTF-8'}; {remedy}") from None
    if not _looks_western(content):
        raise UserError(f"{origin}: {_other_script(content)}")
    return content.decode(WESTERN, _LATIN_1), True


def _encoding(head: bytes, wanted: str | None) -> tuple[str | None, str | None]:
    """The encoding of a file that begins with ``head``, and a note for the user.

    The encoding is that of a byte order mark, or ``wanted`` (the one in the recipe), or UTF-16 if the NUL bytes show
    it; otherwise None. The note is None unless ``wanted`` contradicts the bytes.
    """
    for mark, name in _MARKS.items():
        if head.startswith(mark):
            return name, None
    if wanted is not None and codecs.lookup(wanted).name == "utf-16":
        wanted = "utf-16-be" if head[::2].count(0) > head[1::2].count(0) else "utf-16-le"  # without a mark
    if wanted is not None:
        contradicted = not head.isascii() and _is_utf8(head) and codecs.lookup(wanted).name != "utf-8"
        note = f"read as {wanted} (data.encoding), but its bytes are UTF-8; if letters look wrong, remove data.encoding"
        return wanted, note if contradicted else None
    for name, zeros, others in (("utf-16-le", head[1::2], head[::2]), ("utf-16-be", head[::2], head[1::2])):
        if len(head) >= 8 and zeros.count(0) > len(zeros) // 2 and not others.count(0):
            return name, None
    return None, None


class _Western(io.RawIOBase):
    """A stream that returns UTF-8; if the file is cp1252, it is converted to UTF-8.

    The first block with bytes above ASCII decides whether the file is cp1252, so the file is read only once.
    """

    def __init__(self, file: BinaryIO, origin: str) -> None:
        self._file, self._origin, self._left = file, origin, b""
        self.is_western: bool | None = None
        """None as long as all bytes so far were ASCII."""
        self.other: str | None = None
        """Another Western encoding, if its letters fit the bytes better than those of cp1252."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if not self._left:
            self._left = self._next()
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size

    def _next(self) -> bytes:
        block = self._file.read(HEAD)
        if self.is_western is None and not block.isascii():
            while _CUT.search(block) and (more := self._file.read(1)):
                block += more
            self.is_western = not _is_utf8(block)
            if self.is_western and not _looks_western(block):
                while self._file.read(HEAD):
                    pass  # if the file is damaged, reading on raises that error instead
                raise UserError(f"{self._origin}: {_other_script(block)}")
            self.other = other_western(block) if self.is_western else None
        return block.decode(WESTERN, _LATIN_1).encode() if self.is_western else block


_LATIN_1 = "featherweight-latin-1"
# Five bytes are undefined in cp1252; programs that write it use them as in latin-1.
codecs.register_error(_LATIN_1, lambda error: (_bytes_of(error).decode("latin-1"), _end_of(error)))


def _bytes_of(error: UnicodeError) -> bytes:
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end]


def _end_of(error: UnicodeError) -> int:
    assert isinstance(error, UnicodeDecodeError)
    return error.end


def _is_utf8(block: bytes) -> bool:
    """Whether most of the bytes above ASCII in a block are UTF-8; its last character may be incomplete."""
    rest, valid = _UTF8.subn(b"", _CUT.sub(b"", block) if len(block) > HEAD else block)
    return valid >= sum(map(len, HIGH.findall(rest)))


def _looks_western(block: bytes) -> bool:
    runs = list(map(len, HIGH.findall(block)))
    return sum(size for size in runs if size > _WESTERN_RUN) <= sum(runs) / 2


def _other_script(block: bytes) -> str:
    """The message for a text that is neither UTF-8 nor Western, with its most likely encoding."""
    if name := other_script(block):
        return f"its bytes are not UTF-8; they may be {name}: try {to_set(f'data.encoding={name}')}"
    encoding = to_set("data.encoding=...")
    return f"its bytes are not UTF-8; set the encoding with {encoding}, or save the file as UTF-8"


def _wrong_byte(content: Content, encoding: str | None) -> str:
    # The text layer decodes in blocks and does not know the line of the error, so search again, line by line.
    if encoding not in (None, "utf-8-sig"):
        return f"{content.origin}: cannot be read as {encoding}; set data.encoding to the encoding of the file"
    try:
        with content.open() as file:
            place = _place_of_wrong_byte(file)
    except DAMAGED as error:  # the compressed file is incomplete
        return str(content.damaged(error))
    return f"{content.origin}: {place} is not UTF-8; save the file as UTF-8, or set data.encoding to its encoding"


def _place_of_wrong_byte(file: BinaryIO) -> str:
    for number, line in enumerate(_lines(file), 1):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as error:
            return f"line {number}, byte {error.start + 1} (0x{line[error.start]:02x})"
    return "a byte"


def _lines(file: BinaryIO) -> Iterator[bytes]:
    rest: list[bytes] = []
    while block := file.read(HEAD):  # by blocks, because the zstd stream cannot iterate over lines
        first, *others = block.split(b"\n")
        rest.append(first)
        for line in others:
            yield b"".join(rest)
            rest = [line]
    yield b"".join(rest)


def without_nul(text: TextIO, origin: str) -> Iterator[str]:
    """The lines of ``text``; a line of NUL bytes, except the first, becomes an empty text, as at the end of some files.

    Raises UserError at any other line with a NUL byte: the file is damaged.
    """
    for number, line in enumerate(text, 1):
        if "\0" in line and (number == 1 or line.strip(PADDING)):
            raise UserError(f"{origin}: line {number} holds a NUL byte, so the file is damaged; save it again as UTF-8")
        yield "" if "\0" in line else line


def noted(lines: Iterable[str], latest: deque[str]) -> Iterator[str]:
    """The ``lines``, each of which is added to ``latest`` before it is yielded."""
    for line in lines:
        latest.append(line)
        yield line


def is_empty_line(latest: Sequence[str]) -> bool:
    """Whether the last of the ``latest`` lines is an empty line, and neither padding nor a part of a line end.

    Padding, the NUL bytes at the end of a file, is an empty text. Some programs end lines with ``\\r\\r\\n``, which is
    read as two line ends.
    """
    line_before = latest[0] if len(latest) > 1 else ""
    return latest[-1] != "" and not (latest[-1] == "\r\n" and line_before.endswith("\r"))
