"""Writes a search as one self-contained HTML file, and its trials as CSV."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from featherweight.files import write_whole
from featherweight.formatting import counted
from featherweight.recipe import Recipe
from featherweight.report.pages import page_templates
from featherweight.report.search.plots import draw_frontier, draw_history, draw_importance, draw_parallel
from featherweight.report.search.trials import (
    TrialRow,
    in_order,
    seconds_in_words,
    shown_value,
    trial_rows,
    trials_csv,
)
from featherweight.report.style import drawing, single_plot, to_svg
from featherweight.run.best import metric_of
from featherweight.run.figures import Metric

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from optuna import Study

TITLES = {
    "history": "Results in the order of the trials",
    "importance": "What mattered",
    "frontier": "Result against trained parameters",
    "parallel": "All keys side by side",
}
_FEWEST_FOR_IMPORTANCE = 4
"""Below this number of completed trials, shares of the variance mean nothing."""


def write_search(study: Study, recipe: Recipe, folder: Path, data: str) -> list[Path]:
    """Write search.html and trials.csv into ``folder``, and return their paths.

    ``recipe`` is the recipe from which the search started; ``data`` is a sentence about the validation rows.
    """
    metric = metric_of(recipe.evaluation.best_by, several=recipe.task == "multi-label")
    rows = trial_rows(study.get_trials(deepcopy=False))
    texts = {
        "trials.csv": trials_csv(rows, metric.key),
        "search.html": render(recipe, rows, metric, importance_of(study, rows), data),
    }
    for name, text in texts.items():
        write_whole(folder / name, text)
    return [folder / name for name in texts]


def importance_of(study: Study, rows: list[TrialRow]) -> dict[str, float]:
    """{key: share of the variance of the results that the key explains (fANOVA)}.

    It is empty if there are too few completed trials, or if all results or all values are equal.
    """
    complete = [row for row in rows if row.complete]
    varied = {key for row in complete for key in row.values if len({str(one.values.get(key)) for one in complete}) > 1}
    if len(complete) < _FEWEST_FOR_IMPORTANCE or len({row.value for row in complete}) < 2 or not varied:
        return {}
    from optuna.importance import get_param_importances

    return dict(get_param_importances(study))


def render(recipe: Recipe, rows: list[TrialRow], metric: Metric, importance: Mapping[str, float], data: str) -> str:
    """The search as the text of an HTML file."""
    from markupsafe import Markup

    ranked = in_order(rows, higher_is_better=metric.higher_is_better)
    best = ranked[0]
    complete = [row for row in rows if row.complete]
    with drawing():
        drawn = {name: to_svg(draw(), TITLES[name]) for name, draw in _plots(rows, metric, importance).items()}
    keys = list(dict.fromkeys(key for row in rows for key in row.values))
    table = [
        [str(row.number), metric.words(row.value) if row.value is not None else row.note or "failed",
         f"{row.parameters:,}" if row.parameters else "", seconds_in_words(row.seconds),
         *(shown_value(row.values.get(key, "")) for key in keys)]
        for row in ranked
    ]  # fmt: skip
    assert best.value is not None
    pages = page_templates()
    return pages.get_template("search.html.j2").render(
        name=recipe.name,
        headline=f"Trial {best.number} is the best of {len(rows)}: {metric.name} {metric.words(best.value)} "
        f"with {best.parameters:,} trained parameters",
        data=data,
        budget=f"{recipe.budget:,}",
        complete=counted(len(complete), "trial"),
        early=len(rows) - len(complete),
        columns=["trial", metric.name, "parameters", "time", *keys],
        table=table,
        best=[(key, shown_value(value)) for key, value in best.values.items()],
        pictures={name: Markup(svg) for name, svg in drawn.items()},  # noqa: S704 (matplotlib has escaped the texts)
        titles=TITLES,
    )


def _plots(rows: list[TrialRow], metric: Metric, importance: Mapping[str, float]) -> dict[str, Callable[[], Figure]]:
    """{plot name: function that returns its figure} for each plot with data; call it inside ``with drawing():``."""
    complete = [row for row in rows if row.complete]
    keys = {key for row in complete for key in row.values}
    makers: dict[str, Callable[[], Figure]] = {
        "history": partial(single_plot, 5.2, 3.0, partial(draw_history, rows=rows, metric=metric)),
        "frontier": partial(single_plot, 5.2, 3.0, partial(draw_frontier, rows=rows, metric=metric)),
    }
    if importance:
        bars = partial(draw_importance, importance=importance)
        makers["importance"] = partial(single_plot, 5.2, 0.7 + 0.3 * len(importance), bars)
    if len(complete) > 1 and keys:
        lines = partial(draw_parallel, rows=rows, metric=metric)
        makers["parallel"] = partial(single_plot, max(5.2, 1.35 * (len(keys) + 1)), 3.4, lines)
    return makers
