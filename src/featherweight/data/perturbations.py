"""Changes test texts to measure robustness: typing errors, another case, only a headline, or other names.

The random changes of a text depend only on the text and the name of the perturbation. So every run, seed and machine
has the same perturbed set, in any order of the rows.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Iterator, Sequence

from featherweight.data.pairs import Text, same_kind, sides_of
from featherweight.recipe import PERTURBED

HEADLINE_WORDS = 8
"""Number of first words that form the headline if the data has no title column: about the length of news headlines."""
TYPO_RATE = 0.1
"""Fraction of the words with at least four letters that get a typing error."""

_WORD = re.compile(r"[^\W\d_]{4,}")
_SMALL = re.compile(r"(?<![\w'’-])[a-z][\w'’-]+")
_CAPITALISED = re.compile(r"(?<![\w'’-])[A-Z][\w’-]+(?: [A-Z][\w’-]+)*")
_DIGIT = re.compile(r"\d")
_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_BESIDE = {
    key: row[max(0, place - 1) : place] + row[place + 1 : place + 2] for row in _KEYS for place, key in enumerate(row)
}


Draw = Callable[[], float]
"""Returns the next random number of a text, at least 0 and below 1."""


def is_perturbed(source: str) -> bool:
    """Whether ``source``, the name of a shift set, is a perturbation of the test rows, such as ``perturbed:typos``."""
    return source.startswith(PERTURBED)


def perturb(texts: Sequence[Text], source: str) -> Sequence[Text]:
    """The texts with the perturbation ``source``, such as ``perturbed:casing`` (see ``recipe.PERTURBATIONS``).

    ``casing`` lower-cases or upper-cases the whole text; ``typos`` inserts a typing error into one word in ten;
    ``headline`` keeps the first words; ``entities`` replaces names by other names of the same set, and numbers by other
    numbers. The two texts of a pair are changed separately.
    """
    kind, sides = source.removeprefix(PERTURBED), sides_of(texts)
    if kind == "entities":
        return same_kind(_with_other_entities(sides))
    changes: dict[str, Callable[[str, Draw], str]] = {"casing": _casing, "typos": _typos, "headline": _headline}
    change = changes[kind]
    return same_kind([[change(text, _draws(kind, text)) for text in side] for side in sides])


def headline_of(title: str, text: str) -> str:
    """The text of the title column, or the first words of ``text`` if the title is empty."""
    return title if title.strip() else _first_words(text)


def _draws(kind: str, text: str) -> Draw:
    # Only random() is guaranteed to give the same numbers in every version of Python.
    seed = hashlib.sha256(f"{kind}\0{text}".encode()).digest()
    return random.Random(int.from_bytes(seed[:8])).random


def _casing(text: str, draw: Draw) -> str:
    return text.lower() if draw() < 0.5 else text.upper()


def _typos(text: str, draw: Draw) -> str:
    return _WORD.sub(lambda match: _with_typo(match[0], draw) if draw() < TYPO_RATE else match[0], text)


def _with_typo(word: str, draw: Draw) -> str:
    """The word with two letters swapped, one letter removed, one doubled, or one replaced by a neighbouring key."""
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
    """Yield (text before a name, name) for each name in ``text``; the last pair is (text after all names, "").

    A name is a sequence of capitalised words that are not in ``common``, the words that also occur in lower case in the
    set. So "Drivers" in a headline is not a name.
    """
    start = 0
    for run in _CAPITALISED.finditer(text):
        for name in re.finditer(r"\S+(?: \S+)*", _without_common_words(run[0], common)):
            yield text[start : run.start() + name.start()], name[0]
            start = run.start() + name.end()
    yield text[start:], ""


def _without_common_words(run: str, common: set[str]) -> str:
    """The capitalised words ``run``, with tabs instead of the letters of each word that is in ``common``.

    So the remaining words, which are names, keep their positions in the text.
    """
    words = run.split(" ")
    return " ".join("\t" * len(word) if word.lower() in common else word for word in words)


def _with_other_entities(sides: Sequence[Sequence[str]]) -> list[list[str]]:
    """The texts of each column in ``sides``, with names and numbers replaced by others."""
    common = {word for side in sides for text in side for word in _SMALL.findall(text)}
    names = sorted({name for side in sides for text in side for _, name in _names(text, common) if name})
    changed: list[list[str]] = [[] for _ in sides]
    for row in zip(*sides, strict=True):
        draw = _draws_of_entities(row)
        for side, text in zip(changed, row, strict=True):
            side.append(_other_entities(text, common, names, draw))
    return changed


def _draws_of_entities(row: Sequence[str]) -> Callable[[str], float]:
    """A function that returns a random number from 0 to 1, which selects the replacement of a name or a digit.

    ``row`` is the text or the pair that contains it.
    """
    if len(row) == 1:
        draw = _draws("entities", row[0])
        return lambda entity: draw()
    # A name in both texts of a pair is replaced by the same name in both, because the label would be wrong otherwise.
    return lambda entity: _draws("entities", "\0".join((*row, entity)))()


def _other_entities(text: str, common: set[str], names: Sequence[str], draw: Callable[[str], float]) -> str:
    pieces = ((before, _replacement_name(name, names, draw) if name else "") for before, name in _names(text, common))
    text = "".join(piece for pair in pieces for piece in pair)
    return _DIGIT.sub(lambda match: match[0] if match[0] == "0" else str(1 + int(draw(match[0]) * 9)), text)


def _replacement_name(name: str, names: Sequence[str], draw: Callable[[str], float]) -> str:
    """A random name from ``names`` (all names in the set) that replaces ``name``; never ``name`` itself."""
    place = int(draw(name) * len(names))
    return names[place] if names[place] != name else names[(place + 1) % len(names)]
