"""The results of a label audit, which searches the training rows for wrong labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featherweight.data.near_duplicates import Pair
from featherweight.evaluation.label_noise import LabelNoise
from featherweight.evaluation.metrics import wilson_interval
from featherweight.formatting import counted


@dataclass(frozen=True)
class Audit:
    """What a label audit found: suspects (labels that are probably wrong), repeated texts, and leaked test texts."""

    name: str
    origin: str
    folds: int
    texts: list[str]
    """The training texts, in the order of the data."""
    labels: NDArray[np.integer[Any]]
    """The class number of each."""
    label_names: tuple[str, ...]
    places: NDArray[np.integer[Any]]
    """The place of each row in the data, from 0."""
    noise: LabelNoise
    near_duplicates: list[Pair]
    """Pairs of training texts that are nearly equal, the most similar first."""
    leaks: list[Pair] | None
    """Test texts (first) that are nearly a training text (second); None if there are no test rows."""
    test_texts: list[str]

    def label_of(self, row: int) -> str:
        """The name of the label that the training data gives to ``row``."""
        return self.label_names[int(self.labels[row])]

    @property
    def contradictions(self) -> list[Pair]:
        """The near-duplicates that have different labels."""
        return [pair for pair in self.near_duplicates if self.labels[pair.first] != self.labels[pair.second]]

    @property
    def headline(self) -> str:
        """The result in one sentence, such as "12 of 900 labels look wrong (1.3%)"."""
        count = len(self.noise.suspects)
        if not count:
            return f"No label of {counted(len(self.texts), 'row')} looks wrong"
        look = "looks" if count == 1 else "look"
        return f"{count:,} of {len(self.texts):,} labels {look} wrong ({count / len(self.texts):.1%})"

    @property
    def doubt(self) -> str | None:
        """A warning if the models learnt hardly anything, so that the suspects say nothing about the labels; else None.

        That is so if their accuracy is not significantly above the share of the most frequent label.
        """
        rows = len(self.texts)
        most = int(np.bincount(self.labels).max()) / rows
        if wilson_interval(round(self.noise.accuracy * rows), rows)[0] > most:
            return None
        return (
            f"the suspects say little: the models gave {self.noise.accuracy:.1%} of the rows the label that the data "
            f"gives, and always answering the most frequent label would give {most:.1%}; train longer, or with a "
            "higher learning rate, and audit again into another folder"
        )
