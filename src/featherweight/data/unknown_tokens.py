"""Counts unknown tokens by kind of character, and suggests a backbone whose tokenizer knows these characters."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from featherweight.data.pairs import Text, sides_of
from featherweight.data.tokenizing import own_tokenizer
from featherweight.formatting import listed

if TYPE_CHECKING:
    from featherweight.data.encoding import Encoded

MOST_TEXTS = 5_000
"""Approximate number of texts whose tokens are examined; if there are many more, they are taken at equal distances."""
NOTABLE = 0.01
"""Minimum share of unknown tokens at which another backbone is suggested."""
_CHUNK = 2**20  # tokens at a time
_EMOJI = "emoji and symbols"
_KINDS = {
    "CJK": "Chinese characters",
    "HIRAGANA": "Japanese kana",
    "KATAKANA": "Japanese kana",
    "HALFWIDTH": "Japanese kana",
    "HANGUL": "Korean",
    "FULLWIDTH": "full-width characters",
    "MATHEMATICAL": _EMOJI,
    "MODIFIER": _EMOJI,
    "MASCULINE": _EMOJI,
    "FEMININE": _EMOJI,
}
"""Names of kinds of characters, by the first word of the characters' Unicode names; other words are shown as names."""


@dataclass(frozen=True)
class UnknownTokens:
    """Counts of tokens in the examined texts, without special tokens."""

    tokens: int
    unknown: int
    rows: int
    """Number of texts with an unknown token."""
    kinds: dict[str, tuple[int, int]]
    """(Unknown tokens, all tokens) for each kind of characters with unknown tokens, most unknown tokens first."""

    @property
    def share(self) -> float:
        """Share of unknown tokens."""
        return self.unknown / max(1, self.tokens)

    def in_words(self, backbone: str) -> str:
        """The share of tokens that ``backbone`` does not know, and their kinds of characters, as a clause."""
        kinds = [f"{unknown / tokens:.0%} of {kind}" for kind, (unknown, tokens) in self.kinds.items()]
        return f"{backbone} does not know {self.share:.1%} of the tokens: {listed(kinds, 4)}"

    @property
    def hint(self) -> str | None:
        """Advice on another backbone; None if few tokens are unknown."""
        if self.share < NOTABLE:
            return None
        scripts = sum(unknown for kind, (unknown, _) in self.kinds.items() if kind != _EMOJI)
        better = "FacebookAI/xlm-roberta-base, which knows 100 languages"
        if scripts * 2 < self.unknown:
            better = "roberta-base, which knows every character by its bytes"
        return f"it reads all of these tokens as the same token; try the backbone {better}"


def count_unknown(texts: Sequence[Text], tokenizer: Any) -> UnknownTokens | None:
    """Unknown tokens of ``texts`` by kind of character; None if the tokenizer has no unknown token.

    The first character that is not a Latin letter, a digit or punctuation decides the kind of a token.
    """
    unknown_id, backend = tokenizer.unk_token_id, own_tokenizer(tokenizer).backend
    if unknown_id is None:
        return None
    unknown, total, rows = Counter[str](), Counter[str](), set[int]()
    step = max(1, len(texts) // MOST_TEXTS)
    for side in sides_of(texts[::step] if step > 1 else texts):
        encodings = backend.encode_batch(list(side), add_special_tokens=False)
        for row, (text, encoding) in enumerate(zip(side, encodings, strict=True)):
            for token, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
                kind = kind_of(text[start:end])
                total[kind] += 1
                if token == unknown_id:
                    unknown[kind] += 1
                    rows.add(row)
    kinds = {kind: (count, total[kind]) for kind, count in unknown.most_common()}
    return UnknownTokens(total.total(), unknown.total(), len(rows), kinds)


def unknown_note(encoded: Encoded, texts: Sequence[Text], tokenizer: Any, backbone: str) -> list[str]:
    """A note on the unknown tokens of ``texts``, if their share is at least ``NOTABLE``; else an empty list.

    ``encoded`` are the token ids of ``texts``.
    """
    if tokenizer.unk_token_id is None:
        return []
    tokens = encoded.tokens
    pieces = (tokens[start : start + _CHUNK] for start in range(0, len(tokens), _CHUNK))
    count = sum(int((piece == tokenizer.unk_token_id).sum()) for piece in pieces)
    special = own_tokenizer(tokenizer).backend.num_special_tokens_to_add(False) * len(encoded)
    if count < NOTABLE * (len(tokens) - special):
        return []
    found = count_unknown(texts, tokenizer)
    return [f"training texts: {found.in_words(backbone)}; {found.hint}"] if found is not None and found.hint else []


def kind_of(text: str) -> str:
    """The kind of a token, such as its script, by its first character that is not Latin, a digit or punctuation.

    If all characters are of these three kinds, the first character decides.
    """
    kinds = [_kind(character) for character in text]
    telling = (kind for kind in kinds if kind not in ("Latin", "digits", "punctuation"))
    return next(telling, kinds[0] if kinds else "other")


@lru_cache(maxsize=10_000)
def _kind(character: str) -> str:
    category = unicodedata.category(character)
    name = unicodedata.name(character, "")
    if category[0] == "N":
        return "digits"
    if category[0] == "P":
        return "punctuation"
    if (category[0] in "SCM" and category not in ("Mn", "Mc")) or not name:
        return _EMOJI
    script = name.split()[0]
    return _KINDS.get(script, script.capitalize())
