"""Compares an export, loaded in a new process, with its run, and refuses the export if they differ too much."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binom

from featherweight.data.pairs import Text
from featherweight.errors import FeatherweightError
from featherweight.formatting import counted

LARGEST = {"merged": 1e-3, "onnx": 1e-3}
"""Logits of the export and the run may differ by less than this; for int8 there is no such limit."""
LEAST_AGREEMENT = {"merged": 1.0, "onnx": 1.0, "onnx-int8": 0.993, "openvino-int8": 0.993}
"""Smallest share of rows on which the export and the run must give the same label."""
CHANCE = 0.01
"""Few rows cannot show a share of 99.3%. An export is refused if so many other labels, or more, have at most this
probability in an export with exactly the least agreement (binomial test).
"""
NOTABLE_LOSS = 0.002
"""Loss of accuracy that the user is told. With few rows it may be chance, so it does not refuse an export."""
UNDECIDED = 1e-5
"""A row whose decision rounding alone may change: its margin, as a probability, is at most this."""


@dataclass(frozen=True)
class Answer:
    """The logits that an export gave in a new process, and the seconds for computing them and for loading it."""

    logits: np.ndarray
    """float64 [rows, labels]"""
    seconds: float
    load_seconds: float


def in_fresh_process(folder: Path, texts: Sequence[Text]) -> Answer:
    """The logits of ``texts`` by the export in ``folder``. Raises FeatherweightError if it cannot be loaded."""
    with tempfile.TemporaryDirectory() as place:
        request, result = Path(place) / "texts.json", Path(place) / "logits.npy"
        request.write_text(json.dumps([*texts]), "utf-8")
        command = [sys.executable, "-P", "-m", "featherweight.export.fresh", str(folder), str(request), str(result)]
        # The new process imports the same packages as this one, and nothing from the working directory.
        paths = os.pathsep.join(filter(None, sys.path))
        variables = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": paths}
        done = subprocess.run(command, capture_output=True, text=True, env=variables)
        if done.returncode:
            ended = (
                "no message" if done.returncode > 0 else f"ended by signal {-done.returncode}; is there enough memory?"
            )
            last = (done.stderr.strip().splitlines() or [ended])[-1]
            raise FeatherweightError(
                f"{folder}: the export cannot be loaded in a new Python process: {last}; export the run again"
            )
        times = json.loads(done.stdout.splitlines()[-1])
        return Answer(np.load(result), times["seconds"], times["load_seconds"])


def compare(run: np.ndarray, answer: np.ndarray, task: Any, temperature: float) -> dict[str, Any]:
    """Compare the logits of a ``run`` with the logits ``answer`` of its export, both [rows, labels].

    Returns ``rows``, ``largest_difference`` (of logits), ``other_labels`` (number of rows with another label) and
    ``agreement`` (share of rows with the same label). If the run is so undecided on a row that rounding could change
    its label (``UNDECIDED``), the row counts as one with the same label.
    """
    probabilities = task.probabilities(run, temperature)
    same = task.right(task.predict(answer, temperature), task.decide(probabilities))
    undecided = task.margins(probabilities) <= UNDECIDED
    return {
        "rows": len(run),
        "largest_difference": float(np.abs(run - answer).max(initial=0.0)),
        "other_labels": int((~(same | undecided)).sum()),
        "agreement": float((same | undecided).mean()) if len(run) else 1.0,
    }


def loss_of_accuracy(comparison: dict[str, Any]) -> str:
    """A note if the export is less accurate than the run by more than ``NOTABLE_LOSS``; else empty."""
    lost = comparison.get("run_accuracy", 0.0) - comparison.get("export_accuracy", 0.0)
    if lost <= NOTABLE_LOSS:
        return ""
    rows = comparison["rows"]
    return f"the export is {100 * lost:.1f} points less accurate than the run on {counted(rows, 'validation row')}"


def verdict(target: str, comparison: dict[str, Any]) -> str:
    """A clause that says why the export is refused; an empty string if it is accepted."""
    rows, least = comparison["rows"], LEAST_AGREEMENT[target]
    others, difference = comparison["other_labels"], comparison["largest_difference"]
    if binom.sf(others - 1, rows, 1 - least) <= CHANCE:  # the probability of so many other labels, or more
        wanted = "all" if least == 1 else f"at least {least:.1%}"
        return f"{others:,} of {counted(rows, 'row')} have another label than in the run; {wanted} must agree"
    if target in LARGEST and not difference < LARGEST[target]:
        return f"logits differ from those of the run by up to {difference:.2g}, not under {LARGEST[target]:g}"
    return "" if np.isfinite(difference) else "its logits are not finite"
