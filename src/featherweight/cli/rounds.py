"""The command `featherweight rounds RECIPE RECIPE ...`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from featherweight.cli.arguments import SetOption, load_recipe

if TYPE_CHECKING:
    from featherweight.console import Follower

NAME = "rounds"


def command(
    recipes: Annotated[
        list[str],
        typer.Argument(
            help="Names of built-in recipes (see `featherweight recipes`), TOML files, or files of texts and labels."
        ),
    ],
    seeds: Annotated[
        int, typer.Option(min=1, max=1000, help="Number of seeds per recipe: 3 means the seeds 0, 1 and 2.")
    ] = 3,
    overrides: SetOption = [],  # noqa: B006 (typer copies it)
    out: Annotated[
        Path,
        typer.Option("-o", "--out", help="Folder for the runs and the comparison; to resume, run the command again."),
    ] = Path("runs/rounds"),
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Also train TF-IDF models, a linear probe and full fine-tuning.")
    ] = False,
) -> None:
    """Train several recipes with several seeds each, and test which differences are significant."""
    chosen = [load_recipe(recipe, overrides, None) for recipe in recipes]

    from featherweight.cli.compare import print_comparison
    from featherweight.console import announce
    from featherweight.workflows.rounds import run_rounds

    with ExitStack() as bars:

        def say(message: str) -> None:
            bars.close()  # the last run's bar ends before the next run is announced
            announce(message)

        follower = EachRun(bars)
        comparison = run_rounds(chosen, range(seeds), out, baselines=baselines, listeners=[follower], announce=say)
    print_comparison(comparison)
    print(f"Comparison: {out / 'comparison.html'}")


class EachRun:
    """Shows the progress of several trainings, one after the other; each gets its own progress bar or lines."""

    def __init__(self, bars: ExitStack) -> None:
        self._bars = bars
        self._follower: Follower | None = None

    def started(self, total_steps: int, first_step: int, notes: Sequence[str]) -> None:
        """Start a new progress bar for a new training."""
        from featherweight.console import follow

        self._bars.close()
        self._follower = self._bars.enter_context(follow())
        self._follower.started(total_steps, first_step, notes)

    def noted(self, message: str) -> None:
        """Pass the message on to the current bar; before the first training there is no bar, and it is printed."""
        if self._follower is None:
            print(message, flush=True)
        else:
            self._follower.noted(message)

    def stepped(self, record: dict[str, Any]) -> None:
        """Pass the step on to the current bar."""
        assert self._follower is not None
        self._follower.stepped(record)

    def evaluated(self, record: dict[str, Any], best: bool) -> None:
        """Pass the evaluation on to the current bar."""
        assert self._follower is not None
        self._follower.evaluated(record, best)
