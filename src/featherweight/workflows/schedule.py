"""Chooses the schedule for data and a budget: epochs, batch size, learning rate, evaluations and validation rows."""

from __future__ import annotations

from typing import Any

from featherweight.recipe import Recipe

EPOCHS = ((100, 20), (300, 12), (1_000, 6), (5_000, 4), (50_000, 3))
"""Pairs of a maximum number of rows and the epochs for it; for more rows there are two epochs."""
FEWEST_EPOCHS = 2
SMALL_BUDGET, SMALL_BUDGET_RATE = 20_000, 4e-3
"""The maximum budget that has a learning rate of its own, and this rate, as in `best-10k`: on validation rows the best
rates for so few parameters were several times as high as for more."""
ENOUGH_ROWS_OF_A_CLASS = 40
"""Rows are counted relative to this number of classes: with more classes, each class has fewer rows."""
SMALL, SMALL_BATCH = 5_000, 16
"""Maximum number of rows for which the batch size is halved, which gives more steps."""
FEW_ROWS = 1_000
"""With fewer rows, a fifth of them is used for validation instead of a tenth."""
_MOST_STEPS = 500  # between two evaluations


def schedule_for(recipe: Recipe, rows: int, classes: int) -> dict[str, Any]:
    """Values for the keys ``epochs``, ``batch_size`` and ``evaluate_every`` of ``[training]``.

    They suit ``rows`` labelled rows in ``classes`` classes, with at least one evaluation per epoch. A ``batch_size`` in
    the recipe is kept. With a budget of at most ``SMALL_BUDGET`` there is a ``learning_rate``, too.
    """
    training, data = recipe.training, recipe.data
    if data.validation is None:
        size = data.validation_size
        rows -= round(size * rows) if size < 1 else int(size)
    rows = max(1, min(rows, data.train_rows or rows))
    batch = training.batch_size if "batch_size" in training.model_fields_set else _batch_size(rows)
    # Long texts give smaller batches, so this is the minimum number of steps per epoch.
    steps = max(1, rows // (batch * training.accumulate))
    if training.max_steps is not None:
        steps = min(steps, max(1, training.max_steps // 2))
    chosen = {"epochs": epochs_for(rows, classes), "batch_size": batch, "evaluate_every": min(steps, _MOST_STEPS)}
    return {**chosen, "learning_rate": SMALL_BUDGET_RATE} if recipe.budget <= SMALL_BUDGET else chosen


def epochs_for(rows: int, classes: int) -> int:
    """Number of epochs for ``rows`` training rows in ``classes`` classes; fewer rows need more epochs."""
    counted = min(rows, rows * ENOUGH_ROWS_OF_A_CLASS // max(1, classes))
    return next((epochs for most, epochs in EPOCHS if counted <= most), FEWEST_EPOCHS)


def validation_size_for(rows: int, classes: int, *, several: bool = False) -> float:
    """The value for ``data.validation_size``: a share, 0.2 for fewer than ``FEW_ROWS`` rows and else 0.1.

    If this share of ``rows`` is fewer rows than classes, it is a number of rows: ``classes``. If a text may have
    ``several`` labels, no part needs a row of each label, and one row is enough.
    """
    size = 0.2 if rows < FEW_ROWS else 0.1
    least = 1 if several else classes
    return size if round(size * rows) >= least else least


def _batch_size(rows: int) -> int:
    return SMALL_BATCH if rows <= SMALL else 2 * SMALL_BATCH
