"""Formats numbers, sizes, durations, lists and spreadsheet cells as text."""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from featherweight.errors import in_a_line

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""First characters that make a spreadsheet read a cell as a formula (see OWASP on CSV injection)."""
QUOTED: Final = csv.QUOTE_NONNUMERIC
"""Quote all texts: then a text cannot be split into cells, even if a spreadsheet uses another separator."""


def safe_cell(value: Any) -> Any:
    """``value``; a text that starts like a formula gets an apostrophe in front, which spreadsheets do not show."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def safe_columns(columns: Mapping[str, list]) -> dict[str, list]:
    """The columns with ``safe_cell`` applied to all names and cells; numbers do not change."""
    return {safe_cell(name): list(map(safe_cell, values)) for name, values in columns.items()}


def shortened(text: str, most: int = 60) -> str:
    """``text``, shortened to ``most`` characters including an ellipsis if it is longer."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def size_in_words(size: int) -> str:
    """A number of bytes as text, such as ``1.9 GB``, ``14.2 MB`` or ``3 kB``."""
    for unit, name in ((10**9, "GB"), (10**6, "MB")):
        if size >= unit:
            return f"{size / unit:,.1f} {name}"
    return f"{-(-size // 1000)} kB"


def age_in_words(used: float) -> str:
    """The time since ``used`` (seconds since 1970) as text, such as ``3 days ago``."""
    seconds = max(0.0, time.time() - used)
    for unit, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= unit:
            count = int(seconds // unit)
            return f"{count:,} {name}{'s' if count > 1 else ''} ago"
    return "just now"


def listed(names: Sequence[str], most: int = 8) -> str:
    """The first ``most`` names on one line, with control characters escaped, and ", ..." if there are more."""
    return in_a_line(", ".join(names[:most])) + (", ..." if len(names) > most else "")


def counted(number: float, thing: str, things: str | None = None) -> str:
    """``number`` with its noun, such as ``1 row`` or ``3 classes``; ``things`` is the plural if it is irregular."""
    several = things or (f"{thing}es" if thing.endswith("s") else f"{thing}s")
    return f"{number:{'g' if isinstance(number, float) else ','}} {thing if number == 1 else several}"


def numbered(numbers: Sequence[int], most: int = 8, thing: str = "row") -> str:
    """Row numbers as words of a sentence, such as ``row 5`` or ``rows 5, 8, ...``; ``thing`` replaces "row"."""
    return f"{thing}{'' if len(numbers) == 1 else 's'} {listed([f'{number}' for number in numbers[: most + 1]], most)}"


def decimals(rows: int) -> int:
    """How many decimals to show of a percentage that was measured on ``rows`` rows: 1 below 2,000 rows, else 2.

    One row of 1,000 is 0.1%, so a second decimal would mean nothing.
    """
    return 1 if rows < 2000 else 2


def percent(share: float, rows: int) -> str:
    """``share``, a fraction of ``rows`` rows, as a percentage with ``decimals(rows)`` decimals, such as ``91.2%``."""
    return percentage(share, decimals(rows))


def percentage(share: float, digits: int) -> str:
    """``share`` as a percentage with so many decimals; ``100%`` only if it is 1: rounding would hide a few errors."""
    return f"{below_one(share, digits + 2):.{digits}%}"


def below_one(value: float, digits: int) -> float:
    """``value``; if it is below 1 but would be 1 when rounded to so many decimals, the greatest number that is not."""
    return min(value, 1 - 10.0**-digits) if value < 1 else value


def rough_share(part: int, whole: int) -> str:
    """``part`` as a whole percentage of ``whole``; "0%" and "100%" only where they are exact, else as "under 1%"."""
    share = f"{part / whole:.0%}"
    if (share == "0%" and part) or (share == "100%" and part != whole):
        return {"0%": "under 1%"}.get(share, "over 99%" if part < whole else "over 100%")
    return share


def duration(seconds: float) -> str:
    """A duration as text, such as ``45 s``, ``12 min`` or ``2 h 5 min``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def rounded_size(count: Any) -> str:
    """A number of bytes as text without decimals below 1 GB, such as ``512 B``, ``75 MB`` or ``1.3 GB``."""
    value = float(count)
    for unit in ("B", "KB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def in_sentence(names: Sequence[str]) -> str:
    """Names as a list in a sentence, such as ``r1, r2 and r3``."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


# A slash may stand twice, as in //data/a.csv but not in https://, and Python prints a backslash twice.
_START = r"(?:~(?:[A-Za-z_][\w.-]*)?|\.{1,2}|[A-Za-z]:)?(?:(?:(?<!:)/)?/|\\{1,2})"
_ENDINGS = ("csv", "tsv", "txt", "json", "jsonl", "parquet", "xlsx", "toml", "zip", "gz", "bz2", "xz")
_AFTER_NO_FILE = "".join(rf"(?<!\.{ending})" for ending in _ENDINGS)
# Apostrophes between letters, also as a shell writes them, and brackets in pairs are part of a folder's name.
_WORD = r"""(?:[^\s,;:/\\()\[\]{}<>|*?"'`]|(?<=\w)(?:'|'"'"')(?=\w)|\([^()/\\:"]*\)|\[[^\[\]/\\:"]*\])+"""
# So are blanks and commas in it, unless a file's name ends before them, or a path or a fraction such as 3/4 comes next.
_NEXT = rf"(?!{_START}|\d+[/\\]\d){_WORD}"
_FOLDER = rf"{_WORD}(?:{_AFTER_NO_FILE} ++{_NEXT}){{0,6}}[/\\]++"
# A comma is part of a name only if more folders, a file's ending or a quotation mark follow: not in "rows, Sci/Tech".
_WITH_COMMAS = rf"""{_WORD}(?:{_AFTER_NO_FILE}[ ,;]++{_NEXT}){{0,4}}[/\\]++(?=[^,;'"]{{0,80}}?(?:[/\\'"]|\.\w))"""
# Web addresses stay, but not the path after file://.
_FOLDERS = re.compile(rf"(?:(?<![\w/~.])|(?<=://)){_START}(?:{_FOLDER}|{_WITH_COMMAS})+(?=[^\s,;:/\\)\]'\"])")


def without_paths(text: str) -> str:
    """``text`` with only the last part of each file path, because paths reveal folders of the user's machine.

    Names of folders may have blanks and commas, so that where a path ends in running text is a guess. Relative paths
    stay, unless they begin with ``./`` or ``../``.
    """
    return _FOLDERS.sub("", text)
