"""Stores, compares and shows pairs of texts, such as a premise and its hypothesis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import overload

from featherweight.data.readers.columns import Column, taken

Pair = tuple[str, str]
Text = str | Pair
"""One input of the classifier: a text or, with ``data.join = "pair"``, two texts."""


class PairColumn(Column):
    """Two columns of texts as one column of pairs. Both columns may be stored in files."""

    def __init__(self, firsts: Sequence[str], seconds: Sequence[str]) -> None:
        self.firsts, self.seconds = firsts, seconds

    def __len__(self) -> int:
        return len(self.firsts)

    @overload
    def __getitem__(self, place: int) -> Pair: ...
    @overload
    def __getitem__(self, place: slice) -> list[Pair]: ...
    def __getitem__(self, place: int | slice) -> Pair | list[Pair]:
        if isinstance(place, slice):
            return list(zip(self.firsts[place], self.seconds[place], strict=True))
        return self.firsts[place], self.seconds[place]

    def __iter__(self) -> Iterator[Pair]:
        return zip(self.firsts, self.seconds, strict=True)

    def take(self, places: Iterable[int]) -> PairColumn:
        """The pairs with the indices ``places``, in that order."""
        places = list(places)
        return PairColumn(taken(self.firsts, places), taken(self.seconds, places))


def sides_of(texts: Sequence[Text]) -> tuple[Sequence[str], ...]:
    """``texts`` as a tuple of columns: one column of texts, or for pairs two (all first texts, all second texts)."""
    if isinstance(texts, PairColumn):
        return texts.firsts, texts.seconds
    if len(texts) and not isinstance(texts[0], str):
        return [text[0] for text in texts], [text[1] for text in texts]
    return (texts,)  # type: ignore[return-value]  # all have the same type


def same_kind(sides: Sequence[Sequence[str]]) -> Sequence[Text]:
    """The texts in ``sides`` if it has one column, the pairs if it has two; the inverse of ``sides_of``."""
    return PairColumn(*sides) if len(sides) == 2 else sides[0]


def joined(text: Text) -> str:
    """A pair as one text, joined as with ``data.join = "text"``; a single text is returned unchanged."""
    return text if isinstance(text, str) else " ".join(filter(None, map(str.strip, text)))


def stripped(text: Text) -> Text:
    """``text`` without leading and trailing spaces, for comparisons; both texts of a pair are stripped."""
    return text.strip() if isinstance(text, str) else (text[0].strip(), text[1].strip())


def shown(text: Text) -> str:
    """``text`` as it is displayed; the two texts of a pair are separated by a bar."""
    return text if isinstance(text, str) else " | ".join(text)
