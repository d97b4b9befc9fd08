"""Determines what PEFT does not save with a classifier: class names, task, and whether inputs are pairs of texts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from featherweight.argument_checks import described, list_of
from featherweight.errors import UserError
from featherweight.hints import flag, for_command_line
from featherweight.recipe.values import TaskName

PAIR_COLUMNS = ("text", "text_pair")
"""The columns of the two texts of a pair if the user names none; transformers' pipelines use the same names."""
_GENERIC = re.compile(r"LABEL_\d+")
_OF_PROBLEMS: dict[str, TaskName] = {
    "multi_label_classification": "multi-label",
    "single_label_classification": "single-label",
}
"""The task for each ``problem_type`` in a config of transformers."""
_JOINS = ("text", "pair")


@dataclass(frozen=True)
class PeftOptions:
    """The user's options for a folder that PEFT saved, because PEFT does not save this information.

    An option that is not set is read from the config of the folder or of its base model, if possible.
    """

    labels: Sequence[str] = ()
    """Names of the classes, in the order of their numbers."""
    base: str | Path | None = None
    """Folder of the base model; None if adapter_config.json refers to it correctly."""
    task: str | None = None
    """single-label or multi-label."""
    join: str | None = None
    """``pair`` for a classifier of pairs; ``text`` otherwise."""

    def checked(self, dashes: str = "") -> PeftOptions:
        """These options, with ``labels`` as a tuple.

        Raises UserError if a value is wrong. The message puts ``dashes`` before the option's name: ``--`` for the
        command line, nothing for Python.
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
    """The task of the classifier, and notes for the user.

    The task is ``given``, or follows from ``problem_type`` in the config of the folder (``own``) or of its base model
    (``base``); otherwise it is single-label. Raises UserError for a regression model.
    """
    problem = next(filter(None, (config.get("problem_type") for config in (own, base))), None)
    if problem == "regression":
        raise UserError(f"{folder}: was trained for regression; only classifiers are supported")
    task = next((name for name in get_args(TaskName) if name == given), None) or _OF_PROBLEMS.get(str(problem))
    if task != "multi-label":
        return "single-label", ()
    return task, ("a text gets every label with a probability of at least 0.5, because PEFT saves no thresholds",)


def class_names(
    folder: Path, own: Mapping[str, Any], base: Mapping[str, Any], classes: int, given: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the ``classes``, and notes for the user.

    The names are ``given``, or taken from the config of the folder (``own``) or of its base model (``base``). If these
    have none, the names are LABEL_0, LABEL_1 and so on, and a note says so. Raises UserError if the number of names is
    wrong, or a name is empty or repeated.
    """
    if given:
        return _checked(given, classes, f"{flag('--labels')} for {folder}"), ()
    candidates = []
    if named := _named(own):
        candidates.append(_checked(named, classes, f"{folder / 'config.json'}: id2label"))
    if len(named := _named(base)) == classes:
        candidates.append(_checked(named, classes, f"{folder}: id2label of its base model"))
    for names in candidates:
        if not all(_GENERIC.fullmatch(name) for name in names):
            return names, ()
    example = "--labels A,B,..." if for_command_line() else 'labels=["A", "B", ...]'
    generic = tuple(f"LABEL_{number}" for number in range(classes))
    return generic, (
        f"{folder} does not name its {classes} classes; pass their names in the order of the outputs: {example}",
    )


def _named(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The names in ``id2label`` in the order of their numbers; empty unless the numbers are 0 to n - 1."""
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
