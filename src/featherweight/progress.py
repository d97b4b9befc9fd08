"""How far a long prediction is: a line a minute for logs, and a running count for progress bars."""

from __future__ import annotations

import time
from collections.abc import Callable

from featherweight.formatting import duration

_SECONDS_BETWEEN_LINES = 60.0


class RowProgress:
    """A function to call with each number of further finished rows; once a minute it tells how many are done.

    ``tell`` then gets a line such as ``test: 4,100 of 7,600 rows``. A prediction that takes less than a minute tells
    nothing.
    """

    def __init__(self, tell: Callable[[str], object], what: str, total: int, rows: str = "rows") -> None:
        self._tell, self._what, self._total, self._rows = tell, what, total, rows
        self._done = 0
        self._begun = self._told = time.monotonic()

    def __call__(self, more: int, share: float | None = None) -> None:
        """Count ``more`` finished rows; with ``share``, the part of all work that is done, the line has the time left.

        The number of rows would not tell it: texts of similar length are predicted together, the longest ones first.
        """
        self._done += more
        now = time.monotonic()
        if now - self._told < _SECONDS_BETWEEN_LINES or self._done >= self._total:
            return
        self._told = now
        left = f", {duration((now - self._begun) * (1 - share) / share)} left" if share else ""
        self._tell(f"{self._what}: {self._done:,} of {self._total:,} {self._rows}{left}")


def running_count(follow: Callable[[int, int], None] | None, done: int, total: int) -> Callable[[int], None] | None:
    """A function that adds its argument (rows) to ``done``, and calls ``follow`` with the sum and ``total``.

    None if there is no ``follow``.
    """
    if follow is None:
        return None

    def advance(rows: int) -> None:
        nonlocal done
        done += rows
        follow(done, total)

    return advance
