"""Live progress of a training: a bar with figures on a terminal, plain lines elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.text import Text


import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_SMOOTH = 0.95
_SCORES = {"micro_f1": "micro-F1", "accuracy": "accuracy"}
"""What a training may be followed by, the first that a record has, and what it is called."""
_QUIET_SECONDS = 10.0
WIDTH_OF_A_PIPE = 100_000
"""Characters of a line where no terminal sets a limit: more than any table needs."""


def announce(message: str) -> None:
    """One line on what happens next."""
    plain_console(soft_wrap=True).print(message)


class Follower:
    """Keeps the running figures that both the bar and the lines show."""

    def __init__(self) -> None:
        self.total = 0
        self.loss = self.accuracy = float("nan")
        self.best: float | None = None
        self.score = "accuracy"
        self._tokens = 0
        self._begun = time.perf_counter()

    def started(self, total_steps: int, first_step: int, notes: Sequence[str]) -> None:
        """Remember the length of the run and show what was chosen."""
        self.total = total_steps
        self._begun = time.perf_counter()
        for note in notes:
            self.say(note)

    def noted(self, message: str) -> None:
        """Show what came up; the time before the first step says nothing of the speed of training."""
        if not self._tokens:
            self._begun = time.perf_counter()
        self.say(message)

    def stepped(self, record: dict[str, Any]) -> None:
        """Take a step's figures into the running means."""
        new = self.loss != self.loss  # no figure yet
        self.score = next(name for name in _SCORES if name in record)
        self.loss = record["loss"] if new else _SMOOTH * self.loss + (1 - _SMOOTH) * record["loss"]
        self.accuracy = record[self.score] if new else _SMOOTH * self.accuracy + (1 - _SMOOTH) * record[self.score]
        self._tokens += record["tokens"]

    def evaluated(self, record: dict[str, Any], best: bool) -> None:
        """Say how the validation went."""
        self.best = record[self.score] if best else self.best
        mark = "  best so far" if best else ""
        f1 = f"  macro-F1 {record['macro_f1']:.4f}" if "macro_f1" in record else ""
        figures = f"validation {_SCORES[self.score]} {record[self.score]:.2%}{f1}  loss {record['loss']:.4f}"
        self.say(f"step {record['step']:>6}  {figures}{mark}")

    def tokens_per_second(self) -> float:
        """Mean speed since the loop began, in unpadded tokens a second."""
        return self._tokens / max(1e-9, time.perf_counter() - self._begun)

    def figures(self) -> str:
        """The running figures as one text."""
        best = f"  best validation {self.best:.2%}" if self.best is not None else ""
        speed = f"{self.tokens_per_second():,.0f} tokens/s"
        return f"loss {self.loss:.3f}  {_SCORES[self.score]} {self.accuracy:.1%}  {speed}{best}"

    def say(self, message: str) -> None:
        """Print one line."""
        print(message, flush=True)


class LineFollower(Follower):
    """For logs and pipes: a line every tenth of the run."""

    def stepped(self, record: dict[str, Any]) -> None:
        """Print the figures ten times a run."""
        super().stepped(record)
        if record["step"] % max(1, self.total // 10) == 0:
            self.say(f"step {record['step']:>6}/{self.total}  {self.figures()}")


class BarFollower(Follower):
    """For terminals: one live bar."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress
        self._task = progress.add_task("training", total=None, figures="")

    def started(self, total_steps: int, first_step: int, notes: Sequence[str]) -> None:
        """Give the bar its length."""
        super().started(total_steps, first_step, notes)
        self._progress.update(self._task, total=total_steps, completed=first_step)

    def stepped(self, record: dict[str, Any]) -> None:
        """Move the bar."""
        super().stepped(record)
        self._progress.update(self._task, completed=record["step"], figures=self.figures())
        if record["step"] == self.total:
            self._progress.update(self._task, description="finishing")

    def say(self, message: str) -> None:
        """Print a line above the bar."""
        self._progress.console.print(message, highlight=False, markup=False, emoji=False)


@contextmanager
def follow() -> Iterator[Follower]:
    """A listener for the training: a bar where standard output is a terminal, lines where not."""
    if not sys.stdout.isatty():
        yield LineFollower()
        return
    columns = [TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn()]
    with Progress(*columns, TimeRemainingColumn(), TextColumn("{task.fields[figures]}")) as progress:
        yield BarFollower(progress)


@contextmanager
def follow_rows(what: str) -> Iterator[Callable[[int, int], None]]:
    """Takes the rows done and the rows in all: a bar where standard error is a terminal, a line now and then elsewhere.

    Standard error, because the output of a verb that goes through rows is often read by another program.
    """
    if not sys.stderr.isatty():
        yield _RowLines(what)
        return
    columns = [TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn()]
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, total=total, completed=done)


class _RowLines:
    """For logs and pipes: a line at every tenth of the rows, but none within ``_QUIET_SECONDS`` of another."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._begun = self._said = time.monotonic()
        self._tenths = 0

    def __call__(self, done: int, total: int) -> None:
        now, tenths = time.monotonic(), 10 * done // max(1, total)
        if tenths > self._tenths and now - self._said >= _QUIET_SECONDS:
            self._tenths, self._said = tenths, now
            rate = done / (now - self._begun)
            print(f"{self._what} {done:,}/{total:,}  {rate:,.0f} rows/s", file=sys.stderr, flush=True)


def plain_console(*, soft_wrap: bool = False) -> Console:
    """A console that prints paths and labels as they are: ``[b]`` is no mark-up and ``:x:`` no picture in them.

    What could steer the terminal is shown as its escape. In a pipe or a file, lines are as long as they need to be.
    """
    from rich.console import Console

    from featherweight.errors import printable

    class Plain(Console):
        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(printable(text), **options)

    width = None if sys.stdout.isatty() else WIDTH_OF_A_PIPE
    return Plain(highlight=False, markup=False, emoji=False, soft_wrap=soft_wrap, width=width)
