"""The figures of an evaluated set: each is declared here once, with its key, name, format and better direction.

``evaluation/metrics.py`` computes them; the run folder's schema, the terminal, the report page and the comparison read
this list. To add a figure, add an entry here and its function there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Metric:
    """One number that says how good the predictions of a set are."""

    key: str
    """In evaluation.json and in the comparison's CSV."""
    name: str
    """In a sentence; a heading capitalises it."""
    shown: str
    """Format of a value; a share that ends in ``%`` is shown in percent."""
    higher_is_better: bool
    scaled: bool = False
    """Whether the temperature changes it: evaluation.json has it before and, as ``<key>_scaled``, after scaling."""
    required: bool = True
    """False of a figure that runs of an earlier version lack."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Its keys in evaluation.json; the last one has the value that is shown."""
        return (self.key, f"{self.key}_scaled") if self.scaled else (self.key,)

    @property
    def title(self) -> str:
        """The name with a capital."""
        return self.name[:1].upper() + self.name[1:]

    @property
    def direction(self) -> str:
        """Which values are better, in words."""
        return "higher is better" if self.higher_is_better else "lower is better"

    @property
    def in_percent(self) -> bool:
        """Whether ``shown`` gives percent."""
        return self.shown.endswith("%}")

    def value(self, figures: Mapping[str, Any]) -> float | None:
        """The value that is shown of one set's figures, after temperature scaling; None where they lack it."""
        return figures.get(self.keys[-1])

    def words(self, value: float) -> str:
        """A value as it is shown, such as ``97.50%``."""
        return self.shown.format(value)

    def number(self, value: float) -> str:
        """The same without the percent sign, for a column whose heading has it."""
        return self.words(value).removesuffix("%")


ACCURACY = Metric("accuracy", "accuracy", "{:.2%}", higher_is_better=True)
"""The figure that headlines, rankings and tests speak of; it has an interval beside it."""
METRICS = (
    ACCURACY,
    Metric("macro_f1", "macro-F1", "{:.4f}", higher_is_better=True),
    Metric("log_loss", "log loss", "{:.4f}", higher_is_better=False, scaled=True),
    Metric("calibration_error", "calibration error", "{:.2%}", higher_is_better=False, scaled=True),
)
"""In the order in which they are shown."""
SCALED = tuple(metric for metric in METRICS if metric.scaled)
"""Those that change with the temperature."""
MICRO_F1 = Metric("micro_f1", "micro-F1", "{:.2%}", higher_is_better=True)
"""What headlines speak of where a text may have several labels; it has an interval beside it."""
SEVERAL_LABELS = (
    MICRO_F1,
    Metric("macro_f1", "macro-F1", "{:.4f}", higher_is_better=True),
    Metric("sample_f1", "sample-F1", "{:.4f}", higher_is_better=True),
    Metric("accuracy", "subset accuracy", "{:.2%}", higher_is_better=True),
    Metric("average_precision", "average precision", "{:.4f}", higher_is_better=True),
    Metric("hamming_loss", "Hamming loss", "{:.4f}", higher_is_better=False),
    *SCALED,
)
"""The metrics of a set whose texts may have several labels."""


def score_of(record: Mapping[str, Any]) -> Metric:
    """The metric by which a training is followed, by a line of its history or what its evaluation says of it."""
    return MICRO_F1 if any(key.endswith(MICRO_F1.key) for key in record) else ACCURACY


def metrics_of(figures: Mapping[str, Any]) -> tuple[Metric, ...]:
    """The metrics of an evaluated set, by its figures; the first is the one that headlines speak of."""
    return SEVERAL_LABELS if figures.get("task") == "multi-label" else METRICS
