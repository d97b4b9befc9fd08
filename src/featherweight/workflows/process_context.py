"""How the processes of trainings are started: where possible, forked from a process that has imported the libraries."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, SpawnContext


def training_context() -> ForkServerContext | SpawnContext:
    """The multiprocessing context for trainings: a fork server on Linux without a GPU, elsewhere new processes.

    The imports of a training take several seconds, which is longer than many trainings on few rows. The fork server
    imports once, and forks for each training. On a GPU each process starts from nothing: CUDA cannot be used in a fork
    of a process that has asked for its devices, as imports may do.
    """
    import torch

    if sys.platform != "linux" or torch.cuda.is_available():
        return multiprocessing.get_context("spawn")
    from multiprocessing import forkserver

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["featherweight.workflows.training_imports"])
    # Python 3.11 gives the server its own sys.path, with the working folder in front: a user's file random.py would be
    # imported there. It gets the path of this process instead.
    with _environment({"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}):
        forkserver.ensure_running()
    return context


@contextmanager
def _environment(changed: Mapping[str, str]) -> Iterator[None]:
    """Within the context, the environment variables of ``changed`` have its values."""
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def call_with_environment(variables: Mapping[str, str], function: Callable[..., None], *arguments: Any) -> None:
    """Call ``function`` with exactly these environment variables; a forked process has those of its server before."""
    os.environ.clear()
    os.environ.update(variables)
    function(*arguments)
