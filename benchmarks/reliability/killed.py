"""A process that trains, tells where it is, and kills itself where it is told to: `Child` is forked off a warm one.

A place is a file of the run that is written, renamed, removed or read (Python's audit events tell), an event of the
training (a listener is told), or the check that reloads the run in another process.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.sharedctypes import RawArray, RawValue
from pathlib import Path
from typing import Any

from featherweight.training.listeners import Listener

STARTED, STEPPED, EVALUATED = "the loop begins", "a step is done", "an evaluation is done"
LINE = "a line of the history"
RELOAD = "reload check"
TAKEN_UP = "reading checkpoint"
_KINDS = {
    **dict.fromkeys(("recipe.toml", "weigh.json", "environment.json"), "the first files"),
    **dict.fromkeys(("evaluation.json", "predictions.parquet", "verification.json"), "results"),
    **{name: name for name in ("history.jsonl", "checkpoint", "adapter", "manifest.json", "report.html")},
    **{"plots": "pictures", "comparison.html": "comparison.html", ".lock": ""},
}
"""What the run's files are called in a place, by their names or folders' names; at the lock nothing is told."""
_TOLD_APART = ("checkpoint", "adapter", "results", "report.html")
_FOLDERS = ("checkpoint", "adapter", "plots")
_VERBS = {
    "os.rename": "renaming", "os.remove": "removing", "os.rmdir": "removing", "shutil.rmtree": "removing",
    "os.mkdir": "writing", "os.symlink": "writing",
}  # fmt: skip
_PICTURE, _PAGE = b"\x89PNG IEND\xaeB`\x82", "<html></html>\n"


@dataclass(frozen=True)
class Kill:
    """When to die: the ``number``-th time at a place, or some seconds after that, or after the start; or never."""

    place: str = ""
    number: int = 1
    seconds: float = 0.0
    tear: bool = False
    """Leave half of what is about to be renamed, or of a line, as if the kill had come while it was written."""
    most_bytes: int = 0
    """No death, but a disk that takes no file of more bytes."""


NEVER = Kill()


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code or minus the signal that killed it, the last place and step, what it said."""

    code: int
    place: str
    step: int
    message: str


class Child:
    """A forked process that calls ``command`` with a listener in ``folder``, and dies where ``kill`` says.

    It leads a group of its own, reads nothing, and its errors are kept.
    """

    def __init__(self, command: Callable[..., None], folder: Path, kill: Kill = NEVER) -> None:
        # Shared memory, in which the process leaves its place and step.
        self.place, self.step = RawArray("c", 80), RawValue("i", 0)
        self._said, errors = os.pipe()  # not a file, which a small disk would not take
        work = partial(_run, command, folder, Watch(self, kill, folder), kill, errors)
        self._process = get_context("fork").Process(target=work)
        self._process.start()
        os.close(errors)
        self.number = self._process.pid or 0

    def end(self, seconds: float = 0.0) -> Ended:
        """Wait for it, and kill it after ``seconds`` if any are given."""
        self._process.join(seconds or None)
        if seconds:
            self._process.kill()
        self._process.join()
        with suppress(ProcessLookupError):
            os.killpg(self.number, signal.SIGKILL)  # the process of the reload check would live on alone
        with os.fdopen(self._said, encoding="utf-8", errors="replace") as said:
            message = said.read().strip()
        place = self.place.value.decode() or "before all"
        return Ended(self._process.exitcode or 0, place, self.step.value, message)


class Watch(Listener):
    """Follows the process from inside: a listener of its training, and a hook on what it does to its files."""

    def __init__(self, child: Child, kill: Kill, folder: Path) -> None:
        self.seen: Counter[str] = Counter()
        self._child, self._kill, self._folder = child, kill, folder
        self._kind = self._renamed = ""
        self._dying = False

    def started(self, total_steps: int, first_step: int, notes: Sequence[str]) -> None:
        """A loop begins."""
        self._child.step.value = first_step
        self.at(STARTED)

    def stepped(self, record: dict[str, Any]) -> None:
        """A step is done, and its line written, though hardly to the disk."""
        self._child.step.value = record["step"]
        self.at(STEPPED)
        self.at(LINE, self._tear_line)

    def evaluated(self, record: dict[str, Any], best: bool) -> None:
        """An evaluation is done."""
        self.at(EVALUATED)

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """What Python tells of a file that is touched, and of a process that is started."""
        if event == "subprocess.Popen":
            self.at(RELOAD)
        if event != "open" and event not in _VERBS:
            return
        path = str(arguments[0])
        kind = self._kind_of(path, inside=arguments[-1] != -1)
        if not kind:
            return
        if event == "open":
            if arguments[2] & (os.O_WRONLY | os.O_RDWR):
                self.at(_place("writing", kind))
            elif kind == "checkpoint":
                self.at(TAKEN_UP)
            return
        if self._renamed:
            renamed, self._renamed = self._renamed, ""
            self.at(f"after renaming {renamed}")
        self.at(_place(_VERBS[event], kind), (lambda: _tear(Path(path))) if event == "os.rename" else None)
        self._renamed = kind if event == "os.rename" and kind in _FOLDERS else ""

    def at(self, place: str, tear: Callable[[], None] | None = None) -> None:
        """The process is at ``place``: count it, tell it, and die if this is the time."""
        if self._dying:
            return
        self.seen[place] += 1
        self._child.place.value, kill = place.encode(), self._kill
        if place != kill.place or self.seen[place] < kill.number or (kill.tear and not tear):
            return
        if kill.seconds:
            self._kill = NEVER
            threading.Timer(kill.seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()
            return
        self._dying = True
        if kill.tear and tear:
            tear()
        os.kill(os.getpid(), signal.SIGKILL)

    def _kind_of(self, path: str, *, inside: bool) -> str:
        """Which of the run's files it is; empty for any other. Files of a folder that is removed have names alone."""
        if os.sep not in path:
            return self._kind if inside else ""
        if path.startswith(str(self._folder / "cache") + os.sep):
            self._kind = "cache"
            return self._kind
        parts = Path(path.removeprefix(str(self._folder) + os.sep)).parts
        if parts[0] != "run" or len(parts) == 1:
            return ""
        names = [name.removesuffix(".part") for name in parts[1:]]
        name = next((name for name in names if name in _FOLDERS), names[-1])
        self._kind = _KINDS.get(name, "other files")
        return self._kind

    def _tear_line(self) -> None:
        """Leave half a line behind those on the disk, as a buffer does that is full in mid-line."""
        newest = max((self._folder / "run").rglob("history.jsonl"), key=lambda path: path.stat().st_mtime_ns)
        with newest.open("a", encoding="utf-8") as file:
            file.write('{"kind": "step", "st')


def _run(command: Callable[..., None], folder: Path, watch: Watch, kill: Kill, errors: int) -> None:
    """The forked process: it carries out the command as the command line does, so an error is a line and a code."""
    import warnings

    from featherweight.cli import main

    def carry_out(*_: Any, **__: Any) -> None:
        command(watch)
        if kill == NEVER:
            (folder / "places.json").write_text(json.dumps(watch.seen), "utf-8")

    gc.freeze()  # to look through all that was loaded for what might be freed would be most of a short run
    os.setsid()
    os.chdir(folder)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for target, source in enumerate((nowhere, nowhere, errors)):
        os.dup2(source, target)
    sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))  # noqa: SIM115
    warnings.simplefilter("ignore")
    os.environ["FEATHERWEIGHT_CACHE"] = str(folder / "cache")
    _shorten(watch, kill)
    sys.addaudithook(watch.audit)
    if kill.most_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (kill.most_bytes, kill.most_bytes))
    main.app = carry_out
    main.main()


def _place(verb: str, kind: str) -> str:
    """What a place is called; the moments before and after a rename are told apart where much hangs on the file."""
    if verb == "removing" and kind != "checkpoint":
        return "removing files"
    return f"{verb} {kind}" if kind in _TOLD_APART else f"writing {kind}"


def _tear(source: Path) -> None:
    """Leave half of a file; of a folder, half of its weights."""
    torn = next(source.glob("*.safetensors")) if source.is_dir() else source
    with torn.open("r+b") as file:
        file.truncate(torn.stat().st_size // 2)


def _shorten(watch: Watch, kill: Kill) -> None:
    """Let pictures and pages, which take seconds, be small files, and leave out the check that is not to be killed."""
    from matplotlib.figure import Figure

    from featherweight.report.comparison import page as comparison
    from featherweight.report.run import page, plots
    from featherweight.report.style import save_png
    from featherweight.verification import reload

    def check(*arguments: Any) -> Any:
        watch.at(RELOAD)
        return nullcontext(lambda: {"identical": True})

    # All files are written as ever.
    Figure.savefig = lambda figure, file, **_: file.write(_PICTURE)
    plots.draw_plots = lambda folder: [save_png(Figure(), Path(folder) / "plots" / "summary.png")]
    page.render = lambda shown: _PAGE
    comparison.available = lambda shown, **_: {}
    if kill.place != RELOAD:
        reload.reload_check = check
