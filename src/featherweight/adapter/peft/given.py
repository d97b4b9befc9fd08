"""What PEFT does not save with a classifier: names of the classes, task, and whether its texts are pairs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from featherweight.argument_checks import described, list_of
from featherweight.errors import UserError
from featherweight.recipe.values import TaskName

PAIR_COLUMNS = ("text", "text_pair")
"""The columns of a pair if none are named; transformers' pipelines use the same names."""
_GENERIC = re.compile(r"LABEL_\d+")
_OF_PROBLEMS: dict[str, TaskName] = {
    "multi_label_classification": "multi-label",
    "single_label_classification": "single-label",
}
"""The task that belongs to a ``problem_type`` of transformers."""
_JOINS = ("text", "pair")


@dataclass(frozen=True)
class PeftOptions:
    """What PEFT does not save, as the user gives it; what is left out is taken from the configs if possible."""

    labels: Sequence[str] = ()
    """Names of the classes, in the order of their numbers."""
    base: str | Path | None = None
    """Folder of the base model, if it is not where the settings in the folder say."""
    task: str | None = None
    """single-label or multi-label."""
    join: str | None = None
    """``pair`` for a classifier of pairs; ``text`` otherwise."""

    def checked(self, dashes: str = "") -> PeftOptions:
        """These options, with ``labels`` as a tuple.

        Raises UserError if a value is wrong; ``dashes`` are before its name.
        """
        for name, value, known in (("task", self.task, get_args(TaskName)), ("join", self.join, _JOINS)):
            if value is not None and value not in known:
                raise UserError(f"{dashes}{name} takes one of {', '.join(known)}, not {described(value)}")
        labels = tuple(list_of(self.labels, "labels=...", "names of classes"))
        return PeftOptions(labels, self.base, self.task, self.join)


NOTHING_GIVEN = PeftOptions()


def task_of_folder(
    folder: Path, own: Mapping[str, Any], base: Mapping[str, Any], given: str | None
) -> tuple[TaskName, tuple[str, ...]]:
    """The task, and notes for the user: ``given``, or by ``problem_type`` in the ``own`` config or in the ``base``'s.

    Without any of these a text has one label. Raises UserError for regression.
    """
    problem = next(filter(None, (config.get("problem_type") for config in (own, base))), None)
    if problem == "regression":
        raise UserError(f"{folder}: was trained for regression; only classifiers are supported")
    task = next((name for name in get_args(TaskName) if name == given), None) or _OF_PROBLEMS.get(str(problem))
    if task != "multi-label":
        return "single-label", ()
    return task, ("a text may have several labels: each with a probability of at least 0.5; PEFT saves no thresholds",)


def class_names(
    folder: Path, own: Mapping[str, Any], base: Mapping[str, Any], classes: int, given: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the ``classes``, and notes for the user.

    The names are ``given``, or taken from the ``own`` config of the folder, or from the ``base`` model's; if there are
    none, they are LABEL_0, LABEL_1 and so on, and a note says so. Raises UserError if they do not fit.
    """
    if given:
        return _checked(given, classes, f"--labels for {folder}"), ()
    candidates = []
    if named := _named(own):
        candidates.append(_checked(named, classes, f"{folder / 'config.json'}: id2label"))
    if len(named := _named(base)) == classes:
        candidates.append(_checked(named, classes, f"{folder}: id2label of its base model"))
    for names in candidates:
        if not all(_GENERIC.fullmatch(name) for name in names):
            return names, ()
    generic = tuple(f"LABEL_{number}" for number in range(classes))
    return generic, (
        f"{folder} does not name its {classes} classes; pass their names in the order of the outputs: --labels A,B,...",
    )


def _named(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The names in ``id2label`` in the order of their numbers; empty if numbers from 0 to n - 1 are not all there."""
    table = config.get("id2label")
    if not isinstance(table, dict):
        return ()
    by_number = {str(number): name for number, name in table.items()}
    names = [by_number.get(str(number)) for number in range(len(table))]
    return tuple(str(name) for name in names) if None not in names else ()


def _checked(names: tuple[str, ...], classes: int, where: str) -> tuple[str, ...]:
    if len(names) != classes:
        raise UserError(f"{where}: {len(names)} names, but the head has {classes} classes; give one name per class")
    if len(set(names)) < classes or not all(name.strip() for name in names):
        raise UserError(f"{where}: a class name is empty or used twice; each class needs a different name")
    return names
