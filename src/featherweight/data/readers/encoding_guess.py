"""Guesses the encoding of a text that is not UTF-8 from the letters that its bytes would be."""

from __future__ import annotations

import re

WESTERN = "cp1252"
HIGH = re.compile(rb"[\x80-\xff]+")
"""Adjacent bytes above ASCII."""
_RUSSIAN = "оеаинтсрвлкмдпуя"
_ARABIC = "اليمنورتبعدسةهفكقحجأ"
_GREEK = "αοιτεσνηυρπκμλςωόίέάήύώ"
_LETTERS = {
    "cp1251": _RUSSIAN,
    "koi8-r": _RUSSIAN,
    "cp866": _RUSSIAN,
    "iso8859-5": _RUSSIAN,
    "mac_cyrillic": _RUSSIAN,
    "cp1253": _GREEK,
    "cp1255": "יוהלאתרבמשנםדחעקפ",
    "cp1256": _ARABIC,
    "iso8859-6": _ARABIC,
    "cp874": "านรอกเงมยลวดทสตะคบปหพิีุัแไ่้็์",
}
"""Encodings of one byte a letter, each with the usual letters of its script; a few more make up the rest of a text."""
_USUAL = 0.7
"""Share of usual letters above which a text is probably in that encoding."""
_PAIRS = {
    "shift_jis": rb"\x82[\x9f-\xf1]|\x83[\x40-\x96]",
    "euc_jp": rb"[\xa4\xa5][\xa1-\xf6]",
    "euc_kr": rb"[\xb0-\xc8][\xa1-\xfe]",
    "gb18030": rb"[\xb0-\xd7][\xa1-\xfe]",
    "big5": rb"[\xa4-\xc6][\x40-\x7e\xa1-\xfe]",
}
"""Encodings of two bytes a letter, each with the bytes of its common letters: kana, Hangul, Han."""
_MOST = {"shift_jis": 0.4, "euc_jp": 0.4}
"""Share of such bytes above which a text is probably in that encoding; 0.85 for the others."""
_OLD = ("mac_roman", "cp850")
_ACCENTED = frozenset("àáâãäåæçèéêëìíîïñòóôõöøùúûüßœ")
_OF_WESTERN = ("éèàêçùâîôûœëï", "äöüß", "áéíóúñü", "ãçáéíóúõêâàô", "åäöøæé", "àèéìòù", "áðéíóúýþæö", "éëïöüèáó")
"""Letters of languages that cp1252 is for: French, German, Spanish, Portuguese, Nordic, Italian, Icelandic, Dutch."""
_CENTRAL = ("ąćęłńóśźż", "áíěéčšřžýůúóťďň", "áéíóöőúüű", "ăâîşţ", "čćđšž", "čšž")
_NEIGHBOURS = {"cp1254": ("çğıöşüİâî",), "iso8859-2": _CENTRAL, "cp1250": _CENTRAL}
"""Encodings of other Latin scripts, the more frequent one last, each with the letters of its languages: Turkish;
Polish, Czech, Hungarian, Romanian, Croatian, Slovenian."""
_FEWEST = 4  # minimum number of different letters of one of these languages
_BETTER = 0.05  # minimum difference between the shares of the letters of such a language and of a Western one
_PUNCTUATION = frozenset("‘’“”„–—…·«»€´\xa0\xad")
_QUOTES = b"\x85\x91\x92\x93\x94\x95\x96\x97"
"""Quotation marks, dashes and the ellipsis in cp1252; an English text often has no other bytes above ASCII."""


def other_script(block: bytes) -> str | None:
    """The most likely encoding of a text that is neither UTF-8 nor Western; None if no encoding fits."""
    above = b"".join(HIGH.findall(block))
    shares = {name: _share(above, name, usual) for name, usual in _LETTERS.items()}
    best = max(shares, key=shares.__getitem__)
    if shares[best] > _USUAL:
        return best
    for name, letters in _PAIRS.items():
        if sum(map(len, re.findall(letters, block))) > len(above) * _MOST.get(name, 0.85):
            return name
    return None


def other_western(block: bytes) -> str | None:
    """An encoding whose letters fit a text better than those of cp1252; None if no other fits clearly better.

    It is that of old Macintoshes or of DOS if their letters are at least three times as frequent, or that of Turkish,
    or of Central European languages.
    """
    above = b"".join(HIGH.findall(block))
    plain = above.translate(None, _QUOTES)
    letters = {name: sum(map(_ACCENTED.__contains__, plain.decode(name, "replace"))) for name in (WESTERN, *_OLD)}
    best = max(letters, key=letters.__getitem__)
    if best != WESTERN and letters[best] >= 3 * max(1, letters[WESTERN]):
        return best
    western = max(_share(above, WESTERN, usual) for usual in _OF_WESTERN)
    others = [
        (_share(above, name, usual), name) for name, languages in _NEIGHBOURS.items() for usual in languages
        if len(set(above.decode(name, "replace").lower()) & set(usual)) >= min(_FEWEST, len(usual))
    ]  # fmt: skip
    share, best = max(reversed(others), key=lambda found: found[0], default=(0.0, ""))
    return best if share > 0.9 and share > western + _BETTER else None


def _share(above: bytes, encoding: str, usual: str) -> float:
    """Share of the letters ``usual`` among the characters of the bytes ``above``, punctuation aside."""
    text = [character for character in above.decode(encoding, "replace").lower() if character not in _PUNCTUATION]
    return sum(map(usual.__contains__, text)) / max(1, len(text))
