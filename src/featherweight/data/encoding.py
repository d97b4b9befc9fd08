"""Texts as token ids: tokenized once, cached on the disk, and read in chunks."""

from __future__ import annotations

import hashlib
import itertools
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from featherweight.data.pairs import Text, sides_of
from featherweight.data.readers.columns import CHUNK
from featherweight.data.sources import Rows
from featherweight.data.token_file import TokenFile, write_tokens
from featherweight.errors import UserError
from featherweight.files import replace_file

if TYPE_CHECKING:
    import torch


class States(Protocol):
    """Stored outputs of the frozen layers for some texts."""

    def padded(self, rows: NDArray[np.int64]) -> torch.Tensor:
        """States [b, t, hidden] of the texts with the indices ``rows``, padded with zeros to the longest text."""


@dataclass(frozen=True, eq=False)
class Encoded:
    """The token ids of n texts, one text after the other."""

    tokens: NDArray[np.int32] | TokenFile
    """All token ids, including special tokens; a slice of a file is read when it is used."""
    offsets: NDArray[np.int64]
    """Index of the first token of each text, and the number of all tokens, [n + 1]."""
    labels: NDArray[np.integer[Any]] | None
    """Class numbers, one a text; or 0 and 1 [n, classes], where a text may have several."""
    cut_rows: int
    """Number of texts that were longer than the maximum length and were truncated."""
    fingerprint: str
    """SHA-256 of the texts, the tokenizer and the maximum length."""
    states: States | None = None
    """Cached outputs of the frozen layers for the texts; None if there are none."""
    seconds: NDArray[np.int64] | None = None
    """Of pairs, how many tokens of each have token type 0; those behind them are of type 1 [n]."""

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Number of tokens of each text [n]; computed once, because every step uses it."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1


def encode(rows: Rows, tokenizer: Any, max_length: int, cache: Path | None = None) -> Encoded:
    """The token ids of ``rows``; each text is truncated to ``max_length`` tokens, including special tokens.

    A pair is encoded and truncated as by ``tokenizer(first, second, truncation=True)``: the longer text loses its end.
    ``tokenizer`` is a fast tokenizer of transformers; its settings do not change. If ``cache`` is a folder, the tokens
    are stored there by fingerprint and reused; a damaged file is replaced. Labels are never cached. Raises UserError if
    the tokenizer cannot be used.
    """
    own = _own(tokenizer)
    pairs = len(sides_of(rows.texts)) == 2
    if pairs:
        _require_room_for_both(own.backend, max_length)
    fingerprint = _fingerprint(rows.texts, own.identity, max_length)
    sizes = _Sizes(len(rows), pairs=pairs)
    tokens: NDArray[np.int32] | TokenFile | None = None
    if cache:
        tokens = _load(cache, fingerprint, sizes)
        if tokens is None:
            pieces = _tokenized(rows.texts, own.backend, max_length, sizes)
            tokens = _keep(cache, fingerprint, pieces, sizes)
    if tokens is None:
        pieces = _tokenized(rows.texts, own.backend, max_length, sizes)
        tokens = np.concatenate([np.zeros(0, np.int32), *pieces])
    # Only some tokenizers use token types: BERT's does, RoBERTa's does not.
    seconds = sizes.seconds if pairs and "token_type_ids" in tokenizer.model_input_names else None
    return Encoded(tokens, sizes.offsets, rows.labels, sizes.cut_rows, fingerprint, seconds=seconds)


def fingerprint(rows: Rows, tokenizer: Any, max_length: int) -> str:
    """The fingerprint that ``encode`` gives to ``rows``, without tokenizing them."""
    return _fingerprint(rows.texts, _own(tokenizer).identity, max_length)


def token_lengths(texts: Sequence[Text], tokenizer: Any) -> NDArray[np.int64]:
    """Number of tokens of each text or pair without truncation, including special tokens."""
    backend = _own(tokenizer).backend
    backend.no_truncation()
    chunks = (backend.encode_batch_fast(texts[start : start + CHUNK]) for start in range(0, len(texts), CHUNK))
    return np.fromiter((len(encoding.ids) for chunk in chunks for encoding in chunk), np.int64, len(texts))


def _require_room_for_both(backend: Any, max_length: int) -> None:
    special = backend.num_special_tokens_to_add(True)
    if max_length < special + 2:
        raise UserError(
            f"data.max_length = {max_length}: a pair has {special} special tokens; use {special + 2} or more"
        )


def backend_of(tokenizer: Any) -> Any:
    """A tokenizer of the library tokenizers with the vocabulary of transformers' ``tokenizer``, to be set as needed.

    Raises UserError where it is no fast one.
    """
    return _own(tokenizer).backend


class _Own(NamedTuple):
    """A copy of the caller's tokenizer, so that its settings for truncation and padding do not change."""

    backend: Any
    identity: bytes
    """SHA-256 of everything that determines the tokens, except the maximum length."""


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
        # These two settings change with every call of a tokenizer and do not belong to its vocabulary.
        settings.pop("truncation", None)
        settings.pop("padding", None)
        _OWN[tokenizer] = _Own(backend, hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).digest())
    return _OWN[tokenizer]


def _fingerprint(texts: Sequence[Text], identity: bytes, max_length: int) -> str:
    digest = hashlib.sha256(identity + max_length.to_bytes(8))
    sides = sides_of(texts)
    if len(sides) == 2:
        digest.update(b"pairs")
    for side in sides:
        digest.update(np.fromiter(map(len, side), np.int64, len(side)).tobytes())
        for start in range(0, len(side), CHUNK):
            digest.update("".join(side[start : start + CHUNK]).encode())
    return digest.hexdigest()


class _Sizes:
    """The lengths of n texts or pairs, and the number of truncated ones."""

    def __init__(self, rows: int, *, pairs: bool) -> None:
        self.offsets = np.zeros(rows + 1, np.int64)
        """Number of tokens before each text, and of all texts, [n + 1]."""
        self.seconds = np.zeros(rows if pairs else 0, np.int64)
        """Of each pair, the number of tokens of type 0."""
        self.cut_rows = 0

    def add(self, start: int, encodings: Sequence[Any], ids: Sequence[Sequence[int]], max_length: int) -> None:
        """Add the sizes of texts from index ``start`` on; they must follow those that were added before."""
        lengths = np.fromiter(map(len, ids), np.int64, len(ids))
        self.offsets[start + 1 : start + 1 + len(ids)] = self.offsets[start] + np.cumsum(lengths)
        longest = (encoding for encoding in encodings if len(encoding) == max_length)
        self.cut_rows += sum(bool(encoding.overflowing) for encoding in longest)
        if len(self.seconds):
            self.seconds[start : start + len(ids)] = lengths - [
                _of_type_one(encoding.type_ids) for encoding in encodings
            ]

    def numbers(self) -> NDArray[np.int64]:
        """All sizes in one array, for a file."""
        return np.concatenate([[self.cut_rows], self.offsets, self.seconds])

    def take_numbers(self, numbers: NDArray[np.int64]) -> None:
        """Restore the sizes from an array that ``numbers`` returned for the same number of rows.

        The offsets are not checked and may be wrong.
        """
        self.cut_rows = int(numbers[0])
        self.offsets, self.seconds = np.split(numbers[1:], [len(self.offsets)])


def _of_type_one(types: list[int]) -> int:
    """The number of tokens of type 1. Raises UserError unless they are the last ones and all others have type 0."""
    ones = sum(types)
    if types != [0] * (len(types) - ones) + [1] * ones:
        raise UserError("data.join = 'pair': this backbone's token types are not 0, then 1; use data.join = 'text'")
    return ones


def _tokenized(texts: Sequence[Text], backend: Any, max_length: int, sizes: _Sizes) -> Iterator[NDArray[np.int32]]:
    """Yield the tokens of ``texts`` in chunks, and fill ``sizes``."""
    sizes.cut_rows = 0
    backend.enable_truncation(max_length)
    for start in range(0, len(texts), CHUNK):
        encodings = backend.encode_batch_fast(texts[start : start + CHUNK])
        ids = [encoding.ids for encoding in encodings]
        sizes.add(start, encodings, ids, max_length)
        yield np.fromiter(itertools.chain.from_iterable(ids), np.int32)


def _files(cache: Path, fingerprint: str) -> tuple[Path, Path]:
    folder = cache / "encoded"
    return folder / f"{fingerprint}.tokens.npy", folder / f"{fingerprint}.rows.npy"


def _keep(cache: Path, fingerprint: str, pieces: Iterable[NDArray[np.int32]], sizes: _Sizes) -> TokenFile | None:
    """Write the tokens and their ``sizes`` into the cache, and open the file; None if the disk is full or read-only."""
    tokens_file, rows_file = _files(cache, fingerprint)
    try:
        checksum = write_tokens(tokens_file, pieces)
    except OSError:  # a full or read-only disk costs the next run some seconds, and nothing else
        return None
    try:
        numbers = sizes.numbers()
        whole = np.concatenate([[zlib.crc32(numbers.tobytes(), checksum)], numbers])
        replace_file(rows_file, lambda file: np.save(file, whole))
    except OSError:
        with suppress(OSError):
            if not rows_file.exists():  # of no use alone, unless another process is just writing its other half
                tokens_file.unlink(missing_ok=True)
        return None
    return _load(cache, fingerprint, sizes)


def _load(cache: Path, fingerprint: str, sizes: _Sizes) -> TokenFile | None:
    """The cached tokens, with ``sizes`` filled; None if they are missing or damaged."""
    tokens_file, rows_file = _files(cache, fingerprint)
    try:
        tokens, found = TokenFile(tokens_file), np.load(rows_file)
    except (OSError, ValueError, EOFError):
        return None
    if found.dtype != np.int64 or found.shape != (1 + len(sizes.numbers()),):
        return None
    if found[0] != zlib.crc32(found[1:].tobytes(), tokens.checksum):
        return None
    if found[1 + len(sizes.offsets)] != len(tokens):
        return None
    sizes.take_numbers(found[1:])
    return tokens
