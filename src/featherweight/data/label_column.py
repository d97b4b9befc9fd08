"""Describes how the label column of the data spells the classes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from featherweight.data.labels import is_missing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_WHOLE = re.compile(r"-?\d+(?:\.0+)?", re.ASCII)


@dataclass(frozen=True)
class LabelColumn:
    """The name of a label column, and the text that stands for each class in its cells, such as ``spam`` or ``1``."""

    name: str
    """Name of the column, as in the data."""
    values: tuple[str, ...]
    """The value that stands for each class in the column, in the order of the class numbers."""
    separator: str | None = None
    """The separator of several labels in one cell; None if there is no separator."""


def describe_label_column(
    name: str, values: Sequence[Any], numbers: NDArray[np.int64], classes: Sequence[str]
) -> LabelColumn:
    """The column ``name`` and how it writes each class; ``values`` are its cells, ``numbers`` their class numbers.

    A class is written as in its rows. A class without rows is written as its number if the column contains class
    numbers, otherwise as its name. If a class is written in several ways, such as 1 and 1.0, then all classes are
    written as their numbers, or all as their names.
    """
    spelled: dict[int, set[str]] = {}
    # The set includes the types, because 1 equals 1.0.
    for number, value, _ in set(zip(numbers.tolist(), values, map(type, values), strict=True)):
        spelled.setdefault(number, set()).add(written(value))
    plain = map(str, range(len(classes))) if _are_numbers(spelled, classes) else classes
    if any(len(texts) > 1 for texts in spelled.values()):
        return LabelColumn(name, tuple(plain))
    return LabelColumn(name, tuple(next(iter(spelled.get(number, (text,)))) for number, text in enumerate(plain)))


def _are_numbers(spelled: Mapping[int, Collection[str]], classes: Sequence[str]) -> bool:
    """Whether the column contains indices of ``classes``, and not names of classes that are whole numbers.

    ``spelled`` has the spellings of each number in the column, such as {1: {"1", "1.0"}}.
    """
    if all(classes[number] == str(number) for number in spelled):
        return False
    return all(are_whole([text]) and float(text) == number for number, texts in spelled.items() for text in texts)


def written(value: Any) -> str:
    """A cell as text without outer blanks; empty if the value is missing."""
    return "" if is_missing(value) else str(value).strip()


def are_whole(texts: Iterable[str]) -> bool:
    """Whether all ``texts`` are whole numbers, such as ``-1`` or ``3.0``."""
    return all(_WHOLE.fullmatch(text) for text in texts)
