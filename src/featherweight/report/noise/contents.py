"""The results of a label audit, which searches the training rows for wrong labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featherweight.data.label_lists import cell_of
from featherweight.data.near_duplicates import Pair
from featherweight.evaluation.label_noise import LabelNoise
from featherweight.evaluation.metrics import wilson_interval
from featherweight.evaluation.multi_label_noise import MultiLabelNoise
from featherweight.formatting import counted, listed


@dataclass(frozen=True)
class Audit:
    """What a label audit found: suspects (labels that are probably wrong), repeated texts, and leaked test texts."""

    name: str
    origin: str
    folds: int
    texts: list[str]
    """The training texts, in the order of the data."""
    labels: NDArray[np.integer[Any]]
    """The class number of each; or 0 and 1 [texts, classes] if a text may have several labels."""
    label_names: tuple[str, ...]
    places: NDArray[np.integer[Any]]
    """The place of each row in the data, from 0."""
    noise: LabelNoise | MultiLabelNoise
    near_duplicates: list[Pair]
    """Pairs of training texts that are nearly equal, the most similar first."""
    leaks: list[Pair] | None
    """Test texts (first) that are nearly a training text (second); None if there are no test rows."""
    test_texts: list[str]

    separator: str | None = None
    """The separator of several labels in a cell of the data; None if the cells have none."""
    unaudited: tuple[str, ...] = ()
    """Names of the labels that cross-validation cannot evaluate, if a text may have several labels."""

    def names_of(self, row: int) -> list[str]:
        """The names of the labels that the training data gives to ``row``."""
        labels = self.labels[row]
        return [self.label_names[label] for label in (np.flatnonzero(labels) if labels.ndim else [labels])]

    def label_of(self, row: int) -> str:
        """The label that the training data gives to ``row``; several labels are one text, such as ``a|b``."""
        return self.cell_of(self.names_of(row))

    def cell_of(self, names: Sequence[str]) -> str:
        """The labels ``names`` in one cell of a file."""
        return cell_of(names, self.label_names, self.separator) if self.labels.ndim > 1 else names[0]

    @property
    def contradictions(self) -> list[Pair]:
        """The near-duplicates that have different labels."""
        return [pair for pair in self.near_duplicates if np.any(self.labels[pair.first] != self.labels[pair.second])]

    @property
    def headline(self) -> str:
        """The result in one sentence, such as "12 of 900 labels look wrong (1.3%)"."""
        count, rows = len(self.noise.suspects), len(self.texts)
        several = isinstance(self.noise, MultiLabelNoise)
        if not count:
            return f"No label of {counted(rows, 'row')} looks wrong{' or missing' if several else ''}"
        share = f"({count / rows:.1%})"
        if several:
            have = "has a label that looks" if count == 1 else "have labels that look"
            return f"{count:,} of {rows:,} rows {have} wrong or missing {share}"
        return f"{count:,} of {rows:,} labels {'looks' if count == 1 else 'look'} wrong {share}"

    @property
    def doubt(self) -> str | None:
        """A warning if the models learnt hardly anything, so that the suspects say nothing about the labels; else None.

        That is so if their accuracy is not significantly above the share of the most frequent label; with several
        labels a text, if their micro-F1 is not significantly above that of the same labels for every text.
        """
        rows, noise = len(self.texts), self.noise
        if isinstance(noise, MultiLabelNoise):
            if noise.micro_f1_interval[0] > noise.constant_f1:
                return None
            learnt = (
                f"the models have a micro-F1 of {noise.micro_f1:.1%} on rows that they had not seen, and always giving "
                f"the same labels would have {noise.constant_f1:.1%}"
            )
        else:
            most = int(np.bincount(self.labels).max()) / rows
            if wilson_interval(round(noise.accuracy * rows), rows)[0] > most:
                return None
            learnt = (
                f"the models gave {noise.accuracy:.1%} of the rows the label that the data gives, and always answering "
                f"the most frequent label would give {most:.1%}"
            )
        return (
            f"the suspects say little: {learnt}; train longer, or with a higher learning rate, and audit again into "
            "another folder"
        )

    @property
    def note(self) -> str | None:
        """A note on the labels that are not audited; None if all are."""
        return unaudited_note(self.unaudited) if self.unaudited else None


def unaudited_note(names: Sequence[str]) -> str:
    """A note on the labels ``names``, which are not audited."""
    are = "is" if len(names) == 1 else "are"
    why = "because the audit needs rows with a label in two folds, and rows without it in two folds"
    return f"{counted(len(names), 'label')} {are} not audited, {why}: {listed(names)}"
