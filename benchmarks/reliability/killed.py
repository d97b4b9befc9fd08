"""A process that trains, tells where it is, and kills itself where it is told to: `start` forks it off a warm one."""

from __future__ import annotations

import importlib
import json
import mmap
import os
import resource
import signal
import struct
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PHASES = {
    "preparation": "featherweight.workflows.train.prepare",
    "first files": "featherweight.workflows.train._write_beginnings",
    "taking up a checkpoint": "featherweight.training.loop.load_checkpoint",
    "frozen layers' states": "featherweight.training.loop.keep_prefix",
    "step": "featherweight.training.loop._one_step",
    "evaluation": "featherweight.training.loop._evaluate",
    "checkpoint": "featherweight.training.loop.save_checkpoint",
    "adapter": "featherweight.adapter.storage.save_adapter",
    "proof": "featherweight.verification.reload.verify_in_fresh_process",
    "last evaluation": "featherweight.workflows.train._judge",
    "pictures": "featherweight.report.run.plots.draw_plots",
    "report": "featherweight.report.run.page.write_report",
    "comparison": "featherweight.workflows.rounds.write_comparison",
}
"""What a run goes through, and the function that does it."""
MIDDLE = {"step": "step, between two batches", "checkpoint": "checkpoint, between its two files"}
RENAME = {"checkpoint": "checkpoint, before its rename", "adapter": "adapter, before its rename"}
AFTER = {"checkpoint": "checkpoint, after its rename"}
LINE = "a line of the history"
PLACES = (*PHASES, *MIDDLE.values(), *RENAME.values(), *AFTER.values(), LINE, "between these")
"""Everywhere that a kill can be put; the report on a kill says one of them."""

_TOUCHES = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.symlink", "os.chmod", "shutil.rmtree")
_SHARED = struct.Struct("40si")


@dataclass(frozen=True)
class Kill:
    """When to die: the ``number``-th time at a place, or some seconds after that, or after the start; or never."""

    place: str = ""
    number: int = 1
    seconds: float = 0.0
    tear: bool = False
    """Leave half of what is about to be renamed, or of the line, as if the kill had come while it was written."""
    most_bytes: int = 0
    """No death, but a disk that takes no file of more bytes."""
    tries: int = 0
    """How often a run has come to its end before it."""


@dataclass(frozen=True)
class Ended:
    """How a process ended: the signal that killed it or its exit code, the last place and step, what it said."""

    killed: bool
    code: int
    place: str
    step: int
    message: str


class Board:
    """Shared memory in which a process leaves its place and step for its parent."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _SHARED.size)

    def write(self, place: str, step: int) -> None:
        """For the process itself: it is at ``place``, in a step (1 is the first, 0 before)."""
        self._memory[:] = _SHARED.pack(place.encode(), step)

    def read(self) -> tuple[str, int]:
        """For the parent: place and step."""
        place, step = _SHARED.unpack(self._memory[:])
        return place.rstrip(b"\0").decode() or "between these", step


class Watch:
    """Follows the process from inside, by wrapped functions and by Python's audit events on the run folder's files."""

    def __init__(self, board: Board, kill: Kill, folder: Path) -> None:
        self.seen: Counter[str] = Counter()
        self._board, self._kill, self._step = board, kill, 0
        self._inside: list[str] = []
        self._batches = 0
        self._renamed = self._dying = False
        self._ours = ("run" + os.sep, *(str(folder / name) + os.sep for name in ("run", "cache")))

    def begin(self, *, whole: bool) -> None:
        """From here on every place is counted, and the kill is waited for."""
        for phase, path in PHASES.items():
            module, name = _attribute(path)
            real = whole and (phase != "proof" or self._kill.place == "proof")
            function = getattr(module, name) if real else _SHORT.get(phase, getattr(module, name))
            setattr(module, name, self._wrapped(phase, function))
        module, name = _attribute("featherweight.training.loop.collate")
        setattr(module, name, self._collating(getattr(module, name)))
        History = importlib.import_module("featherweight.training.history").History
        History.write = self._writing(History.write)
        sys.addaudithook(self._audit)

    def at(self, place: str, tear: Callable[[], None] | None = None) -> None:
        """The process is at ``place``: count it, tell it, and die if this is the time."""
        if self._dying:
            return
        self.seen[place] += 1
        self._board.write(place, self._step)
        kill = self._kill
        if place == kill.place and self.seen[place] >= kill.number and (tear or not kill.tear):
            self._dying = True
            if kill.tear and tear:
                tear()
            if kill.seconds:
                self._dying = False
                self._kill = Kill()
                threading.Timer(kill.seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()
            else:
                os.kill(os.getpid(), signal.SIGKILL)

    def _wrapped(self, phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self._inside.append(phase)
            self._batches, self._renamed = 0, False
            if phase == "step":
                self._step = arguments[5] + 1
            self.at(phase)
            try:
                return function(*arguments, **named)
            finally:
                self._inside.pop()
                self._board.write(self._inside[-1] if self._inside else "between these", self._step)

        return call

    def _collating(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            self._batches += 1
            if self._inside and self._batches > 1:
                self.at(MIDDLE.get(self._inside[-1], self._inside[-1]))
            return function(*arguments)

        return call

    def _writing(self, write: Callable[..., None]) -> Callable[..., None]:
        def call(history: Any, record: dict[str, Any]) -> None:
            write(history, record)
            self.at(LINE, lambda: _tear_line(history))

        return call

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _TOUCHES or not self._is_ours(arguments):
            return
        phase = self._inside[-1] if self._inside else "between these"
        place = AFTER.get(phase, phase) if self._renamed else phase
        if event == "os.rename":
            place = RENAME.get(phase, phase)
        elif event == "open" and str(arguments[0]).endswith("part/state.json") and phase == "checkpoint":
            place = MIDDLE[phase]
        self.at(place, (lambda: _tear(Path(arguments[0]))) if event == "os.rename" else None)
        self._renamed |= event == "os.rename"

    def _is_ours(self, arguments: tuple[Any, ...]) -> bool:
        path = str(arguments[0])
        # A folder that is being removed has its files named without it.
        return path.startswith(self._ours) or (arguments[-1] != -1 and bool(self._inside) and os.sep not in path)


def start(arguments: Sequence[str], folder: Path, board: Board, kill: Kill, *, whole: bool = False) -> tuple[int, int]:
    """Fork a process that runs `featherweight ARGUMENTS` in ``folder``; its number, and the pipe of what it says."""
    reading, writing = os.pipe()
    board.write("", 0)
    if child := os.fork():
        os.close(writing)
        return child, reading
    code = 70
    try:
        os.setsid()
        os.chdir(folder)
        nothing = os.open(os.devnull, os.O_RDWR)
        for target, source in ((0, nothing), (1, nothing), (2, writing)):
            os.dup2(source, target)
        code = _featherweight(arguments, folder, Watch(board, kill, folder), kill, whole)
    except BaseException:  # nothing may come out of here into the parent's code
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def end(child: int, pipe: int, board: Board, seconds: float = 0.0) -> Ended:
    """Wait for a process, and kill it after ``seconds`` if any are given."""
    if seconds:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            time.sleep(0.002)
        os.kill(child, signal.SIGKILL)
    with os.fdopen(pipe, "rb") as said:
        _, status = os.waitpid(child, 0)
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # the proof's own process would go on alone
        message = said.read().decode("utf-8", "replace")
    killed = os.WIFSIGNALED(status)
    return Ended(killed, os.WTERMSIG(status) if killed else os.WEXITSTATUS(status), *board.read(), message.strip())


def _featherweight(arguments: Sequence[str], folder: Path, watch: Watch, kill: Kill, whole: bool) -> int:
    import warnings

    from featherweight.cli.main import main

    warnings.simplefilter("ignore")
    os.environ["FEATHERWEIGHT_CACHE"] = str(folder / "cache")
    watch.begin(whole=whole)
    if kill.most_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (kill.most_bytes, kill.most_bytes))
    sys.argv = ["featherweight", *arguments]
    try:
        main()
    except SystemExit as ended:
        if kill == Kill():
            (folder / "places.json").write_text(json.dumps(watch.seen), "utf-8")
        return int(ended.code or 0)
    return 70


def _attribute(path: str) -> tuple[Any, str]:
    module, _, name = path.rpartition(".")
    return importlib.import_module(module), name


def _tear(source: Path) -> None:
    """Leave half of a file; of a folder, half of its weights."""
    torn = next(source.glob("*.safetensors")) if source.is_dir() else source
    with torn.open("r+b") as file:
        file.truncate(torn.stat().st_size // 2)


def _tear_line(history: Any) -> None:
    """Bring the lines to the disk but for the end of the last one, as a buffer does that is full in mid-line."""
    history.flush()
    with history._path.open("r+b") as file:
        file.truncate(history._path.stat().st_size - 20)


def _prove_here(folder: Path, texts: list[str], logits: Any, precision: str) -> dict[str, Any]:
    """The same proof without the start of a fresh process."""
    from featherweight.verification.reload import verify_in_this_process

    return verify_in_this_process(folder, texts, logits, precision)


def _page_shortly(path: Path) -> None:
    from featherweight.files import write_whole

    write_whole(path, "<html></html>\n")


_SHORT: dict[str, Callable[..., Any]] = {
    "proof": _prove_here,
    "pictures": lambda folder: [],
    "report": lambda folder: _page_shortly(folder / "report.html"),
    "comparison": lambda comparison, folder: _page_shortly(folder / "comparison.html"),
}
"""What takes the place of phases that take seconds, where they are not what is to be killed."""
