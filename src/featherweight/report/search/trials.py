"""The trials of a search as rows of a table."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from featherweight.formatting import QUOTED, duration, safe_cell
from featherweight.recipe.search_space import BACKBONE

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial

PARAMETERS, SECONDS, NOTE, REFUSED, ORIGIN = "parameters", "seconds", "note", "refused", "origin"
"""Names of what is stored with a trial: its size, its duration with that of earlier attempts, why it ended early,
whether its training refused the values (which counts as a failure), and the first number of a trial that was
interrupted and resumed, which then has several numbers."""


@dataclass(frozen=True)
class TrialRow:
    """A trial of a search (the training of one configuration) that has ended, completely, early or with an error."""

    number: int
    """From 1 on, see ``numbers_of``."""
    value: float | None
    """The metric that the search optimises; None if the trial was stopped early or failed."""
    parameters: int | None
    seconds: float | None
    note: str
    values: dict[str, Any]
    """The proposed values by key."""

    @property
    def complete(self) -> bool:
        """Whether the trial was trained to its end."""
        return self.value is not None


def origin(trial: FrozenTrial | Trial) -> int:
    """Optuna's number of the trial that ``trial`` resumes; its own number if it resumes none."""
    return int(trial.user_attrs.get(ORIGIN, trial.number))


def numbers_of(trials: Sequence[FrozenTrial]) -> dict[int, int]:
    """{origin of a trial: its number for the user}, from 1 on without gaps, for all ``trials`` of a study.

    Optuna gives each attempt at a trial a number. Here the attempts share one number, which later trials do not change.
    """
    return {first: number for number, first in enumerate(sorted({origin(trial) for trial in trials}), 1)}


def trial_rows(trials: Sequence[FrozenTrial]) -> list[TrialRow]:
    """The trials that have ended, in the order of their numbers; for a resumed trial only its last attempt.

    ``trials`` are all trials of a study.
    """
    rows: dict[int, TrialRow] = {}
    numbers = numbers_of(trials)
    for trial in sorted(trials, key=lambda one: (one.state.name == "COMPLETE", one.number)):
        if trial.state.is_finished():
            stored = trial.user_attrs
            rows[origin(trial)] = TrialRow(
                numbers[origin(trial)],
                trial.value if trial.state.name == "COMPLETE" else None,
                stored.get(PARAMETERS),
                stored.get(SECONDS),
                stored.get(NOTE, ""),
                dict(trial.params),
            )
    return [rows[number] for number in sorted(rows)]


def in_order(rows: Sequence[TrialRow], *, higher_is_better: bool) -> list[TrialRow]:
    """The trials from the best to the worst; those without a result are last.

    Of trials with equal results, the one with the fewest trained parameters is first.
    """
    sign = -1 if higher_is_better else 1
    return sorted(rows, key=lambda row: (row.value is None, sign * (row.value or 0.0), row.parameters or 0, row.number))


def trials_csv(rows: Sequence[TrialRow], figure: str) -> str:
    """All trials as CSV; ``figure`` is the name of the column with the result."""
    keys = list(dict.fromkeys(key for row in rows for key in row.values))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", quoting=QUOTED)
    writer.writerow(["trial", figure, "parameters", "seconds", *keys, "note"])
    for row in rows:
        values = [safe_cell(row.values.get(key, "")) for key in keys]
        writer.writerow(
            [row.number, *map(_cell, (row.value, row.parameters, row.seconds)), *values, safe_cell(row.note)]
        )
    return text.getvalue()


def _cell(value: float | None) -> object:
    return "" if value is None else value


def short_key(key: str) -> str:
    """The last part of a dotted key, and ``backbone`` for ``backbone.name``."""
    return BACKBONE.partition(".")[0] if key == BACKBONE else key.rpartition(".")[2]


def short_names(names: Iterable[str]) -> dict[str, str]:
    """{name of a backbone: its last parts, as few as distinguish all ``names``}, such as {"/models/small": "small"}."""
    parts = {name: re.split(r"[/\\]", name.rstrip("/\\")) for name in names}
    for count in range(1, max(map(len, parts.values()), default=0) + 1):
        short = {name: "/".join(all_parts[-count:]) for name, all_parts in parts.items()}
        if len({*short.values()}) == len(short):
            return short
    return {name: name for name in parts}


def shown_value(value: Any) -> str:
    """The ``value`` that a trial tried, as text; fractions have three significant digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def seconds_in_words(seconds: float | None) -> str:
    """A duration as text, empty if it is unknown."""
    return "" if seconds is None else duration(seconds)
