"""`featherweight rounds RECIPE RECIPE ...`."""

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
        list[str], typer.Argument(help="Built-in recipes' names (see `featherweight recipes`) or TOML files.")
    ],
    seeds: Annotated[
        int, typer.Option(min=1, max=1000, help="Seeds of each recipe: 3 trains it with seeds 0, 1 and 2.")
    ] = 3,
    overrides: SetOption = [],  # noqa: B006 (typer copies it)
    out: Annotated[
        Path,
        typer.Option("-o", "--out", help="Folder of the runs and of the comparison; the same command resumes them."),
    ] = Path("runs/rounds"),
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Also train bags of words, a linear probe and full fine-tuning.")
    ] = False,
) -> None:
    """Train several recipes with several seeds each, and say which differences are significant."""
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
    """A listener that gives each of several trainings a bar, or lines, of its own."""

    def __init__(self, bars: ExitStack) -> None:
        self._bars = bars
        self._follower: Follower | None = None

    def started(self, total_steps: int, first_step: int, notes: Sequence[str]) -> None:
        """A training begins: begin a bar."""
        from featherweight.console import follow

        self._bars.close()
        self._follower = self._bars.enter_context(follow())
        self._follower.started(total_steps, first_step, notes)

    def noted(self, message: str) -> None:
        """Pass on a message, also of a run that needs no training and so has no bar."""
        if self._follower is None:
            print(message, flush=True)
        else:
            self._follower.noted(message)

    def stepped(self, record: dict[str, Any]) -> None:
        """Pass on a step."""
        assert self._follower is not None
        self._follower.stepped(record)

    def evaluated(self, record: dict[str, Any], best: bool) -> None:
        """Pass on an evaluation."""
        assert self._follower is not None
        self._follower.evaluated(record, best)
