"""Runs of pytest on a copy of the checkout, each in a fork of a process that has loaded the heavy libraries once.

Of a run that takes some seconds the imports of torch, transformers and PEFT would be the longest part. What is under
test is never loaded before the fork: every run imports it anew from the copy.

    python benchmarks/planted_runs.py   # what `planted_faults.py` starts; reads requests, a line of JSON each
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

HEAVY = ("pytest", "hypothesis", "torch", "transformers", "peft", "accelerate", "tokenizers", "safetensors.torch",
         "pyarrow.parquet", "scipy.stats", "scipy.optimize", "sklearn.metrics", "sklearn.model_selection",
         "transformers.models.bert.modeling_bert", "transformers.models.roberta.modeling_roberta",
         "transformers.models.distilbert.modeling_distilbert", "transformers.models.mpnet.modeling_mpnet",
         "transformers.models.electra.modeling_electra")  # fmt: skip
"""Loaded before the first fork, as far as they are installed."""
OPTIONS = ("-x", "-q", "--tb=line", "-rfE", "-p", "no:cacheprovider", "-p", "no:randomly")
"""Of pytest: it stops at the first failure and names it."""
_NAMED = re.compile(r"^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Ended:
    """How one run of pytest ended."""

    code: int
    """pytest's exit status; the negative number of the signal that killed it."""
    seconds: float
    timed_out: bool
    first: str | None
    """The test that failed first, or what could not be collected."""
    last_lines: str


class Runner:
    """A process that runs pytest in ``folder`` as often as it is asked to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = folder.with_name(folder.name + ".log")
        environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
        # One thread: the process forks, and the faults' order must decide nothing.
        environment |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        environment |= {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=folder,
        )

    def run(self, tests: list[str], limit: float) -> Ended:
        """pytest on ``tests``, killed after ``limit`` seconds. Raises RuntimeError where the process has gone."""
        process = self._process
        assert process.stdin and process.stdout
        arguments = [*OPTIONS, *(["--hypothesis-seed=0"] if _has("hypothesis") else []), *tests]
        request = {"folder": str(self.folder), "log": str(self._log), "arguments": arguments, "limit": limit}
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise RuntimeError("the process that runs the tests has ended")
        said = self._log.read_text("utf-8", "replace")
        named = _NAMED.search(said)
        return Ended(**json.loads(answer), first=named[1] if named else None, last_lines=said[-1500:])

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()


def _has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def serve() -> None:
    """Load the heavy libraries, then answer each request with the end of its run."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints while it is loaded is no answer
    for name in HEAVY:
        with suppress(ImportError):
            importlib.import_module(name)
    for line in sys.stdin:
        answers.write(json.dumps(_forked(**json.loads(line))) + "\n")
        answers.flush()


def _forked(folder: str, log: str, arguments: list[str], limit: float) -> dict[str, object]:
    began = time.monotonic()
    child = os.fork()
    if not child:
        _become_pytest(folder, log, arguments)
    timed_out, status = False, None
    while status is None:
        ended, found = os.waitpid(child, os.WNOHANG)
        if ended:
            status = found
        elif time.monotonic() - began > limit and not timed_out:
            timed_out = True
            os.killpg(child, signal.SIGKILL)
        else:
            time.sleep(0.02)
    with suppress(ProcessLookupError):  # processes that the tests have left behind
        os.killpg(child, signal.SIGKILL)
    seconds = round(time.monotonic() - began, 2)
    return {"code": os.waitstatus_to_exitcode(status), "seconds": seconds, "timed_out": timed_out}


def _become_pytest(folder: str, log: str, arguments: list[str]) -> None:
    code = 3
    try:
        os.setsid()
        os.chdir(folder)
        nothing, written = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for source, target in ((nothing, 0), (written, 1), (written, 2)):
            os.dup2(source, target)
        import pytest

        sys.argv = ["pytest", *arguments]
        code = int(pytest.main(arguments))
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    serve()
