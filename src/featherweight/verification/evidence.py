"""What the checks look at: a finished run, the rows that it wrote, and its adapter; each read once."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featherweight.environment import PACKAGES, describe_machine, versions
from featherweight.errors import UserError
from featherweight.inference.classifier import Classifier
from featherweight.run.folder import Run

if TYPE_CHECKING:
    import pandas as pd

ROUNDING = 1e-6
"""Largest difference of a probability that passes: the last digits in which predictions.parquet keeps it."""
TOLERANCE = {"fp32": 1e-3, "bf16": 0.05, "fp16": 0.05}
"""Largest difference of a probability that other versions or another processor may make, by precision."""


class Evidence:
    """The run in ``folder``. What cannot be read raises UserError when it is asked for."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    @cached_property
    def run(self) -> Run:
        """The run; its recipe, environment, weight and figures may still be unreadable."""
        return Run(self.folder)

    @cached_property
    def moved(self) -> list[str]:
        """What a result depends on beside its files, and is not as it was: versions, machine, threads; in words."""
        import torch

        then, now = self.run.environment, {**versions(), **describe_machine(), "threads": int(torch.get_num_threads())}
        moved = [f"{key} {then[key]}, now {now[key]}" for key in now if key in then and then[key] != now[key]]
        return moved + [f"{key} {then[key]}, now not installed" for key in PACKAGES if key in then and key not in now]

    @cached_property
    def sets(self) -> dict[str, dict[str, Any]]:
        """All evaluated sets by name, each with the figures that evaluation.json has of it."""
        evaluation = self.run.evaluation
        own: dict[str, Any] = {name: evaluation[name] for name in ("validation", "test") if name in evaluation}
        shift = evaluation.get("shift") or {}
        if not isinstance(shift, dict) or not all(isinstance(each, dict) for each in (*own.values(), *shift.values())):
            raise UserError("evaluation.json: damaged: a set has no table of figures")
        return own | shift

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """predictions.parquet, a row for each row of every set. UserError where it is missing or damaged."""
        import pandas as pd

        path = self.run.folder / "predictions.parquet"
        if not path.is_file():
            raise UserError(f"{path}: missing")
        try:
            table = pd.read_parquet(path)
            _ = table[["split", "row", "text_key", "label", "predicted"]]
        except Exception as error:  # the Parquet library raises anything at all for a damaged file
            raise UserError(f"{path}: damaged: {str(error).strip().partition(chr(10))[0][:200]}") from None
        return table

    def predictions_of(self, name: str) -> pd.DataFrame:
        """The rows of one set in predictions.parquet, in their order in the file."""
        return self.predictions[self.predictions["split"] == name]

    @cached_property
    def classifier(self) -> Classifier:
        """The saved adapter on its backbone, in the precision of the training where this machine has it."""
        try:
            return Classifier.load(
                self.folder, precision=str(self.run.environment.get("precision", "auto")), merge=False
            )
        except UserError:
            return Classifier.load(self.folder, merge=False)

    @cached_property
    def tolerance(self) -> float:
        """Largest difference of a probability that may be: rounding alone on the same processor and versions."""
        then, now = self.run.environment, self.classifier.engine
        if not self.moved and now.device == "cpu" == then.get("device"):
            return ROUNDING
        return max(tolerance_of(str(then.get("precision", "fp32"))), tolerance_of(now.precision))


def tolerance_of(precision: str) -> float:
    """``TOLERANCE`` of a precision; of an unknown one the largest."""
    return TOLERANCE.get(precision, max(TOLERANCE.values()))


def probabilities_in(table: pd.DataFrame, labels: tuple[str, ...] | list[str]) -> np.ndarray:
    """The probabilities [rows, labels] of a part of predictions.parquet. UserError where a label has no column."""
    columns = [f"p_{label}" for label in labels]
    if lost := next((column for column in columns if column not in table), None):
        raise UserError(f"predictions.parquet: has no column {lost}")
    return table[columns].to_numpy(np.float64)
