"""The schema of the JSON files of a run folder; each file is checked when it is read.

A run folder may come from another machine, and a damaged file can still be valid JSON. Only the keys that later steps
use are checked; further keys are allowed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Strict,
    Tag,
    ValidationError,
    create_model,
    model_validator,
)

from featherweight.errors import UserError, damaged
from featherweight.recipe.fields import unique
from featherweight.recipe.messages import refuse
from featherweight.run.figures import METRICS, SEVERAL_LABELS, Metric

Count = Annotated[int, Strict(), Field(ge=0, le=2**63 - 1)]
Number = Annotated[float, Strict()]
Label = Annotated[str, Strict()]


class Checked(BaseModel):
    """Base class of the schema: further keys are allowed, numbers must be finite."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)


class Bin(Checked):
    """A bin of a reliability diagram."""

    rows: Count
    confidence: Number | None = None
    accuracy: Number | None = None
    interval: tuple[Number, Number] | None = None


class ClassMetrics(Checked):
    """The metrics of one class."""

    label: Label
    precision: Number
    recall: Number
    f1: Number
    support: Count
    precision_interval: tuple[Number, Number] | None = None
    recall_interval: tuple[Number, Number] | None = None
    f1_interval: tuple[Number, Number] | None = None


class LabelMetrics(ClassMetrics):
    """The metrics of one label, if a text may have several labels."""

    average_precision: Number | None = None
    threshold: Number
    calibration_error: Number | None = None


class Mistake(Checked):
    """A row that was classified wrongly."""

    row: Count
    text: Label
    label: Label
    predicted: Label
    probability: Number


class MultiLabelMistake(Checked):
    """A wrong decision about one label (``wrong``) of a row, if a text may have several labels."""

    row: Count
    text: Label
    label: tuple[Label, ...]
    predicted: tuple[Label, ...]
    wrong: Label
    probability: Number


def _of_metrics(metrics: tuple[Metric, ...]) -> Any:
    """A pydantic model with a field for each of the ``metrics``, which ``run/figures.py`` declares."""
    fields: dict[str, Any] = {
        key: (Number, ...) if metric.required else (Number | None, None) for metric in metrics for key in metric.keys
    }
    return create_model("_Metrics", __base__=Checked, **fields)


_Metrics: Any = _of_metrics(METRICS)
_MetricsOfSeveral: Any = _of_metrics(SEVERAL_LABELS)


class MultiLabelMetrics(_MetricsOfSeveral):
    """One evaluated set whose texts may have several labels."""

    task: Literal["multi-label"]
    rows: Annotated[Count, Field(ge=1)]
    micro_f1_interval: tuple[Number, Number]
    accuracy_interval: tuple[Number, Number]
    per_class: Annotated[tuple[LabelMetrics, ...], Field(min_length=1)]
    temperature: Annotated[Number, Field(gt=0)]
    reliability: tuple[Bin, ...]
    reliability_scaled: tuple[Bin, ...] = ()
    mistakes: tuple[MultiLabelMistake, ...] = ()


class SetMetrics(_Metrics):
    """One evaluated set with one label per text: its metrics, confusion matrix and misclassified rows."""

    rows: Annotated[Count, Field(ge=1)]
    accuracy_interval: tuple[Number, Number]
    per_class: tuple[ClassMetrics, ...]
    confusion_matrix: tuple[tuple[Count, ...], ...]
    temperature: Annotated[Number, Field(gt=0)]
    reliability: tuple[Bin, ...]
    reliability_scaled: tuple[Bin, ...] = ()
    mistakes: tuple[Mistake, ...] = ()

    @model_validator(mode="after")
    def _sizes_agree(self) -> Self:
        classes = {len(self.per_class), len(self.confusion_matrix), *map(len, self.confusion_matrix)}
        if len(classes) > 1 or not self.per_class:
            raise ValueError("its keys 'per_class' and 'confusion_matrix' have different numbers of classes")
        return self


def _task_of(figures: Any) -> str:
    """The pydantic tag of a set's metrics: ``union:several`` if a text may have several labels, else ``union:one``.

    Only metrics of several labels have the key ``task``.
    """
    return "union:several" if isinstance(figures, dict) and "task" in figures else "union:one"


Evaluated = Annotated[
    Annotated[SetMetrics, Tag("union:one")] | Annotated[MultiLabelMetrics, Tag("union:several")],
    Discriminator(_task_of),
]


class Evaluation(Checked):
    """The schema of evaluation.json: the metrics of each evaluated set, and the best step of the training."""

    validation: Evaluated | None = None
    test: Evaluated | None = None
    shift: dict[str, Evaluated] | None = None
    best_step: Count | None = None
    best_by: Label | None = None
    best_validation_accuracy: Number | None = None
    best_validation_macro_f1: Number | None = None
    best_validation_log_loss: Number | None = None
    best_validation_micro_f1: Number | None = None


class Component(Checked):
    """A part of the trainable parameters."""

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
    """A part of the data, such as a split."""

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
    differs: dict[str, Any] = {}
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
    notes: tuple[Label, ...] | None = None


class Compared(Checked):
    """The largest difference between two computations of the same logits."""

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


def require(values: Any, schema: type[Checked], where: str | Path) -> None:
    """Raise UserError, naming ``where`` and the key, if ``values`` do not match the ``schema``."""
    if not isinstance(values, dict):
        raise damaged(where, "it contains no JSON object")
    try:
        schema.model_validate(values)
    except ValidationError as error:
        problems = refuse(error, schema, f"{where}: damaged")
        raise UserError(f"{problems}; restore the file from a copy, or repeat the command that wrote it") from None
