"""Splits rows with several labels each, so that the share of rows with each label is the same on both sides."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_STAY, _DRAWN = 0, 1


def iterative_draw(
    labels: NDArray[np.integer[Any]], wanted: int, seed: int, *, for_training: bool
) -> NDArray[np.int64]:
    """Ascending indices of ``wanted`` rows, drawn with ``seed`` so that each label keeps about its share of rows.

    ``labels`` [rows, labels] are 0 or 1. The method is iterative stratification (Sechidis et al. 2011, ECML PKDD): the
    rows of the rarest label are assigned first, each to the side that needs it most. ``for_training`` says whether the
    drawn rows are the training rows; otherwise the other rows are. The training rows include every label if possible.
    """
    rows = len(labels)
    order = np.random.default_rng(seed).permutation(rows)
    left = labels.sum(axis=0, dtype=np.int64)
    room = np.array([rows - wanted, wanted])
    lacking = np.outer(room / rows, left)
    trained = _DRAWN if for_training else _STAY
    lacking[trained] = np.maximum(lacking[trained], left > 0)
    side = np.full(rows, -1)
    while left.any():
        label = int(np.where(left > 0, left, rows + 1).argmin())
        for row in order[(labels[order, label] > 0) & (side[order] < 0)].tolist():
            place = _side(room, lacking[:, label])
            own = np.flatnonzero(labels[row])
            side[row] = place
            room[place] -= 1
            lacking[place, own] -= 1
            left[own] -= 1
    side[order[side[order] < 0][: room[_DRAWN]]] = _DRAWN  # rows without a label
    side[side < 0] = _STAY
    _bring_back_lost_labels(side, trained, labels, order)
    return np.flatnonzero(side == _DRAWN)


def _side(room: NDArray[np.int64], lacking: NDArray[np.float64]) -> int:
    """The side for a row: the one that needs more rows of the label; if both need equally many, that with more room.

    For each of the two sides, ``room`` is the number of rows that it can still take, and ``lacking`` the number of rows
    with the label that it still needs. If one side is full, the row goes to the other.
    """
    if not room.all():
        return int(room.argmax())
    if lacking[_STAY] == lacking[_DRAWN]:
        return int(room.argmax())
    return int(lacking.argmax())


def _bring_back_lost_labels(
    side: NDArray[np.int64], trained: int, labels: NDArray[np.integer[Any]], order: NDArray[np.int64]
) -> None:
    """Exchange rows between the sides, in place, for each label without a row on the training side ``trained``.

    Such a label gets its share of rows there (at least one), if no other label falls below its own share by that.
    ``side`` is the side of each row; the rows are tried in the given ``order``. Labels get lost if many of them have
    few rows each: then the training side can be full before the last of these rows are assigned.
    """
    counts = labels[side == trained].sum(axis=0, dtype=np.int64)
    least = np.floor(labels.sum(axis=0, dtype=np.int64) * (side == trained).mean()).astype(np.int64).clip(min=1)
    for label in np.flatnonzero((counts == 0) & labels.any(axis=0)).tolist():
        for row in order[(side[order] != trained) & (labels[order, label] > 0)].tolist():
            given = next((other for other in order[side[order] == trained].tolist()
                          if (counts - labels[other] >= least)[labels[other] > 0].all()), None)  # fmt: skip
            if counts[label] >= least[label] or given is None:
                break
            side[row], side[given] = trained, 1 - trained
            counts += labels[row] - labels[given]
