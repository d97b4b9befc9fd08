"""A run's figures, found again: from the rows that it wrote, and from its adapter on the data that is at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from featherweight.backbone.resolve import resolve_backbone
from featherweight.data.fingerprints import training_fingerprint
from featherweight.data.perturbations import is_perturbed
from featherweight.data.sources import BUILT_IN, Rows
from featherweight.data.splits import load_part
from featherweight.errors import UserError
from featherweight.evaluation.metrics import evaluate
from featherweight.evaluation.results import judge_rows, prediction_columns
from featherweight.inference.classifier import Classifier
from featherweight.run.folder import Run

if TYPE_CHECKING:
    import pandas as pd

Result = Literal["pass", "moved", "skipped", "fail"]

ROUNDING = 1e-6
"""Largest difference of a probability that passes: the last digits in which predictions.parquet keeps it."""
TOLERANCE = {"fp32": 1e-3, "bf16": 0.05, "fp16": 0.05}
"""Largest difference of a probability that other versions or another processor may make, by precision."""


@dataclass(frozen=True)
class Check:
    """One claim: what it is about, how it stands, and what was found, in one line."""

    name: str
    result: Result
    found: str
    predicted: bool = False
    """Whether it is about rows that had to be predicted again."""


def guarded(name: str, look: Callable[[], Check]) -> Check:
    """The check ``look``; a file that cannot be read is a claim that does not hold."""
    try:
        return look()
    except UserError as error:
        return Check(name, "fail", str(error))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        return Check(name, "fail", f"damaged: {type(error).__name__} {str(error)[:200]}")


def reevaluate(run: Run, *, same_surroundings: bool) -> list[Check]:
    """The checks of predictions, data, backbone and adapter of ``run``, for each judged set.

    With ``same_surroundings`` on a processor nothing may differ; else probabilities may, by ``TOLERANCE``.
    """
    try:
        table, sets = _predictions(run), _judged(run)
    except UserError as error:
        return [Check("figures", "fail", str(error))]
    checks = [guarded("figures", lambda: _figures(run, table))]
    classifier = _load(run)
    if isinstance(classifier, Check):
        return [*checks, classifier, Check("predictions", "skipped", "there is no adapter to make them again")]
    exact = same_surroundings and classifier.engine.device == "cpu" == run.environment.get("device")
    tolerance = ROUNDING if exact else max(map(_tolerance, _precisions(run, classifier)))
    checks.append(Check("adapter", "pass", f"loads, in {classifier.engine.precision}"))
    checks.append(guarded("training rows", lambda: _training_rows(run, classifier)))
    look = partial(_split, run, classifier, table, tolerance)
    return checks + [replace(guarded(name, partial(look, name)), predicted=True) for name in sets]


def undecided_rows(run: Run, name: str) -> int:
    """Rows of the set ``name`` whose two most probable labels may change places by rounding (twice ``TOLERANCE``).

    Raises UserError where predictions.parquet is missing or damaged.
    """
    table = _predictions(run)
    labels = [column.removeprefix("p_") for column in table.columns if column.startswith("p_")]
    best = np.sort(_probabilities(table[table["split"] == name], labels), axis=1)
    apart = best[:, -1] - best[:, -2]
    return int((apart <= 2 * _tolerance(str(run.environment.get("precision", "fp32")))).sum())


def _judged(run: Run) -> dict[str, dict[str, Any]]:
    """All judged sets by name, each with the figures that the run claims."""
    evaluation = run.evaluation
    sets: dict[str, dict[str, Any]] = {name: evaluation[name] for name in ("validation", "test") if name in evaluation}
    shift = evaluation.get("shift") or {}
    if not isinstance(shift, dict) or not all(
        isinstance(figures, dict) for figures in (*sets.values(), *shift.values())
    ):
        raise UserError("evaluation.json: damaged: a set has no table of figures")
    return sets | shift


def _tolerance(precision: str) -> float:
    return TOLERANCE.get(precision, max(TOLERANCE.values()))


def _precisions(run: Run, classifier: Classifier) -> list[str]:
    return [str(run.environment.get("precision", "fp32")), classifier.engine.precision]


def _predictions(run: Run) -> pd.DataFrame:
    import pandas as pd

    path = run.folder / "predictions.parquet"
    if not path.is_file():
        raise UserError(f"{path}: missing")
    try:
        table = pd.read_parquet(path)
        _ = table[["split", "row", "text_key", "label", "predicted"]]
    except Exception as error:  # the Parquet library raises anything at all for a damaged file
        raise UserError(f"{path}: damaged: {str(error).strip().partition(chr(10))[0][:200]}") from None
    return table


def _probabilities(table: pd.DataFrame, labels: tuple[str, ...] | list[str]) -> np.ndarray:
    columns = [f"p_{label}" for label in labels]
    if lost := next((column for column in columns if column not in table), None):
        raise UserError(f"predictions.parquet: has no column {lost}")
    return table[columns].to_numpy(np.float64)


def _figures(run: Run, table: pd.DataFrame) -> Check:
    """evaluation.json has to follow from predictions.parquet, row by row, without any data or model."""
    sets = {"evaluation.json": set(_judged(run)), "predictions.parquet": set(table["split"])}
    wanted = {"validation", *run.recipe.evaluation.shift}.union(*sets.values())
    for file, names in sets.items():
        if lost := sorted(wanted - names):
            return Check("figures", "fail", f"{file}: {lost[0]} is missing")
    for name, claimed in _judged(run).items():
        if wrong := _first_contradiction(name, claimed, table[table["split"] == name]):
            return Check("figures", "fail", f"evaluation.json: {wrong}")
    return Check("figures", "pass", "evaluation.json follows from predictions.parquet")


def _first_contradiction(name: str, claimed: dict[str, Any], rows: pd.DataFrame) -> str:
    labels = [entry["label"] for entry in claimed["per_class"]]
    logits = np.log(np.maximum(_probabilities(rows, labels), 1e-38))
    numbers = [np.array([labels.index(label) for label in rows[key]]) for key in ("label", "predicted")]
    places = np.arange(len(rows))
    if len(rows) and (logits[places, numbers[1]] < logits.max(1)).any():
        return f"{name}: predictions.parquet gives a row another label than its most probable one"
    logits[places, numbers[1]] += 1e-9  # of two classes that round to the same, the one that was chosen
    found = evaluate(logits, numbers[0], labels)
    for key, again, most in (
        ("rows", found["rows"], 0),
        ("accuracy", found["accuracy"], 1e-9),
        ("macro_f1", found["macro_f1"], 1e-9),
        ("log_loss_scaled", found["log_loss"], 1e-4),
    ):
        if not abs(float(claimed[key]) - again) <= most:
            return f"{name} {key} is {claimed[key]}; the rows in predictions.parquet give {again:.6g}"
    if claimed["confusion_matrix"] != found["confusion_matrix"]:
        return f"the confusion matrix of {name} is not that of the rows in predictions.parquet"
    return ""


def _load(run: Run) -> Classifier | Check:
    try:
        found = resolve_backbone(run.recipe.backbone)
    except UserError as error:
        return Check("backbone", "skipped", f"not at hand: {error}")
    then = (run.environment.get("backbone") or {}).get("sha256")
    if then and found.sha256 and then != found.sha256:
        return Check("backbone", "fail", f"{found.name}: its weights are not those of the training (another sha256)")
    try:
        try:
            return Classifier.load(run.folder, precision=str(run.environment.get("precision", "auto")), merge=False)
        except UserError:
            return Classifier.load(run.folder, merge=False)  # this machine may lack the precision of the training
    except UserError as error:
        return Check("adapter", "fail", str(error))


def _training_rows(run: Run, classifier: Classifier) -> Check:
    """The rows that were trained on, by their fingerprint: with others the recipe gives another run."""
    name, then = "training rows", run.environment["data"]["train"]
    rows = _rows(run, "train", classifier, name)
    if isinstance(rows, Check):
        return rows
    now = training_fingerprint(rows, classifier.tokenizer, run.recipe.data.max_length)
    if other := [key for key, value in now.items() if then.get(key, value) != value]:
        what = {"rows": "rows", "fingerprint": "texts", "labels": "labels"}[other[0]]
        return Check(name, "fail", f"{rows.origin}: has changed since: its {what} are not those of the training")
    return Check(name, "pass", f"{len(rows):,}, by their fingerprint")


def _rows(run: Run, part: str, classifier: Classifier, name: str) -> Rows | Check:
    """The rows of ``part`` as they are now; a check that failed where they are there but of no use, else skipped."""
    source = _source(run, part)
    try:
        with _beside_its_data(run, source):
            return load_part(run.recipe, part, classifier.labels)
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


def _split(run: Run, classifier: Classifier, table: pd.DataFrame, tolerance: float, name: str) -> Check:
    """One judged set: the same rows, and from the saved adapter the same labels, probabilities and figures."""
    rows = _rows(run, name, classifier, name)
    if isinstance(rows, Check):
        return rows
    then = table[table["split"] == name].sort_values("row")
    if changed := _changed_row(rows, then):
        return Check(name, "fail", f"{rows.origin}: {changed}")
    return _compared(run, classifier, name, rows, classifier.model.logits(rows), then, tolerance)


def _changed_row(rows: Rows, then: pd.DataFrame) -> str:
    now = prediction_columns("", rows, np.zeros((len(rows), len(rows.label_names))), 1.0)
    if len(now["row"]) != len(then):
        return f"has changed since: {len(now['row']):,} rows, not {len(then):,}"
    for key, what in (("text_key", "text"), ("label", "label")):
        other = np.flatnonzero(np.asarray(now[key], dtype=object) != then[key].to_numpy(dtype=object))
        if len(other):
            return f"has changed since, or predictions.parquet has: row {other[0] + 1} has another {what}"
    return ""


def _compared(
    run: Run, classifier: Classifier, name: str, rows: Rows, logits: np.ndarray, then: pd.DataFrame, tolerance: float
) -> Check:
    columns = prediction_columns(name, rows, logits, classifier.temperature)
    now = np.column_stack([columns[f"p_{label}"] for label in classifier.labels]).astype(np.float64)
    largest = float(np.abs(now - _probabilities(then, classifier.labels)).max(initial=0.0))
    other = int((columns["predicted"] != then["predicted"].to_numpy(dtype=object)).sum())
    found = f"{len(rows):,} rows: {other:,} other labels, probabilities differ by {largest:.2g} at the most"
    if not largest <= tolerance:
        return Check(name, "fail", f"{found}, more than {tolerance:g}")
    figures = judge_rows(rows, logits, classifier.temperature, run.recipe.evaluation)
    claimed = _judged(run)[name]
    if largest > ROUNDING or other:
        # What evaluation.json has follows from predictions.parquet, which is another check.
        accuracy, loss = (figures[key] - claimed[key] for key in ("accuracy", "log_loss"))
        moved = f"accuracy moved by {accuracy:+.4f}, log loss by {loss:+.2g}"
        return Check(name, "moved", f"{found} ({tolerance:g} is tolerated); {moved}")
    if key := _contradiction(figures, claimed):
        return Check(name, "fail", f"evaluation.json: {key} of {name} is not what the adapter gives on these rows")
    return Check(name, "pass", f"{len(rows):,} rows: the same labels, probabilities and figures")


def _contradiction(now: Any, then: Any, key: str = "") -> str:
    """The first key at which two tables of figures differ, beyond rounding; empty where none does."""
    if isinstance(now, dict) and isinstance(then, dict):
        pairs = [(now.get(inner), then.get(inner), inner) for inner in {**then, **now}]
    elif isinstance(now, list | tuple) and isinstance(then, list | tuple) and len(now) == len(then):
        pairs = [(*pair, key) for pair in zip(now, then, strict=True)]
    elif isinstance(now, float) and isinstance(then, int | float):
        return "" if abs(now - then) <= ROUNDING else key
    else:
        return "" if now == then else key
    return next((found for one, other, inner in pairs if (found := _contradiction(one, other, inner))), "")
