"""Built-in shift: the texts of a test set with typing errors, other case, cut or with other names.

Each text draws its changes from its own words and the perturbation's name, so that every run, seed and machine sees
the same perturbed set, in whatever order the rows stand.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Iterator, Sequence

from featherweight.data.pairs import Text, same_kind, sides_of
from featherweight.recipe import PERTURBED

HEADLINE_WORDS = 8
"""Words that a text keeps as its headline where the data has no column for it; about what a news headline has."""
TYPO_RATE = 0.1
"""Share of the words of four letters or more that get a slip."""

_WORD = re.compile(r"[^\W\d_]{4,}")
_SMALL = re.compile(r"(?<![\w'’-])[a-z][\w'’-]+")
_CAPITALISED = re.compile(r"(?<![\w'’-])[A-Z][\w’-]+(?: [A-Z][\w’-]+)*")
_DIGIT = re.compile(r"\d")
_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_BESIDE = {
    key: row[max(0, place - 1) : place] + row[place + 1 : place + 2] for row in _KEYS for place, key in enumerate(row)
}


Draw = Callable[[], float]
"""Gives the next random number of a text, from 0 to below 1."""


def is_perturbed(source: str) -> bool:
    """Whether a shift set's name asks for a perturbation, such as ``perturbed:typos``."""
    return source.startswith(PERTURBED)


def perturb(texts: Sequence[Text], source: str) -> Sequence[Text]:
    """The texts as ``source`` (``perturbed:casing`` and the like; see ``recipe.PERTURBATIONS``) changes them.

    ``casing`` writes a text all small or all in capitals; ``typos`` slips in one word out of ten; ``headline`` keeps
    the first words; ``entities`` puts other names of the same set and other numbers in place of the text's own.
    Of a pair each of the two texts is changed by itself.
    """
    kind, sides = source.removeprefix(PERTURBED), sides_of(texts)
    if kind == "entities":
        return same_kind(_with_other_entities(sides))
    changes: dict[str, Callable[[str, Draw], str]] = {"casing": _casing, "typos": _typos, "headline": _headline}
    change = changes[kind]
    return same_kind([[change(text, _draws(kind, text)) for text in side] for side in sides])


def headline_of(title: str, text: str) -> str:
    """The title column's text, or the first words of ``text`` where it has none."""
    return title if title.strip() else _first_words(text)


def _draws(kind: str, text: str) -> Draw:
    # random() alone is promised to give the same numbers in every version of Python.
    seed = hashlib.sha256(f"{kind}\0{text}".encode()).digest()
    return random.Random(int.from_bytes(seed[:8])).random


def _casing(text: str, draw: Draw) -> str:
    return text.lower() if draw() < 0.5 else text.upper()


def _typos(text: str, draw: Draw) -> str:
    return _WORD.sub(lambda match: _slip(match[0], draw) if draw() < TYPO_RATE else match[0], text)


def _slip(word: str, draw: Draw) -> str:
    """The word with two letters swapped, one left out, one doubled, or one hit on the key beside it."""
    place = int(draw() * (len(word) - 1))
    kind = int(draw() * 4)
    letter, following = word[place], word[place + 1]
    if kind == 0 and letter != following:
        return word[:place] + following + letter + word[place + 2 :]
    beside = _BESIDE.get(letter.lower(), "")
    if kind == 1 and beside:
        hit = beside[int(draw() * len(beside))]
        return word[:place] + (hit.upper() if letter.isupper() else hit) + word[place + 1 :]
    if kind == 2:
        return word[: place + 1] + word[place:]
    return word[:place] + word[place + 1 :]


def _headline(text: str, _: Draw) -> str:
    return _first_words(text)


def _first_words(text: str) -> str:
    return " ".join(text.split()[:HEADLINE_WORDS])


def _names(text: str, common: set[str]) -> Iterator[tuple[str, str]]:
    """The text in pieces, each what stands before a name and the name (empty after the last one).

    A name is a row of capitalised words that this set never writes small: "Drivers" in a headline is none.
    """
    start = 0
    for run in _CAPITALISED.finditer(text):
        for name in re.finditer(r"\S+(?: \S+)*", _blanked(run[0], common)):
            yield text[start : run.start() + name.start()], name[0]
            start = run.start() + name.end()
    yield text[start:], ""


def _blanked(run: str, common: set[str]) -> str:
    """Capitalised words with blanks over the common ones among them."""
    words = run.split(" ")
    return " ".join("\t" * len(word) if word.lower() in common else word for word in words)


def _with_other_entities(sides: Sequence[Sequence[str]]) -> list[list[str]]:
    """The texts of each side with other names and numbers."""
    common = {word for side in sides for text in side for word in _SMALL.findall(text)}
    names = sorted({name for side in sides for text in side for _, name in _names(text, common) if name})
    changed: list[list[str]] = [[] for _ in sides]
    for row in zip(*sides, strict=True):
        draw = _draws_of_entities(row)
        for side, text in zip(changed, row, strict=True):
            side.append(_other_entities(text, common, names, draw))
    return changed


def _draws_of_entities(row: Sequence[str]) -> Callable[[str], float]:
    """Gives a random number for a name or digit of the text, or pair, ``row``."""
    if len(row) == 1:
        draw = _draws("entities", row[0])
        return lambda entity: draw()
    # What stands in both texts of a pair is replaced by the same in both: else its label would no longer be right.
    return lambda entity: _draws("entities", "\0".join((*row, entity)))()


def _other_entities(text: str, common: set[str], names: Sequence[str], draw: Callable[[str], float]) -> str:
    pieces = ((before, _another(name, names, draw) if name else "") for before, name in _names(text, common))
    text = "".join(piece for pair in pieces for piece in pair)
    return _DIGIT.sub(lambda match: match[0] if match[0] == "0" else str(1 + int(draw(match[0]) * 9)), text)


def _another(name: str, names: Sequence[str], draw: Callable[[str], float]) -> str:
    """A name of the set drawn at random; the one after it where that is ``name`` itself."""
    place = int(draw(name) * len(names))
    return names[place] if names[place] != name else names[(place + 1) % len(names)]
