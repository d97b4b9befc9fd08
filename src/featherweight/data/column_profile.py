"""Statistics that tell what the values of a column are: running text, a few classes, numbers or lists."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from featherweight.data.flags import notation_of
from featherweight.data.label_cells import plain_labels
from featherweight.data.labels import is_missing
from featherweight.data.written_lists import is_written_list, labels_of_object, written_list

_SAMPLED = 1_000  # approximate number of values, evenly spaced, whose letters and words are counted
_MOST_VALUES = 5_000  # maximum number of different values that are counted
_LONGEST_NAME = 80  # maximum mean number of characters of class names
_MOST_NUMBERS = 50  # maximum number of different whole numbers that may be classes
_NUMBER = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d+(?:\.0+)?", re.ASCII)
_WITHOUT_SPACES = (("\u0e00", "\u0eff"), ("\u3040", "\u30ff"), ("\u3400", "\u9fff"))
"""Scripts without spaces between words: Thai and Lao, kana, Chinese characters."""


@dataclass(frozen=True)
class ColumnProfile:
    """Statistics of the values of one column."""

    rows: int
    filled: int
    """Number of rows that have a value (not a list or an object)."""
    values: int
    """Number of different values, at most 5,000."""
    lists: int
    """Number of rows with a list of several values or an empty list; 0 if the column has nothing but empty lists."""
    objects: bool
    """Whether at least one row has an object, or another value that is not a text, a number or a list."""
    numbers: bool
    """Whether every value is a number, or a number as text."""
    whole: bool
    """Whether every value is a whole number, or one as text."""
    longer: int
    """Number of rows with a list of several values."""
    notation: str | None
    """The value for yes, such as ``1`` or ``true``, if all values mean yes or no; else None."""
    letters: float
    """Share of letters among all characters except white space."""
    words: float
    """Mean number of words of a value; in a script without spaces, two characters count as a word."""
    characters: float
    """Mean length of a value."""

    @property
    def is_running_text(self) -> bool:
        """Whether the values have three words or more on average, and are not a few texts that are often repeated."""
        varied = self.values * 5 >= self.filled or self.values >= _MOST_VALUES
        return self.holds_texts and self.words >= 3 and varied

    @property
    def holds_texts(self) -> bool:
        """Whether the values are mostly letters, and not numbers, dates, lists or objects."""
        return bool(self.filled) and not (self.numbers or self.objects or self.lists) and self.letters >= 0.5

    @property
    def may_be_labels(self) -> bool:
        """Whether the values may be classes: at least two rows per value on average, and half of the rows filled.

        A column with 5,000 or more different values is never one of classes.
        """
        if (
            self.lists
            or self.objects
            or not 2 <= self.values < _MOST_VALUES
            or 2 * self.values > self.filled
            or 2 * self.filled < self.rows
        ):
            return False
        if self.numbers:
            return self.whole and self.values <= _MOST_NUMBERS
        return self.characters <= _LONGEST_NAME and self.letters >= 0.3  # dates and times have fewer letters


def profile_of(values: Sequence[Any]) -> ColumnProfile:
    """The statistics of the ``values`` of a column. A list of one value counts as that value."""
    seen: set[str] = set()
    values = plain_labels(values)
    read = _read if _are_written_lists(values) else single
    filled = lists = longer = 0
    objects, numbers, whole = False, True, True
    for value in values:
        value = read(value)
        if isinstance(value, list):
            lists += 1
            longer += bool(value)
        elif not isinstance(value, str | int | float) and value is not None:
            objects = True
        elif not is_missing(value):
            filled += 1
            text = _written(value)
            if text not in seen and len(seen) < _MOST_VALUES:
                seen.add(text)
                numbers = numbers and bool(_NUMBER.fullmatch(text))
                whole = whole and bool(_WHOLE.fullmatch(text))
    if not filled and not longer:  # an unused column of lists, such as Comments of doccano
        lists = 0
    numbers, whole = numbers and bool(seen), whole and bool(seen)
    notation = None if objects or lists or not seen else notation_of(seen, gaps=filled < len(values))
    writing = _writing(list(map(read, _sample(values))))
    return ColumnProfile(len(values), filled, len(seen), lists, objects, numbers, whole, longer, notation, *writing)


def _sample(values: Sequence[Any]) -> Sequence[Any]:
    return values[:: max(1, math.ceil(len(values) / _SAMPLED))]


def _are_written_lists(values: Sequence[Any]) -> bool:
    """Whether most of the filled values are lists that are written as text, or objects with 0 or 1 for each label."""
    filled = [value for value in _sample(values) if isinstance(value, Mapping) or not is_missing(value)]
    lists = sum(isinstance(_read(value), list) or single(value) is not _read(value) for value in filled)
    return bool(filled) and 2 * lists > len(filled)


def _read(value: Any) -> Any:
    """The list of labels in ``value``, if it is a list written as text, or an object with 0 or 1 for each label.

    A list of one label becomes this label (see ``single``). Any other value is returned unchanged.
    """
    if isinstance(value, Mapping) and (found := labels_of_object(value)) is not None:
        return single(found)
    if isinstance(value, str) and is_written_list(text := value.strip()):
        found = written_list(text)
        value = value if found is None else found
    return single(value)


def _writing(singles: Sequence[Any]) -> tuple[float, float, float]:
    """Share of letters, mean number of words and mean length of the cells ``singles``, none of which is a list."""
    texts = [_written(value) for value in singles if isinstance(value, str | int | float) and not is_missing(value)]
    if not texts:
        return 0.0, 0.0, 0.0
    visible = sum(not character.isspace() for text in texts for character in text)
    letters = sum(character.isalpha() for text in texts for character in text)
    words = sum(map(_words, texts))
    return letters / max(1, visible), words / len(texts), sum(map(len, texts)) / len(texts)


def _words(text: str) -> float:
    if text.isascii():
        return len(text.split())
    unspaced = sum(any(first <= character <= last for first, last in _WITHOUT_SPACES) for character in text)
    return len(text.split()) + unspaced / 2


def single(value: Any) -> Any:
    """The value in a list of one value; any other value is returned unchanged."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _written(value: Any) -> str:
    return str(value).strip()
