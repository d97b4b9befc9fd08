"""The total training time of several runs.

A soup is made of several runs by averaging their weights. The training of a run counts once, even if a soup that was
made of it is among the runs too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from featherweight.files import sha256_of
from featherweight.run.folder import Run

Key = frozenset[tuple[str, str]] | Path
"""What identifies a training: names and checksums of the files with its weights, or its folder if it saved none."""


def total_training_seconds(runs: Iterable[Run]) -> float:
    """The seconds of all trainings that were needed for ``runs``; each training counts once.

    A soup (averaged weights of several runs) trains nothing itself: it counts the trainings of its runs. A training is
    recognised by the checksums of its weights, so it counts once even if its run is among ``runs`` too, was moved to
    another folder, or is part of several soups.
    """
    seconds: dict[Key, float] = {}
    soups = []
    for run in runs:
        if run.environment.get("soup"):
            soups.append(run)
        else:
            seconds[_key_of(run.folder)] = _seconds(run.environment)
    for soup in soups:
        rest = _seconds(soup.environment)
        for one in soup.environment["soup"]["runs"]:
            key = frozenset(one["sha256"].items())
            known = seconds.setdefault(key, one.get("training_seconds") or 0.0)
            rest -= known
        if any("training_seconds" not in one for one in soup.environment["soup"]["runs"]):
            seconds[soup.folder] = max(0.0, rest)  # of an early soup only the sum is known
    return sum(seconds.values())


def _seconds(environment: Mapping[str, Any]) -> float:
    return float(environment.get("training_seconds") or environment.get("seconds") or 0.0)


def _key_of(folder: Path) -> Key:
    return frozenset((file.name, sha256_of(file)) for file in (folder / "adapter").glob("*.safetensors")) or folder
