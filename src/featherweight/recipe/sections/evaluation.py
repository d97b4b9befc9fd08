"""The section [evaluation]: which metric chooses the best adapter of a training, and how the run is evaluated."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field

from featherweight.recipe.fields import (
    Listed,
    Section,
    Source,
    Unique,
    Whole,
)
from featherweight.recipe.values import TaskName, check_shift


class EvaluationRecipe(Section):
    """Which metric chooses the best adapter of the training, and how the run is evaluated at the end."""

    shift: Annotated[tuple[Annotated[Source, AfterValidator(check_shift)], ...], Listed, Unique] = Field(
        (),
        description="More labelled test sets, with texts of other kinds than the training data. They are read like "
        "`data.test`, or made from it by `perturbed:casing`, `perturbed:typos`, `perturbed:headline`, "
        "`perturbed:entities`.",
    )
    bins: Whole = Field(
        15, ge=2, le=1_000, description="Confidence bins of the calibration error and the reliability diagram."
    )
    mistakes: Whole = Field(
        20, ge=0, le=10_000, description="Number of the most confident errors that the report shows."
    )
    windows: Whole = Field(
        1,
        ge=1,
        le=1_000,
        description="Maximum number of windows in which a text longer than `data.max_length` is read in evaluation and "
        "prediction; their logits are averaged. The training is not changed: it reads what `data.long` says. 1 means "
        'that evaluation and prediction do so, too. For windows in training as well, set `data.long = "windows"`.',
    )
    best_by: Literal["accuracy", "macro_f1", "micro_f1", "log_loss"] = Field(
        "accuracy",
        description="Metric on the validation rows that decides which adapter is the best, and when to stop early. "
        "`macro_f1` gives small and large classes the same weight; `log_loss` also measures the probabilities. In a "
        "tie, the lower log loss decides (for `log_loss`, the higher accuracy). With several labels per text the "
        "default is `micro_f1`, and `accuracy` is the share of texts whose labels are all correct.",
    )

    def for_task(self, task: TaskName) -> Self:
        """This section for a recipe with this ``task``; the task decides the default of ``best_by``.

        Raises ValueError for micro-F1 with one label per text.
        """
        if task == "single-label" and self.best_by == "micro_f1":
            raise ValueError(
                'evaluation.best_by: micro_f1 needs task = "multi-label"; with one label per text it is equal to '
                'accuracy, so write best_by = "accuracy"'
            )
        if task == "single-label" or "best_by" in self.model_fields_set:
            return self
        return self.model_copy(update={"best_by": "micro_f1"})
