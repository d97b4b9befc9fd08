"""How the classes are written in the label column of the data."""

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
    """The label column of some rows."""

    name: str
    """The name in the spelling of the data."""
    values: tuple[str, ...]
    """How each class is written in it, in the order of the class numbers."""
    separator: str | None = None
    """What is between the labels in a cell of text, if a text may have several."""


def describe_label_column(
    name: str, values: Sequence[Any], numbers: NDArray[np.int64], classes: Sequence[str]
) -> LabelColumn:
    """The column ``name`` with the value of each class; ``numbers`` are the class numbers of its ``values``.

    The value of a class is that of its rows. A class without rows has its number if the column contains class numbers,
    otherwise its name. If any class is written in several ways, such as 1 and 1.0, all classes get number or name.
    """
    spelled: dict[int, set[str]] = {}
    # With the types, because 1 equals 1.0.
    for number, value, _ in set(zip(numbers.tolist(), values, map(type, values), strict=True)):
        spelled.setdefault(number, set()).add(written(value))
    plain = map(str, range(len(classes))) if _are_numbers(spelled, classes) else classes
    if any(len(texts) > 1 for texts in spelled.values()):
        return LabelColumn(name, tuple(plain))
    return LabelColumn(name, tuple(next(iter(spelled.get(number, (text,)))) for number, text in enumerate(plain)))


def _are_numbers(spelled: Mapping[int, Collection[str]], classes: Sequence[str]) -> bool:
    """Whether the column contains class numbers, and not names of classes that are whole numbers."""
    if all(classes[number] == str(number) for number in spelled):
        return False
    return all(are_whole([text]) and float(text) == number for number, texts in spelled.items() for text in texts)


def written(value: Any) -> str:
    """A cell as text without outer blanks; empty if the value is missing."""
    return "" if is_missing(value) else str(value).strip()


def are_whole(texts: Iterable[str]) -> bool:
    """Whether all ``texts`` are whole numbers, such as ``-1`` or ``3.0``."""
    return all(_WHOLE.fullmatch(text) for text in texts)
