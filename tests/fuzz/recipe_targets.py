"""Targets of the fuzzing that read recipes and overrides."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

from fuzz.workplace import workplace


def read_recipe(data: bytes) -> None:
    """A recipe file; one that is taken must come through TOML and back unchanged."""
    import tomllib

    from featherweight.recipe import Recipe

    path = workplace() / "mine.toml"
    path.write_bytes(data)
    recipe = Recipe.load(path)
    assert Recipe.parse(tomllib.loads(recipe.to_toml())) == recipe


def read_overrides(data: bytes) -> None:
    """Overrides on the command line, one a line, over a built-in recipe."""
    from featherweight.recipe import Recipe
    from featherweight.recipe.overrides import apply_override

    values = copy.deepcopy(_r1())
    for override in data.decode("utf-8", "surrogateescape").split("\n")[:8]:
        apply_override(values, override, Recipe)
    Recipe.parse(values)


@cache
def _r1() -> dict[str, Any]:
    from featherweight.recipe.loading import read_recipe

    return read_recipe("r1")[1]
