"""Spellings of one label: what differs by file format, system or program alone is the same class."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]{0,17}))(?:\.0+)?")
"""A whole number as text, perhaps with zeros behind a point."""
_BOOLEANS = ("false", "true")
"""In the order of the numbers that stand for them."""


def alike(text: str) -> str:
    """The one spelling of all labels that mean the same as ``text``.

    Composed Unicode (NFC; files from macOS are often decomposed), ``true`` for ``True`` and ``TRUE``, ``1`` for ``1.0``
    (a column of numbers with gaps becomes one of fractions in pandas).
    """
    text = unicodedata.normalize("NFC", text)
    if match := WHOLE.fullmatch(text):
        return match[1]
    folded = text.casefold()
    return folded if folded in _BOOLEANS else text


def class_names(labels: Iterable[int | str]) -> tuple[str, ...]:
    """The classes of some rows, sorted: each as the rows spell it, or as ``alike`` does where they have several ways.

    ``labels`` are all whole numbers, or all texts.
    """
    found = set(labels)
    if not any(isinstance(label, str) for label in found):
        return tuple(map(str, sorted(found)))
    spelled: dict[str, list[str]] = {}
    for text in map(str, found):
        spelled.setdefault(alike(text), []).append(text)
    return tuple(sorted(texts[0] if len(texts) == 1 else common for common, texts in spelled.items()))


def by_spelling(names: Sequence[str]) -> dict[str, int]:
    """The class number of each spelling: of the ``names`` themselves, and of what is ``alike`` to one of them alone."""
    commons = [alike(name) for name in names]
    times = Counter(commons)
    known = {common: number for number, common in enumerate(commons) if times[common] == 1}
    return known | {name: number for number, name in enumerate(names)}


def numbers_for_booleans(names: Sequence[str]) -> dict[str, int]:
    """Where the classes are false and true, or 0 and 1, the class number of each in the other way of writing them."""
    commons, numbers = [alike(name) for name in names], ("0", "1")
    for own, other in ((_BOOLEANS, numbers), (numbers, _BOOLEANS)):
        if sorted(commons) == sorted(own):
            return {text: commons.index(common) for text, common in zip(other, own, strict=True)}
    return {}
