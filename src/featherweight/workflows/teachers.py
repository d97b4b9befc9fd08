"""Teachers: trained classifiers. A training learns their predictions for the training rows as well as the labels."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featherweight.adapter.storage import read_description, weights_sha256
from featherweight.backbone.resolve import resolve_backbone
from featherweight.cache import TEACHERS, cache_folder
from featherweight.data.fingerprints import rows_fingerprint
from featherweight.data.sources import Rows
from featherweight.data.splits import Splits
from featherweight.environment import quick_imports
from featherweight.errors import UserError
from featherweight.files import expanded, replace_file
from featherweight.formatting import counted
from featherweight.inference.exported import is_export, read_export
from featherweight.progress import RowProgress
from featherweight.recipe import Recipe
from featherweight.task.interface import task_of
from featherweight.training.listeners import Listener, notify
from featherweight.workflows.continuation import finished
from featherweight.workflows.leaks import teacher_leaks

if TYPE_CHECKING:
    from accelerate import Accelerator

_ROWS_OF_A_PART = 10_000
"""Rows whose predictions are cached together: some minutes of a base-size encoder on a processor."""


@dataclass(frozen=True)
class Teacher:
    """A finished run, or an export, that a training learns from."""

    folder: Path
    recipe: Recipe
    labels: tuple[str, ...]
    """The names of its classes, in the order of its logits."""
    sha256: dict[str, str]
    """SHA-256 of each file with its weights."""

    def described(self) -> dict[str, Any]:
        """A dict that describes the teacher in environment.json."""
        return {"run": str(self.folder), "sha256": self.sha256}


def with_full_paths(recipe: Recipe) -> Recipe:
    """``recipe`` with absolute paths of its teachers and of the runs of its soup: a resume elsewhere finds them."""
    named = {"teacher": recipe.training.teacher, "soup": recipe.training.soup}
    paths = {key: [str(expanded(name).resolve()) for name in names] for key, names in named.items() if names}
    return recipe.with_values(training=paths, description=recipe.description) if paths else recipe


def teachers_of(recipe: Recipe, labels: Sequence[str]) -> list[Teacher]:
    """The teachers of ``recipe``. Raises UserError if a teacher is unfinished, or has another task or other classes."""
    teachers = []
    for name in recipe.training.teacher:
        try:
            teacher = _read(Path(name))
            _require_fitting(teacher, recipe, labels)
        except UserError as error:
            raise UserError(f"training.teacher: {error}") from None
        teachers.append(teacher)
    return teachers


def _read(folder: Path) -> Teacher:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; name finished runs or exports")
    if is_export(folder):
        exported = read_export(folder)
        weights = {name: file.sha256 for name, file in exported.files.items()}
        return Teacher(folder, Recipe.load(folder / "recipe.toml"), exported.labels, weights)
    run = finished(folder)
    weights = weights_sha256(run.adapter)
    resolve_backbone(run.recipe.backbone)  # refuses a backbone that is missing, before other teachers predict
    return Teacher(folder, run.recipe, tuple(read_description(run.adapter)["labels"]), weights)


def _require_fitting(teacher: Teacher, recipe: Recipe, labels: Sequence[str]) -> None:
    theirs, ours = teacher.recipe, recipe
    settings = {"task": (theirs.task, ours.task), "data.join": (theirs.data.join, ours.data.join)}
    for key, (then, now) in settings.items():
        if then != now:
            differs = f"was trained with {key} = {then!r}, but this recipe has {now!r}"
            raise UserError(f"{teacher.folder}: {differs}; name another teacher")
    if lacking := [name for name in labels if name not in teacher.labels]:
        raise UserError(f"{teacher.folder}: lacks the class {lacking[0]!r}; name a teacher with the same classes")
    if more := [name for name in teacher.labels if name not in labels]:
        raise UserError(
            f"{teacher.folder}: has the class {more[0]!r}, which this training lacks; name one with the same classes"
        )


def teacher_notes(teachers: Sequence[Teacher], recipe: Recipe, splits: Splits) -> list[str]:
    """Notes for the user: names of the teachers, and validation or test rows that a teacher was trained on."""
    share = f"{recipe.training.teacher_weight:.0%} of the loss"
    names = ", ".join(str(teacher.folder) for teacher in teachers)
    notes = [f"learns from the predictions of {names} ({share})"] if teachers else []
    leaks = (teacher_leaks(one.folder, one.recipe, one.labels, recipe, splits) for one in teachers)
    return [*notes, *chain.from_iterable(leaks)]


def soft_labels(
    teachers: Sequence[Teacher], recipe: Recipe, train: Rows, accelerator: Accelerator, listeners: Sequence[Listener]
) -> NDArray[np.float32] | None:
    """Mean of the teachers' probabilities for the training rows, [rows, classes]; None if there is no teacher.

    Logits are divided by ``training.teacher_temperature`` before the softmax or sigmoid. Classes are in the order of
    ``train``. Of several processes the first one computes the logits, and the others find them in the cache.
    """
    if not teachers:
        return None
    task, temperature = task_of(recipe), recipe.training.teacher_temperature
    found = np.zeros((len(train), len(train.label_names)))
    with accelerator.main_process_first():
        for teacher in teachers:
            order = [teacher.labels.index(name) for name in train.label_names]
            found += task.probabilities(_logits(teacher, train, listeners)[:, order], temperature)
    return (found / len(teachers)).astype(np.float32)


def _logits(teacher: Teacher, rows: Rows, listeners: Sequence[Listener]) -> NDArray[np.float64]:
    """The teacher's logits of ``rows`` [rows, classes], with the classes in the order of the teacher.

    They are cached in parts, so that an interrupted training does not lose the parts that are done, and that a resume,
    or another seed or recipe with the same rows, need not compute them again.
    """
    parts = [
        rows.take(np.arange(first, min(first + _ROWS_OF_A_PART, len(rows))))
        for first in range(0, len(rows), _ROWS_OF_A_PART)
    ]
    paths = [_cache_path(teacher, part) for part in parts]
    shapes = [(len(part), len(teacher.labels)) for part in parts]
    found = {
        path: logits for path, shape in zip(paths, shapes, strict=True) if (logits := _cached(path, shape)) is not None
    }
    missing = {path: part for path, part in zip(paths, parts, strict=True) if path not in found}
    if missing:
        total = sum(map(len, missing.values()))
        notify(listeners, f"predicting {counted(total, 'training row')} with the teacher {teacher.folder}")
        with quick_imports():
            from featherweight.inference.classifier import Classifier
        model = Classifier.load(teacher.folder).model
        progress = RowProgress(partial(notify, listeners), f"teacher {teacher.folder}", total)
        cached = True
        for path, part in missing.items():
            # The token ids are not cached: each part is predicted once.
            found[path] = model.logits(part, advance=progress)
            cached = cached and _store(path, found[path], listeners)  # on a full disk one message is enough
    return np.concatenate([found[path] for path in paths])


def _cache_path(teacher: Teacher, rows: Rows) -> Path:
    key = json.dumps([teacher.sha256, teacher.recipe.to_toml(), rows_fingerprint(rows)["texts"]])
    return cache_folder() / TEACHERS / f"{hashlib.sha256(key.encode()).hexdigest()}.logits.npz"


def _store(path: Path, logits: NDArray[np.float64], listeners: Sequence[Listener]) -> bool:
    """Write logits into the cache; if that fails, tell the user and return False."""
    try:
        replace_file(path, lambda file: np.savez(file, logits=logits))
    except OSError as error:
        notify(listeners, f"{path.parent}: the teacher's predictions are not cached: {error.strerror}")
        return False
    return True


def _cached(path: Path, shape: tuple[int, int]) -> NDArray[Any] | None:
    """The logits in a file of the cache; None if it does not exist, is damaged, or has others (zip has checksums)."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            logits = np.asarray(stored["logits"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return logits if logits.shape == shape and logits.dtype == np.float64 else None
