"""The schema of evaluation.json: the metrics of each evaluated set, with one label or with several labels per text."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, create_model, model_validator

from featherweight.run.checked import Checked, Count, Label, Number
from featherweight.run.figures import METRICS, SEVERAL_LABELS, Metric


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
