"""Ranks the evaluations of a training by the metric that the recipe names in ``evaluation.best_by``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from featherweight.formatting import in_sentence
from featherweight.run.figures import METRICS, SEVERAL_LABELS, Metric

Rank = tuple[float, float]
"""The figure that decides and the one that breaks ties, both higher for the better evaluation."""


def rank(record: Mapping[str, Any], best_by: str) -> Rank:
    """A pair of numbers to compare evaluations by: the better evaluation has the greater pair.

    ``record`` has the keys ``accuracy``, ``macro_f1``, ``loss`` (log loss in nats), and ``micro_f1`` if a text may have
    several labels. If accuracies or F1s are equal, the evaluation with the lower loss is better; if losses are equal,
    the one with the higher accuracy.
    """
    loss = -float(record["loss"])
    return (loss, float(record["accuracy"])) if best_by == "log_loss" else (float(record[best_by]), loss)


def figure(record: Mapping[str, Any], best_by: str) -> float:
    """The value of the metric ``best_by`` in the evaluation ``record``."""
    return float(record["loss" if best_by == "log_loss" else best_by])


def metric_of(best_by: str, *, several: bool = False) -> Metric:
    """The metric that ``best_by`` names. ``several`` is whether a text may have several labels."""
    return next(metric for metric in (SEVERAL_LABELS if several else METRICS) if metric.key == best_by)


def decided_by_validation(recipe: Mapping[str, Any]) -> str:
    """What the validation rows decided about the weights of a run, such as "which adapter was kept"; empty if nothing.

    ``recipe`` is nested, as in TOML.
    """
    training = recipe.get("training") or {}
    if training.get("soup") and training.get("soup_choice") == "greedy":
        return "which runs were averaged"
    if training.get("keep", "best") == "last":
        return ""
    return "which step each averaged run kept" if training.get("soup") else "which adapter was kept"


def without_test_set(*recipes: Mapping[str, Any], names: Sequence[str] = (), linear: Collection[int] = ()) -> str:
    """Sentences on results on the validation rows: what else these rows served for in the runs of ``recipes``.

    ``names`` are those of the runs, to say in which of several runs these rows decided something. ``linear`` are the
    indices of linear baselines: of several strengths of their regularisation, these rows decided on one.
    """
    known = "There was no test set. The results are on the validation rows, "
    decided = [
        "the regularisation" if place in linear else decided_by_validation(recipe)
        for place, recipe in enumerate(recipes)
    ]
    if any(decided):
        whats = in_sentence(list(dict.fromkeys(filter(None, decided))))
        some = [name for name, what in zip(names, decided, strict=True) if what] if not all(decided) else []
        where = f" in {in_sentence(some)}" if some else ""
        return f"{known}which also decided {whats}{where}, so they may be too good."
    if recipes[0].get("task") == "multi-label":
        return f"{known}on which the thresholds and the temperature were fitted, so they may be too good."
    return f"{known}on which the temperature was fitted."
