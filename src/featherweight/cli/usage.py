"""Messages on wrong options of the command line; names that other tools use for an option are translated."""

from __future__ import annotations

import difflib
import os
import re
import shlex
import sys
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any

from featherweight.cli.other_names import (
    COMMANDS,
    DATA,
    FOR_A_KEY,
    OF_A_FINISHED_RUN,
    OF_COMMANDS,
    OF_EVERY_COMMAND,
    OUT,
    RUN,
    SAME_OPTION,
)
from featherweight.data.readers.parts import parts_named
from featherweight.data.readers.shards import name_of
from featherweight.errors import UserError
from featherweight.formatting import shortened
from featherweight.inference.writers import FORMATS
from featherweight.recipe import Recipe
from featherweight.recipe.foreign_keys import WITHOUT_A_KEY, key_for
from featherweight.recipe.messages import expected, paths_of

_OF_TRAINING = ("training.", "adapter.", "seed", "data.max_length", "data.long")
"""Beginnings of the recipe keys that have an effect on a training alone."""
_OF_RECIPES = {"new": (".toml",), "plan": (".toml",)}
"""The commands that write a recipe, with the ending of its name."""
_BUDGET = re.compile(r"[\d._,]+[kKmM]?")


def usage_message(error: Any) -> str:
    """The message of a usage error of typer, with what to type instead, or with a line on how to see all options."""
    typed = " ".join(["featherweight", *[one for one in sys.argv[1:2] if not one.startswith("-")]])
    verb = getattr(getattr(error, "ctx", None), "command_path", typed)
    unknown, message = getattr(error, "option_name", ""), " ".join(error.format_message().split())
    if no_command := re.match(r"No such command '(.+?)'\.", message):
        return f"{no_command[0].rstrip('.')}{_other_command(no_command[1], error.ctx.command.commands)}"
    if extra := re.match(r"Got unexpected extra argument\(s\) \((.+)\)", message):
        return f"{message}{_for_an_extra(extra[1], error) or f'{chr(10)}See: {verb} --help'}"
    if getattr(error, "possibilities", None) is None or not unknown.startswith("--"):
        known = _missing(error) or _wrong_value(error)
        return f"{known or message}\nSee: {verb} --help"
    advice = _instead_of(unknown, error)
    return f"No such option: {unknown}" + (f"; {advice}" if advice else f"\nSee: {verb} --help")


def _missing(error: Any) -> str | None:
    """The message for an argument or option that is missing, with its help; None for another error."""
    if type(error).__name__ != "MissingParameter" or not getattr(error.param, "help", None):
        return None
    parameter, text = error.param, error.param.help.rstrip(".")
    name = (parameter.metavar or parameter.name).upper()
    if parameter.param_type_name == "argument":
        return f"Missing argument {name}: {text[:1].lower()}{text[1:]}"
    return f"Missing option {parameter.opts[-1]} {name}: {text}"


def _wrong_value(error: Any) -> str | None:
    """The message for a value that the type of its option does not allow; None for another error."""
    from pydantic import ValidationError

    cause = error.__cause__
    if not isinstance(cause, ValidationError) or getattr(error, "param", None) is None:
        return None
    issue = cause.errors(include_url=False)[0]
    parameter, value = error.param, shlex.quote(shortened(str(issue["input"])))
    name = parameter.opts[-1] if parameter.param_type_name == "option" else parameter.name.upper()
    return f"{name} {value}: {expected(issue)}"


def _other_command(name: str, known: Iterable[str]) -> str:
    """The end of the message that there is no command ``name``: what it is called here, or where all are listed."""
    called = name.lower().replace("-", "_").strip("_")
    if ours := next((ours for ours, names in COMMANDS.items() if called in names), None):
        return f"; here it is: featherweight {ours}"
    if Path(name).exists():
        return f"; the command comes before the file, such as: featherweight check {shlex.quote(name)}"
    near = difflib.get_close_matches(called, list(known), n=1, cutoff=0.7)
    return (f"; did you mean {near[0]!r}?" if near else ".") + "\nSee: featherweight --help"


def _for_an_extra(given: str, error: Any) -> str | None:
    """The option to write in place of surplus arguments, as the end of a message; None if no option is meant.

    ``given`` are all surplus arguments, joined by blanks.
    """
    context, extras = error.ctx, _separate(given)
    options = {name for one in context.command.params for name in one.opts}
    first = context.params.get("file") or context.params.get("data") or context.params.get("recipe")
    if first is not None and (pattern := _pattern_of([str(first), *extras])):
        return f"; to read several files as one table, put their pattern in quotes: {pattern}"
    option = next((option for option in ("--data", "--test") if option in options), None)
    new, suffix = len(extras) == 1 and not _exists(given), Path(given).suffix
    if context.info_name == "predict" and first is not None:
        is_file = _exists(first)
        option, given = (None, given) if is_file else ("--text", f"{first} {given}")
        if new and (is_file or suffix in FORMATS):
            option, given = "--out", extras[0]
    elif len(extras) > 1:
        option = None
    elif "--budget" in options and _BUDGET.fullmatch(given):
        option = "--budget"
    elif "--out" in options and new and suffix in _OF_RECIPES.get(context.info_name, ("",)):
        option = "--out"
    return None if option is None else f"; here it is {option} {shlex.quote(given)}"


def _separate(given: str) -> list[str]:
    """The arguments that the command line joined by blanks to ``given``; [``given``] if they are not found."""
    typed = sys.argv[1:]
    for start in range(len(typed)):
        place = 0
        for end, name in enumerate(typed[start:], start + 1):
            if not given.startswith(name, place):
                break
            place += len(name) + 1
            if place > len(given):
                return typed[start:end]
    return [given]


def _exists(name: str) -> bool:
    """Whether there is a file or folder ``name``, which may be a text that is too long for a name."""
    try:
        return Path(name).exists()
    except OSError:
        return False


def _pattern_of(names: list[str]) -> str | None:
    """A pattern for the files ``names``, to which a shell has probably expanded it, quoted for a shell.

    None for fewer than three files, for files such as train.csv and test.csv, which are no one table, and if no pattern
    matches these files alone.
    """
    if len(names) < 3 or not all(map(os.path.isfile, names)):
        return None
    if parts_named([Path(name).stem for name in names], whole=True):
        return None
    if (pattern := name_of(list(map(Path, names)))) is None:
        return None
    return shlex.quote(str(pattern))


def _instead_of(unknown: str, error: Any) -> str | None:
    """What to type instead of ``unknown``, an option of other tools such as ``--lr``, or why no such option is needed.

    None if ``unknown`` is not known as an option of another tool, and the command has no option with a similar name.
    """
    parameters = getattr(error.ctx.command, "params", ())
    options = {name: one for one in parameters for name in one.opts if name.startswith("--")}
    arguments = [one.metavar or one.name.upper() for one in parameters if one.param_type_name == "argument"]
    name = unknown.lstrip("-").lower().replace("-", "_")
    if advice := OF_COMMANDS.get(error.ctx.info_name, {}).get(name):
        return advice
    for option, names in SAME_OPTION.items():
        if option in options and name in names:
            return f"here it is {option}" + ("" if options[option].is_flag else f" {_typed_after(unknown)}")
    typed = f"{error.ctx.command_path} {' '.join(arguments)} ..."
    if name in RUN and "RUN" in arguments:
        return f"the run has no option here: {typed}"
    if name in DATA and {*arguments} - {"RUN"}:
        return f"files have no option here: {typed}"
    if name in (*OUT, "out") and "--out" not in options:
        return f"here the result is printed: {'--json ' if '--json' in options else ''}> FILE"
    return _instead_of_a_key(unknown, name, options, finished="RUN" in arguments) or _similar(name, options)


def _instead_of_a_key(unknown: str, name: str, options: Container[str], *, finished: bool) -> str | None:
    """As ``_instead_of``, for names of recipe keys; ``finished`` says that the command takes a finished run."""
    paths = paths_of(Recipe, name)
    key = key_for(name) or (".".join(paths[0]) if len(paths) == 1 else None)
    if key is not None and (option := FOR_A_KEY.get(key)) in options:
        return f"here it is {option} {_typed_after(unknown)}"
    if finished and name in OF_A_FINISHED_RUN and (name != "format" or "--out" in options):
        return OF_A_FINISHED_RUN[name]
    if key is not None and "--set" in options and not (finished and key.startswith(_OF_TRAINING)):
        return f"here it is a key of the recipe: {_setting(key, unknown)}"
    if name in OF_EVERY_COMMAND:
        return OF_EVERY_COMMAND[name]
    if not finished or key is None or not key.startswith(_OF_TRAINING):
        return WITHOUT_A_KEY.get(name) if "--set" in options else None
    return f"it belongs to the training: featherweight train FILE {_setting(key, unknown)}"


def _setting(key: str, unknown: str) -> str:
    """The option that sets the recipe key ``key`` to the typed value of ``unknown``, if the key can have it."""
    value = _typed_after(unknown)
    try:
        Recipe.parse({}, "", [f"{key}={value}"])
    except UserError:
        value = "..."
    return f"--set {key}={value}"


def _typed_after(unknown: str) -> str:
    """The value that the user gave to the option ``unknown``, quoted for a shell; ``...`` if there is none."""
    typed = sys.argv[1:]
    place = next((place for place, one in enumerate(typed) if one.partition("=")[0] == unknown), len(typed))
    given = [one.partition("=")[2] for one in typed[place : place + 1] if "=" in one] or typed[place + 1 : place + 2]
    return shlex.quote(given[0]) if given and not given[0].startswith("-") else "..."


def _similar(name: str, options: Iterable[str]) -> str | None:
    called = {option.lstrip("-").replace("-", "_"): option for option in options if option != "--help"}
    near = difflib.get_close_matches(name, called, n=1, cutoff=0.7)
    return f"did you mean {called[near[0]]}?" if near else None
