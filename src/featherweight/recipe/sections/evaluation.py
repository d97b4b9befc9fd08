"""The section [evaluation]: how the adapter is chosen, and how the run is evaluated at the end."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from featherweight.recipe.fields import (
    Listed,
    Section,
    Source,
    Unique,
    Whole,
)
from featherweight.recipe.values import check_shift


class EvaluationRecipe(Section):
    """How the adapter is chosen, and how the run is evaluated at the end."""

    shift: Annotated[tuple[Annotated[Source, AfterValidator(check_shift)], ...], Listed, Unique] = Field(
        (),
        description="Further labelled test sets from other sources than the training data: read like `data.test`, or "
        "made from it by `perturbed:casing`, `perturbed:typos`, `perturbed:headline`, `perturbed:entities`.",
    )
    bins: Whole = Field(
        15, ge=2, le=1_000, description="Confidence bins of the calibration error and the reliability diagram."
    )
    mistakes: Whole = Field(
        20, ge=0, le=10_000, description="Number of the most confident errors that the report shows."
    )
    best_by: Literal["accuracy", "macro_f1", "log_loss"] = Field(
        "accuracy",
        description="Figure of the validation rows that decides which adapter is the best, and on early stopping: "
        "`macro_f1` counts small classes as much as large ones, `log_loss` also how sure the predictions are. Of equal "
        "ones the lower log loss decides (the higher accuracy for `log_loss`).",
    )
