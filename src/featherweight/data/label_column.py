"""How the classes stand in the label column: what a class number or a name was before it was read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featherweight.data.labels import is_missing
from featherweight.data.readers.columns import taken

_WHOLE = re.compile(r"-?\d+(?:\.0+)?", re.ASCII)


@dataclass(frozen=True)
class LabelColumn:
    """The label column of some rows."""

    name: str
    """As the data spells it."""
    values: tuple[str, ...]
    """How each class is written in it, in the order of the class numbers."""


def describe_label_column(
    name: str, values: Sequence[Any], numbers: NDArray[np.int64], classes: Sequence[str]
) -> LabelColumn:
    """The column ``name`` with the first value of each class; ``numbers`` are the class numbers of its ``values``.

    A class without a row is written by its number where the others are, and by its name elsewhere.
    """
    present, rows = np.unique(numbers, return_index=True)
    found = dict(zip(present.tolist(), map(written, taken(values, rows.tolist())), strict=True))
    numbered = all(text == str(number) for number, text in found.items())
    missing = map(str, range(len(classes))) if numbered else classes
    return LabelColumn(name, tuple(found.get(number, text) for number, text in enumerate(missing)))


def written(value: Any) -> str:
    """A cell as a CSV file shows it, outer blanks aside; empty where it is missing."""
    return "" if is_missing(value) else str(value).strip()


def are_whole(texts: Sequence[str]) -> bool:
    """Whether all ``texts`` are whole numbers, such as ``-1`` or ``3.0``."""
    return all(_WHOLE.fullmatch(text) for text in texts)
