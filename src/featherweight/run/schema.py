"""What the files of a run folder hold, as far as later steps stand on it: checked as soon as they are read.

A run folder may come from anywhere, and a file in it may be damaged and still be JSON. Keys beyond these are kept.
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

from featherweight.errors import UserError
from featherweight.recipe.fields import unique
from featherweight.recipe.messages import refuse
from featherweight.run.figures import METRICS, SEVERAL_LABELS, Metric

Count = Annotated[int, Strict(), Field(ge=0, le=2**63 - 1)]
Figure = Annotated[float, Strict()]
Label = Annotated[str, Strict()]


class Part(BaseModel):
    """Base of all that is checked: further keys are welcome, numbers are finite."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)


class Bin(Part):
    """A bin of a reliability diagram."""

    rows: Count
    confidence: Figure | None = None
    accuracy: Figure | None = None
    interval: tuple[Figure, Figure] | None = None


class OfClass(Part):
    """The figures of one class."""

    label: Label
    precision: Figure
    recall: Figure
    f1: Figure
    support: Count


class OfLabel(OfClass):
    """The figures of one label, where a text may have several."""

    average_precision: Figure | None = None
    threshold: Figure
    calibration_error: Figure | None = None


class Mistake(Part):
    """A row that was classified wrongly."""

    row: Count
    text: Label
    label: Label
    predicted: Label
    probability: Figure


class MistakeOfSeveral(Part):
    """A row of which a label was predicted wrongly."""

    row: Count
    text: Label
    label: tuple[Label, ...]
    predicted: tuple[Label, ...]
    wrong: Label
    probability: Figure


def _of_metrics(metrics: tuple[Metric, ...]) -> Any:
    """A model with a field for each of the ``metrics`` that ``run/figures.py`` declares."""
    fields: dict[str, Any] = {
        key: (Figure, ...) if metric.required else (Figure | None, None) for metric in metrics for key in metric.keys
    }
    return create_model("_Metrics", __base__=Part, **fields)


_Metrics: Any = _of_metrics(METRICS)
_MetricsOfSeveral: Any = _of_metrics(SEVERAL_LABELS)


class FiguresOfSeveral(_MetricsOfSeveral):
    """One evaluated set whose texts may have several labels."""

    task: Literal["multi-label"]
    rows: Annotated[Count, Field(ge=1)]
    micro_f1_interval: tuple[Figure, Figure]
    accuracy_interval: tuple[Figure, Figure]
    per_class: Annotated[tuple[OfLabel, ...], Field(min_length=1)]
    temperature: Annotated[Figure, Field(gt=0)]
    reliability: tuple[Bin, ...]
    reliability_scaled: tuple[Bin, ...] = ()
    mistakes: tuple[MistakeOfSeveral, ...] = ()


class Figures(_Metrics):
    """One evaluated set whose texts have one label each: its metrics, and what stands beside them."""

    rows: Annotated[Count, Field(ge=1)]
    accuracy_interval: tuple[Figure, Figure]
    per_class: tuple[OfClass, ...]
    confusion_matrix: tuple[tuple[Count, ...], ...]
    temperature: Annotated[Figure, Field(gt=0)]
    reliability: tuple[Bin, ...]
    reliability_scaled: tuple[Bin, ...] = ()
    mistakes: tuple[Mistake, ...] = ()

    @model_validator(mode="after")
    def _sizes_agree(self) -> Self:
        classes = {len(self.per_class), len(self.confusion_matrix), *map(len, self.confusion_matrix)}
        if len(classes) > 1 or not self.per_class:
            raise ValueError("per_class and confusion_matrix have different numbers of classes")
        return self


def _task_of(figures: Any) -> str:
    """Tag of the union below, by what the figures say of themselves; early ones say nothing."""
    return "union:several" if isinstance(figures, dict) and "task" in figures else "union:one"


Evaluated = Annotated[
    Annotated[Figures, Tag("union:one")] | Annotated[FiguresOfSeveral, Tag("union:several")], Discriminator(_task_of)
]


class Evaluation(Part):
    """evaluation.json"""

    validation: Evaluated | None = None
    test: Evaluated | None = None
    shift: dict[str, Evaluated] | None = None
    best_step: Count | None = None
    best_by: Label | None = None
    best_validation_accuracy: Figure | None = None
    best_validation_macro_f1: Figure | None = None
    best_validation_log_loss: Figure | None = None
    best_validation_micro_f1: Figure | None = None


class Component(Part):
    """A share of the trainable parameters."""

    name: Label
    kind: Label
    parameters: Count


class Weigh(Part):
    """weigh.json; a baseline's knows its total alone."""

    total: Count
    budget: Count | None = None
    backbone_parameters: Count | None = None
    components: tuple[Component, ...] | None = None
    peft_total: Count | None = None
    peft_note: Label | None = None


class RowsOf(Part):
    """One part of the data."""

    rows: Count | None = None


class LabelColumnNamed(Part):
    """The label column of the training data, and how each class is written in it."""

    name: Label
    values: tuple[Label, ...]


class Environment(Part):
    """environment.json"""

    seconds: Figure | None = None
    training_seconds: Figure | None = None
    peak_memory_bytes: Count | None = None
    cores: Count | None = None
    started: Label | None = None
    baseline: Label | None = None
    baseline_title: Label | None = None
    data: dict[str, RowsOf] | None = None
    label_column: LabelColumnNamed | None = None
    warnings: tuple[Label, ...] | None = None
    notes: tuple[Label, ...] | None = None


class Compared(Part):
    """The largest difference between two ways to the same logits."""

    rows: Count
    largest_difference: Figure
    allowed: Figure | None = None
    """What rounding explains; early runs allowed none."""


class Verification(Part):
    """verification.json"""

    reloaded: Compared | None = None
    peft: Compared | None = None
    identical: Annotated[bool, Strict()] | None = None


class Record(Part):
    """A line of history.jsonl; a loss need not have stayed finite."""

    model_config = ConfigDict(allow_inf_nan=True)

    kind: Label | None = None
    step: Count
    epoch: Figure | None = None
    loss: Figure | None = None
    accuracy: Figure | None = None
    macro_f1: Figure | None = None
    micro_f1: Figure | None = None
    learning_rate: Figure | None = None
    seconds: Figure | None = None
    rows: Count | None = None
    tokens: Count | None = None


class BackboneNamed(Part):
    """The backbone, as far as the report speaks of it."""

    name: Label | None = None


class RecipeNamed(Part):
    """recipe.toml, as far as the report speaks of it: it shows recipes of other versions too."""

    name: Label | None = None
    description: Label | None = None
    backbone: BackboneNamed | None = None


class Description(Part):
    """adapter/featherweight.json"""

    labels: Annotated[tuple[Annotated[Label, Field(min_length=1)], ...], Field(min_length=2), AfterValidator(unique)]
    temperature: Annotated[Figure, Field(gt=0)]
    thresholds: tuple[Figure, ...] | None = None
    backbone_sha256: Label | None = None

    @model_validator(mode="after")
    def _a_threshold_a_label(self) -> Self:
        if self.thresholds and len(self.thresholds) != len(self.labels):
            raise ValueError("thresholds and labels have different numbers")
        return self


FILES: dict[str, type[Part]] = {
    "evaluation.json": Evaluation,
    "weigh.json": Weigh,
    "environment.json": Environment,
    "verification.json": Verification,
    "featherweight.json": Description,
}
"""The files of a run folder whose content is known."""


def require(values: Any, shape: type[Part], place: str | Path) -> None:
    """Raise UserError, naming ``place`` and the key, where ``values`` are not of this ``shape``."""
    if not isinstance(values, dict):
        raise UserError(f"{place}: damaged: it holds no JSON object")
    try:
        shape.model_validate(values)
    except ValidationError as error:
        raise refuse(error, shape, f"{place}: damaged") from None
