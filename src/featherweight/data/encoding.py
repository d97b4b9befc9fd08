"""Converts texts to token ids, which are computed once, cached on the disk, and read in chunks."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from featherweight.data.long_texts import LongTexts
from featherweight.data.pairs import Text, sides_of
from featherweight.data.readers.columns import CHUNK
from featherweight.data.sources import Rows
from featherweight.data.token_file import TokenFile, write_tokens
from featherweight.data.tokenizing import Sizes, own_tokenizer, tokenized
from featherweight.files import replace_file

if TYPE_CHECKING:
    import torch

_FORMAT = 1
"""Version of the cached tokens; to be raised when texts are cut or marked otherwise."""


class States(Protocol):
    """Stored outputs of the backbone's frozen first layers, so that a training need not compute them in each epoch."""

    def padded(self, rows: NDArray[np.int64]) -> torch.Tensor:
        """States [b, t, hidden] of the texts with the indices ``rows``, padded with zeros to the longest text."""


@dataclass(frozen=True, eq=False)
class Encoded:
    """The token ids of n texts, one text after the other."""

    tokens: NDArray[np.int32] | TokenFile
    """All token ids, including special tokens; if they are in a file, slices are read when they are used."""
    offsets: NDArray[np.int64]
    """Index of the first token of each text (or of each window), followed by the number of all tokens."""
    labels: NDArray[np.integer[Any]] | None
    """Class numbers, one per text; or 0 and 1 [n, classes] if a text may have several labels."""
    cut_rows: int
    """Number of texts that were longer than the maximum length and were truncated."""
    fingerprint: str
    """SHA-256 of the texts, the tokenizer, the maximum length, and how longer texts are treated."""
    states: States | None = None
    """Cached outputs of the frozen layers for the texts; None if there are none."""
    seconds: NDArray[np.int64] | None = None
    """For pairs of texts: how many tokens of each pair, from its start, have token type 0 [n]; the rest has type 1."""
    windows: NDArray[np.int64] | None = None
    """Number of windows of each text [n]; None if texts are not read in windows."""
    cut_tokens: int = 0
    """Number of tokens that were cut off."""

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Number of tokens of each text, in all its windows [n]; computed once, because every step uses it."""
        return np.diff(self.offsets if self.windows is None else self.offsets[self._firsts])

    @cached_property
    def by_window(self) -> Encoded:
        """The same tokens with each window as a text of its own, without labels; ``self`` if there are no windows."""
        return self if self.windows is None else replace(self, labels=None, windows=None)

    @property
    def cut_share(self) -> float:
        """Share of all tokens that were cut off."""
        return self.cut_tokens / max(1, self.cut_tokens + int(self.offsets[-1]))

    def __len__(self) -> int:
        return len(self.offsets) - 1 if self.windows is None else len(self.windows)

    def windows_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The windows of the texts ``rows``, as indices in ``by_window``, text by text."""
        if self.windows is None:
            return rows
        counts = self.windows[rows]
        before = np.cumsum(counts) - counts
        return np.repeat(self._firsts[rows] - before, counts) + np.arange(counts.sum())

    def averaged(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean of ``values`` [windows, k] over the windows of each text, [n, k]."""
        if self.windows is None or not len(self):
            return values
        return np.add.reduceat(values, self._firsts[:-1], axis=0) / self.windows[:, None]

    def texts_begun(self, places: NDArray[np.int64]) -> int:
        """Number of texts whose first window is among ``places``, the indices of some windows of all texts.

        A progress bar counts texts with it: if windows are predicted in any order, each text is counted once.
        """
        return len(places) if self.windows is None else int(np.isin(places, self._firsts[:-1]).sum())

    @cached_property
    def _firsts(self) -> NDArray[np.int64]:
        """Index of the first window of each text, and the number of all windows, [n + 1]."""
        assert self.windows is not None
        return np.concatenate([[0], np.cumsum(self.windows)])


def encode(rows: Rows, tokenizer: Any, long_texts: LongTexts, cache: Path | None = None) -> Encoded:
    """The token ids of ``rows``; ``long_texts`` has the maximum length and says how longer texts are treated.

    A pair is encoded and truncated as by ``tokenizer(first, second, truncation=True)``: the longer text loses its end.
    ``tokenizer`` is a fast tokenizer of transformers; its settings do not change. If ``cache`` is a folder, the tokens
    are stored there by fingerprint and reused; a damaged file is replaced. Labels are never cached. Raises UserError if
    the tokenizer cannot be used, or the maximum length leaves no room for a text.
    """
    own = own_tokenizer(tokenizer)
    pairs = len(sides_of(rows.texts)) == 2
    long_texts.require_room(own.backend.num_special_tokens_to_add(pairs), pairs=pairs)
    fingerprint = _fingerprint(rows.texts, own.identity, long_texts)
    sizes = Sizes(len(rows), pairs=pairs, windows=long_texts.windows)
    tokens: NDArray[np.int32] | TokenFile | None = None
    if cache:
        tokens = _load(cache, fingerprint, sizes)
        if tokens is None:
            tokens = _keep(cache, fingerprint, tokenized(rows.texts, own, long_texts, sizes), sizes)
    if tokens is None:
        tokens = np.concatenate([np.zeros(0, np.int32), *tokenized(rows.texts, own, long_texts, sizes)])
    return Encoded(
        tokens,
        sizes.offsets,
        rows.labels,
        sizes.cut_rows,
        fingerprint,
        # Only some tokenizers use token types: BERT's does, RoBERTa's does not.
        seconds=sizes.seconds if pairs and "token_type_ids" in tokenizer.model_input_names else None,
        windows=sizes.windows if long_texts.windows else None,
        cut_tokens=sizes.cut_tokens,
    )


def fingerprint(rows: Rows, tokenizer: Any, long_texts: LongTexts) -> str:
    """The same fingerprint of ``rows`` as from ``encode``, but without tokenizing them."""
    return _fingerprint(rows.texts, own_tokenizer(tokenizer).identity, long_texts)


def _fingerprint(texts: Sequence[Text], identity: bytes, long_texts: LongTexts) -> str:
    digest = hashlib.sha256(identity + long_texts.identity)
    sides = sides_of(texts)
    if len(sides) == 2:
        digest.update(b"pairs")
    for side in sides:
        digest.update(np.fromiter(map(len, side), np.int64, len(side)).tobytes())
        for start in range(0, len(side), CHUNK):
            digest.update("".join(side[start : start + CHUNK]).encode())
    return digest.hexdigest()


def _files(cache: Path, fingerprint: str) -> tuple[Path, Path]:
    from tokenizers import __version__

    # Another version may tokenize otherwise. The fingerprint of the texts, which runs store, has no version.
    name = hashlib.sha256(f"{_FORMAT} {__version__} {fingerprint}".encode()).hexdigest()
    folder = cache / "encoded"
    return folder / f"{name}.tokens.npy", folder / f"{name}.rows.npy"


def _keep(cache: Path, fingerprint: str, pieces: Iterable[NDArray[np.int32]], sizes: Sizes) -> TokenFile | None:
    """Write the tokens and their ``sizes`` into the cache, and open the file; None if the disk is full or read-only."""
    tokens_file, rows_file = _files(cache, fingerprint)
    try:
        checksum = write_tokens(tokens_file, pieces)
    except OSError:  # without the cache, the next run takes some seconds longer
        return None
    try:
        numbers = sizes.numbers()
        whole = np.concatenate([[zlib.crc32(numbers.tobytes(), checksum)], numbers])
        replace_file(rows_file, lambda file: np.save(file, whole))
    except OSError:
        with suppress(OSError):
            if (
                not rows_file.exists()
            ):  # the tokens alone are useless; but if rows_file exists, another process wrote both files
                tokens_file.unlink(missing_ok=True)
        return None
    return _load(cache, fingerprint, sizes)


def _load(cache: Path, fingerprint: str, sizes: Sizes) -> TokenFile | None:
    """The cached tokens, or None if they are missing or damaged.

    The numbers of tokens and windows of each text, which are stored beside them, are read into ``sizes``.
    """
    tokens_file, rows_file = _files(cache, fingerprint)
    try:
        tokens, found = TokenFile(tokens_file), np.load(rows_file)
    except (OSError, ValueError, EOFError):
        return None
    if found.dtype != np.int64 or found.ndim != 1 or not len(found):
        return None
    if found[0] != zlib.crc32(found[1:].tobytes(), tokens.checksum):
        return None
    whole = sizes.take_numbers(found[1:]) and sizes.offsets[-1] == len(tokens)
    return tokens if whole else None
