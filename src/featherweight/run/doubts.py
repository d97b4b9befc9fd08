"""Problems that an accuracy hides: a class that is never predicted, or a result no better than one constant answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from featherweight.errors import in_a_line
from featherweight.formatting import in_sentence, percent, shortened
from featherweight.hints import to_set

TOO_GOOD = "too good"
"""What each warning of a run says if rows on which it was evaluated may be known from a training."""
_NAMED = 3
"""Classes that are named; of more, their number is said."""
_LONGEST = 40
"""Letters of a name of a class."""
_UNEVEN = 2
"""From so many times the rows of the smallest class on, the largest one is a reason."""


def doubts(figures: Mapping[str, Any]) -> list[str]:
    """Reasons to doubt the metrics of one set (from evaluation.json), such as "'sport' is never predicted".

    The list is empty if there are none.
    """
    rows = [row for row in figures["per_class"] if row["support"]]
    never = [row["label"] for row, count in zip(figures["per_class"], _predicted(figures), strict=True) if not count]
    occurring = {row["label"] for row in rows}
    never = [name for name in never if name in occurring]
    found = []
    if never and len(never) <= _NAMED:
        are = "is" if len(never) == 1 else "are"
        found.append(f"{in_sentence([_quoted(name) for name in never])} {are} never predicted")
    elif never:
        found.append(f"{len(never)} of {len(rows)} classes are never predicted")
    if rows and "micro_f1" in figures:
        found += _no_better_than_constant(figures)
    if len(rows) > 1 and "confusion_matrix" in figures:
        answers = dict(zip((row["label"] for row in figures["per_class"]), _predicted(figures), strict=True))
        largest = max(rows, key=lambda row: (row["support"], answers[row["label"]]))
        share = largest["support"] / figures["rows"]
        if figures["accuracy"] <= share < 1:
            more = "as often" if figures["accuracy"] == share else f"more often ({percent(share, figures['rows'])})"
            found.append(f"always answering {_quoted(largest['label'])} would be right {more}")
    return found


def _no_better_than_constant(figures: Mapping[str, Any]) -> list[str]:
    """A list with one reason, if giving the same labels to every text has at least the same micro-F1; else empty."""
    ranked = sorted(figures["per_class"], key=lambda row: -row["support"])
    best, count = best_constant([row["support"] for row in ranked], figures["rows"])
    if figures["micro_f1"] > best or best == 1:
        return []
    given = [_quoted(row["label"]) for row in ranked[:count]]
    what = in_sentence(given) if len(given) <= _NAMED else f"the {len(given)} most frequent labels"
    return [f"always giving {what} would have a micro-F1 of {best:.1%}"]


def best_constant(supports: Sequence[int], rows: int) -> tuple[float, int]:
    """The highest micro-F1 of giving the same labels to every text, and their number: they are the most frequent ones.

    ``supports`` is the number of texts with each label, and ``rows`` that of all texts.
    """
    total, hits, best = sum(supports), 0, (0.0, 0)
    for count, support in enumerate(sorted(supports, reverse=True), 1):
        hits += support
        best = max(best, (2 * hits / (count * rows + total), -count))
    return best[0], -best[1]


def remedies(figures: Mapping[str, Any], recipe: Mapping[str, Any]) -> str:
    """A sentence on what to try if ``doubts`` finds something, with what to type: "Try more epochs or ...: --set ...".

    ``figures`` are the metrics of the set. Settings that ``recipe`` (nested, as in TOML) already has are left out.
    """
    counts = [row["support"] for row in figures["per_class"] if row["support"]]
    epochs, most = (recipe.get("training", {}).get(key) for key in ("epochs", "max_steps"))
    # A training ends at the smaller of the two, and the recipe does not say which one this was.
    typed = {"more steps": f"training.max_steps={2 * most}"} if most else {}
    twice = "..." if epochs is None else f"{2 * epochs:g}"
    typed["more epochs"] = f"training.epochs={twice}"
    if max(counts) >= _UNEVEN * min(counts):
        if recipe.get("training", {}).get("class_weights", "none") == "none":
            typed["balanced class weights"] = "training.class_weights=balanced"
        if recipe.get("evaluation", {}).get("best_by", "accuracy") in ("accuracy", "micro_f1"):
            typed["the best adapter by macro-F1"] = "evaluation.best_by=macro_f1"
    return f"Try {', '.join(typed)} or more rows of the small classes: {to_set(*typed.values())}"


def _predicted(figures: Mapping[str, Any]) -> list[int]:
    """Number of rows for which each class is predicted, in the order of the classes."""
    if "confusion_matrix" in figures:
        return [sum(column) for column in zip(*figures["confusion_matrix"], strict=True)]
    return [row.get("predicted", 1) for row in figures["per_class"]]


def _quoted(name: Any) -> str:
    return f"'{shortened(in_a_line(str(name)), _LONGEST)}'"
