"""Runs the trials of a search in several processes on this machine."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING

from featherweight.errors import FeatherweightError, UserError
from featherweight.hints import Caller, called_from, caller
from featherweight.workflows.search_study import Search, database_errors_told, open_study, quiet

if TYPE_CHECKING:
    from optuna import Study

Work = Callable[[Search, "Study"], None]
"""A function that trains the trials of a search until none is left. It is sent to other processes by its name, so it
must be defined at the top level of a module."""


def work_together(search: Search, workers: int, work: Work) -> None:
    """Run ``work`` in ``workers`` processes, which share the trials and the processor's cores.

    Raises the first error of a worker.
    """
    context = multiprocessing.get_context("spawn")
    pairs = [context.Pipe(duplex=False) for _ in range(workers)]
    own = replace(search, announce=print)  # each process gets a function that sends its lines here
    processes = [
        context.Process(target=_worker, args=(own, number, work, there, caller()))
        for number, (_, there) in enumerate(pairs)
    ]
    try:
        with _cores_for_each(workers):
            for process in processes:
                process.start()
        for _, there in pairs:
            there.close()
        _follow([here for here, _ in pairs], search.announce)
    except BaseException:
        for process in processes:
            if process.is_alive():
                process.terminate()
        raise
    finally:
        for process in processes:
            if process.pid:
                process.join()
    if ended := next((process for process in processes if process.exitcode), None):
        raise FeatherweightError(f"a worker ended with exit code {ended.exitcode}; to resume, run the search again")


def _follow(workers: list[Connection], announce: Callable[[str], None]) -> None:
    """Pass each line from a worker to ``announce`` until all workers have ended. Raises the error of a worker."""
    while workers:
        for one in wait(workers):
            assert isinstance(one, Connection)
            try:
                kind, text = one.recv()
            except EOFError:
                workers.remove(one)
                continue
            if kind != "line":
                raise (UserError if kind == "UserError" else FeatherweightError)(text)
            announce(text)


@contextmanager
def _cores_for_each(workers: int) -> Iterator[None]:
    """Within the context, each new process uses its share of the cores, unless the user has set a number of threads."""
    with ExitStack() as restored:
        if "OMP_NUM_THREADS" not in os.environ:
            os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // workers))
            restored.callback(os.environ.pop, "OMP_NUM_THREADS", None)
        yield


def _worker(search: Search, number: int, work: Work, parent: Connection, user: Caller) -> None:
    """A worker process: train trials by ``work``; send ``parent`` each line to announce, and an error for ``user``."""
    from featherweight.training.signals import Interrupted, end_on_signals

    search = replace(search, announce=lambda line: parent.send(("line", line)))
    try:
        with called_from(user), end_on_signals(lambda: "stopped"), quiet(), database_errors_told():
            work(search, open_study(search, number))
    except Interrupted:
        return
    except FeatherweightError as error:
        parent.send(("UserError" if isinstance(error, UserError) else "error", str(error)))
