"""What follows a training, and how it is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

Record = dict[str, Any]
"""A line of history.jsonl."""


class Listener(Protocol):
    """What follows a training: a progress bar, a log, a tracker."""

    def started(self, total_steps: int, first_step: int, notes: Sequence[str]) -> None:
        """The loop begins; ``notes`` say what was chosen and why."""

    def noted(self, message: str) -> None:
        """A message about the run: what happens next, or what to beware of."""

    def stepped(self, record: Record) -> None:
        """An optimizer step is done; the record is history.jsonl's."""

    def evaluated(self, record: Record, best: bool) -> None:
        """An evaluation is done; ``best`` tells whether it is the best so far."""


def notify(listeners: Sequence[Listener], message: str) -> None:
    """Say to all ``listeners`` what happens next."""
    for listener in listeners:
        listener.noted(message)
