"""Ctrl-C and SIGTERM end a training: between two steps, with a checkpoint; before and after the steps at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from featherweight.errors import FeatherweightError


class Interrupted(FeatherweightError):
    """The run was asked to stop by a signal; what it has is on the disk and it can be resumed."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


class _Signalled(KeyboardInterrupt):
    """What a signal raises. It is a KeyboardInterrupt, so that no library catches it as a failure."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], int]]:
    """Within the context, SIGINT and SIGTERM are only recorded: the callable gives the signal's number, or 0.

    A second signal acts at once, as it would have without this; so does, at the end, one that nobody asked after.
    Outside the main thread signals are left alone.
    """
    received: list[int] = []
    heeded: list[int] = []
    before = _handlers()

    def mark(number: int, _: FrameType | None) -> None:
        received.append(number)
        signal.signal(number, before[number])

    def asked() -> int:
        heeded.extend(received[:1])
        return received[0] if received else 0

    with _handled_by(mark, before):
        yield asked
    if received and not heeded:
        signal.raise_signal(received[0])


@contextmanager
def end_on_signals(how_to_go_on: Callable[[], str]) -> Iterator[None]:
    """Within the context, SIGINT and SIGTERM raise Interrupted at once; its message says how to resume.

    For work that puts its files in place whole, so that it can be left anywhere. A second signal acts as it would have
    without this. Outside the main thread signals are left alone.
    """
    before = _handlers()

    def end(number: int, _: FrameType | None) -> None:
        for each, earlier in before.items():
            signal.signal(each, earlier)
        raise _Signalled(number)

    try:
        with _handled_by(end, before):
            yield
    except _Signalled as stop:
        raise Interrupted(how_to_go_on(), stop.number) from None


def _handlers() -> dict[int, Any]:
    """The present handlers of the signals; empty outside the main thread, which alone may change them."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None], before: Mapping[int, Any]) -> Iterator[None]:
    """Let ``handler`` take the signals of ``before`` within the context; their handlers come back at its end."""
    try:
        for number in before:
            signal.signal(number, handler)
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
