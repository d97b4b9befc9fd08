"""Runs of pytest on a copy of the checkout, each in a fork of this process.

What is under test is never kept from before the fork: every run imports it anew from the copy.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from reliability.forks import fork, kill_group

HEAVY = ("pytest", "hypothesis", "torch", "transformers", "peft", "accelerate", "tokenizers", "safetensors.torch",
         "pyarrow.parquet", "scipy.stats", "scipy.optimize", "sklearn.metrics", "sklearn.model_selection",
         "transformers.models.bert.modeling_bert", "transformers.models.roberta.modeling_roberta",
         "transformers.models.distilbert.modeling_distilbert", "transformers.models.mpnet.modeling_mpnet",
         "transformers.models.electra.modeling_electra")  # fmt: skip
"""Loaded before the first fork, as far as they are installed."""
OPTIONS = ("-x", "-q", "--tb=line", "-rfE", "-p", "no:cacheprovider", "-p", "no:randomly", "--hypothesis-seed=0",
           "-m", "not slow")  # fmt: skip
"""Of pytest: it stops at the first failure and names it, and chance decides nothing."""
_ROOT = Path(__file__).parents[2]
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
    """Runs pytest in ``folder``, one run at a time, each killed after ``limit`` seconds."""

    def __init__(self, folder: Path, limit: float) -> None:
        self.folder, self._limit = folder, limit
        self._log = folder.with_name(folder.name + ".log")
        self._child, self._began, self._timed_out = 0, 0.0, False

    def start(self, tests: tuple[str, ...]) -> None:
        """Begin with ``tests``."""
        self._began, self._timed_out = time.monotonic(), False
        with self._log.open("w") as log:
            self._child = fork(lambda: _pytest(self.folder, tests), self.folder, log.fileno(), log.fileno())

    def ended(self) -> Ended | None:
        """How the run ended; None while it lasts."""
        seconds = time.monotonic() - self._began
        done, status = os.waitpid(self._child, os.WNOHANG)
        if not done:
            if seconds > self._limit:
                self._timed_out = True
                kill_group(self._child)
            return None
        self.stop()  # processes that the tests have left behind
        shutil.rmtree(self.folder / ".hypothesis", ignore_errors=True)  # no fault profits from another's
        said = self._log.read_text("utf-8", "replace")
        named = _NAMED.search(said)
        code = os.waitstatus_to_exitcode(status)
        return Ended(code, round(seconds, 2), self._timed_out, named[1] if named else None, said[-1500:])

    def stop(self) -> None:
        """End the run, if there is one."""
        if self._child:
            kill_group(self._child)
        self._child = 0


def _pytest(folder: Path, tests: tuple[str, ...]) -> int:
    import pytest

    sources = [_ROOT / part for part in ("src", "benchmarks", "tests")]
    own = {path.stem for source in sources for path in source.iterdir()}
    for name in [name for name in sys.modules if name.partition(".")[0] in own]:
        del sys.modules[name]
    os.environ.update(PYTHONPATH=str(folder / "src"), PYTHONDONTWRITEBYTECODE="1")
    sys.dont_write_bytecode = True
    sys.path[:] = [str(folder / "src"), *(place for place in sys.path if Path(place) not in sources)]
    sys.argv = ["pytest", *OPTIONS, *tests]
    return int(pytest.main(sys.argv[1:]))
