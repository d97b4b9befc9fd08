"""Checks that make a run's figures again: from the rows that it wrote, and from its adapter on the data at hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featherweight.backbone.resolve import resolve_backbone
from featherweight.data.fingerprints import training_fingerprint
from featherweight.data.perturbations import is_perturbed
from featherweight.data.sources import BUILT_IN, Rows
from featherweight.data.splits import load_part
from featherweight.errors import UserError
from featherweight.evaluation.metrics import evaluate
from featherweight.evaluation.results import evaluate_rows, prediction_columns
from featherweight.run.folder import Run
from featherweight.verification.checks import Check, guarded
from featherweight.verification.evidence import ROUNDING, Evidence, probabilities_in

if TYPE_CHECKING:
    import pandas as pd


def figures(evidence: Evidence) -> Check:
    """evaluation.json has to follow from predictions.parquet, row by row, without any data or model."""
    try:
        table, sets = evidence.predictions, evidence.sets
    except UserError as error:
        return Check("figures", "fail", str(error), ends=True)
    named = {"evaluation.json": set(sets), "predictions.parquet": set(table["split"])}
    wanted = {"validation", *evidence.run.recipe.evaluation.shift}.union(*named.values())
    for file, names in named.items():
        if lost := sorted(wanted - names):
            return Check("figures", "fail", f"{file}: {lost[0]} is missing")
    for name, claimed in sets.items():
        if wrong := _first_contradiction(name, claimed, evidence.predictions_of(name)):
            return Check("figures", "fail", f"evaluation.json: {wrong}")
    return Check("figures", "pass", "evaluation.json follows from predictions.parquet")


def _first_contradiction(name: str, claimed: dict[str, Any], rows: pd.DataFrame) -> str:
    labels = [entry["label"] for entry in claimed["per_class"]]
    logits = np.log(np.maximum(probabilities_in(rows, labels), 1e-38))
    numbers = [np.array([labels.index(label) for label in rows[key]]) for key in ("label", "predicted")]
    places = np.arange(len(rows))
    if len(rows) and (logits[places, numbers[1]] < logits.max(1)).any():
        return f"{name}: predictions.parquet gives a row another label than its most probable one"
    logits[places, numbers[1]] += 1e-9  # of two classes that round to the same, the one that was chosen
    again = evaluate(logits, numbers[0], labels)
    # The probabilities in the file are scaled already, so the plain log loss of these rows is the scaled one.
    for key, figure, most in (
        ("rows", again["rows"], 0),
        ("accuracy", again["accuracy"], 1e-9),
        ("macro_f1", again["macro_f1"], 1e-9),
        ("log_loss_scaled", again["log_loss"], 1e-4),
    ):
        if not abs(float(claimed[key]) - figure) <= most:
            return f"{name} {key} is {claimed[key]}; the rows in predictions.parquet give {figure:.6g}"
    if claimed["confusion_matrix"] != again["confusion_matrix"]:
        return f"the confusion matrix of {name} is not that of the rows in predictions.parquet"
    return ""


def adapter(evidence: Evidence) -> Check | list[Check]:
    """The adapter loads on a backbone whose weights are those of the training; where not, this ends the checks."""
    skipped = Check("predictions", "skipped", "there is no adapter to make them again", ends=True)
    try:
        backbone = resolve_backbone(evidence.run.recipe.backbone)
    except UserError as error:
        return [Check("backbone", "skipped", f"not at hand: {error}"), skipped]
    then = (evidence.run.environment.get("backbone") or {}).get("sha256")
    if then and backbone.sha256 and then != backbone.sha256:
        changed = f"{backbone.name}: its weights are not those of the training (another sha256)"
        return [Check("backbone", "fail", changed), skipped]
    try:
        precision = evidence.classifier.engine.precision
    except UserError as error:
        return [Check("adapter", "fail", str(error)), skipped]
    return Check("adapter", "pass", f"loads, in {precision}")


def training_rows(evidence: Evidence) -> Check:
    """The rows that were trained on, by their fingerprint: with others the recipe gives another run."""
    run, classifier, name = evidence.run, evidence.classifier, "training rows"
    then = run.environment["data"]["train"]
    rows = _rows(evidence, "train", name)
    if isinstance(rows, Check):
        return rows
    now = training_fingerprint(rows, classifier.tokenizer, run.recipe.data.max_length)
    if changed := [key for key, value in now.items() if then.get(key, value) != value]:
        what = {"rows": "rows", "fingerprint": "texts", "labels": "labels"}[changed[0]]
        return Check(name, "fail", f"{rows.origin}: has changed since: its {what} are not those of the training")
    return Check(name, "pass", f"{len(rows):,}, by their fingerprint")


def evaluated_sets(evidence: Evidence) -> list[Check]:
    """A check for each evaluated set: the same rows, and from the adapter the same labels, probabilities, figures."""
    checks: list[Check] = []
    for name in evidence.sets:
        check = guarded(name, partial(_evaluated_set, evidence, name))
        assert isinstance(check, Check)
        checks.append(replace(check, predicted=True))
    return checks


def _evaluated_set(evidence: Evidence, name: str) -> Check:
    rows = _rows(evidence, name, name)
    if isinstance(rows, Check):
        return rows
    then = evidence.predictions_of(name).sort_values("row")
    if changed := _changed_row(rows, then):
        return Check(name, "fail", f"{rows.origin}: {changed}")
    classifier = evidence.classifier
    logits = classifier.model.logits(rows)
    return _compared(evidence, name, rows, logits, then)


def _rows(evidence: Evidence, part: str, name: str) -> Rows | Check:
    """The rows of ``part`` as they are now; a check that failed where they are there but of no use, else skipped."""
    run = evidence.run
    source = _source(run, part)
    try:
        with _beside_its_data(run, source):
            return load_part(run.recipe, part, evidence.classifier.labels)
    except UserError as error:
        if source in BUILT_IN or Path(source).expanduser().exists():
            return Check(name, "fail", f"has changed since: {error}")
        return Check(name, "skipped", f"not at hand: {error}")


@contextmanager
def _beside_its_data(run: Run, source: str) -> Iterator[None]:
    """In the folder that the run was started in, where a relative path of its recipe leads to data there alone."""
    began = Path(run.environment.get("working_folder", "."))
    if source not in BUILT_IN and not Path(source).expanduser().exists() and (began / source).exists():
        with chdir(began):
            yield
    else:
        yield


def _source(run: Run, part: str) -> str:
    data = run.recipe.data
    own = {"train": data.train, "validation": data.validation or data.train, "test": data.test or data.train}
    return own.get(part) or (own["test"] if is_perturbed(part) else part)


def _changed_row(rows: Rows, then: pd.DataFrame) -> str:
    now = prediction_columns("", rows, np.zeros((len(rows), len(rows.label_names))), 1.0)
    if len(now["row"]) != len(then):
        return f"has changed since: {len(now['row']):,} rows, not {len(then):,}"
    for key, what in (("text_key", "text"), ("label", "label")):
        differ = np.flatnonzero(np.asarray(now[key], dtype=object) != then[key].to_numpy(dtype=object))
        if len(differ):
            return f"has changed since, or predictions.parquet has: row {differ[0] + 1} has another {what}"
    return ""


def _compared(evidence: Evidence, name: str, rows: Rows, logits: np.ndarray, then: pd.DataFrame) -> Check:
    """The set's labels, probabilities and figures now, beside those that the run wrote."""
    classifier, tolerance = evidence.classifier, evidence.tolerance
    columns = prediction_columns(name, rows, logits, classifier.temperature)
    now = np.column_stack([columns[f"p_{label}"] for label in classifier.labels]).astype(np.float64)
    largest = float(np.abs(now - probabilities_in(then, classifier.labels)).max(initial=0.0))
    relabelled = int((columns["predicted"] != then["predicted"].to_numpy(dtype=object)).sum())
    seen = f"{len(rows):,} rows: {relabelled:,} other labels, probabilities differ by {largest:.2g} at the most"
    if not largest <= tolerance:
        return Check(name, "fail", f"{seen}, more than {tolerance:g}")
    again, claimed = (
        evaluate_rows(rows, logits, classifier.temperature, evidence.run.recipe.evaluation),
        evidence.sets[name],
    )
    if largest > ROUNDING or relabelled:
        # What evaluation.json has follows from predictions.parquet, which is another check.
        accuracy, loss = (again[key] - claimed[key] for key in ("accuracy", "log_loss"))
        moved = f"accuracy moved by {accuracy:+.4f}, log loss by {loss:+.2g}"
        return Check(name, "moved", f"{seen} ({tolerance:g} is tolerated); {moved}")
    if key := _first_difference(again, claimed):
        return Check(name, "fail", f"evaluation.json: {key} of {name} is not what the adapter gives on these rows")
    return Check(name, "pass", f"{len(rows):,} rows: the same labels, probabilities and figures")


def _first_difference(now: Any, then: Any, key: str = "") -> str:
    """The first key at which two tables of figures differ, beyond rounding; empty where none does."""
    if isinstance(now, dict) and isinstance(then, dict):
        pairs = [(now.get(inner), then.get(inner), inner) for inner in {**then, **now}]
    elif isinstance(now, list | tuple) and isinstance(then, list | tuple) and len(now) == len(then):
        pairs = [(*pair, key) for pair in zip(now, then, strict=True)]
    elif isinstance(now, float) and isinstance(then, int | float):
        return "" if abs(now - then) <= ROUNDING else key
    else:
        return "" if now == then else key
    return next((inner for ours, theirs, at in pairs if (inner := _first_difference(ours, theirs, at))), "")
