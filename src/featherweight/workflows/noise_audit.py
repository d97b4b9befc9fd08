"""Audits training labels: finds rows with probably wrong labels, near-duplicates, and training texts in the test set.

Each row gets probabilities from a model that was trained without this row (cross-validation with the recipe). If the
model is confident of another label than the given one, the row is a suspect. If a text may have several labels, the row
is one if the model is confident that it lacks one of its labels, or has another one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featherweight.argument_checks import require_path, require_whole
from featherweight.backbone.resolve import resolve_backbone
from featherweight.budget.limit import require_within_budget
from featherweight.data.dropping import without_dropped
from featherweight.data.fingerprints import differing_keys, rows_fingerprint
from featherweight.data.folds import TWO_LABELS_NEEDED, divided_labels, fold_numbers, separate_folds
from featherweight.data.in_memory import parquet_bytes
from featherweight.data.near_duplicates import Pair, similar_pairs
from featherweight.data.pairs import joined
from featherweight.data.source_tables import open_table, source_of_test
from featherweight.data.sources import Rows, read_rows, rows_of
from featherweight.data.used_classes import require_classes
from featherweight.errors import UserError
from featherweight.evaluation.label_noise import label_noise
from featherweight.evaluation.multi_label_noise import multi_label_noise
from featherweight.files import read_object, write_json, written_whole
from featherweight.formatting import counted
from featherweight.hints import Caller, called_with, elsewhere, flag, to_install
from featherweight.recipe import Recipe
from featherweight.recipe.schema import require_recipe
from featherweight.report.noise.contents import Audit, unaudited_note
from featherweight.report.noise.page import write_audit
from featherweight.run.lock import require_writable
from featherweight.task.interface import task_of
from featherweight.workflows.prepare import require_settings
from featherweight.workflows.training_process import LOGITS, removed_if_refused, train_in_a_process
from featherweight.workflows.weigh import resolve

PLAN = "audit.json"
"""The recipe, the number of folds, and the fingerprints of the rows and of the backbone of an audit, in its folder:
another audit cannot be mixed with it."""


@called_with(Caller.RECIPE)
def audit_labels(
    recipe: Recipe, out: str | Path, *, folds: int = 5, announce: Callable[[str], None] = lambda line: None
) -> Audit:
    """Find the rows of ``data.train`` whose label is probably wrong (suspects), by ``folds`` cross-validated trainings.

    ``recipe`` is the recipe of these trainings. noise.html, suspects.csv and near-duplicates.csv in ``out`` tell what
    was found; a recipe with ``data.drop = "suspects.csv"`` trains without the suspects. The same call again resumes the
    audit. Labels of test rows are not read. Raises UserError for wrong input, and Interrupted at a signal.
    """
    require_recipe(recipe, "audit_labels")
    require_path(out, "out", "the path of a folder for the audit")
    folds = require_whole(folds, "folds", "5")
    _require_possible(recipe, folds)
    from featherweight.training.signals import end_on_signals

    out = Path(out)
    require_writable(out)
    rows, _ = without_dropped(read_rows(recipe.data.train, recipe.data), recipe.data.drop)
    require_classes(rows, recipe)
    backbone = resolve_backbone(recipe.backbone)
    require_settings(recipe, backbone, rows.counts)
    announce(f"dividing the rows into {folds} parts")  # takes 9 s for 20,000 rows with 50 labels
    parts = fold_numbers(rows, folds, recipe.seed)
    audited = _audited_labels(rows, parts)
    if others := _others(rows, audited):
        announce(unaudited_note(others))
    test = test_texts(recipe)  # not only after the trainings: the file may be missing
    plan = {"recipe": recipe.to_toml(), "folds": folds, **rows_fingerprint(rows), "parts": _digest(parts)}
    plan["backbone"] = backbone.sha256
    with end_on_signals(lambda: f"stopped; to resume the audit in {out}, run the same command again"):
        announce(
            f"{counted(len(rows), 'row')}, {folds} trainings of {counted(len(rows) * (folds - 1) // folds, 'row')} each"
        )
        with removed_if_refused(out / PLAN, out / "folds", out / "folds" / "1"):
            _require_same_audit(out, plan, lambda: _digest(separate_folds(rows, folds, recipe.seed)))
            of_folds = _with_class_weights(recipe, audited)
            logits = _out_of_sample(of_folds, _with_labels(rows, audited), parts, out, announce)
        announce("comparing the texts")
        audit = _audit(recipe, rows, audited, logits, folds, test)
        write_audit(audit, out)
    return audit


def _require_possible(recipe: Recipe, folds: int) -> None:
    try:
        import cleanlab  # noqa: F401
    except ModuleNotFoundError:
        raise UserError(f"the audit needs cleanlab: {to_install('cleanlab')}") from None
    if folds < 2:
        raise UserError(f"the audit needs at least two folds; set {flag('--folds')} to 2 or more")
    resolved = resolve(recipe.with_values(adapter={"start_from": None}))  # as the folds are trained
    require_within_budget(resolved.weight, resolved.recipe, resolved.architecture)


def _audited_labels(rows: Rows, parts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The numbers of the labels that are audited: all; if a text may have several labels, those that can be.

    ``parts`` [rows] are the fold numbers. Raises UserError if there are fewer than two.
    """
    if not rows.several:
        return np.arange(len(rows.label_names))
    audited = divided_labels(rows, parts)
    if len(audited) < 2:
        raise UserError(f"{rows.origin}: {TWO_LABELS_NEEDED}")
    return audited


def _with_labels(rows: Rows, labels: NDArray[np.int64]) -> Rows:
    """``rows`` with only the ``labels``, given by number; unchanged if each text has one label."""
    if not rows.several:
        return rows
    assert rows.labels is not None
    names = tuple(rows.label_names[label] for label in labels.tolist())
    return replace(rows, labels=rows.labels[:, labels], label_names=names)


def _with_class_weights(recipe: Recipe, labels: NDArray[np.int64]) -> Recipe:
    """``recipe`` with the class weights of only the ``labels``, given by number; a word as ``balanced`` stays."""
    weights = recipe.training.class_weights
    if isinstance(weights, str):
        return recipe
    return recipe.with_values(training={"class_weights": [weights[label] for label in labels.tolist()]})


def _others(rows: Rows, audited: NDArray[np.int64]) -> tuple[str, ...]:
    """The names of the labels that are not ``audited``."""
    return tuple(name for label, name in enumerate(rows.label_names) if label not in audited)


def _require_same_audit(out: Path, plan: dict[str, Any], earlier: Callable[[], str]) -> None:
    """Write ``plan``, the settings of this audit, into ``out``; raise UserError if ``out`` has an audit with others.

    ``earlier`` computes the value of ``plan["parts"]`` by an earlier version, which did not store it.
    """
    file = out / PLAN
    if not file.is_file():
        out.mkdir(parents=True, exist_ok=True)
        write_json(file, plan)
        return
    stored = read_object(file)
    stored = stored if "parts" in stored else {**stored, "parts": earlier()}
    if changed := next(iter(differing_keys(stored, plan)), None):
        named = {
            "recipe": "with another value of recipe",
            "folds": "with another value of folds",
            "parts": "by an earlier version, which divided the rows otherwise",
            "backbone": "with other weights of the backbone",
        }
        raise UserError(f"{out}: holds an audit {named.get(changed, 'of other rows')}; {elsewhere()}")


def _digest(parts: NDArray[np.int64]) -> str:
    """SHA-256 of the fold numbers ``parts`` [rows]."""
    return hashlib.sha256(parts.astype("<i8").tobytes()).hexdigest()


def _out_of_sample(
    recipe: Recipe, rows: Rows, parts: NDArray[np.int64], out: Path, announce: Callable[[str], None]
) -> NDArray[np.float64]:
    """Logits [rows, classes]; those of a row come from the model that was trained without the fold of the row.

    ``parts`` [rows] are the fold numbers.
    """
    logits = np.zeros((len(rows), len(rows.label_names)))
    folds = int(parts.max()) + 1
    for number in range(folds):
        folder = out / "folds" / str(number + 1)
        held_out = np.flatnonzero(parts == number)
        fold = fold_recipe(recipe, rows, np.flatnonzero(parts != number), held_out, folder)
        value = train_in_a_process(fold, folder / "training", lambda *_: True, logits=True)
        score = f"micro-F1 of {value:.2%} on" if rows.several else f"{value:.2%} of"
        announce(f"fold {number + 1} of {folds}: {score} {counted(len(held_out), 'row')} that it had not seen")
        logits[held_out] = np.load(folder / "training" / LOGITS, allow_pickle=False)
    return logits


def fold_recipe(
    recipe: Recipe, rows: Rows, train: NDArray[np.int64], held_out: NDArray[np.int64], folder: Path
) -> Recipe:
    """The recipe of one fold; its rows are written into ``folder``.

    The fold keeps the adapter of the last step: choosing the best one on the held-out rows would use their labels.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, places in (("train", train), ("held-out", held_out)):
        with written_whole(folder / f"{name}.parquet") as part:
            part.write_bytes(parquet_bytes(_columns(rows.take(places)), "audit_labels"))
    pair = recipe.data.join == "pair"
    # A section of its own, because the rows are read already: of the recipe's, only the keys on tokens are kept.
    data = recipe.data.model_dump(include={"join", "max_length", "long", "window_overlap"}) | {
        "train": str((folder / "train.parquet").resolve()),
        "validation": str((folder / "held-out.parquet").resolve()),
        "test": "",
        "text": ["first", "second"] if pair else ["text"],
        "label": "label",
        "labels": list(rows.label_names),
    }
    # A teacher, or a run to start from, may know the labels of the held-out rows.
    training: dict[str, Any] = {"keep": "last", "early_stopping": 0, "trackers": [], "teacher": [], "soup": []}
    training |= {"evaluate_every": None if recipe.training.max_steps is None else recipe.training.max_steps}
    values = recipe.model_dump(mode="json", exclude_none=True) | {"data": data}
    fold = Recipe.parse(values, recipe.name)
    evaluation: dict[str, Any] = {"shift": [], "best_by": "micro_f1" if rows.several else "accuracy"}
    return fold.with_values(adapter={"start_from": None}, training=training, evaluation=evaluation)


def _columns(rows: Rows) -> dict[str, list[Any]]:
    assert rows.labels is not None
    texts = list(rows.texts)
    columns = {"label": rows.names_of(rows.labels)}
    if texts and not isinstance(texts[0], str):
        return {"first": [text[0] for text in texts], "second": [text[1] for text in texts]} | columns
    return {"text": [str(text) for text in texts]} | columns


def _audit(
    recipe: Recipe,
    rows: Rows,
    audited: NDArray[np.int64],
    logits: NDArray[np.float64],
    folds: int,
    test: list[str] | None,
) -> Audit:
    """The audit of ``rows`` from the out-of-sample ``logits`` [rows, audited labels]."""
    assert rows.labels is not None
    texts, probabilities = [joined(text) for text in rows.texts], task_of(recipe).probabilities(logits)
    return Audit(
        name=recipe.name,
        origin=rows.origin,
        folds=folds,
        texts=texts,
        labels=rows.labels,
        label_names=rows.label_names,
        places=rows.positions,
        noise=multi_label_noise(rows.labels, logits, audited)
        if rows.several
        else label_noise(rows.labels, probabilities),
        near_duplicates=similar_pairs(texts),
        leaks=_leaks(test, texts) if test is not None else None,
        test_texts=test or [],
        separator=rows.label_column.separator if rows.label_column else None,
        unaudited=_others(rows, audited),
    )


def _leaks(test: list[str], texts: list[str]) -> list[Pair]:
    """For each test text that is nearly equal to a training text, the pair with the most similar training text."""
    nearest: dict[int, Pair] = {}
    for pair in similar_pairs(test, texts):  # the most similar first
        nearest.setdefault(pair.first, pair)
    return list(nearest.values())


def test_texts(recipe: Recipe) -> list[str] | None:
    """The texts of the test rows, without their labels; None if the recipe has no test rows.

    An empty text is refused, or with ``data.empty = "drop"`` ignored, because it is in no training row.
    """
    source = source_of_test(recipe.data)
    if source is None:
        return None
    table = open_table(source, recipe.data, "test")
    drop = None if recipe.data.empty == "drop" else ""
    return [joined(text) for text in rows_of(table, source, recipe.data, labelled=False, drop=drop).texts]
