"""Makes a soup: a new run whose weights are the mean of the weights of finished runs with the same first weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from featherweight.argument_checks import list_of, require_path
from featherweight.errors import UserError
from featherweight.hints import flag, for_command_line
from featherweight.recipe import Recipe
from featherweight.run.folder import Run
from featherweight.training.listeners import Listener
from featherweight.workflows.ingredients import Ingredient, read_ingredients
from featherweight.workflows.train import train

_OWN = {"training": ("teacher", "order_seed", "trackers", "soup", "soup_choice")}
"""Keys that are about the training of a run, and not about a soup."""


def make_soup(
    runs: Sequence[str | Path | Run],
    out: str | Path | None = None,
    *,
    greedy: bool = False,
    listeners: Sequence[Listener] = (),
) -> Run:
    """Average the trained weights of finished ``runs``; evaluate, check and report the result as a new run.

    The runs must have started from the same weights, with the same classes and rows; the order in which they are given
    does not matter. With ``greedy``, the best run on the validation rows is taken first, and each further one only if
    the mean with it is not worse there. ``out`` is the run folder, by default the next free ``runs/<name>-soup``.
    Raises UserError for wrong input, before anything is written.
    """
    given = list_of(runs, "make_soup(...)", "run folders", item_types=Run)
    for run in given:
        if not isinstance(run, Run):
            require_path(run, "make_soup", "a list of run folders")
    if out is not None:
        require_path(out, "out", "the path of a new run folder")
    folders = [run.folder if isinstance(run, Run) else Path(run) for run in given]
    places = [folder.resolve() for folder in folders]
    if twice := next((folder for n, folder in enumerate(folders) if places[n] in places[:n]), None):
        raise UserError(f"{twice}: is named twice; name each run once")
    if len(folders) < 2:
        example = "featherweight soup runs/a runs/b" if for_command_line() else 'make_soup(["runs/a", "runs/b"])'
        raise UserError(f"a soup needs at least two runs, such as: {example}")
    if out is not None and (Path(out) / "recipe.toml").exists():
        raise UserError(f"{flag('--out', str(out))}: contains another run; choose a new folder")
    return train(soup_recipe(read_ingredients(folders), greedy=greedy), out, listeners=listeners)


def soup_recipe(ingredients: Sequence[Ingredient], *, greedy: bool) -> Recipe:
    """The recipe of the soup: that of its runs, without keys that differ between them or that only affect training."""
    recipes = [ingredient.run.recipe for ingredient in ingredients]
    tables = [recipe.model_dump(mode="json", exclude_none=True) for recipe in recipes]
    values: dict[str, Any] = {**tables[0], "budget": min(recipe.budget for recipe in recipes)}
    for section in ("adapter", "training", "evaluation"):
        values[section] = _shared([table[section] for table in tables], _OWN.get(section, ()))
    values["adapter"].pop("start_from", None)
    values["training"]["soup"] = [str(ingredient.run.folder) for ingredient in ingredients]
    values["training"]["soup_choice"] = "greedy" if greedy else "all"
    name = recipes[0].name
    values["name"] = f"{name[:95]}-soup"
    values["description"] = (
        f"A soup: the mean of the trained weights of runs of {name} that started from the same weights."
    )
    return Recipe.parse(values, "soup")


def _shared(tables: Sequence[dict[str, Any]], without: Sequence[str]) -> dict[str, Any]:
    """The keys with the same value in all ``tables``, apart from those in ``without``."""
    first, *others = tables
    return {
        key: value
        for key, value in first.items()
        if key not in without and all(key in other and other[key] == value for other in others)
    }
