"""Texts as token numbers: encoded once, kept in the cache, read back a piece at a time."""

from __future__ import annotations

import hashlib
import itertools
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from featherweight.data.readers.columns import CHUNK
from featherweight.data.sources import Rows
from featherweight.data.token_file import TokenFile, write_tokens
from featherweight.errors import UserError
from featherweight.files import replace_file

if TYPE_CHECKING:
    import torch

_Kept = tuple[NDArray[np.int32] | TokenFile, NDArray[np.int64], int]  # tokens, offsets, cut rows


class States(Protocol):
    """Stored outputs of the frozen layers for some texts."""

    def padded(self, rows: NDArray[np.int64]) -> torch.Tensor:
        """States [b, t, hidden] of the texts at ``rows``, padded with zeros to the longest of them."""


@dataclass(frozen=True, eq=False)
class Encoded:
    """Token numbers of n texts, one after the other."""

    tokens: NDArray[np.int32] | TokenFile
    """All tokens, special ones included; slices of a file are read as they are asked for."""
    offsets: NDArray[np.int64]
    """Where each text starts, and at the end the number of tokens: n + 1 numbers."""
    labels: NDArray[np.integer[Any]] | None
    """Class numbers, one a text; or 0 and 1 [n, classes], where a text may have several."""
    cut_rows: int
    """How many texts were longer than the greatest length, and were cut."""
    fingerprint: str
    """SHA-256 over the texts, the tokenizer and the greatest length."""
    states: States | None = None
    """Outputs of the frozen layers for the texts, where they are stored."""

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each text; asked for at every step, so counted once."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1


def encode(rows: Rows, tokenizer: Any, max_length: int, cache: Path | None = None) -> Encoded:
    """Token numbers of ``rows``, each text cut to ``max_length`` tokens, special ones included.

    ``tokenizer`` is a fast tokenizer of transformers; its settings stay as they are. With a ``cache`` folder the tokens
    are kept there by fingerprint and found again; a damaged file is made anew. Labels are never cached.
    Raises UserError where the tokenizer cannot serve.
    """
    own = _own(tokenizer)
    fingerprint = _fingerprint(rows.texts, own.identity, max_length)
    kept = _load(cache, fingerprint, len(rows)) if cache else None
    if kept is None and cache:
        kept = _tokenized_into(cache, fingerprint, rows.texts, own.backend, max_length)
    if kept is None:
        sizes = _Sizes(len(rows))
        pieces = [np.zeros(0, np.int32), *_tokenized(rows.texts, own.backend, max_length, sizes)]
        kept = np.concatenate(pieces), np.cumsum(sizes.before), sizes.cut_rows
    tokens, offsets, cut_rows = kept
    return Encoded(tokens, offsets, rows.labels, cut_rows, fingerprint)


def fingerprint(rows: Rows, tokenizer: Any, max_length: int) -> str:
    """The fingerprint that ``encode`` would give to ``rows``, without encoding them."""
    return _fingerprint(rows.texts, _own(tokenizer).identity, max_length)


def token_lengths(texts: Sequence[str], tokenizer: Any) -> NDArray[np.int64]:
    """Tokens that each text would have without any cut, special ones included."""
    backend = _own(tokenizer).backend
    backend.no_truncation()
    chunks = (backend.encode_batch_fast(texts[start : start + CHUNK]) for start in range(0, len(texts), CHUNK))
    return np.fromiter((len(encoding.ids) for chunk in chunks for encoding in chunk), np.int64, len(texts))


class _Own(NamedTuple):
    """A copy of the caller's tokenizer, so that the caller's truncation and padding stay as they are."""

    backend: Any
    identity: bytes
    """SHA-256 of all that decides the tokens but the greatest length."""


_OWN: WeakKeyDictionary[Any, _Own] = WeakKeyDictionary()  # building one takes longer than classifying a text


def _own(tokenizer: Any) -> _Own:
    if not getattr(tokenizer, "is_fast", False):
        raise UserError("the backbone brings no fast tokenizer (tokenizer.json); choose a backbone that has one")
    if tokenizer not in _OWN:
        from tokenizers import Tokenizer

        serialized = tokenizer.backend_tokenizer.to_str()
        backend = Tokenizer.from_str(serialized)
        backend.no_padding()
        settings = json.loads(serialized)
        # These two change with every call of a tokenizer and say nothing about its vocabulary.
        settings.pop("truncation", None)
        settings.pop("padding", None)
        _OWN[tokenizer] = _Own(backend, hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).digest())
    return _OWN[tokenizer]


def _fingerprint(texts: Sequence[str], identity: bytes, max_length: int) -> str:
    digest = hashlib.sha256(identity + max_length.to_bytes(8))
    digest.update(np.fromiter(map(len, texts), np.int64, len(texts)).tobytes())
    for start in range(0, len(texts), CHUNK):
        digest.update("".join(texts[start : start + CHUNK]).encode())
    return digest.hexdigest()


class _Sizes:
    """Lengths of n texts, and how many of them were cut."""

    def __init__(self, rows: int) -> None:
        self.before = np.zeros(rows + 1, np.int64)
        """Tokens of the text before each one, and at the end of the last one."""
        self.cut_rows = 0


def _tokenized(texts: Sequence[str], backend: Any, max_length: int, sizes: _Sizes) -> Iterator[NDArray[np.int32]]:
    """The tokens of ``texts`` a chunk at a time; fills ``sizes``."""
    backend.enable_truncation(max_length)
    for start in range(0, len(texts), CHUNK):
        encodings = backend.encode_batch_fast(texts[start : start + CHUNK])
        ids = [encoding.ids for encoding in encodings]
        sizes.before[start + 1 : start + 1 + len(ids)] = [len(row) for row in ids]
        longest = (encoding for encoding in encodings if len(encoding) == max_length)
        sizes.cut_rows += sum(bool(encoding.overflowing) for encoding in longest)
        yield np.fromiter(itertools.chain.from_iterable(ids), np.int32)


def _files(cache: Path, fingerprint: str) -> tuple[Path, Path]:
    folder = cache / "encoded"
    return folder / f"{fingerprint}.tokens.npy", folder / f"{fingerprint}.rows.npy"


def _tokenized_into(cache: Path, fingerprint: str, texts: Sequence[str], backend: Any, max_length: int) -> _Kept | None:
    """Tokens and sizes, written into the cache and found there; None where the disk refuses."""
    tokens_file, rows_file = _files(cache, fingerprint)
    sizes = _Sizes(len(texts))
    try:
        checksum = write_tokens(tokens_file, _tokenized(texts, backend, max_length, sizes))
    except OSError:  # a full or read-only disk costs the next run some seconds, and nothing else
        return None
    try:
        numbers = np.concatenate([[sizes.cut_rows], np.cumsum(sizes.before)])
        whole = np.concatenate([[zlib.crc32(numbers.tobytes(), checksum)], numbers])
        replace_file(rows_file, lambda file: np.save(file, whole))
    except OSError:
        with suppress(OSError):
            if not rows_file.exists():  # of no use alone, unless another process is just writing its other half
                tokens_file.unlink(missing_ok=True)
        return None
    return _load(cache, fingerprint, len(texts))


def _load(cache: Path, fingerprint: str, rows: int) -> _Kept | None:
    """What is kept; None where there is nothing, or where it is not whole."""
    tokens_file, rows_file = _files(cache, fingerprint)
    try:
        tokens, numbers = TokenFile(tokens_file), np.load(rows_file)
    except (OSError, ValueError, EOFError):
        return None
    if numbers.dtype != np.int64 or numbers.shape != (rows + 3,):
        return None
    whole = numbers[-1] == len(tokens) and numbers[0] == zlib.crc32(numbers[1:].tobytes(), tokens.checksum)
    return (tokens, numbers[2:], int(numbers[1])) if whole else None
