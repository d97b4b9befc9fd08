"""Lines on the progress of a prediction that takes minutes."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from featherweight import progress
from featherweight.progress import RowProgress, running_count


@pytest.fixture
def pass_seconds(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A function that moves the clock of `progress` on by so many seconds."""
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(progress, "time", clock)

    def move(seconds: float) -> None:
        clock.now += seconds

    return move


def test_a_line_a_minute(pass_seconds: Callable[[float], None]) -> None:
    lines: list[str] = []
    advance = RowProgress(lines.append, "test", 7600)
    for _ in range(38):
        pass_seconds(10)
        advance(200)
    assert lines == [
        "test: 1,200 of 7,600 rows",
        "test: 2,400 of 7,600 rows",
        "test: 3,600 of 7,600 rows",
        "test: 4,800 of 7,600 rows",
        "test: 6,000 of 7,600 rows",
        "test: 7,200 of 7,600 rows",
    ]


def test_a_short_prediction_tells_nothing(pass_seconds: Callable[[float], None]) -> None:
    lines: list[str] = []
    advance = RowProgress(lines.append, "test", 100)
    for _ in range(10):
        pass_seconds(5)
        advance(10)
    pass_seconds(60)
    advance(0)  # nothing is left to wait for
    assert not lines


def test_a_share_of_the_work_decides_about_the_time(pass_seconds: Callable[[float], None]) -> None:
    lines: list[str] = []
    advance = RowProgress(lines.append, "frozen layers 0-7: states", 1000, "texts")
    pass_seconds(60)
    advance(500, 0.25)  # short texts come first
    assert lines == ["frozen layers 0-7: states: 500 of 1,000 texts, 3 min left"]


def test_running_count() -> None:
    seen: list[tuple[int, int]] = []
    advance = running_count(lambda done, total: seen.append((done, total)), 10, 30)
    advance(5)
    advance(15)
    assert seen == [(15, 30), (30, 30)]
