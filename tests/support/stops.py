"""A listener that stops a training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class StopAfter:
    """Calls ``stop`` after step number ``step``, for instance to send a signal."""

    def __init__(self, step: int, stop: Callable[[], None]) -> None:
        self._step, self._stop = step, stop

    def started(self, total_steps: int, first_step: int, notes: list[str]) -> None: ...
    def evaluated(self, record: dict[str, Any], best: bool) -> None: ...
    def noted(self, message: str) -> None: ...

    def stepped(self, record: dict[str, Any]) -> None:
        if record["step"] == self._step:
            self._stop()
