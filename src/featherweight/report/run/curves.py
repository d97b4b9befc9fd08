"""Plots of loss, accuracy and learning rate over the optimizer steps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from featherweight.report.run.contents import Contents
from featherweight.report.style import BLUE, ORANGE, legend_above, percent_tick
from featherweight.run.best import metric_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_POINTS = 500
"""Maximum number of faint points for single steps; more points would only make the file larger."""


def draw_loss(axes: Axes, run: Contents) -> None:
    """Draw the smoothed training loss with its single steps as points, and the validation loss, in nats."""
    top = _training(axes, run, "loss")
    steps, losses = _validation(run, "loss")
    _validation_line(axes, steps, losses, "validation")
    highest = max([top, *losses], default=1.0)
    axes.set(ylim=(0, highest * 1.08 or 1.0), ylabel="loss")
    _finish(axes, run)


def draw_accuracy(axes: Axes, run: Contents) -> None:
    """Draw the training accuracy (points for single batches, a smoothed line) and the validation accuracy.

    The best step is marked. If a text may have several labels, micro-F1 is drawn instead of accuracy.
    """
    _training(axes, run, run.score.key)
    steps, accuracies = _validation(run, run.score.key)
    saved = np.flatnonzero(steps == run.evaluation.get("best_step"))
    best = int(saved[0] if len(saved) else np.argmax(accuracies)) if len(accuracies) else None
    decides = metric_of(run.best_by, several=run.several)
    how = "best" if decides.key == run.score.key else f"at the best {decides.name}"
    label = "validation" if best is None else f"validation ({how} {accuracies[best]:.1%})"
    _validation_line(axes, steps, accuracies, label)
    if best is not None and len(accuracies) > 1:
        axes.plot(steps[best], accuracies[best], "o", ms=9, mfc="none", mec=ORANGE, mew=1.4)
    axes.set(ylim=(_floor(run, accuracies), 1.004), ylabel=run.score.name)
    axes.yaxis.set_major_formatter(percent_tick)
    _finish(axes, run)


def draw_learning_rate(axes: Axes, run: Contents) -> None:
    """Draw the learning rate of every step, divided by a power of ten that the axis names, such as "(× 10⁻⁴)"."""
    steps, rates = _finite(run, "learning_rate")
    power = math.floor(math.log10(rates.max())) if len(rates) and rates.max() > 0 else 0
    axes.plot(steps, rates / 10.0**power, "-" if len(steps) > 1 else "o", color=BLUE)
    digits = str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    axes.set(ylabel=f"learning rate (× 10{digits})" if power else "learning rate")
    axes.set_ylim(0, (rates.max() / 10.0**power if len(rates) and rates.max() > 0 else 1) * 1.08)
    _finish(axes, run, legend=False)


def smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """``values`` smoothed with a centred Gaussian over about 1/30 of the steps; unlike a running mean it has no lag."""
    from scipy.ndimage import gaussian_filter1d

    return gaussian_filter1d(values, sigma=max(1.0, len(values) / 60), mode="nearest")


def _training(axes: Axes, run: Contents, key: str) -> float:
    steps, values = _finite(run, key)
    if not len(steps):
        return 0.0
    thin = slice(None, None, max(1, len(steps) // MOST_POINTS))
    few = len(steps) < 8
    axes.plot(steps[thin], values[thin], ".", color=BLUE, alpha=1 if few else 0.35, ms=6 if few else 4, mew=0)
    means = values if few else smooth(values)
    axes.plot(
        steps, means, color=BLUE, label="training" if few else "training (smoothed)", marker="o" if few else "", ms=4
    )
    # A few extreme batches must not determine the scale of the axis.
    return float(max(means.max(), np.quantile(values, 0.98)))


def _validation(run: Contents, key: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    points = [(e["step"], e[key]) for e in run.validations if e.get(key) is not None and math.isfinite(e[key])]
    table = np.array(points, dtype=float).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _validation_line(axes: Axes, steps: NDArray[np.float64], values: NDArray[np.float64], label: str) -> None:
    if len(steps):
        axes.plot(steps, values, "o-" if len(steps) < 60 else "-", color=ORANGE, ms=4, label=label)


def _finite(run: Contents, key: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    steps, values = run.steps["step"], run.steps[key]
    finite = np.isfinite(values)
    return steps[finite], values[finite]


def _floor(run: Contents, validation: NDArray[np.float64]) -> float:
    # Show the range of the later steps; the first steps at chance level would take half of the plot.
    _, values = _finite(run, run.score.key)
    means = smooth(values) if len(values) >= 8 else values
    lowest = min([*np.atleast_1d(np.quantile(means, 0.1) if len(means) else 1.0), *validation], default=0.0)
    return max(0.0, math.floor((lowest - 0.02) * 20) / 20)


def _finish(axes: Axes, run: Contents, legend: bool = True) -> None:
    from matplotlib.ticker import MaxNLocator

    _, epochs = _finite(run, "epoch")
    axes.set_xlabel(f"step ({epochs[-1]:.3g} epoch{'' if epochs[-1] == 1 else 's'})" if len(epochs) else "step")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    axes.xaxis.set_major_formatter(lambda step, _: f"{step:,.0f}")
    axes.margins(x=0.02)
    if legend and axes.get_legend_handles_labels()[0]:
        legend_above(axes)
