"""Texts as token numbers: encoded once, kept in the cache, read back without loading them into memory."""

from __future__ import annotations

import hashlib
import itertools
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from featherweight.data.cache import replace_file
from featherweight.data.sources import Rows
from featherweight.errors import UserError

if TYPE_CHECKING:
    from featherweight.data.states import KeptStates

_Kept = tuple[NDArray[np.int32], NDArray[np.int64], int]  # tokens, offsets, cut rows
_CHUNK = 2_000  # texts handed to the tokenizer at a time: enough to keep its threads busy, little memory


@dataclass(frozen=True, eq=False)
class Encoded:
    """Token numbers of n texts, one after the other."""

    tokens: NDArray[np.int32]
    """All tokens, special ones included; it may be a file mapped into memory."""
    offsets: NDArray[np.int64]
    """Where each text starts, and at the end the number of tokens: n + 1 numbers."""
    labels: NDArray[np.int64] | None
    """Class numbers, one a text."""
    cut_rows: int
    """How many texts were longer than the greatest length, and were cut."""
    fingerprint: str
    """SHA-256 over the texts, the tokenizer and the greatest length."""
    states: KeptStates | None = None
    """What the frozen layers make of the texts, where that is kept."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each text."""
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
    if kept is None:
        kept = _tokenize(rows.texts, own.backend, max_length)
        kept = _store(cache, fingerprint, *kept) if cache else kept
    tokens, offsets, cut_rows = kept
    return Encoded(tokens, offsets, rows.labels, cut_rows, fingerprint)


def fingerprint(rows: Rows, tokenizer: Any, max_length: int) -> str:
    """The fingerprint that ``encode`` would give to ``rows``, without encoding them."""
    return _fingerprint(rows.texts, _own(tokenizer).identity, max_length)


def token_lengths(texts: Sequence[str], tokenizer: Any) -> NDArray[np.int64]:
    """Tokens that each text would have without any cut, special ones included."""
    backend = _own(tokenizer).backend
    backend.no_truncation()
    chunks = (backend.encode_batch_fast(texts[start : start + _CHUNK]) for start in range(0, len(texts), _CHUNK))
    return np.fromiter((len(encoding.ids) for chunk in chunks for encoding in chunk), np.int64, len(texts))


class _Own(NamedTuple):
    """A tokenizer of our own, so that cutting and padding are not changed under the caller's hands."""

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
    digest.update(np.array([len(text) for text in texts], np.int64).tobytes())
    for start in range(0, len(texts), _CHUNK):
        digest.update("".join(texts[start : start + _CHUNK]).encode())
    return digest.hexdigest()


def _tokenize(texts: Sequence[str], backend: Any, max_length: int) -> _Kept:
    backend.enable_truncation(max_length)
    parts = [np.zeros(0, np.int32)]
    offsets = np.zeros(len(texts) + 1, np.int64)
    cut_rows = 0
    for start in range(0, len(texts), _CHUNK):
        encodings = backend.encode_batch_fast(texts[start : start + _CHUNK])
        ids = [encoding.ids for encoding in encodings]
        offsets[start + 1 : start + 1 + len(ids)] = [len(row) for row in ids]
        parts.append(np.fromiter(itertools.chain.from_iterable(ids), np.int32))
        longest = (encoding for encoding in encodings if len(encoding) == max_length)
        cut_rows += sum(bool(encoding.overflowing) for encoding in longest)
    return np.concatenate(parts), np.cumsum(offsets), cut_rows


def _files(cache: Path, fingerprint: str) -> tuple[Path, Path]:
    folder = cache / "encoded"
    return folder / f"{fingerprint}.tokens.npy", folder / f"{fingerprint}.rows.npy"


def _checksum(tokens: NDArray[np.int32], numbers: NDArray[np.int64]) -> int:
    return zlib.crc32(tokens.data, zlib.crc32(numbers.tobytes()))


def _store(
    cache: Path, fingerprint: str, tokens: NDArray[np.int32], offsets: NDArray[np.int64], cut_rows: int
) -> _Kept:
    """Keep the arrays; what comes back is read from the cache, or the arrays themselves where the disk refuses."""
    numbers = np.concatenate([[cut_rows], offsets])
    tokens_file, rows_file = _files(cache, fingerprint)
    try:
        replace_file(tokens_file, lambda file: np.save(file, tokens))
        replace_file(rows_file, lambda file: np.save(file, np.concatenate([[_checksum(tokens, numbers)], numbers])))
    except OSError:  # a full or read-only disk costs the next run some seconds, and nothing else
        return tokens, offsets, cut_rows
    return _load(cache, fingerprint, len(offsets) - 1) or (tokens, offsets, cut_rows)


def _load(cache: Path, fingerprint: str, rows: int) -> _Kept | None:
    """The kept arrays; None where there are none, or where they are not whole."""
    tokens_file, rows_file = _files(cache, fingerprint)
    try:
        tokens = np.asarray(np.load(tokens_file, mmap_mode="r"))
        numbers = np.load(rows_file)
    except (OSError, ValueError, EOFError):
        return None
    if numbers.dtype != np.int64 or numbers.shape != (rows + 3,) or tokens.dtype != np.int32 or tokens.ndim != 1:
        return None
    checksum, offsets = numbers[0], numbers[2:]
    whole = offsets[-1] == len(tokens) and checksum == _checksum(tokens, numbers[1:])
    return (tokens, offsets, int(numbers[1])) if whole else None
