"""Processes forked off this one, which has loaded the heavy libraries once: imports would be most of a short run."""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

ONE_THREAD = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
}
"""The environment of a process that forks: it must have one thread, from before torch is loaded."""


def load(modules: Sequence[str]) -> None:
    """Import ``modules``, as far as they are installed, with one thread."""
    os.environ.update(ONE_THREAD)
    for name in modules:
        with suppress(ImportError):
            importlib.import_module(name)


def fork(work: Callable[[], int], folder: Path, out: int, errors: int) -> int:
    """Fork a process that works in ``folder`` and ends with the exit code of ``work``; returns its number.

    It leads a group of its own, reads nothing, and writes to the files ``out`` and ``errors``.
    """
    if child := os.fork():
        return child
    code = 70
    try:
        gc.freeze()  # to look through all that was loaded for what might be freed would be most of a short run
        os.setsid()
        os.chdir(folder)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for target, source in enumerate((nothing, out, errors)):
            os.dup2(source, target)
        sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))  # noqa: SIM115
        code = work()
    except BaseException:  # nothing may come out of here into the parent's code
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def kill_group(child: int) -> None:
    """Kill what is left of a forked process and of those that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
