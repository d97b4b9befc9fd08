"""The result of a run in words, for the headline of the report."""

from __future__ import annotations

from typing import Any, NamedTuple

from featherweight.backbone.adapted import frozen_in_words
from featherweight.formatting import counted, duration, percent, rough_share, without_paths
from featherweight.report.run.contents import Contents
from featherweight.run.doubts import doubts
from featherweight.run.figures import ACCURACY, metrics_of


class Fact(NamedTuple):
    """One fact of the headline: its name, its value, and a note about it."""

    name: str
    value: str
    note: str


def sentence(run: Contents) -> str:
    """The headline: the result in words, and after "but" the reasons to doubt it, if there are any."""
    doubt = in_doubt(run)
    return f"{result(run)}, but {doubt}" if doubt else result(run)


def in_doubt(run: Contents) -> str:
    """Reasons to doubt the result, such as a class that is never predicted; empty if there are none."""
    return ", and ".join(doubts(run.evaluated[1])) if run.evaluated else ""


def result(run: Contents) -> str:
    """The main metric in words, such as "93.10% of 7,600 test texts classified correctly".

    If a text may have several labels, this is micro-F1 and the share of texts with exactly the right labels.
    """
    if run.evaluated is None:
        return "This run has not been evaluated yet."
    split, figures = run.evaluated
    metric, texts = metrics_of(figures)[0], counted(figures["rows"], f"{split} text")
    if metric is not ACCURACY:
        exact = percent(figures["accuracy"], figures["rows"])
        value = percent(figures[metric.key], figures["rows"])
        return f"{metric.title} {value} on {texts}, {exact} of them with exactly their labels"
    return f"{percent(figures['accuracy'], figures['rows'])} of {texts} classified correctly"


def facts(run: Contents) -> list[Fact]:
    """The facts to show below the headline: metrics, trained parameters, backbone and time.

    A fact is left out if the run folder has no value for it.
    """
    shown = _metrics(*run.evaluated) if run.evaluated else []
    if run.weigh:
        total, budget = run.weigh["total"], run.weigh.get("budget")
        note = f"{rough_share(total, budget)} of the budget of {budget:,}" if budget else "each tensor counted once"
        shown.append(Fact("Trained parameters", f"{total:,}", note))
    return shown + _backbone(run) + _time(run)


def _metrics(split: str, figures: dict[str, Any]) -> list[Fact]:
    """The main metric with its 95% interval, and the metrics with ``Metric.first``, such as macro-F1."""
    first, *others = metrics_of(figures)
    value, low, high = (
        percent(share, figures["rows"]) for share in (figures[first.key], *figures[f"{first.key}_interval"])
    )
    shown = [Fact(f"{split.capitalize()} {first.name}", value, f"95% interval {low} to {high}")]
    for metric in others:
        if metric.first and (figure := metric.value(figures)) is not None:
            shown.append(Fact(metric.title, metric.words(figure), metric.direction))
    return shown


def _backbone(run: Contents) -> list[Fact]:
    name = run.recipe.get("backbone", {}).get("name")
    if not name:
        return []
    size = run.weigh.get("backbone_parameters")
    frozen = frozen_in_words(run.environment)
    short = without_paths(str(name))  # the environment has the whole path of a local folder
    return [Fact("Backbone", short, f"{size:,} parameters, {frozen}" if size else frozen)]


def _time(run: Contents) -> list[Fact]:
    if "seconds" not in run.environment:
        return []
    machine = [f"{run.environment['cores']} cores"] if run.environment.get("cores") else []
    machine += [str(run.environment[key]) for key in ("device", "precision") if run.environment.get(key)]
    return [Fact("Time", duration(run.environment["seconds"]), ", ".join(machine))]
