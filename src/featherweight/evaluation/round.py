"""A round of a comparison: the runs of one recipe with several seeds, and what was read of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from featherweight.evaluation.run_groups import seeds_in_words
from featherweight.evaluation.seeds import mean_interval, spread
from featherweight.recipe import Recipe
from featherweight.run.folder import Run


@dataclass(frozen=True, eq=False)
class Round:
    """The runs of one recipe with several seeds, evaluated on the same rows as all other rounds of the comparison."""

    name: str
    runs: tuple[Run, ...]
    """One run per seed, in the order of the seeds."""
    correct: NDArray[np.bool_]
    """Whether each prediction is correct, [seeds, rows]; with several labels a text, whether all of them are."""
    found: NDArray[np.int64] | None
    """The counts behind micro-F1, [seeds, rows, 2]; None with one label a text."""
    figures: dict[str, tuple[float | None, ...]]
    """The values of each table column by key, one per seed; None if a run has no such value.

    The keys are those of the metrics, of times and memory, and ``shift: NAME`` for the accuracy on a shift set."""

    @property
    def recipe(self) -> Recipe:
        """The recipe of the run with the lowest seed."""
        return self.runs[0].recipe

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the runs."""
        return tuple(run.recipe.seed for run in self.runs)

    @property
    def seeds_in_words(self) -> tuple[str, ...]:
        """The seeds of the runs as text, such as "0"; "0/1" is seed 0 with ``training.order_seed = 1``."""
        return tuple(map(seeds_in_words, self.runs))

    @cached_property
    def baseline(self) -> str | None:
        """The kind of baseline, such as ``tfidf-svm``; None if the round is not a baseline."""
        return self.runs[0].environment.get("baseline")

    @property
    def is_soup(self) -> bool:
        """Whether the weights are a mean of those of other runs, so that the round has no training of its own."""
        return bool(self.recipe.training.soup)

    @property
    def is_tfidf(self) -> bool:
        """Whether the round is a TF-IDF baseline, which every other round should beat."""
        return (self.baseline or "").startswith("tfidf")

    @cached_property
    def parameters(self) -> int | None:
        """Number of trained parameters; None if it is not recorded."""
        return self.runs[0].weight.get("total")

    @cached_property
    def interval(self) -> list[float]:
        """95% confidence interval [low, high] of the mean accuracy of the seeds; it covers the choice of rows only."""
        return mean_interval(self.correct)

    def mean(self, key: str) -> float | None:
        """Mean of ``figures[key]`` over the seeds, such as ``mean("accuracy")``; None if a run has no value."""
        values = [value for value in self.figures.get(key, ()) if value is not None]
        return float(np.mean(values)) if len(values) == len(self.runs) else None

    def spread(self, key: str) -> float | None:
        """Standard deviation of ``figures[key]`` over the seeds; None for one seed, or if a run has no value."""
        values = [value for value in self.figures.get(key, ()) if value is not None]
        return spread(values) if len(values) == len(self.runs) else None
