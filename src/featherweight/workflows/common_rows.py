"""Checks, before any training, that the runs of several recipes and seeds can be compared row by row."""

from __future__ import annotations

from collections.abc import Sequence

from featherweight.data.splits import lacking_test, load_splits
from featherweight.errors import UserError
from featherweight.evaluation.results import text_key
from featherweight.recipe import Recipe
from featherweight.task.interface import task_of


def require_common_rows(recipes: Sequence[Recipe], seeds: Sequence[int]) -> None:
    """Raise UserError if there are several seeds, but no rows on which the runs of all seeds are evaluated.

    Without test rows, each seed splits off different validation rows, so accuracies cannot be compared.
    """
    for recipe in recipes if len(seeds) > 1 else ():
        if recipe.data.validation is None and (why := lacking_test(recipe.data)):
            raise UserError(
                f"{recipe.name}: without test rows each seed is evaluated on different rows, and {why}\n"
                "Set data.test or data.validation, or use one seed"
            )


def require_the_same_rows(recipes: Sequence[Recipe], seed: int) -> None:
    """Raise UserError if a recipe has another task than the first recipe, or would be evaluated on other rows."""
    if other := next((recipe for recipe in recipes if recipe.task != recipes[0].task), None):
        raise UserError(
            f"{other.name}: its task is {other.task}, but that of {recipes[0].name} is {recipes[0].task}; "
            "train recipes with the same task"
        )
    data = [recipe.data for recipe in recipes]
    if all(one == data[0] for one in data):
        return
    judged = [_compared_by(recipe.with_values(seed=seed, evaluation={"shift": []})) for recipe in recipes]
    for recipe, marks in zip(recipes, judged, strict=True):
        if marks != judged[0]:
            raise UserError(
                f"{recipe.name}: would be evaluated on other rows than {recipes[0].name}; set the same data.test in all"
            )


def _compared_by(recipe: Recipe) -> tuple[str, list[str], list[list[str]]]:
    """The split on which a run of ``recipe`` is compared with others, the keys of its texts, and its labels.

    Runs may join two texts or read them as a pair, and may have the classes in another order.
    """
    splits = load_splits(recipe)
    split, rows = ("validation", splits.validation) if splits.test is None else ("test", splits.test)
    assert rows.labels is not None
    labels = task_of(recipe).label_lists(rows.labels, rows.label_names)
    return split, list(map(text_key, rows.texts)), list(map(sorted, labels))
