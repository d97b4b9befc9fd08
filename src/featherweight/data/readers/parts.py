"""The parts of a data set, and what folders and keys of them are called."""

from __future__ import annotations

import re
from collections.abc import Iterable

PARTS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
"""The parts, each with its names in lower case."""


def part_named(part: str, names: Iterable[str]) -> str | None:
    """Which of ``names`` is called like the ``part``: ``dev`` for validation, ``20news-bydate-train`` for train."""
    given = list(names)
    for pattern in ("{}", r".*[-_. ]{}"):
        for usual in PARTS.get(part, (part,)):
            wanted = re.compile(pattern.format(re.escape(usual)), re.IGNORECASE | re.DOTALL)
            if found := next((name for name in given if wanted.fullmatch(name)), None):
                return found
    return None


def parts_named(names: Iterable[str]) -> dict[str, str]:
    """Those parts that some of ``names`` are called like, each with that name."""
    given = list(names)
    found = {part: part_named(part, given) for part in PARTS}
    return {part: name for part, name in found.items() if name is not None}
