"""Measures how long the phases of a run take."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from featherweight.formatting import duration
from featherweight.training.listeners import Record

LOADING, TRAINING, EVALUATION = "loading", "training", "evaluation"
SOUP = "soup"
CHECK, REPORT = "saving and reload check", "report"
"""The phases of a training; a soup has the phase ``SOUP`` in place of ``TRAINING``."""


class Phases:
    """Measures the phases of a run, such as "loading" and "training".

    As a listener of the training, it takes the time of evaluations out of "training": they are a phase of their own.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._began = self._since = clock()
        self._name = ""
        self.seconds: dict[str, float] = {}
        """Seconds of each phase, in the order in which they began."""

    def begin(self, name: str) -> None:
        """End the current phase and begin ``name``, or continue it if it has been there before."""
        now = self._clock()
        if self._name:
            self._add(self._name, now - self._since)
        self._name, self._since = name, now

    def total(self) -> float:
        """Seconds since this object was made."""
        return self._clock() - self._began

    def in_words(self) -> str:
        """All phases with their durations until now, such as "took 3 min: loading 9 s, training 2 min, report 8 s"."""
        self.begin(self._name)
        parts = ", ".join(f"{name} {duration(seconds)}" for name, seconds in self.seconds.items())
        return f"took {duration(self.total())}: {parts}"

    def _add(self, name: str, seconds: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def started(self, total_steps: int, first_step: int, notes: Sequence[str]) -> None:
        """Do nothing: the caller has begun the phase of the training by ``begin``."""

    def noted(self, message: str) -> None:
        """Do nothing: a message does not begin a phase."""

    def stepped(self, record: Record) -> None:
        """Do nothing: a step belongs to the current phase."""

    def evaluated(self, record: Record, best: bool) -> None:
        """Add the seconds of this evaluation to the phase of evaluations, not to the current phase."""
        self._add(self._name, -record["seconds"])
        self._add(EVALUATION, record["seconds"])
