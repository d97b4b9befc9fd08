"""Separators of several characters, such as `` +++$+++ `` or ``:::``, which the csv module does not know."""

from __future__ import annotations

import re
from collections.abc import Sequence

UNIT = "\x1f"
"""The separator that a long one is replaced by: the character of ASCII that separates fields."""
_RUN = re.compile(r"[+$:|@#~^=<>&%;]{3,}")
_PAIRS = ("||", "\t\t", "::", "@@", "~~", "=>", "##", ";;")
"""Separators of two characters. Others, such as the plus signs of C++, often are part of a text."""
_AGREEING = 0.9  # minimum share of the lines that have as many separators as the first one


def long_separator(lines: Sequence[str], usual: str, agreement: float, columns: int) -> str | None:
    """The separator of several characters that each of ``lines`` has, about equally often; None if there is none.

    ``agreement`` is the share of the lines that have one number of fields with the ``usual`` separator. It may be 1 by
    accident if this is a comma, which in texts has a blank after it. ``columns`` is the number of columns that the
    recipe names, or 0.
    """
    filled = [line.rstrip("\r\n") for line in lines if line.strip()]
    if len(filled) < 2 or any(UNIT in line for line in filled):
        return None
    found = [*_RUN.findall(filled[0]), *(pair for pair in _PAIRS if pair in filled[0])]
    for mark in sorted(dict.fromkeys(found), key=len, reverse=True):
        doubled = set(mark) == {usual}
        if doubled and columns == filled[0].count(usual) + 1:
            continue
        sure = usual == "\t" or (len(mark) == 2 and not all(f"{usual} " in line for line in filled))
        if (doubled or agreement < 1 or not sure) and _separates(mark, filled):
            return mark
    return None


def with_units(text: str, mark: str) -> str:
    """``text`` with UNIT in place of each separator ``mark`` and the blanks around it."""
    return re.sub(f" *{re.escape(mark)} *", UNIT, text)


def _separates(mark: str, lines: Sequence[str]) -> bool:
    """Whether each of ``lines`` has a first field and then ``mark``, most of them as often as the first line."""
    counts = [line.count(mark) for line in lines if not line.lstrip().startswith(mark)]
    return len(counts) == len(lines) and 0 not in counts and counts.count(counts[0]) >= _AGREEING * len(lines)
