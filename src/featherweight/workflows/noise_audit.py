"""Audits training labels: finds rows with probably wrong labels, near-duplicates, and training texts in the test set.

Each row gets probabilities from a model that was trained without this row (cross-validation with the recipe). If the
model is confident of another label than the given one, the row is a suspect.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featherweight.argument_checks import require_path, require_whole
from featherweight.backbone.resolve import resolve_backbone
from featherweight.budget.limit import require_within_budget
from featherweight.data.dropping import without_dropped
from featherweight.data.fingerprints import differing_keys, rows_fingerprint
from featherweight.data.in_memory import parquet_bytes
from featherweight.data.near_duplicates import Pair, first_occurrences, similar_pairs
from featherweight.data.pairs import joined
from featherweight.data.source_tables import open_table, source_of_test
from featherweight.data.sources import Rows, read_rows, rows_of
from featherweight.data.used_classes import require_classes
from featherweight.errors import UserError
from featherweight.evaluation.label_noise import label_noise
from featherweight.files import read_object, write_json, written_whole
from featherweight.formatting import counted
from featherweight.hints import Caller, called_with, to_install
from featherweight.recipe import Recipe
from featherweight.recipe.schema import require_recipe
from featherweight.report.noise.contents import Audit
from featherweight.report.noise.page import write_audit
from featherweight.run.lock import require_writable
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
    parts = fold_numbers(rows, folds, recipe.seed)
    test = test_texts(recipe)  # not only after the trainings: the file may be missing
    plan = {"recipe": recipe.to_toml(), "folds": folds, **rows_fingerprint(rows), "parts": _digest(parts)}
    plan["backbone"] = backbone.sha256
    earlier = _digest(_stratified(rows, folds, recipe.seed))
    with end_on_signals(lambda: f"stopped; to resume the audit in {out}, run the same command again"):
        announce(
            f"{counted(len(rows), 'row')}, {folds} trainings of {counted(len(rows) * (folds - 1) // folds, 'row')} each"
        )
        with removed_if_refused(out / PLAN, out / "folds", out / "folds" / "1"):
            _require_same_audit(out, plan, earlier)
            probabilities = _out_of_sample(recipe, rows, parts, out, announce)
        announce("comparing the texts")
        audit = _audit(recipe, rows, probabilities, folds, test)
        write_audit(audit, out)
    return audit


def _require_possible(recipe: Recipe, folds: int) -> None:
    try:
        import cleanlab  # noqa: F401
    except ModuleNotFoundError:
        raise UserError(f"the audit needs cleanlab: {to_install('cleanlab')}") from None
    if folds < 2:
        raise UserError("the audit needs at least two folds; set --folds to 2 or more")
    if recipe.task == "multi-label":
        raise UserError('the audit cannot check several labels per text; it needs a recipe with task = "single-label"')
    resolved = resolve(recipe.with_values(adapter={"start_from": None}))  # as the folds are trained
    require_within_budget(resolved.weight, resolved.recipe, resolved.architecture)


def _require_same_audit(out: Path, plan: dict[str, Any], earlier: str) -> None:
    """Write ``plan``, the settings of this audit, into ``out``; raise UserError if ``out`` has an audit with others.

    ``earlier`` is the value of ``plan["parts"]`` by an earlier version, which did not store it.
    """
    file = out / PLAN
    if not file.is_file():
        out.mkdir(parents=True, exist_ok=True)
        write_json(file, plan)
    elif changed := next(iter(differing_keys({"parts": earlier, **read_object(file)}, plan)), None):
        named = {
            "recipe": "with another value of recipe",
            "folds": "with another value of folds",
            "parts": "by an earlier version, which divided the rows otherwise",
            "backbone": "with other weights of the backbone",
        }
        raise UserError(f"{out}: holds an audit {named.get(changed, 'of other rows')}; name another --out")


def _digest(parts: NDArray[np.int64]) -> str:
    """SHA-256 of the fold numbers ``parts`` [rows]."""
    return hashlib.sha256(parts.astype("<i8").tobytes()).hexdigest()


def fold_numbers(rows: Rows, folds: int, seed: int) -> NDArray[np.int64]:
    """The number of the fold that each row is in, from 0, [rows]; each fold has about the same share of every class.

    Rows with the same text are in the same fold: otherwise a model would have seen the text that it judges, and a label
    that is wrong in both rows would look right. They stay apart if all rows of a class, or all of a fold, would be in
    another fold. Raises UserError if a class has fewer than two rows, or if there are more folds than rows of any
    class.
    """
    assert rows.labels is not None
    apart = _stratified(rows, folds, seed)
    together = apart[first_occurrences([joined(text) for text in rows.texts])]
    for label in range(len(rows.label_names)):
        own = rows.labels == label
        if len(np.unique(together[own])) == 1:
            together[own] = apart[own]
    return together if len(np.unique(together)) == folds else apart


def _stratified(rows: Rows, folds: int, seed: int) -> NDArray[np.int64]:
    """As ``fold_numbers``, but each row is drawn by itself."""
    from sklearn.model_selection import StratifiedKFold

    assert rows.labels is not None
    smallest = int(rows.counts.min())
    if smallest < 2:
        name = rows.label_names[int(rows.counts.argmin())]
        need = "cross-validation needs two of each class; add rows, or remove the class"
        raise UserError(f"{rows.origin}: class {name!r} has {smallest} row; {need}")
    if folds > (most := int(rows.counts.max())):
        raise UserError(f"{rows.origin}: no class has more than {most} rows; set --folds to {most} or less")
    numbers = np.zeros(len(rows), np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer rows than folds is in some of them only
        splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
        for number, (_, held_out) in enumerate(splitter.split(np.zeros(len(rows)), rows.labels)):
            numbers[held_out] = number
    return numbers


def _out_of_sample(
    recipe: Recipe, rows: Rows, parts: NDArray[np.int64], out: Path, announce: Callable[[str], None]
) -> NDArray[np.float64]:
    """Probabilities [rows, classes]; those of a row come from the model that was trained without the fold of the row.

    ``parts`` [rows] are the fold numbers.
    """
    from scipy.special import softmax

    logits = np.zeros((len(rows), len(rows.label_names)))
    folds = int(parts.max()) + 1
    for number in range(folds):
        folder = out / "folds" / str(number + 1)
        held_out = np.flatnonzero(parts == number)
        fold = fold_recipe(recipe, rows, np.flatnonzero(parts != number), held_out, folder)
        right = train_in_a_process(fold, folder / "training", lambda *_: True, logits=True)
        announce(f"fold {number + 1} of {folds}: {right:.2%} of {counted(len(held_out), 'row')} that it had not seen")
        logits[held_out] = np.load(folder / "training" / LOGITS, allow_pickle=False)
    return softmax(logits, axis=1)


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
    evaluation = {"shift": [], "best_by": "accuracy"}
    return fold.with_values(adapter={"start_from": None}, training=training, evaluation=evaluation)


def _columns(rows: Rows) -> dict[str, list[str]]:
    assert rows.labels is not None
    texts = list(rows.texts)
    columns = {"label": [rows.label_names[label] for label in rows.labels.tolist()]}
    if texts and not isinstance(texts[0], str):
        return {"first": [text[0] for text in texts], "second": [text[1] for text in texts]} | columns
    return {"text": [str(text) for text in texts]} | columns


def _audit(recipe: Recipe, rows: Rows, probabilities: NDArray[np.float64], folds: int, test: list[str] | None) -> Audit:
    assert rows.labels is not None
    texts = [joined(text) for text in rows.texts]
    return Audit(
        name=recipe.name,
        origin=rows.origin,
        folds=folds,
        texts=texts,
        labels=rows.labels,
        label_names=rows.label_names,
        places=rows.positions,
        noise=label_noise(rows.labels, probabilities),
        near_duplicates=similar_pairs(texts),
        leaks=_leaks(test, texts) if test is not None else None,
        test_texts=test or [],
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
