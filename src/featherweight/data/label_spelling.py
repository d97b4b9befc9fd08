"""Recognises different spellings of the same class, which file formats, systems and programs produce."""

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
    """The class names of a training whose labels are ``texts``; for example, the class of ``1.0`` is named ``1``."""
    found = {text.lower() if text in ("True", "False") else text for text in texts}
    whole = [WHOLE.fullmatch(text) for text in found]
    return class_names([int(match[1]) for match in whole if match] if all(whole) else found)


def by_spelling(names: Sequence[str]) -> dict[str, int]:
    """A dict from each of the ``names``, and from its normal form (see `alike`), to its class number.

    A normal form that several names share is left out: with the classes ``1`` and ``1.0``, each text is its own class.
    """
    commons = [alike(name) for name in names]
    times = Counter(commons)
    known = {common: number for number, common in enumerate(commons) if times[common] == 1}
    return known | {name: number for number, name in enumerate(names)}


def is_class(label: str, names: Sequence[str]) -> bool:
    """Whether ``label`` is a spelling of one of the classes ``names``."""
    known = numbers_for_booleans(names) | by_spelling(names)
    return label in known or alike(label) in known


def numbers_for_booleans(names: Sequence[str]) -> dict[str, int]:
    """A dict from spelling to class number that lets 0 and 1 stand for the classes false and true, and vice versa.

    The keys are "0" and "1" if the classes are false and true, or "false" and "true" if they are 0 and 1. For other
    classes the dict is empty.
    """
    commons, numbers = [alike(name) for name in names], ("0", "1")
    for own, other in ((_BOOLEANS, numbers), (numbers, _BOOLEANS)):
        if sorted(commons) == sorted(own):
            return {text: commons.index(common) for text, common in zip(other, own, strict=True)}
    return {}
