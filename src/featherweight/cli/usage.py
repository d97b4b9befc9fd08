"""Messages on wrong options of the command line; names that other tools use for an option are translated."""

from __future__ import annotations

from typing import Any

from featherweight.recipe import Recipe
from featherweight.recipe.foreign_keys import WITHOUT_A_KEY, key_for
from featherweight.recipe.messages import paths_of

_OPTIONS = {"data.text": "--text", "data.label": "--label", "data.test": "--test", "backbone.name": "--backbone"}
"""Recipe keys that are options of their own."""


def usage_message(error: Any) -> str:
    """The message of a usage error of typer, and how to see all options, on two lines."""
    verb = getattr(getattr(error, "ctx", None), "command_path", "featherweight")
    message = " ".join(error.format_message().split())
    unknown = getattr(error, "option_name", "")
    if getattr(error, "possibilities", None) is not None and (advice := _instead_of(unknown, error)):
        message = f"No such option: {unknown}; {advice}"
    return f"{message}\nSee: {verb} --help"


def _instead_of(unknown: str, error: Any) -> str | None:
    """What to type instead of ``unknown``, an option of other tools such as ``--lr``, or why no such option is needed.

    None if ``unknown`` is not known as an option of another tool, and for commands without ``--set`` (recipe keys).
    """
    options = {name for parameter in getattr(error.ctx.command, "params", ()) for name in parameter.opts}
    name = unknown.lstrip("-").lower().replace("-", "_")
    if "--set" not in options or not unknown.startswith("--"):
        return None
    paths = paths_of(Recipe, name)
    key = key_for(name) or (".".join(paths[0]) if len(paths) == 1 else None)
    if key is None:
        return WITHOUT_A_KEY.get(name)
    option = _OPTIONS.get(key, "")
    return f"here it is {option} ..." if option in options else f"here it is a key of the recipe: --set {key}=..."
