"""Recognises spellings of the same class: labels that differ only because of file format, system or program."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]{0,17}))(?:\.0+)?")
"""Pattern of a whole number as text, possibly with zeros after a decimal point."""
_BOOLEANS = ("false", "true")
"""The texts for 0 and 1, in this order."""


def alike(text: str) -> str:
    """``text`` in a normal form that is the same for all spellings of a label.

    The normal form has composed Unicode (NFC; files from macOS are often decomposed), ``true`` for ``True`` and
    ``TRUE``, and ``1`` for ``1.0`` (pandas converts whole numbers with gaps to floating-point numbers).
    """
    text = unicodedata.normalize("NFC", text)
    if match := WHOLE.fullmatch(text):
        return match[1]
    folded = text.casefold()
    return folded if folded in _BOOLEANS else text


def class_names(labels: Iterable[int | str]) -> tuple[str, ...]:
    """The sorted classes in ``labels``, which are all whole numbers or all texts.

    The name of a class is spelled as in the rows. If the rows spell it in several ways, it is the normal form (see
    ``alike``).
    """
    found = set(labels)
    if not any(isinstance(label, str) for label in found):
        return tuple(map(str, sorted(found)))
    spelled: dict[str, list[str]] = {}
    for text in map(str, found):
        spelled.setdefault(alike(text), []).append(text)
    return tuple(sorted(texts[0] if len(texts) == 1 else common for common, texts in spelled.items()))


def names_in_training(texts: Iterable[str]) -> tuple[str, ...]:
    """The names that the classes get in a training whose labels are written as ``texts``: ``1`` for ``1.0``."""
    found = {text.lower() if text in ("True", "False") else text for text in texts}
    whole = [WHOLE.fullmatch(text) for text in found]
    return class_names([int(match[1]) for match in whole if match] if all(whole) else found)


def by_spelling(names: Sequence[str]) -> dict[str, int]:
    """The class number of each known spelling: the ``names``, and their normal forms unless two names share one."""
    commons = [alike(name) for name in names]
    times = Counter(commons)
    known = {common: number for number, common in enumerate(commons) if times[common] == 1}
    return known | {name: number for number, name in enumerate(names)}


def is_class(label: str, names: Sequence[str]) -> bool:
    """Whether ``label`` is one of the classes ``names``, in whatever spelling."""
    known = numbers_for_booleans(names) | by_spelling(names)
    return label in known or alike(label) in known


def numbers_for_booleans(names: Sequence[str]) -> dict[str, int]:
    """The class numbers of the other spellings, if the classes are false and true, or 0 and 1; else empty.

    The other spellings are "0" and "1" for the classes false and true, and "false" and "true" for the classes 0 and 1.
    """
    commons, numbers = [alike(name) for name in names], ("0", "1")
    for own, other in ((_BOOLEANS, numbers), (numbers, _BOOLEANS)):
        if sorted(commons) == sorted(own):
            return {text: commons.index(common) for text, common in zip(other, own, strict=True)}
    return {}
