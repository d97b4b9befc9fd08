"""The interface of listeners, which are informed about the progress of a training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

Record = dict[str, Any]
"""A line of history.jsonl."""


class Listener(Protocol):
    """Something that is informed about the progress of a training: a progress bar, a log, a tracker."""

    def started(self, total_steps: int, first_step: int, notes: Sequence[str]) -> None:
        """The training loop starts; ``notes`` tell what was chosen and why."""

    def noted(self, message: str) -> None:
        """A message about the run: what happens next, or a warning."""

    def stepped(self, record: Record) -> None:
        """An optimizer step is done; ``record`` is its line in history.jsonl."""

    def evaluated(self, record: Record, best: bool) -> None:
        """An evaluation is done; ``best`` tells whether it is the best so far."""


def notify(listeners: Sequence[Listener], message: str) -> None:
    """Send ``message`` to all ``listeners``."""
    for listener in listeners:
        listener.noted(message)
