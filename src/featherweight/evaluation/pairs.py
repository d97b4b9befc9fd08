"""Every pair of rounds: the difference, its interval, its tests, and what they amount to in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from featherweight.evaluation.compare import (
    describe_difference,
    difference_in_words,
    holm,
    p_in_words,
    paired_bootstrap,
)
from featherweight.evaluation.seeds import mcnemar_over_seeds, seeds_apart

ALPHA = 0.05
Pair = tuple[str, str]
Correct = Mapping[str, NDArray[np.bool_]]
"""Right (True) or wrong of each round by its name, [seeds, rows]; the same rows in all."""


@dataclass(frozen=True)
class Difference:
    """Mean accuracy of ``first`` less that of ``second``, as shares (0.01 is one point)."""

    first: str
    second: str
    difference: float
    low: float
    high: float
    """95% interval: paired bootstrap over rows, of each row's mean over the seeds."""
    p_value: float
    """McNemar's exact test, over all seeds."""
    corrected: float
    """The same after Holm's correction for all the pairs that were compared together."""
    seeds_p_value: float | None
    """T-test over the seeds' accuracies; None where seeds are too few."""
    verdict: Literal["shown", "seeds", "none"]
    """``shown``; ``seeds``: shown for these runs, but within what seeds make; ``none``: not shown."""
    words: str

    @property
    def won(self) -> bool:
        """Whether ``first`` is shown to be better."""
        return self.verdict == "shown" and self.difference > 0


def compare_pairs(pairs: Sequence[Pair], correct: Correct) -> list[Difference]:
    """The differences of all ``pairs`` of names in ``correct``, corrected together.

    A difference counts as shown where McNemar's test, corrected, finds it among the rows and, with three seeds or
    more, a t-test finds it among the seeds as well: rows alone would take the luck of a seed for a better recipe.
    """
    tests = [mcnemar_over_seeds(correct[first], correct[second]) for first, second in pairs]
    corrected = holm([test["p_value"] for test in tests])
    return [
        _difference(pair, correct, test, p_value, len(pairs) > 1)
        for pair, test, p_value in zip(pairs, tests, corrected, strict=True)
    ]


def _difference(pair: Pair, correct: Correct, test: dict[str, Any], corrected: float, several: bool) -> Difference:
    first, second = (correct[name] for name in pair)
    bootstrap = paired_bootstrap(first.mean(axis=0), second.mean(axis=0))
    seeds_p = seeds_apart(first.mean(axis=1).tolist(), second.mean(axis=1).tolist())
    verdict: Literal["shown", "seeds", "none"] = "none"
    if corrected < ALPHA:
        verdict = "shown" if seeds_p is None or seeds_p < ALPHA else "seeds"
    if verdict == "none" or seeds_p is None:
        words = describe_difference(*pair, bootstrap, test, p_value=corrected if several else None)
    else:
        tests = f"McNemar's exact test{', corrected' if several else ''}: {p_in_words(corrected)}"
        words = _verdict(pair, bootstrap, verdict, f"{tests}; t-test over seeds: {p_in_words(seeds_p)}")
    interval = (bootstrap["difference"], bootstrap["low"], bootstrap["high"])
    return Difference(*pair, *interval, test["p_value"], corrected, seeds_p, verdict, words)


def _verdict(pair: Pair, bootstrap: Mapping[str, float], verdict: str, tests: str) -> str:
    figures = difference_in_words(*pair, bootstrap)
    if verdict == "shown":
        return f"{figures}: {pair[0] if bootstrap['difference'] > 0 else pair[1]} is better ({tests})."
    return f"{figures}: these runs differ, but so do their seeds: no difference of the recipes shown ({tests})."
