"""Training curves of all rounds (configurations) in one figure: a faint line per seed, a strong line for the mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from featherweight.evaluation.comparison import Comparison
from featherweight.evaluation.round import Round
from featherweight.report.comparison.plots import DASHES, colour_of
from featherweight.report.run.contents import Contents, read_contents
from featherweight.report.run.curves import smooth
from featherweight.report.style import legend_above, percent_tick, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]
"""The epochs and the values of a curve."""
MOST_POINTS = 300
"""Maximum number of points per curve; more points would only make the file larger."""


def curves(comparison: Comparison) -> dict[str, dict[Round, list[Curve]]]:
    """{kind: {round: its curves, one per seed}}, for all rounds with a training history.

    The kind is ``loss`` (smoothed training loss) or ``accuracy`` (validation accuracy; micro-F1 if a text may have
    several labels).
    """
    by_kind: dict[str, dict[Round, list[Curve]]] = {"loss": {}, "accuracy": {}}
    for round_ in comparison.rounds:
        runs = [run for run in map(read_contents, (run.folder for run in round_.runs)) if len(run.steps["step"])]
        if runs:
            by_kind["loss"][round_] = [_loss(run) for run in runs]
            by_kind["accuracy"][round_] = [_validation(run) for run in runs]
    return by_kind


def draw_curves(axes: Axes, comparison: Comparison, kind: str, seeds_of: dict[Round, list[Curve]]) -> None:
    """Draw the curves of one ``kind`` (``loss`` or ``accuracy``), each round in its colour.

    ``seeds_of`` has the curves of each round, one per seed.
    """
    for round_, seeds in seeds_of.items():
        place = comparison.own.index(round_) // 4 if round_.baseline is None else 2
        style = {"color": colour_of(comparison, round_), "ls": DASHES[place % len(DASHES)]}
        for epochs, values in seeds if len(seeds) > 1 else ():
            axes.plot(epochs, values, alpha=0.28, lw=1, **style)
        few = kind == "accuracy" and max(len(epochs) for epochs, _ in seeds) < 20
        axes.plot(*_mean(seeds), marker="o" if few else "", ms=4, label=shorten(round_.name, 24), **style)
    axes.set_xlabel("epoch")
    axes.set_ylabel(
        "training loss" if kind == "loss" else f"validation {'micro-F1' if comparison.several else 'accuracy'}"
    )
    axes.margins(x=0.02)
    values = np.concatenate([values for seeds in seeds_of.values() for _, values in seeds])
    if kind == "loss":
        axes.set_ylim(0, np.quantile(values, 0.985) * 1.05)
    else:
        # Show the range of the later steps; the first steps at chance level would take half of the plot.
        axes.set_ylim(
            max(0.0, np.floor((np.quantile(values, 0.15) - 0.02) * 20) / 20), min(1.002, values.max() + 0.015)
        )
        axes.yaxis.set_major_formatter(percent_tick)
    legend_above(axes, columns=4 if max(len(round_.name) for round_ in seeds_of) < 10 else 2)


def _loss(run: Contents) -> Curve:
    finite = np.isfinite(run.steps["loss"])
    epochs, losses = run.steps["epoch"][finite], run.steps["loss"][finite]
    thin = slice(None, None, max(1, len(epochs) // MOST_POINTS))
    return epochs[thin], (smooth(losses) if len(losses) >= 8 else losses)[thin]


def _validation(run: Contents) -> Curve:
    points = [(record["step"], record[run.score.key]) for record in run.validations]
    steps, accuracies = np.array(points, dtype=float).reshape(-1, 2).T
    return np.interp(steps, run.steps["step"], run.steps["epoch"]), accuracies


def _mean(seeds: list[Curve]) -> Curve:
    """The mean of the curves of all ``seeds``, at the epochs of the first one, up to the end of the shortest one."""
    end = min(epochs[-1] for epochs, _ in seeds if len(epochs))
    at = seeds[0][0][seeds[0][0] <= end * (1 + 1e-9)]
    return at, np.mean([np.interp(at, *seed) for seed in seeds], axis=0)
