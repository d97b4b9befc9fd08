"""Tokenizes texts and pairs in chunks, with a copy of the backbone's tokenizer."""

from __future__ import annotations

import hashlib
import itertools
import json
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from featherweight.data.long_texts import Frame, LongTexts, frame_of
from featherweight.data.pairs import Text
from featherweight.data.readers.columns import CHUNK
from featherweight.errors import UserError

_CHUNK_CHARACTERS = 4_000_000
"""Maximum number of characters in a chunk: the tokenizer needs some hundred bytes per token."""


@dataclass(frozen=True, eq=False)
class OwnTokenizer:
    """A copy of a tokenizer without truncation and padding; the settings of the original do not change."""

    backend: Any
    identity: bytes
    """SHA-256 of all settings that determine the tokens, except how long texts are treated."""
    frame: Frame
    truncating: Lock = field(default_factory=Lock)
    """Held while the backend truncates pairs, because truncation is a setting of the backend, not of a call."""


_OWN: WeakKeyDictionary[Any, OwnTokenizer] = WeakKeyDictionary()  # making a copy takes longer than classifying a text


def own_tokenizer(tokenizer: Any) -> OwnTokenizer:
    """The copy of ``tokenizer``, made once and then reused. Raises UserError if it is not fast, or damaged."""
    if not getattr(tokenizer, "is_fast", False):
        raise UserError("the backbone has no fast tokenizer (tokenizer.json); choose a backbone that has one")
    if tokenizer not in _OWN:
        from tokenizers import Tokenizer

        serialized = tokenizer.backend_tokenizer.to_str()
        backend = Tokenizer.from_str(serialized)
        backend.no_padding()
        backend.no_truncation()
        settings = json.loads(serialized)
        # These two settings can change with every call of the tokenizer, and have no effect on the copy.
        settings.pop("truncation", None)
        settings.pop("padding", None)
        identity = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).digest()
        _OWN[tokenizer] = OwnTokenizer(backend, identity, frame_of(backend))
    return _OWN[tokenizer]


class Sizes:
    """The numbers of tokens of n texts or pairs, and the numbers of tokens that were cut off."""

    def __init__(self, rows: int, *, pairs: bool, windows: bool) -> None:
        self._rows, self._pairs, self._windows = rows, pairs, windows
        self.clear()

    def clear(self) -> None:
        """Remove all texts."""
        self._lengths = array("q")
        self.windows: NDArray[np.int64] = np.ones(self._rows if self._windows else 0, np.int64)
        """Number of windows of each text, if texts are read in windows."""
        self.seconds: NDArray[np.int64] = np.zeros(self._rows if self._pairs else 0, np.int64)
        """For each pair of texts, the number of tokens with token type 0."""
        self.cut_rows = 0
        self.cut_tokens = 0

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Number of tokens before each sequence, then the total: int64 [sequences + 1]."""
        return np.concatenate([[0], np.cumsum(self._lengths)]).astype(np.int64)

    def add(self, row: int, sequences: Sequence[Sequence[int]], cut: int) -> None:
        """Add the lengths of ``sequences``, the windows of text ``row``; ``cut`` of its tokens are in no window."""
        self._lengths.extend(map(len, sequences))
        if self._windows:
            self.windows[row] = len(sequences)
        self.cut_rows += cut > 0
        self.cut_tokens += cut

    def numbers(self) -> NDArray[np.int64]:
        """All sizes in one array, for a file."""
        counts = [self.cut_rows, self.cut_tokens, len(self._lengths)]
        return np.concatenate([counts, self._lengths, self.windows, self.seconds]).astype(np.int64)

    def take_numbers(self, numbers: NDArray[np.int64]) -> bool:
        """Restore the sizes from an array that ``numbers`` returned; False if the array has another number of texts."""
        sequences = int(numbers[2]) if len(numbers) > 2 else -1
        expected = [3, sequences, len(self.windows), len(self.seconds)]
        fits = len(numbers) == sum(expected) and sequences >= 0
        counts, lengths, windows, seconds = np.split(numbers, np.cumsum(expected[:-1])) if fits else [numbers[:0]] * 4
        if not fits or int(windows.sum() if self._windows else self._rows) != sequences:
            return False
        self.cut_rows, self.cut_tokens = counts[:2].tolist()
        self._lengths, self.windows, self.seconds = array("q", lengths.tobytes()), windows, seconds
        return True


def tokenized(
    texts: Sequence[Text], own: OwnTokenizer, long_texts: LongTexts, sizes: Sizes
) -> Iterator[NDArray[np.int32]]:
    """Yield the token ids of ``texts`` in chunks, one array per chunk, and store all lengths in ``sizes``."""
    sizes.clear()
    row = 0
    for chunk in _chunks(texts):
        of_pairs = isinstance(chunk[0], tuple)
        rows = _encoded_pairs(chunk, own, long_texts, sizes, row) if of_pairs else _encoded(chunk, own, long_texts)
        tokens: list[list[int]] = []
        for sequences, cut in rows:
            sizes.add(row, sequences, cut)
            tokens += sequences
            row += 1
        yield np.fromiter(itertools.chain.from_iterable(tokens), np.int32)


def token_lengths(texts: Sequence[Text], tokenizer: Any) -> NDArray[np.int64]:
    """Number of tokens of each text or pair without truncation, including special tokens."""
    backend = own_tokenizer(tokenizer).backend
    lengths = (len(encoding.ids) for chunk in _chunks(texts) for encoding in backend.encode_batch_fast(chunk))
    return np.fromiter(lengths, np.int64, len(texts))


def _chunks(texts: Sequence[Text]) -> Iterator[list[Any]]:
    """Split ``texts`` into lists of at most ``CHUNK`` texts, or of fewer texts if they are long."""
    for start in range(0, len(texts), CHUNK):
        chunk: list[Any] = []
        characters = 0
        for text in texts[start : start + CHUNK]:
            size = len(text) if isinstance(text, str) else sum(map(len, text))
            if chunk and characters + size > _CHUNK_CHARACTERS:
                yield chunk
                chunk, characters = [], 0
            chunk.append(text)
            characters += size
        yield chunk


def _encoded(texts: Sequence[str], own: OwnTokenizer, long_texts: LongTexts) -> Iterator[tuple[list[list[int]], int]]:
    """Yield for each text its sequences of token ids, and how many of its tokens were cut off."""
    special = len(own.frame.before) + len(own.frame.after)
    for encoding in own.backend.encode_batch_fast(texts):
        tokens = encoding.ids
        if len(tokens) <= long_texts.max_length:
            yield [tokens], 0
            continue
        room = long_texts.max_length - special
        sequences = long_texts.sequences(own.frame.within(tokens), room)
        cut = 0 if long_texts.windows else len(tokens) - long_texts.max_length
        yield [own.frame.around(sequence) for sequence in sequences], cut


def _encoded_pairs(
    pairs: Sequence[tuple[str, str]], own: OwnTokenizer, long_texts: LongTexts, sizes: Sizes, row: int
) -> Iterator[tuple[list[list[int]], int]]:
    """Yield for each pair its sequence of token ids, and how many tokens the tokenizer cut off.

    Each pair's number of tokens before the second text is stored in ``sizes``; ``row`` is the index of the first pair.
    """
    with own.truncating:
        try:
            direction = "left" if long_texts.how == "tail" else "right"
            own.backend.enable_truncation(long_texts.max_length, direction=direction)
            encodings = own.backend.encode_batch_fast(pairs)
        finally:
            own.backend.no_truncation()
        longest = [place for place, encoding in enumerate(encodings) if len(encoding) == long_texts.max_length]
        uncut = own.backend.encode_batch_fast([pairs[place] for place in longest])
    cut = {place: len(whole) - len(encodings[place]) for place, whole in zip(longest, uncut, strict=True)}
    for place, encoding in enumerate(encodings):
        sizes.seconds[row + place] = len(encoding) - _of_type_one(encoding.type_ids)
        yield [encoding.ids], cut.get(place, 0)


def _of_type_one(types: list[int]) -> int:
    """The number of tokens of type 1. Raises UserError unless ``types`` has the form 0, ..., 0, 1, ..., 1."""
    ones = sum(types)
    if types != [0] * (len(types) - ones) + [1] * ones:
        raise UserError(
            "data.join = 'pair': this backbone does not mark the first text by token type 0 and the second by 1; "
            "use data.join = 'text'"
        )
    return ones
