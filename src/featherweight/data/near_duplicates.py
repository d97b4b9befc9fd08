"""Finds texts that are equal or nearly equal, within one set or between two sets such as training and test rows."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

SIMILAR = 0.9
"""Minimum cosine of the TF-IDF vectors of two near-duplicates."""
_BLOCK = 500
"""Number of texts that are compared with all others at once, which limits the memory."""
_COMMON = 0.02
"""Words in more than this share of the texts are ignored: they cost the most time and distinguish texts least."""
_FEW = 500
"""If there are at most this number of texts, no words are ignored."""


@dataclass(frozen=True)
class Pair:
    """The indices of two similar texts, and their similarity: 1 for the same words in the same order."""

    first: int
    second: int
    similarity: float


def similar_pairs(texts: Sequence[str], others: Sequence[str] | None = None) -> list[Pair]:
    """The near-duplicates within ``texts``, or between ``texts`` and ``others``, the most similar first.

    Texts are compared by their words, without case and punctuation: the cosine of their TF-IDF vectors is at least
    ``SIMILAR``. Texts of the same words in the same order have similarity 1. Each repetition of a text is paired only
    with its first occurrence.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    within = others is None
    own = _first_places(texts)
    compared = own if others is None else _first_places(others)
    together = [*own, *(() if within else compared)]
    common = _COMMON if len(together) > _FEW else 1.0
    vectorizer = TfidfVectorizer(max_df=common, token_pattern=r"\S+", lowercase=False, dtype=np.float32)
    try:
        vectors = vectorizer.fit_transform(together)
    except ValueError:  # there is no word, or all words are too common to be compared
        vectors = sparse.csr_matrix((len(together), 1), dtype=np.float32)
    rows = vectors[: len(own)]
    columns = rows if within else vectors[len(own) :]
    places, other_places = list(own.values()), list(compared.values())
    found = [
        Pair(places[first], other_places[second], similarity)
        for first, second, similarity in _similar(rows, columns)
        if (places[first] < other_places[second] if within else together[first] != together[len(own) + second])
    ]
    for place, text in enumerate(map(_plain, texts)):
        first = compared.get(text)
        if first is not None and not (within and first == place):
            found.append(Pair(first, place, 1.0) if within else Pair(place, first, 1.0))
    return sorted(found, key=lambda pair: (-pair.similarity, pair.first, pair.second))


def first_occurrences(texts: Sequence[str]) -> NDArray[np.int64]:
    """For each text, the index of the first one with the same words in the same order, [texts]."""
    first = _first_places(texts)
    return np.array([first[_plain(text)] for text in texts], dtype=np.int64)


def _first_places(texts: Sequence[str]) -> dict[str, int]:
    """The distinct texts in the form of ``_plain``, each with the index of its first occurrence."""
    places: dict[str, int] = {}
    for place, text in enumerate(map(_plain, texts)):
        places.setdefault(text, place)
    return places


def _plain(text: str) -> str:
    """The words of ``text`` in lower case, without punctuation, with one space between them.

    These are the symbols of a text without words, such as emoji.
    """
    words = _words().findall(text.casefold())
    return " ".join(words) or "".join(one for one in text if unicodedata.category(one).startswith("S"))


@cache
def _words() -> re.Pattern[str]:
    """Finds words with their combining marks, such as the vowel signs of Hindi, which are no letters of their own."""
    marks = "".join(one for one in map(chr, range(0x300, 0xFE00)) if unicodedata.category(one).startswith("M"))
    return re.compile(rf"\w[\w{marks}]*")


def _similar(rows: sparse.csr_matrix, columns: sparse.csr_matrix) -> Iterator[tuple[int, int, float]]:
    turned = columns.T.tocsr()
    for start in range(0, rows.shape[0], _BLOCK):
        cosines = (rows[start : start + _BLOCK] @ turned).tocoo()
        for place in np.flatnonzero(cosines.data >= SIMILAR):
            # 1 is for texts of the same words in the same order; TF-IDF does not depend on the order.
            similarity = min(0.999, round(float(cosines.data[place]), 3))
            yield start + int(cosines.row[place]), int(cosines.col[place]), similarity
