"""The schema of the JSON files of a run folder; each file is checked when it is read.

A run folder may come from another machine, and a damaged file can still be valid JSON. Only the keys that later steps
use are checked; further keys are allowed.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, Strict, model_validator

from featherweight.recipe.fields import unique
from featherweight.run.checked import Checked, Count, Label, Number
from featherweight.run.evaluation_schema import Evaluation


class Component(Checked):
    """A part of the trained parameters, such as the head, and their number."""

    name: Label
    kind: Label
    parameters: Count


class Weigh(Checked):
    """The schema of weigh.json: trained parameters by component; a baseline has only the total."""

    total: Count
    budget: Count | None = None
    backbone_parameters: Count | None = None
    components: tuple[Component, ...] | None = None
    peft_total: Count | None = None
    peft_note: Label | None = None


class DataPart(Checked):
    """A part of the data, such as the training rows, and its number of rows."""

    rows: Count | None = None


class LabelColumn(Checked):
    """The name of the training data's label column, and the value of each class in it."""

    name: Label
    values: tuple[Label, ...]
    separator: Label | None = None


class SoupRun(Checked):
    """A run of a soup: its result on the validation rows, and whether its weights were taken (key ``taken``)."""

    run: Label
    sha256: dict[str, Label]
    validation: Number
    taken: Annotated[bool, Strict()]
    differs: dict[str, Any] = Field(default_factory=dict)
    training_seconds: Number | None = None


class Soup(Checked):
    """How a soup (averaged weights of several runs) was made: its runs and the metric by which they were chosen."""

    choice: Literal["all", "greedy"]
    metric: Literal["accuracy", "macro_f1", "micro_f1", "log_loss"]
    runs: Annotated[tuple[SoupRun, ...], Field(min_length=1)]


class Environment(Checked):
    """The schema of environment.json: time, memory, data and warnings of a run; further keys are not checked."""

    seconds: Number | None = None
    training_seconds: Number | None = None
    peak_memory_bytes: Count | None = None
    cores: Count | None = None
    started: Label | None = None
    baseline: Label | None = None
    baseline_title: Label | None = None
    data: dict[str, DataPart] | None = None
    label_column: LabelColumn | None = None
    soup: Soup | None = None
    warnings: tuple[Label, ...] | None = None
    remedies: dict[str, Label] | None = None
    """Commands that remove the reason for a warning, by warning."""
    notes: tuple[Label, ...] | None = None


class Compared(Checked):
    """How far the logits of two computations differ for the same rows, for example of the trained and saved model."""

    rows: Count
    largest_difference: Number
    allowed: Number | None = None
    """The difference that rounding can explain; runs of early versions have no such key."""


class Verification(Checked):
    """The schema of verification.json: how far the saved adapter agrees with the trained model."""

    reloaded: Compared | None = None
    peft: Compared | None = None
    identical: Annotated[bool, Strict()] | None = None


class Record(Checked):
    """A line of history.jsonl; a loss may be infinite or NaN."""

    model_config = ConfigDict(allow_inf_nan=True)

    kind: Label | None = None
    step: Count
    epoch: Number | None = None
    loss: Number | None = None
    accuracy: Number | None = None
    macro_f1: Number | None = None
    micro_f1: Number | None = None
    learning_rate: Number | None = None
    seconds: Number | None = None
    rows: Count | None = None
    tokens: Count | None = None


class ShownBackbone(Checked):
    """The part of the recipe's ``[backbone]`` that the report shows."""

    name: Label | None = None


class ShownRecipe(Checked):
    """The part of recipe.toml that the report shows; the report must also read recipes of other versions."""

    name: Label | None = None
    description: Label | None = None
    backbone: ShownBackbone | None = None


class Description(Checked):
    """The schema of adapter/featherweight.json: what predictions need besides the tensors of the adapter."""

    labels: Annotated[tuple[Annotated[Label, Field(min_length=1)], ...], Field(min_length=2), AfterValidator(unique)]
    temperature: Annotated[Number, Field(gt=0)]
    thresholds: tuple[Number, ...] | None = None
    backbone_sha256: Label | None = None

    @model_validator(mode="after")
    def _a_threshold_a_label(self) -> Self:
        if self.thresholds and len(self.thresholds) != len(self.labels):
            raise ValueError("its keys 'thresholds' and 'labels' have different lengths")
        return self


FILES: dict[str, type[Checked]] = {
    "evaluation.json": Evaluation,
    "weigh.json": Weigh,
    "environment.json": Environment,
    "verification.json": Verification,
    "featherweight.json": Description,
}
"""The schema of each JSON file of a run folder, by file name."""
