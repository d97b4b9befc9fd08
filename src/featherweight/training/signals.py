"""Handling of Ctrl-C and SIGTERM.

During the training loop, a signal ends the training after the current step, with a checkpoint. Before and after the
loop, it ends the program at once.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from featherweight.errors import FeatherweightError


class Interrupted(FeatherweightError):
    """The exception for a run that a signal has stopped; its message tells the user how to resume the run."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


class _Signalled(KeyboardInterrupt):
    """Raised by the signal handler. It is a KeyboardInterrupt, so that no library catches it as an ordinary error."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], int]]:
    """Within the context, SIGINT and SIGTERM are only recorded; the callable returns the number of the signal, or 0.

    A second signal has its normal effect at once. If the callable was not called after a signal, the signal has its
    normal effect at the end of the context. Outside the main thread signals are not changed.
    """
    received: list[int] = []
    polled: list[int] = []
    before = _handlers()

    def record_signal(number: int, _: FrameType | None) -> None:
        received.append(number)
        signal.signal(number, before[number])

    def poll() -> int:
        polled.extend(received[:1])
        return received[0] if received else 0

    with _handled_by(record_signal, before):
        yield poll
    if received and not polled:
        signal.raise_signal(received[0])


@contextmanager
def end_on_signals(resume_hint: Callable[[], str]) -> Iterator[None]:
    """Within the context, SIGINT and SIGTERM raise Interrupted at once, with the message ``resume_hint()``.

    Use it for work that writes its files atomically, so that it can be interrupted anywhere. A second signal has its
    normal effect. Outside the main thread signals are not changed.
    """
    before = _handlers()

    def end(number: int, _: FrameType | None) -> None:
        for handled, handler in before.items():
            signal.signal(handled, handler)
        raise _Signalled(number)

    try:
        with _handled_by(end, before):
            yield
    except _Signalled as stop:
        raise Interrupted(resume_hint(), stop.number) from None


def _handlers() -> dict[int, Any]:
    """The current handlers of SIGINT and SIGTERM; empty outside the main thread, which alone may change them."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None], before: Mapping[int, Any]) -> Iterator[None]:
    """Within the context, ``handler`` handles all signals in ``before``; afterwards their handlers in ``before`` do."""
    try:
        for number in before:
            signal.signal(number, handler)
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
