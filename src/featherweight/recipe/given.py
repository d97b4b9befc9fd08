"""What was given in place of a recipe, and how to come from there to one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from featherweight.errors import UserError
from featherweight.kinds import described, is_table, saving

DATA_ENDINGS = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".pq", ".gz", ".zst", ".xlsx", ".arrow")

_KEYS = {"name", "description", "seed", "budget", "data", "backbone", "adapter", "training", "evaluation"}
"""A dict with no other keys than these is meant as a recipe."""


def no_recipe(given: Any, name: str, takes: str, call: str = "...") -> UserError:
    """The UserError for ``name``, which takes something else; ``call`` is the right call, "..." for the recipe."""
    return UserError(f"{name} takes {takes}, not {described(given)}; {_remedy(given, call)}")


def naming(file: str) -> str:
    """Python for a recipe of the data in ``file``, and of defaults otherwise."""
    return f"Recipe.parse({{'data': {{'train': {file!r}}}}})"


def is_data_file(path: str | os.PathLike[str]) -> bool:
    """Whether ``path`` is called as files of rows are, not as recipes are."""
    return PurePath(path).suffix.lower() in DATA_ENDINGS


def _remedy(given: Any, call: str) -> str:
    def write(recipe: str) -> str:
        return f"write {call.replace('...', recipe)}"

    if isinstance(given, str | os.PathLike):
        path = str(given)
        return write(naming(path) if is_data_file(path) else f"Recipe.load({path!r})")
    if type(given).__name__ == "Run":
        return write("run.recipe")
    if type(given).__name__ == "Recipe":
        return "it is one already"
    if isinstance(given, Mapping) and not is_table(given) and set(given) <= _KEYS:
        return write("Recipe.parse(values)")
    if isinstance(given, list | tuple) and given and type(given[0]).__name__ == "Recipe":
        return "give one of them at a time, or write run_rounds(recipes, seeds=[0], out='runs/rounds')"
    if given is None or isinstance(given, int | float | type):
        return write("Recipe.load('newsbriefs')")
    how, file = saving(given)
    return f"save the rows by {how}, and {write(naming(file))}"
