"""Messages on wrong options of the command line; names that other tools use for an option are translated."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from featherweight.recipe import Recipe
from featherweight.recipe.foreign_keys import WITHOUT_A_KEY, key_for
from featherweight.recipe.messages import paths_of

_OPTIONS = {"data.text": "--text", "data.label": "--label", "data.test": "--test", "backbone.name": "--backbone"}
"""Recipe keys that are options of their own."""
_SAME_OPTION = {
    "--out": ("output", "out_file", "output_file", "output_path", "output_dir", "out_dir", "save_to", "dest"),
    "--to": ("format", "target", "type", "as"),
    "--host": ("bind", "address", "ip", "hostname", "listen"),
    "--data": ("test", "test_file", "input", "input_file", "file", "dataset"),
    "--id": ("id_column", "id_col", "key", "index", "index_col"),
    "--force": ("overwrite", "replace", "yes"),
    "--from": ("resume_from", "init_from", "checkpoint", "start_from"),
}
"""Options, and their names in other tools."""
_ARGUMENTS = ("data", "train", "train_file", "train_data", "input", "input_file", "file", "dataset", "recipe", "config")
"""Names that other tools give to the file, which here has no option: it follows the command."""


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

    None if ``unknown`` is not known as an option of another tool, or if the command has nothing of that kind.
    """
    parameters = getattr(error.ctx.command, "params", ())
    options = {name for parameter in parameters for name in parameter.opts}
    name = unknown.lstrip("-").lower().replace("-", "_")
    if not unknown.startswith("--"):
        return None
    for option, names in _SAME_OPTION.items():
        if option in options and name in names:
            return f"here it is {option} ..."
    arguments = [one.metavar or one.name.upper() for one in parameters if one.param_type_name == "argument"]
    if name in _ARGUMENTS and arguments:
        return f"files have no option here: {error.ctx.command_path} {' '.join(arguments)} ..."
    return _instead_of_a_key(name, options)


def _instead_of_a_key(name: str, options: Container[str]) -> str | None:
    paths = paths_of(Recipe, name)
    key = key_for(name) or (".".join(paths[0]) if len(paths) == 1 else None)
    if key is not None and (option := _OPTIONS.get(key)) in options:
        return f"here it is {option} ..."
    if "--set" not in options:
        return None
    return WITHOUT_A_KEY.get(name) if key is None else f"here it is a key of the recipe: --set {key}=..."
