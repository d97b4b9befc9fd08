"""The table of a soup (averaged weights of several runs): the validation results of its runs and of the soup."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from featherweight.report.run.contents import Contents
from featherweight.run.best import metric_of


@dataclass(frozen=True)
class SoupTable:
    """The table of a soup: one row per run, all cells as text, and the result of the soup."""

    metric: str
    """Name of the metric in which the runs are compared."""
    runs: list[tuple[str, str, str, bool]]
    """Folder, own settings, value of the metric, and whether its weights are in the soup; for each run, best first."""
    result: str
    """Value of the soup; empty if it is not evaluated."""
    greedy: bool


def soup_table(run: Contents) -> SoupTable | None:
    """The table for ``run`` if it is a soup (averaged weights of several runs); None if it was trained."""
    if not run.soup:
        return None
    key = run.soup["metric"]
    metric = metric_of(key, several=run.several)
    rows = [
        (str(one["run"]), _settings(one.get("differs") or {}), metric.words(one["validation"]), bool(one["taken"]))
        for one in run.soup["runs"]
    ]
    result = (run.evaluation.get("validation") or {}).get(key)
    return SoupTable(metric.name, rows, "" if result is None else metric.words(result), run.soup["choice"] == "greedy")


def _settings(differs: dict[str, Any]) -> str:
    return ", ".join(f"{key} = {_plain(value)}" for key, value in differs.items())


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
