"""The interface of listeners, which are informed about the progress of a training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

Record = dict[str, Any]
"""A line of history.jsonl."""


class Listener(Protocol):
    """The interface of a progress bar, a log or a tracker: its methods are called as a training proceeds."""

    def started(self, total_steps: int, first_step: int, notes: Sequence[str]) -> None:
        """Called when the training loop starts; ``notes`` are warnings, and settings chosen for the user with reasons.

        ``first_step`` is 0, or the number of steps before a resume.
        """

    def noted(self, message: str) -> None:
        """Called with a message about the run: what happens next, or a warning."""

    def stepped(self, record: Record) -> None:
        """Called after each optimizer step; ``record`` is its line in history.jsonl."""

    def evaluated(self, record: Record, best: bool) -> None:
        """Called after each evaluation, with its line in history.jsonl; ``best`` is true for the best so far."""


def notify(listeners: Sequence[Listener], message: str) -> None:
    """Send ``message`` to all ``listeners``."""
    for listener in listeners:
        listener.noted(message)
