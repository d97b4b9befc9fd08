"""Loads what the checks use, and keeps it: a finished run, its predictions and its classifier."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featherweight.environment import PACKAGES, describe_machine, quick_imports, versions
from featherweight.errors import UserError, damaged, first_line
from featherweight.run.folder import Run

if TYPE_CHECKING:
    import pandas as pd

    from featherweight.inference.classifier import Classifier

ROUNDING = 1e-6
"""Largest difference of a probability from rounding alone: the precision of predictions.parquet."""
TOLERANCE = {"fp32": 1e-3, "bf16": 0.05, "fp16": 0.05}
"""Largest allowed difference of a probability with other versions or another processor, by precision."""


class Evidence:
    """The run in ``folder``, whose files are read when they are first used; raises UserError if one is damaged.

    ``tell`` gets a line on the progress of a prediction once a minute.
    """

    def __init__(self, folder: str | Path, tell: Callable[[str], object] = lambda line: None) -> None:
        self.folder = Path(folder)
        self.tell = tell

    @cached_property
    def run(self) -> Run:
        """The run. Its files are read later, when they are used, and may be damaged."""
        return Run(self.folder)

    @cached_property
    def environment_changes(self) -> list[str]:
        """One text for each version, machine property or number of threads that differs from the training."""
        import torch

        then, now = self.run.environment, {**versions(), **describe_machine(), "threads": int(torch.get_num_threads())}
        changes = [f"{key} {then[key]}, now {now[key]}" for key in now if key in then and then[key] != now[key]]
        return changes + [f"{key} {then[key]}, now not installed" for key in PACKAGES if key in then and key not in now]

    @cached_property
    def sets(self) -> dict[str, dict[str, Any]]:
        """The metrics in evaluation.json of all evaluated sets, by name of the set."""
        evaluation = self.run.evaluation
        own: dict[str, Any] = {name: evaluation[name] for name in ("validation", "test") if name in evaluation}
        shift = evaluation.get("shift") or {}
        if not isinstance(shift, dict) or not all(isinstance(each, dict) for each in (*own.values(), *shift.values())):
            raise damaged("evaluation.json", "the metrics of a set are no JSON object")
        return own | shift

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """The table in predictions.parquet. Raises UserError if the file is missing or damaged."""
        import pandas as pd

        path = self.run.folder / "predictions.parquet"
        if not path.is_file():
            raise UserError(f"{path}: missing")
        try:
            table = pd.read_parquet(path)
            _ = table[["split", "row", "text_key", "label", "predicted"]]
        except Exception as error:  # the Parquet library raises many different exceptions for a damaged file
            raise damaged(path, first_line(error)[:200]) from None
        return table

    def predictions_of(self, name: str) -> pd.DataFrame:
        """The rows of the set ``name`` in predictions.parquet, in the order of the file."""
        return self.predictions[self.predictions["split"] == name]

    @cached_property
    def classifier(self) -> Classifier:
        """The classifier of the run, in the precision of the training if this machine supports it."""
        with quick_imports():
            from featherweight.inference.classifier import Classifier
        try:
            return Classifier.load(
                self.folder, precision=str(self.run.environment.get("precision", "auto")), merge=False
            )
        except UserError:
            return Classifier.load(self.folder, merge=False)

    @cached_property
    def tolerance(self) -> float:
        """Largest allowed difference between a probability in predictions.parquet and the same one computed now.

        It is ``ROUNDING`` if both were computed on a CPU with the same properties, versions and number of threads; else
        it depends on the precision, see ``tolerance_of``.
        """
        then, now = self.run.environment, self.classifier.engine
        if not self.environment_changes and now.device == "cpu" == then.get("device"):
            return ROUNDING
        return max(tolerance_of(str(then.get("precision", "fp32"))), tolerance_of(now.precision))


def tolerance_of(precision: str) -> float:
    """Largest allowed difference of a probability between two machines, such as 0.05 for "bf16".

    For an unknown ``precision`` it is the largest value in ``TOLERANCE``.
    """
    return TOLERANCE.get(precision, max(TOLERANCE.values()))


def probabilities_in(table: pd.DataFrame, labels: tuple[str, ...] | list[str]) -> np.ndarray:
    """The probabilities [rows, labels] in ``table``, which has rows of predictions.parquet.

    Raises UserError if the column of a label is missing.
    """
    columns = [f"p_{label}" for label in labels]
    if missing := next((column for column in columns if column not in table), None):
        raise damaged("predictions.parquet", f"it has no column {missing!r}")
    return table[columns].to_numpy(np.float64)
