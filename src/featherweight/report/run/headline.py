"""The result of a run in plain words."""

from __future__ import annotations

from typing import Any, NamedTuple

from featherweight.formatting import duration, percent
from featherweight.report.run.contents import Contents
from featherweight.run.figures import ACCURACY, METRICS, SCALED


class Fact(NamedTuple):
    """One figure of the headline: what it is, its value, and what is to be known about it."""

    name: str
    value: str
    note: str


def sentence(run: Contents) -> str:
    """The headline: which share of which texts is classified right."""
    if run.evaluated is None:
        return "This run has not been evaluated yet."
    split, figures = run.evaluated
    return f"{percent(figures['accuracy'], figures['rows'])} of {figures['rows']:,} {split} texts classified correctly"


def facts(run: Contents) -> list[Fact]:
    """The figures to know first; only those that the run folder holds."""
    shown = _metrics(*run.evaluated) if run.evaluated else []
    if run.weigh:
        total, budget = run.weigh["total"], run.weigh.get("budget")
        note = f"{total / budget:.0%} of the budget of {budget:,}" if budget else "each tensor counted once"
        shown.append(Fact("Trained parameters", f"{total:,}", note))
    return shown + _backbone(run) + _time(run)


def _metrics(split: str, figures: dict[str, Any]) -> list[Fact]:
    """Accuracy with its interval, and the other metrics that do not change with the temperature."""
    low, high = (percent(share, figures["rows"]) for share in figures["accuracy_interval"])
    accuracy = percent(figures["accuracy"], figures["rows"])
    shown = [Fact(f"{split.capitalize()} {ACCURACY.name}", accuracy, f"95% interval {low} to {high}")]
    for metric in METRICS:
        if metric not in (ACCURACY, *SCALED) and (value := metric.value(figures)) is not None:
            shown.append(Fact(metric.title, metric.words(value), metric.direction))
    return shown


def _backbone(run: Contents) -> list[Fact]:
    name = run.recipe.get("backbone", {}).get("name")
    if not name:
        return []
    size = run.weigh.get("backbone_parameters")
    return [Fact("Backbone", str(name), f"{size:,} parameters, frozen" if size else "frozen")]


def _time(run: Contents) -> list[Fact]:
    if "seconds" not in run.environment:
        return []
    machine = [f"{run.environment['cores']} cores"] if run.environment.get("cores") else []
    machine += [str(run.environment[key]) for key in ("device", "precision") if run.environment.get(key)]
    return [Fact("Time", duration(run.environment["seconds"]), ", ".join(machine))]
