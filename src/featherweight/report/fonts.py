"""Fonts for the class names: finds the installed fonts, and the names that none of them can draw."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache

from featherweight.formatting import in_sentence

FIRST = "DejaVu Sans"
"""The font that matplotlib contains; it has Latin, Greek, Cyrillic, Arabic, Armenian and Georgian characters."""
FALLBACKS = (
    # Chinese, Japanese and Korean: free fonts, then those of Windows and macOS
    "Noto Sans CJK SC", "Noto Sans CJK TC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Noto Sans SC", "Noto Sans JP",
    "Noto Sans KR", "Source Han Sans SC", "Source Han Sans JP", "Source Han Sans KR", "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei", "Droid Sans Fallback", "AR PL UMing CN", "IPAGothic", "IPAexGothic", "TakaoGothic",
    "VL Gothic", "NanumGothic", "UnDotum", "Baekmuk Dotum", "Microsoft YaHei", "SimHei", "SimSun", "Yu Gothic",
    "MS Gothic", "Malgun Gothic", "PingFang SC", "Heiti TC", "Hiragino Sans", "Hiragino Sans GB", "AppleGothic",
    "Apple SD Gothic Neo",
    # other scripts
    "Noto Sans Hebrew", "Noto Sans Devanagari", "Noto Sans Bengali", "Noto Sans Tamil", "Noto Sans Thai", "Nirmala UI",
    "Leelawadee UI", "Noto Emoji", "Symbola", "Segoe UI Symbol",
    # a little of everything
    "Arial Unicode MS", "FreeSans", "Unifont",
)  # fmt: skip

VARIATION_SELECTORS = "\ufe0e\ufe0f"
"""Invisible characters that choose between text style and colour style of the emoji before them."""


@cache
def fonts() -> tuple[str, ...]:
    """Names of the installed fonts; for each character they are tried in this order."""
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    return (FIRST, *(name for name in FALLBACKS if name in installed))


@cache
def _characters() -> frozenset[int]:
    """All code points that at least one installed font can draw."""
    from matplotlib import font_manager

    return frozenset().union(*(font_manager.get_font(font_manager.findfont(name)).get_charmap() for name in fonts()))


def can_draw(text: str) -> bool:
    """Whether the fonts can draw every character of ``text``; separators and control characters are ignored."""
    shown = (c for c in text if unicodedata.category(c)[0] not in "CZ" and c not in VARIATION_SELECTORS)
    return all(ord(c) in _characters() for c in shown)


def class_numbers(labels: Sequence[str]) -> dict[str, str]:
    """{label: "class 3"} for each label that no installed font can draw; classes are numbered from 0."""
    return {label: f"class {number}" for number, label in enumerate(labels) if not can_draw(label)}


def set_numbers(names: Sequence[str]) -> dict[str, str]:
    """{name: "shift set 1"} for each name in ``names`` that no installed font can draw, numbered from 1.

    ``names`` are those of the shift sets (sets of texts of another source, evaluated beside the test rows).
    """
    return {name: f"shift set {number}" for number, name in enumerate(names, 1) if not can_draw(name)}


_CJK = ("CJK", "HANGUL", "HIRAGANA", "KATAKANA", "BOPOMOFO", "IDEOGRAPHIC")


def font_for(text: str) -> str:
    """A font with the first character of ``text`` that cannot be drawn; it is one of ``FALLBACKS``, or its family."""
    lacking = next((character for character in text if not can_draw(character)), "")
    script = (unicodedata.name(lacking, "") or " ").split(" ")[0] if lacking else ""
    own = f"Noto Sans {script.capitalize()}"
    if script in _CJK or not lacking:
        return "Noto Sans CJK"
    if unicodedata.category(lacking)[0] == "S":
        return "Noto Emoji"
    return own if own in FALLBACKS else "Unifont"


def key_of(*numbers: Mapping[str, str]) -> str:
    """A sentence that lists the names behind the numbers in the plots, and says which font to install for the names.

    ``numbers`` are results of ``class_numbers`` and ``set_numbers``.
    """
    key = ", ".join(f"{number} is {name}" for table in numbers for name, number in table.items())
    fonts_for = dict.fromkeys(font_for(name) for table in numbers for name in table)
    needed = in_sentence([*fonts_for] or [font_for("")])
    return (
        f"no installed font can draw these names, so the plots show numbers: {key}; to draw the names, install a font "
        f"such as {needed}, then run `featherweight report` on the run"
    )
