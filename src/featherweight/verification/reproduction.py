"""Checks that reproduce the metrics of a run: from its predictions.parquet, and from its adapter and the data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from featherweight.backbone.resolve import resolve_backbone
from featherweight.data.run_rows import NotThere, rows_of_run, training_difference
from featherweight.data.sources import Rows
from featherweight.errors import UserError
from featherweight.formatting import counted
from featherweight.progress import RowProgress
from featherweight.task.interface import Task
from featherweight.verification import several_labels
from featherweight.verification.checks import Check, guarded
from featherweight.verification.comparing import first_difference, other_calibration
from featherweight.verification.evidence import ROUNDING, Evidence, probabilities_in

if TYPE_CHECKING:
    import pandas as pd

_DERIVED = ("accuracy_interval", "per_class")
"""Keys of evaluation.json that follow from the labels and the predicted labels alone."""


def metrics(evidence: Evidence) -> Check:
    """Check that the metrics in evaluation.json can be computed from predictions.parquet, without data or model."""
    try:
        table, sets = evidence.predictions, evidence.sets
    except UserError as error:
        return Check("metrics", "fail", str(error), ends=True)
    named = {"evaluation.json": set(sets), "predictions.parquet": set(table["split"])}
    wanted = {"validation", *evidence.run.recipe.evaluation.shift}.union(*named.values())
    for file, names in named.items():
        if missing := sorted(wanted - names):
            return Check("metrics", "fail", f"{file}: {missing[0]} is missing")
    for name, written in sets.items():
        look = several_labels.first_contradiction if "task" in written else _first_contradiction
        if wrong := look(name, written, evidence.predictions_of(name)):
            return Check("metrics", "fail", f"evaluation.json: {wrong}")
    return Check("metrics", "pass", "evaluation.json agrees with predictions.parquet")


def _first_contradiction(name: str, written: dict[str, Any], rows: pd.DataFrame) -> str:
    from featherweight.evaluation.metrics import evaluate

    labels = [entry["label"] for entry in written["per_class"]]
    logits = np.log(np.maximum(probabilities_in(rows, labels), 1e-38))
    numbers = [np.array([labels.index(label) for label in rows[key]]) for key in ("label", "predicted")]
    indices = np.arange(len(rows))
    if len(rows) and (logits[indices, numbers[1]] < logits.max(1)).any():
        return f"{name}: in predictions.parquet the predicted label of a row is not its most probable label"
    logits[indices, numbers[1]] += 1e-9  # if two classes have the same rounded probability, prefer the chosen one
    again = evaluate(logits, numbers[0], labels, bins=len(written["reliability"]))
    # The probabilities in the file are already scaled, so their log loss is the scaled log loss.
    for key, value, most in (
        ("rows", again["rows"], 0),
        ("accuracy", again["accuracy"], 1e-9),
        ("macro_f1", again["macro_f1"], 1e-9),
        ("log_loss_scaled", again["log_loss"], 1e-4),
    ):
        if not abs(float(written[key]) - value) <= most:
            return f"{name} {key} is {written[key]}; the rows in predictions.parquet give {value:.6g}"
    if written["confusion_matrix"] != again["confusion_matrix"]:
        return f"the confusion matrix of {name} does not agree with the rows in predictions.parquet"
    other = next(filter(None, (first_difference(again[key], written[key], key) for key in _DERIVED)), "")
    if other := other or other_calibration(again, written, np.exp(logits).max(axis=1)):
        return f"{name} {other} is not that of the rows in predictions.parquet"
    return ""


def adapter(evidence: Evidence) -> Check | list[Check]:
    """Check that the adapter can be loaded, and that the backbone has the weights of the training.

    If not, the failed check and a skipped check are returned, and no later check runs.
    """
    skipped = Check(
        "predictions", "skipped", "not computed again: the classifier is not usable (see the check above)", ends=True
    )
    try:
        backbone = resolve_backbone(evidence.run.recipe.backbone)
    except UserError as error:
        return [Check("backbone", "skipped", f"not available: {error}"), skipped]
    then = (evidence.run.environment.get("backbone") or {}).get("sha256")
    if then and backbone.sha256 and then != backbone.sha256:
        changed = f"{backbone.name}: its weights differ from those of the training (another sha256)"
        return [Check("backbone", "fail", changed), skipped]
    try:
        precision = evidence.classifier.engine.precision
    except UserError as error:
        return [Check("adapter", "fail", str(error)), skipped]
    return Check("adapter", "pass", f"can be loaded, in {precision}")


def training_rows(evidence: Evidence) -> Check:
    """Check that the training rows have the recorded fingerprint: other rows would train another model."""
    run, name = evidence.run, "training rows"
    _ = run.environment["data"]["train"]  # without a fingerprint to compare with, the run is damaged
    rows = _rows(evidence, "train", name, training_difference(run, "train", evidence.classifier.model.tokenizer))
    if isinstance(rows, Check):
        return rows
    return Check(name, "pass", f"{len(rows):,} rows, with the same fingerprint as in the training")


def evaluated_sets(evidence: Evidence) -> list[Check]:
    """One check per evaluated set: its rows have not changed, and the adapter gives the same labels and metrics."""
    checks: list[Check] = []
    for name in evidence.sets:
        check = guarded(name, partial(_evaluated_set, evidence, name))
        assert isinstance(check, Check)
        checks.append(replace(check, predicted=True))
    return checks


def _evaluated_set(evidence: Evidence, name: str) -> Check:
    then, classifier = evidence.predictions_of(name).sort_values("row"), evidence.classifier
    rows = _rows(evidence, name, name, lambda rows: _changed_row(rows, then, classifier.task))
    if isinstance(rows, Check):
        return rows
    logits = classifier.model.logits(rows, advance=RowProgress(evidence.tell, name, len(rows)))
    return _compared(evidence, name, rows, logits, then)


def _rows(evidence: Evidence, part: str, name: str, difference: Callable[[Rows], str]) -> Rows | Check:
    """The rows of a split as the data has them now; a failed check if they have changed, a skipped one if missing."""
    try:
        return rows_of_run(evidence.run, part, evidence.classifier.labels, difference)
    except NotThere as error:
        return Check(name, "skipped", f"not available: {error}")
    except UserError as error:
        return Check(name, "fail", str(error))


def _changed_row(rows: Rows, then: pd.DataFrame, task: Task) -> str:
    from featherweight.evaluation.results import prediction_columns

    now = prediction_columns("", rows, np.zeros((len(rows), len(rows.label_names))), 1.0, task)
    if len(now["row"]) != len(then):
        return f"has changed: {counted(len(now['row']), 'row')}, not {len(then):,}"
    for key, what in (("text_key", "text"), ("label", "label")):
        differ = _differing(now[key], then[key])
        if differ:
            return f"it, or predictions.parquet, has changed: row {differ[0] + 1} has another {what}"
    return ""


def _differing(now: Iterable[Any], then: Iterable[Any]) -> list[int]:
    """Indices of the rows whose values differ: ``now`` and ``then`` have a text or a list of labels for each row."""
    pairs = zip(several_labels.as_tuples(now), several_labels.as_tuples(then), strict=True)
    return [place for place, (ours, theirs) in enumerate(pairs) if ours != theirs]


def _compared(evidence: Evidence, name: str, rows: Rows, logits: np.ndarray, then: pd.DataFrame) -> Check:
    """Compare labels, probabilities and metrics from ``logits`` with those of the run; ``then`` are its predictions."""
    from featherweight.evaluation.results import evaluate_rows, prediction_columns

    classifier, tolerance = evidence.classifier, evidence.tolerance
    fit = classifier.temperature, classifier.task
    columns = prediction_columns(name, rows, logits, *fit)
    now = np.column_stack([columns[f"p_{label}"] for label in classifier.labels]).astype(np.float64)
    largest = float(np.abs(now - probabilities_in(then, classifier.labels)).max(initial=0.0))
    relabelled = len(_differing(columns["predicted"], then["predicted"]))
    others = f"{counted(len(rows), 'row')}: {counted(relabelled, 'other label')}"
    seen = f"{others}, probabilities differ by at most {largest:.2g}"
    if not largest <= tolerance:
        return Check(name, "fail", f"{seen}, more than {tolerance:g}")
    again = evaluate_rows(rows, logits, fit[0], evidence.run.recipe.evaluation, fit[1])
    written = evidence.sets[name]
    if largest > ROUNDING or relabelled:
        # Another check compares evaluation.json with predictions.parquet.
        accuracy, loss = (again[key] - written[key] for key in ("accuracy", "log_loss"))
        change = f"accuracy changed by {accuracy:+.4f}, log loss by {loss:+.2g}"
        return Check(name, "differs", f"{seen} (the tolerance is {tolerance:g}); {change}")
    if key := first_difference(again, written):
        return Check(name, "fail", f"evaluation.json: {name}: the adapter gives another value of {key!r} on these rows")
    return Check(name, "pass", f"{counted(len(rows), 'row')}: the same labels, probabilities and metrics")
