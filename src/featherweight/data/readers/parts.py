"""The parts of a data set (train, validation, test), and the usual names of their folders and keys."""

from __future__ import annotations

import re
from collections.abc import Iterable

PARTS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
"""The parts, each with its names in lower case."""


def part_named(part: str, names: Iterable[str], *, whole: bool = False) -> str | None:
    """The name in ``names`` that stands for ``part``, such as ``dev`` for validation; None if no name does.

    Names such as ``news-test`` count, too, unless the ``whole`` name has to be a usual one.
    """
    given = list(names)
    for pattern in ("{}",) if whole else ("{}", r".*[-_. ]{}"):
        for usual in PARTS.get(part, (part,)):
            wanted = re.compile(pattern.format(re.escape(usual)), re.IGNORECASE | re.DOTALL)
            if found := next((name for name in given if wanted.fullmatch(name)), None):
                return found
    return None


def parts_named(names: Iterable[str], *, whole: bool = False) -> dict[str, str]:
    """A dictionary from part to its name in ``names``, such as {"validation": "dev"}; missing parts are left out.

    ``whole`` is as for ``part_named``.
    """
    given = list(names)
    found = {part: part_named(part, given, whole=whole) for part in PARTS}
    return {part: name for part, name in found.items() if name is not None}
