"""Threads that put batches through the network side by side, each on its own share of the cores.

An operation on all cores ends when the slowest core is done, and a batch takes hundreds of operations, most of them too
small to be worth sharing. A thread that works on a batch of its own waits for nobody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")
_MOST = 8  # each holds the states of one batch


class Workers:
    """Threads with a fixed number of cores each; results come in the order of the items."""

    def __init__(self, count: int, cores_each: int) -> None:
        everyone_is_there = threading.Barrier(count)

        def begin() -> None:
            torch.get_num_threads()  # lets the thread take over the common number, which would undo what follows
            torch.set_num_threads(cores_each)
            everyone_is_there.wait()

        cores = torch.get_num_threads()
        self._pool = ThreadPoolExecutor(count, "featherweight")
        for started in [self._pool.submit(begin) for _ in range(count)]:
            started.result()
        # The number of cores is each thread's own, but what a library keeps of it for all has to be put right again.
        torch.set_num_threads(cores)

    def each(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """``work`` of each item, in the order of the items. Raises what the first failing one raises."""
        return self._pool.map(work, items)


def workers_for(items: int) -> Workers | None:
    """Threads for ``items`` items on this process's cores; None where one thread is enough."""
    count, cores_each = shares(torch.get_num_threads(), items)
    return _workers(count, cores_each) if count > 1 else None


def shares(cores: int, items: int) -> tuple[int, int]:
    """Number of threads for ``items``, and cores of each: as many threads as divide the cores evenly."""
    count = max((count for count in range(2, min(cores, items, _MOST) + 1) if cores % count == 0), default=1)
    return count, cores // count


_workers = cache(Workers)
