"""Finds the words that raise or lower the probability of a label: the text is classified again without each word.

This is occlusion (Zeiler and Fergus 2014). It does not prove a cause: if two words say the same, leaving out only one
of them changes little.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featherweight.data.pairs import Text
from featherweight.serving.limits import Limits
from featherweight.serving.refusals import Refusal

# Scripts without spaces between words: each of their characters counts as a word.
_WORD = re.compile(r"[\u2e80-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\s\u2e80-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
_LEAST = 1e-9


class Span(NamedTuple):
    """The characters ``start`` to ``end`` (exclusive) of a text; ``side`` 1 is the second text of a pair, else 0."""

    side: int
    start: int
    end: int


def spans_of(text: Text, limits: Limits) -> list[Span]:
    """The parts of ``text`` to leave out in turn: each word, or in a long text groups of neighbouring words.

    Raises Refusal (422) if the text has no words, or more than ``limits.explained_words``.
    """
    sides = (text,) if isinstance(text, str) else text
    words = [Span(side, *found.span()) for side, part in enumerate(sides) for found in _WORD.finditer(part)]
    if not words:
        raise Refusal(422, "text: has no words")
    if len(words) > limits.explained_words:
        raise Refusal(422, f"text: has {len(words):,} words; at most {limits.explained_words} can be explained")
    together = -(-len(words) // limits.explained_parts)
    groups = [
        [word for word in words if word.side == side][start : start + together]
        for side in range(len(sides))
        for start in range(0, sum(word.side == side for word in words), together)
    ]
    return [Span(group[0].side, group[0].start, group[-1].end) for group in groups]


def without(text: Text, span: Span) -> Text:
    """``text`` without the characters of ``span``."""
    if isinstance(text, str):
        return f"{text[: span.start]}{text[span.end :]}".strip()
    first, second = (without(side, span) if place == span.side else side for place, side in enumerate(text))
    return str(first), str(second)


def effects(whole: float, left_out: Sequence[float]) -> NDArray[np.float64]:
    """Effect of each part: log-odds of the label for the whole text minus log-odds without the part, [parts].

    ``whole`` and ``left_out`` are probabilities of the label.
    """
    return _log_odds(np.array([whole])) - _log_odds(np.asarray(left_out))


def _log_odds(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    bounded = np.clip(probabilities, _LEAST, 1 - _LEAST)
    return np.log(bounded) - np.log1p(-bounded)
