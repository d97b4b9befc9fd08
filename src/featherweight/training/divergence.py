"""Reports a diverged training: one line for the user, and a file that lists all rows of the failed step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featherweight.data.pairs import shown
from featherweight.data.sources import Rows
from featherweight.errors import FeatherweightError
from featherweight.files import write_json
from featherweight.hints import steadier

FILE = "diverged.json"
MOST_SKIPPED = 20
"""Number of consecutive steps without an update after which an fp16 training stops.

Loss scaling halves its factor at each of these steps. It starts at 65,536, so after twenty steps it is below one.
"""
_MOST_NAMED = 12


class Diverged(FeatherweightError):
    """The exception for a loss or gradient that is not finite."""


class OverflowCounter:
    """Counts consecutive steps that the loss scaler skipped because their gradient overflowed fp16."""

    def __init__(self) -> None:
        self._consecutive = 0

    def limit_reached(self, skipped: bool) -> bool:
        """Count one step; True if it is the ``MOST_SKIPPED``-th consecutive step without an update."""
        self._consecutive = self._consecutive + 1 if skipped else 0
        return self._consecutive >= MOST_SKIPPED


def diverged(
    folder: Path | None,
    what: str,
    step: int,
    loss: float,
    norm: float,
    indices: NDArray[np.int64],
    rows: Rows | None,
    learning_rate: float | None = None,
) -> Diverged:
    """Write the rows of ``step`` to ``folder``/diverged.json, and return the error to raise.

    ``what`` says what went wrong. ``step`` counts from 1. ``indices`` are the step's rows in the training split
    ``rows``. Only one of several processes writes the file: the others pass no folder. If the file cannot be written,
    the error leaves its name out. The advice in the error depends on the ``learning_rate``, if it is known.
    """
    named = ", ".join(str(index + 1) for index in indices[:_MOST_NAMED])
    more = f" and {len(indices) - _MOST_NAMED} more" if len(indices) > _MOST_NAMED else ""
    where = ""
    if folder is not None and rows is not None:
        with suppress(OSError):
            content = {"step": step, "loss": _number(loss), "grad_norm": _number(norm), "rows": _listed(indices, rows)}
            write_json(folder / FILE, content)
            where = f"; {folder / FILE} lists all of them"
    return Diverged(f"step {step}: {what}; rows of the training split: {named}{more}{where}; {steadier(learning_rate)}")


def _listed(indices: Sequence[int] | NDArray[np.int64], rows: Rows) -> list[dict[str, Any]]:
    """One object per row: its number in the training split (from 1), its id if the data has ids, its label and text."""
    taken = rows.take(np.asarray(indices))
    assert taken.labels is not None
    ids = [{"id": value} for value in taken.ids] if taken.ids else [{} for _ in taken.texts]
    labels = rows.names_of(taken.labels)
    return [
        {"row": int(index) + 1, **row_id, "label": label, "text": shown(text)}
        for index, row_id, label, text in zip(indices, ids, labels, taken.texts, strict=True)
    ]


def _number(value: float) -> float | str:
    # JSON has no infinity and no NaN; the text tells which of them it was.
    return value if math.isfinite(value) else str(value)
