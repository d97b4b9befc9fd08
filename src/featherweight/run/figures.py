"""The metrics of an evaluated set, declared once: key, name, format, and whether higher or lower is better.

``evaluation/metrics.py`` computes the metrics. The schema of the run folder, the terminal, the report and the
comparison read this list. To add a metric, add an entry here and a function in ``evaluation/metrics.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from featherweight.formatting import below_one


@dataclass(frozen=True)
class Metric:
    """One number that measures the quality of the predictions for a set."""

    key: str
    """The key in evaluation.json and in the CSV file of the comparison."""
    name: str
    """The name in a sentence; headings capitalise it."""
    shown: str
    """Format string for a value, such as ``{:.2%}``."""
    higher_is_better: bool
    scaled: bool = False
    """Whether the temperature changes the metric; evaluation.json then also has the key ``<key>_scaled``."""
    required: bool = True
    """False for a metric that runs of earlier versions lack."""
    first: bool = False
    """Whether reports show it at the top, beside the metric of the headline."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of this metric in evaluation.json: (``log_loss``, ``log_loss_scaled``), or (``accuracy``,).

        The second key is for the value after temperature scaling. The value of the last key is shown.
        """
        return (self.key, f"{self.key}_scaled") if self.scaled else (self.key,)

    @property
    def title(self) -> str:
        """The name with a capital letter."""
        return self.name[:1].upper() + self.name[1:]

    @property
    def direction(self) -> str:
        """``higher is better`` or ``lower is better``."""
        return "higher is better" if self.higher_is_better else "lower is better"

    @property
    def in_percent(self) -> bool:
        """Whether values are shown in percent."""
        return self.shown.endswith("%}")

    def value(self, figures: Mapping[str, Any]) -> float | None:
        """This metric among ``figures``, the metrics of one set of rows; None if it is not there.

        Where there are two values, it is the one after temperature scaling.
        """
        return figures.get(self.keys[-1])

    def words(self, value: float) -> str:
        """``value`` as text, such as ``97.50%``; that of a perfect result only if the result is perfect."""
        return self.shown.format(below_one(value, 4) if self.higher_is_better else value)

    def number(self, value: float) -> str:
        """``value`` as text without the percent sign, for a column with the sign in its heading."""
        return self.words(value).removesuffix("%")


ACCURACY = Metric("accuracy", "accuracy", "{:.2%}", higher_is_better=True)
"""The metric for headlines, rankings and significance tests; evaluation.json also has its confidence interval."""
METRICS = (
    ACCURACY,
    Metric("macro_f1", "macro-F1", "{:.4f}", higher_is_better=True, first=True),
    Metric("log_loss", "log loss", "{:.4f}", higher_is_better=False, scaled=True),
    Metric("calibration_error", "calibration error", "{:.2%}", higher_is_better=False, scaled=True),
)
"""All metrics, in the order in which they are shown."""
SCALED = tuple(metric for metric in METRICS if metric.scaled)
"""The metrics that change with the temperature."""
MICRO_F1 = Metric("micro_f1", "micro-F1", "{:.2%}", higher_is_better=True)
"""The metric for headlines if a text may have several labels; evaluation.json also has its confidence interval."""
SEVERAL_LABELS = (
    MICRO_F1,
    Metric("macro_f1", "macro-F1", "{:.4f}", higher_is_better=True, first=True),
    Metric("sample_f1", "sample-F1", "{:.4f}", higher_is_better=True),
    Metric("accuracy", "subset accuracy", "{:.2%}", higher_is_better=True),
    Metric("average_precision", "average precision", "{:.4f}", higher_is_better=True, first=True),
    Metric("hamming_loss", "Hamming loss", "{:.4f}", higher_is_better=False),
    *SCALED,
)
"""The metrics of a set whose texts may have several labels."""


LOWEST, HIGHEST = 0.05, 20.0
"""The temperatures between which calibration searches: outside, the validation rows do not determine it."""


def at_the_limit(temperature: float) -> bool:
    """Whether a fitted ``temperature`` is an end of the range that was searched, so that a better one is beyond it."""
    return not 1.001 * LOWEST < temperature < 0.999 * HIGHEST


def score_of(record: Mapping[str, Any]) -> Metric:
    """The headline metric of a run: micro-F1 if ``record`` has a key that ends in ``micro_f1``, else accuracy.

    ``record`` is a record of the run's history or a set in its evaluation.
    """
    return MICRO_F1 if any(key.endswith(MICRO_F1.key) for key in record) else ACCURACY


def class_figure(row: Mapping[str, Any], key: str) -> float | None:
    """The ``precision``, ``recall`` or ``f1`` of a class, from its entry ``row`` in evaluation.json; None if undefined.

    Precision is undefined if the class is never predicted, recall if no row has it, and F1 if both is so; the entry
    then has 0, and no interval. With several labels per text such an F1 is 0, because macro-F1 counts it as 0.
    """
    undefined = row.get(f"{key}_interval", ()) is None and not (key == "f1" and "threshold" in row)
    return None if undefined else row[key]


def metrics_of(figures: Mapping[str, Any]) -> tuple[Metric, ...]:
    """The metrics that apply to an evaluated set with the values ``figures``; the first one is for headlines."""
    return SEVERAL_LABELS if figures.get("task") == "multi-label" else METRICS
