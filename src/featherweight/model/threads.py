"""Threads that predict batches in parallel; each thread has its own share of the cores.

One batch takes hundreds of operations, most of them too small to be divided among all cores, and each of them waits for
the slowest core. With one batch per thread, no thread waits for another.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")
_MOST = 8  # threads; each holds the hidden states of one batch


class Workers:
    """A pool of threads, each with a fixed number of cores."""

    def __init__(self, count: int, cores_each: int) -> None:
        all_started = threading.Barrier(count)

        def begin() -> None:
            torch.get_num_threads()  # the first call copies the process-wide number; later it would undo the next line
            torch.set_num_threads(cores_each)
            all_started.wait()

        cores = torch.get_num_threads()
        self._pool = ThreadPoolExecutor(count, "featherweight")
        for started in [self._pool.submit(begin) for _ in range(count)]:
            started.result()
        # set_num_threads applies per thread, but some libraries store it per process: restore that value.
        torch.set_num_threads(cores)

    def each(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Results of ``work(item)`` in the order of the items. Raises the exception of the first item that fails."""
        return self._pool.map(work, items)


def workers_for(items: int) -> Workers | None:
    """A pool of threads for ``items`` items on the cores of this process; None if one thread is enough."""
    count, cores_each = shares(torch.get_num_threads(), items)
    return _workers(count, cores_each) if count > 1 else None


def shares(cores: int, items: int) -> tuple[int, int]:
    """Number of threads for ``items`` items, and number of cores per thread.

    The number of threads is the largest that divides ``cores`` evenly and is at most ``items`` and at most 8.
    """
    count = max((count for count in range(2, min(cores, items, _MOST) + 1) if cores % count == 0), default=1)
    return count, cores // count


_workers = cache(Workers)
# A forked process has the pools, but not their threads, and would wait for them for ever.
os.register_at_fork(after_in_child=_workers.cache_clear)
