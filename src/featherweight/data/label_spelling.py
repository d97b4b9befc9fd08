"""Recognises different spellings of the same class, which file formats, systems and programs produce."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from featherweight.formatting import listed

WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]{0,17}))(?:\.0+)?")
"""Pattern of a whole number as text, possibly with zeros after a decimal point."""
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?")
_INVISIBLE = "\u00ad\u200b\u200e\u200f\u2060\ufeff"
"""Zero-width spaces, byte order marks, marks of the writing direction and soft hyphens: they come with copied texts."""
_BOOLEANS = ("false", "true")
"""The texts for 0 and 1, in this order."""


def alike(text: str) -> str:
    """``text`` in a normal form that is the same for all spellings of a label.

    The normal form has composed Unicode (NFC; files from macOS are often decomposed), no invisible marks around the
    text, ``true`` for ``True`` and ``TRUE``, and ``1`` for ``1.0`` (pandas converts whole numbers with gaps to
    floating-point numbers).
    """
    text = unicodedata.normalize("NFC", text).strip(_INVISIBLE).strip() or text
    if match := WHOLE.fullmatch(text):
        return match[1]
    folded = text.casefold()
    return folded if folded in _BOOLEANS else text


def label_text(value: Any) -> str:
    """The label of a cell as text: ``true`` for the true of Parquet and JSON, and without blanks around it."""
    return str(value).lower() if isinstance(value, bool) else str(value).strip()


def meant_name(text: str, names: Iterable[str]) -> str | None:
    """The name that ``text`` probably misspells, ignoring case; None if no name is similar.

    A number is not taken for a misspelled other number, nor ``7 stars`` for ``3 stars``.
    """
    folded = {name.casefold(): name for name in names if not _differ_in_a_number(text, name)}
    near = difflib.get_close_matches(text.casefold(), folded, n=1)
    return folded[near[0]] if near else None


def _differ_in_a_number(text: str, other: str) -> bool:
    """Whether two texts are the same except for the values of the numbers in them."""
    numbers = [[float(number.replace(",", ".")) for number in _NUMBER.findall(one)] for one in (text, other)]
    return _NUMBER.sub("0", text) == _NUMBER.sub("0", other) and numbers[0] != numbers[1]


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
    found = set(texts)
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


def nearly_alike(names: Iterable[str]) -> str | None:
    """A clause that names classes which differ only in case, blanks or leading zeros; None if there are none.

    They are probably one class that was typed in several ways, such as ``Spam`` and ``SPAM``.
    """
    groups = groups_of_alike(names)
    if not groups:
        return None
    ways = {
        "case": any(_fewer(same, _one_blank, _folded) for same in groups),
        "blanks": any(_fewer(same, str.casefold, _folded) for same in groups),
        "leading zeros": any(_fewer(same, _folded, _simplified) for same in groups),
    }
    differ = " or ".join(way for way, is_one in ways.items() if is_one)
    alike_ones = listed([" and ".join(map(repr, same)) for same in groups])
    return f"labels that differ only in {differ}: {alike_ones}; they count as different classes"


def groups_of_alike(names: Iterable[str]) -> list[list[str]]:
    """The classes that differ only in case, blanks or leading zeros, as lists of two or more."""
    spellings: dict[str, list[str]] = {}
    for name in names:
        spellings.setdefault(_simplified(name), []).append(name)
    return [same for same in spellings.values() if len(same) > 1]


def _fewer(names: Sequence[str], before: Callable[[str], str], after: Callable[[str], str]) -> bool:
    """Whether fewer different names are left by ``after`` than by ``before``."""
    return len(set(map(after, names))) < len(set(map(before, names)))


def _one_blank(name: str) -> str:
    return " ".join(name.split())


def _folded(name: str) -> str:
    return _one_blank(name).casefold()


def _simplified(name: str) -> str:
    return _folded(name).lstrip("0") or "0"
