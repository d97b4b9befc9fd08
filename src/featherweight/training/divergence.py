"""A training that diverged: one line for the user, and a file with all rows of the step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featherweight.data.sources import Rows
from featherweight.errors import FeatherweightError
from featherweight.files import write_json

FILE = "diverged.json"
MOST_SKIPPED = 20
"""Steps in a row without an update after which fp16 is given up.

Loss scaling halves its factor at each of them: from 65,536, where it begins, twenty lead below one.
"""
_NAMED = 12


class Diverged(FeatherweightError):
    """The loss or the gradient is not finite."""


class Skipped:
    """Counts the steps in a row whose update loss scaling left out, because their gradient overflowed 16 bits."""

    def __init__(self) -> None:
        self._in_a_row = 0

    def too_many(self, skipped: bool) -> bool:
        """Count a step; True where it is the ``MOST_SKIPPED``-th in a row without an update."""
        self._in_a_row = self._in_a_row + 1 if skipped else 0
        return self._in_a_row >= MOST_SKIPPED


def diverged(
    folder: Path | None, what: str, step: int, loss: float, norm: float, places: NDArray[np.int64], rows: Rows | None
) -> Diverged:
    """The error for ``step`` (as a person counts), after its rows were written to ``folder``/diverged.json.

    ``places`` are those of the step's rows in the training split, from 0; ``rows`` is that split. Of several processes
    one alone writes: the others pass no folder. A disk that takes no file takes nothing from the message.
    """
    named = ", ".join(str(place + 1) for place in places[:_NAMED])
    more = f" and {len(places) - _NAMED} more" if len(places) > _NAMED else ""
    where = ""
    if folder is not None and rows is not None:
        with suppress(OSError):
            content = {"step": step, "loss": _figure(loss), "grad_norm": _figure(norm), "rows": _listed(places, rows)}
            write_json(folder / FILE, content)
            where = f"; {folder / FILE} has them all"
    return Diverged(f"step {step}: {what}; rows of the training split: {named}{more}{where}")


def _listed(places: Sequence[int] | NDArray[np.int64], rows: Rows) -> list[dict[str, Any]]:
    """Each row with its number in the training split, counted from 1, its id where the data has one, label and text."""
    taken = rows.take(np.asarray(places))
    assert taken.labels is not None
    ids = [{"id": value} for value in taken.ids] if taken.ids else [{} for _ in taken.texts]
    labels = [rows.label_names[label] for label in taken.labels.tolist()]
    return [
        {"row": int(place) + 1, **own, "label": label, "text": text}
        for place, own, label, text in zip(places, ids, labels, taken.texts, strict=True)
    ]


def _figure(value: float) -> float | str:
    # JSON has no word for infinity, and which of the two it was helps.
    return value if math.isfinite(value) else str(value)
