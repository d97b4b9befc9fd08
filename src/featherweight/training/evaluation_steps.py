"""Chooses the steps of a training after which the validation rows are evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from featherweight.formatting import counted
from featherweight.hints import to_set
from featherweight.recipe import TrainingRecipe

DISTANCE = 500
"""Largest number of steps between two evaluations, if the recipe does not set it."""
_USEFUL = 5
"""Number of evaluations, at least, that a note proposes."""


def evaluation_steps(training: TrainingRecipe, steps_of_epochs: Sequence[int]) -> frozenset[int]:
    """The steps, counted from 1, after which to evaluate: every ``evaluate_every`` steps, and the last step.

    If the recipe does not set ``evaluate_every``, these are every 500th step (``DISTANCE``) and the last step of each
    epoch. The result depends on recipe and data alone, so that a resumed run evaluates after the same steps.
    """
    ends = list(accumulate(steps_of_epochs))
    distance = training.evaluate_every or DISTANCE
    asked = range(distance, ends[-1] + 1, distance)
    return frozenset([*asked, *(ends[-1:] if training.evaluate_every else ends)])


def without_effect(training: TrainingRecipe, evaluations: int, steps: int) -> list[str]:
    """Notes to the user about settings that have no effect because the training has too few ``evaluations``.

    The settings are ``keep = "best"`` and ``early_stopping``; ``steps`` is the number of steps of the training. The
    list has one note or none. It says what to set so that both have an effect.
    """
    patience = training.early_stopping
    # The first evaluation is the best so far, and after the last one there is nothing left to stop.
    needed = patience + 2
    distance = steps // max(_USEFUL, needed) or steps // needed
    remedy = f"; to evaluate more often, add {to_set(f'training.evaluate_every={distance}')}" if distance else ""
    asked = ['keep = "best"'] if training.keep == "best" and training.evaluate_every else []
    asked += [f"early_stopping = {patience}"] if patience else []
    if evaluations == 1 < steps and asked:
        return [
            f"the validation rows are evaluated once, at the end of {counted(steps, 'step')}, which leaves "
            f"{' and '.join(asked)} without effect{remedy}"
        ]
    if patience and evaluations < needed:
        return [
            f"training.early_stopping = {patience} cannot end this training: that takes at least "
            f"{counted(needed, 'evaluation')}, and there are {evaluations}{remedy}"
        ]
    return []
