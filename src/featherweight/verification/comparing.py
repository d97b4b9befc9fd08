"""Compares metrics that were computed again with those that a run claims."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from featherweight.task.single_label import Floats
from featherweight.verification.evidence import ROUNDING


def first_difference(now: Any, then: Any, key: str = "") -> str:
    """The first key of ``then`` whose value in ``now`` differs by more than rounding; "" if all values agree.

    Keys that only ``now`` has are ignored: a newer version may compute more metrics than the run has.
    """
    if isinstance(now, dict) and isinstance(then, dict):
        pairs = [(now.get(inner), then[inner], inner) for inner in then]
    elif isinstance(now, list | tuple) and isinstance(then, list | tuple) and len(now) == len(then):
        pairs = [(*pair, key) for pair in zip(now, then, strict=True)]
    elif isinstance(now, float) and isinstance(then, int | float):
        return "" if abs(now - then) <= ROUNDING else key
    else:
        return "" if now == then else key
    return next((inner for ours, theirs, at in pairs if (inner := first_difference(ours, theirs, at))), "")


def other_calibration(again: Mapping[str, Any], written: Mapping[str, Any], confidence: Floats) -> str:
    """The key of ``written`` about calibration after temperature scaling that ``again`` contradicts; "" if none does.

    ``again`` are the metrics that follow from the stored probabilities, which are scaled already. ``confidence`` are
    the probabilities of the answers, in the bins of the reliability diagram. Stored probabilities are rounded, so one
    at the edge of a bin may be in the bin beside it: it moves the calibration error by at most two answers.
    """
    edges = np.linspace(0.0, 1.0, len(again["reliability"]) + 1)[1:-1]
    values = np.ravel(confidence)
    at_an_edge = sum(int((np.abs(values - edge) <= ROUNDING).sum()) for edge in edges)
    allowed = ROUNDING + 2 * at_an_edge / len(values)
    if not abs(again["calibration_error"] - float(written["calibration_error_scaled"])) <= allowed:
        return "calibration_error_scaled"
    bins = written.get("reliability_scaled")  # runs of early versions have none
    wrong = bins and not at_an_edge and first_difference(again["reliability"], bins, "reliability_scaled")
    return "reliability_scaled" if wrong else ""
