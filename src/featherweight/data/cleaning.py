"""Repairs texts of AG News, where a space replaced the ampersand of HTML entities, and a backslash each line break."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from html.entities import name2codepoint
from typing import Literal

from featherweight.data.pairs import Text, same_kind, sides_of
from featherweight.data.readers.columns import stored

_MARKS = "quot amp lt gt nbsp hellip lsquo rsquo ldquo rdquo ndash mdash"
# Accented letters are recognised by their endings; other names of entities ("not", "image") are English words as well.
_ACCENTED = re.compile(r"[A-Za-z]{1,2}(acute|grave|uml|circ|tilde|cedil|ring|slash)")
_LETTERS = "|".join(filter(_ACCENTED.fullmatch, name2codepoint))
_ENTITY = rf"(?:#[0-9]{{2,5}}|#x[0-9A-Fa-f]{{2,5}}|{_MARKS.replace(' ', '|')}|{_LETTERS})"

_BROKEN = re.compile(rf"\\|(?<![A-Za-z0-9]){_ENTITY};")
_LOST_AMPERSAND = re.compile(rf"(?<![A-Za-z0-9&]){_ENTITY};")
_BACKSLASHES = re.compile(r"\\+(?P<dollar>\$)?")
_APOSTROPHE = "&(?:#0*39|#146|#8217|rsquo);"
_CONTRACTION = re.compile(rf"(?<=\w) ?{_APOSTROPHE}(?=(?:s|t|re|ve|ll|d|m)\b)|(?<=\b[A-Za-z]) {_APOSTROPHE}(?=[A-Z])")
# A straight quote is a closing one if no word follows; closing curly quotes have entities of their own.
_SPACE_BEFORE_CLOSING = re.compile(
    r" +(?=&(?:#0*39|#0*34|quot);(?:[\s.,;:!?)&]|$))|(?<=\S) +(?=&(?:#146|#148|#8217|#8221|rsquo|rdquo|hellip);)"
)
_INITIALS = re.compile(r"(?<=\b[A-Z]) &(?:amp|#0*38);(?=[A-Z])|(?<=\b[A-Z][A-Z]) &(?:amp|#0*38);(?=[A-Z])")
_SPACE_INSIDE_WORD = re.compile(rf"(?<=[a-z]) (?=&(?:{_LETTERS}|#(?:19[2-9]|2[0-4][0-9]|25[0-5]));)")
_WHOLE_ENTITY = re.compile(r"&(?:#\w+|\w+);")
_TAG = re.compile(r"</?[A-Za-z][A-Za-z0-9]*(?:\s[^<>]*)?/?>|<(?:a|font|img)\s[^<>]*$", re.IGNORECASE)


def clean_texts(texts: Sequence[Text], how: Literal["none", "ag_news"]) -> Sequence[Text]:
    """The texts, repaired as ``how`` (the recipe's ``data.clean``) says; both texts of a pair are repaired."""
    return texts if how == "none" else same_kind([stored(map(clean_ag_news, side)) for side in sides_of(texts)])


def clean_ag_news(text: str) -> str:
    """One text of AG News without its broken entities (``#39;``, ``quot;``, ``&lt;b&gt;``), HTML tags and backslashes.

    Texts without any of these are returned unchanged.
    """
    if ("\\" not in text and ";" not in text) or not _BROKEN.search(text):
        return text
    text = _BACKSLASHES.sub(lambda match: match["dollar"] or " ", text)
    text = _LOST_AMPERSAND.sub(lambda match: f"&{match[0]}", text)
    text = _INITIALS.sub("&", _CONTRACTION.sub("'", text))  # "AT &amp;T" is AT&T
    text = _SPACE_INSIDE_WORD.sub("", _SPACE_BEFORE_CLOSING.sub("", text))
    return " ".join(_TAG.sub("", _unescaped(text)).split())


def _unescaped(text: str) -> str:
    # Only whole entities: html.unescape alone would also replace "&copy" in "&copy=2", a part of an address.
    for _ in range(2):  # some entities were escaped twice
        text = _WHOLE_ENTITY.sub(lambda match: html.unescape(match[0]), text)
    return text
