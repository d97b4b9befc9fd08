"""Shows the progress of a training: as a live bar on a terminal, as plain lines in files and pipes."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from featherweight.formatting import duration

if TYPE_CHECKING:
    from rich.text import Text

_SMOOTH = 0.95
_SCORES = {"micro_f1": "micro-F1", "accuracy": "accuracy"}
"""Keys of the metric to show, and its names for the user. The first key that the record of a step has is used."""
_QUIET_SECONDS = 10.0
_SECONDS_BETWEEN_LINES = 60.0
_STEPS_TO_ESTIMATE = 5
WIDTH_OF_A_PIPE = 100_000
"""Maximum line length if the output is not a terminal: more characters than any table needs."""


def announce(message: str) -> None:
    """Print one line that tells what happens next."""
    plain_console(soft_wrap=True).print(message)


class Follower:
    """A listener of a training that computes running means of loss and accuracy, and prints each message as a line."""

    def __init__(self) -> None:
        self.total = 0
        self.loss = self.accuracy = float("nan")
        self.best: float | None = None
        self.score = "accuracy"
        self._averaged = 0
        """Number of steps in the running means."""
        self._tokens = 0
        self._begun = time.perf_counter()

    def started(self, total_steps: int, first_step: int, notes: Sequence[str]) -> None:
        """Store the number of steps and print the notes."""
        self.total = total_steps
        self._begun = time.perf_counter()
        for note in notes:
            self.say(note)

    def noted(self, message: str) -> None:
        """Print the message, and restart the clock of the training's speed if no step was done yet.

        So the time of preparations, such as caching states, does not count.
        """
        if not self._tokens:
            self._begun = time.perf_counter()
        self.say(message)

    def stepped(self, record: dict[str, Any]) -> None:
        """Update the running means with the values of a step."""
        self._averaged = 1 if math.isnan(self.loss) else self._averaged + 1
        share = max(1 / self._averaged, 1 - _SMOOTH)  # at first the plain mean, or the first step would count most
        self.score = next(name for name in _SCORES if name in record)
        self.loss, self.accuracy = (
            new if share == 1 else mean + share * (new - mean)
            for mean, new in ((self.loss, record["loss"]), (self.accuracy, record[self.score]))
        )
        self._tokens += record["tokens"]

    def evaluated(self, record: dict[str, Any], best: bool) -> None:
        """Print the result of an evaluation on the validation rows."""
        self.best = record[self.score] if best else self.best
        mark = "  best so far" if best else ""
        f1 = f"  macro-F1 {record['macro_f1']:.4f}" if "macro_f1" in record else ""
        figures = f"validation {_SCORES[self.score]} {record[self.score]:.2%}{f1}  loss {record['loss']:.4f}"
        self.say(f"step {record['step']:>6}  {figures}{mark}")

    def tokens_per_second(self) -> float:
        """Mean speed since the start of the loop, in tokens per second, without padding."""
        return self._tokens / max(1e-9, time.perf_counter() - self._begun)

    def figures(self) -> str:
        """Loss, accuracy, speed and best validation result as one line of text."""
        best = f"  best validation {self.best:.2%}" if self.best is not None else ""
        speed = f"{self.tokens_per_second():,.0f} tokens/s"
        return f"loss {self.loss:.3f}  {_SCORES[self.score]} {self.accuracy:.1%}  {speed}{best}"

    def say(self, message: str) -> None:
        """Print one line."""
        print(message, flush=True)


class LineFollower(Follower):
    """For logs and pipes: prints a line whenever another 10% of the steps are done, and at least one a minute."""

    def __init__(self) -> None:
        super().__init__()
        self._first_step = 0
        self._said = time.perf_counter()

    def started(self, total_steps: int, first_step: int, notes: Sequence[str]) -> None:
        """Store the numbers of steps and print the notes."""
        super().started(total_steps, first_step, notes)
        self._first_step = first_step

    def stepped(self, record: dict[str, Any]) -> None:
        """Print a line if another 10% of the steps are done, or if the last line is a minute old."""
        super().stepped(record)
        step = record["step"]
        if step % max(1, self.total // 10) == 0 or time.perf_counter() - self._said >= _SECONDS_BETWEEN_LINES:
            self.say(f"step {step:>6}/{self.total}  {self.figures()}{self._time_left(step)}")

    def say(self, message: str) -> None:
        """Print one line."""
        super().say(message)
        self._said = time.perf_counter()

    def _time_left(self, step: int) -> str:
        """The estimated time until the last step, evaluations included; nothing after few steps, which tell little."""
        done = step - self._first_step
        if done < _STEPS_TO_ESTIMATE or step >= self.total:
            return ""
        return f"  {duration((time.perf_counter() - self._begun) / done * (self.total - step))} left"


class BarFollower(Follower):
    """For terminals: shows a live progress bar."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress
        self._task = progress.add_task("training", total=None, figures="")

    def started(self, total_steps: int, first_step: int, notes: Sequence[str]) -> None:
        """Set the length of the bar."""
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
    """Yield a listener that shows the progress of a training: a bar if standard output is a terminal, else lines."""
    if not sys.stdout.isatty():
        yield LineFollower()
        return
    columns = [TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn()]
    columns += [TimeRemainingColumn(), TextColumn("{task.fields[figures]}")]
    # The time left comes from the speed over this period: in rich's half minute, a large encoder may do only one step.
    with Progress(*columns, speed_estimate_period=600) as progress:
        yield BarFollower(progress)


@contextmanager
def follow_rows(what: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function that shows the progress; call it with the number of finished rows and the number of all rows.

    The progress is a bar if standard error is a terminal, else a line from time to time. Standard output is not used,
    because another program often reads the rows from it.
    """
    if not sys.stderr.isatty():
        yield _RowLines(what)
        return
    columns = [TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn()]
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, total=total, completed=done)


class _RowLines:
    """For logs and pipes: prints a line whenever another 10% of the rows are done, and at least one a minute.

    Two lines are at least ``_QUIET_SECONDS`` apart.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._begun = self._said = time.monotonic()
        self._tenths = 0

    def __call__(self, done: int, total: int) -> None:
        now, tenths = time.monotonic(), 10 * done // max(1, total)
        quiet = now - self._said
        if quiet >= _SECONDS_BETWEEN_LINES or (tenths > self._tenths and quiet >= _QUIET_SECONDS):
            self._tenths, self._said = tenths, now
            rate = done / (now - self._begun)
            print(f"{self._what} {done:,}/{total:,}  {rate:,.0f} rows/s", file=sys.stderr, flush=True)


def plain_console(*, soft_wrap: bool = False) -> Console:
    """A console that prints text unchanged: ``[b]`` is not read as markup and ``:x:`` not as an emoji.

    Control characters are escaped. In a pipe or a file, lines are not wrapped.
    """
    from rich.console import Console

    from featherweight.errors import printable

    class Plain(Console):
        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(printable(text), **options)

    width = None if sys.stdout.isatty() else WIDTH_OF_A_PIPE
    return Plain(highlight=False, markup=False, emoji=False, soft_wrap=soft_wrap, width=width)
