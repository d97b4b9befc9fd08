"""A listener that remembers what a training says."""

from __future__ import annotations

from typing import Any


class Heard:
    """A listener that keeps the messages of a training in ``notes``."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def noted(self, message: str) -> None:
        self.notes.append(message)

    def started(self, *_: Any) -> None: ...
    def stepped(self, *_: Any) -> None: ...
    def evaluated(self, *_: Any) -> None: ...
