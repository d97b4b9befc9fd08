"""Messages on wrong options of the command line; names that other tools use for an option are translated."""

from __future__ import annotations

import difflib
import shlex
import sys
from collections.abc import Container, Iterable
from typing import Any

from featherweight.errors import UserError
from featherweight.formatting import shortened
from featherweight.recipe import Recipe
from featherweight.recipe.foreign_keys import WITHOUT_A_KEY, key_for
from featherweight.recipe.messages import expected, paths_of

_OPTIONS = {"data.text": "--text", "data.label": "--label", "data.test": "--test", "backbone.name": "--backbone"}
"""Recipe keys that are options of their own."""
_OUT = ("output", "out_file", "output_file", "output_path", "output_dir", "out_dir", "save_to", "dest")
_SAME_OPTION = {
    "--out": _OUT,
    "--to": ("format", "target", "type", "as"),
    "--host": ("bind", "address", "ip", "hostname", "listen"),
    "--data": ("test", "test_file", "input", "input_file", "file", "dataset"),
    "--id": ("id_column", "id_col", "key", "index", "index_col"),
    "--force": ("overwrite", "replace", "yes"),
    "--from": ("resume_from", "init_from", "checkpoint", "start_from"),
    "--batch-tokens": ("batch_size", "max_batch_size", "batch"),
}
"""Options, and their names in other tools."""
_DATA = ("data", "train", "train_file", "train_data", "input", "input_file", "file", "dataset", "recipe", "config")
"""Names that other tools give to the file, which here has no option: it follows the command."""
_RUN = ("model", "model_name", "model_path", "model_dir", "model_name_or_path", "checkpoint", "run")
"""Names that other tools give to the trained model: here it is the run, which follows the command."""
_OF_EVERY_COMMAND = {
    **dict.fromkeys(("device", "no_cuda", "cuda", "gpu", "cpu"), WITHOUT_A_KEY["device"]),
    **dict.fromkeys(("num_workers", "threads"), WITHOUT_A_KEY["num_workers"]),
}
_FILE = ("data", "input", "input_file", "file", "dataset", "test")
_TOKEN = ("token", "api_key", "auth_token", "auth", "hf_token")
_OF_A_FILE = "to label a file: featherweight predict RUN FILE -o OUT"
_OF_COMMANDS = {
    "serve": {
        **dict.fromkeys(_FILE, f"the server gets texts over HTTP; {_OF_A_FILE}"),
        **dict.fromkeys((*_OUT, "out"), f"the server writes no file; {_OF_A_FILE}"),
        **dict.fromkeys(
            _SAME_OPTION["--to"],
            "answers are JSON; to serve an export, make it first: featherweight export RUN --to ...",
        ),
        **dict.fromkeys(_TOKEN, "write the token to a file: --token-file FILE; or set FEATHERWEIGHT_TOKEN"),
        **dict.fromkeys(("workers", "num_workers"), "one process uses several cores: --threads N"),
        **dict.fromkeys(("ssl_keyfile", "ssl_certfile", "tls"), "put a proxy with TLS in front of the server"),
    },
    "export": {
        **dict.fromkeys(_FILE, "to evaluate an export on other rows: featherweight evaluate EXPORT --data FILE"),
        **dict.fromkeys(("quantize", "quantise", "int8"), "here it is --to onnx-int8 or --to openvino-int8"),
        **dict.fromkeys(("merged", "onnx", "openvino"), "the target follows --to"),
    },
    "push": {
        **dict.fromkeys(("repo", "repo_id", "hub_model_id"), "here it follows the run: featherweight push RUN REPO"),
        **dict.fromkeys(_TOKEN, "log in by `hf auth login`, or set HF_TOKEN"),
        **dict.fromkeys(_FILE, "no data is uploaded"),
        "public": "a repository is public unless --private is given",
    },
}
"""What to do instead of an option that a command does not have, by command and name of the option."""
_OF_A_FINISHED_RUN = {
    "batch_size": "batches are chosen by the lengths of the texts",
    "format": "the ending of the file chooses the format, such as --out predictions.csv",
}
_OF_TRAINING = ("training.", "adapter.", "seed", "data.max_length", "data.long")
"""Beginnings of the recipe keys that have an effect on a training alone."""


def usage_message(error: Any) -> str:
    """The message of a usage error of typer, with what to type instead, or with a line on how to see all options."""
    verb = getattr(getattr(error, "ctx", None), "command_path", "featherweight")
    unknown = getattr(error, "option_name", "")
    if getattr(error, "possibilities", None) is None or not unknown.startswith("--"):
        known = _missing(error) or _wrong_value(error)
        return f"{known or ' '.join(error.format_message().split())}\nSee: {verb} --help"
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


def _instead_of(unknown: str, error: Any) -> str | None:
    """What to type instead of ``unknown``, an option of other tools such as ``--lr``, or why no such option is needed.

    None if ``unknown`` is not known as an option of another tool, and the command has no option with a similar name.
    """
    parameters = getattr(error.ctx.command, "params", ())
    options = {name: one for one in parameters for name in one.opts if name.startswith("--")}
    arguments = [one.metavar or one.name.upper() for one in parameters if one.param_type_name == "argument"]
    name = unknown.lstrip("-").lower().replace("-", "_")
    if advice := _OF_COMMANDS.get(error.ctx.info_name, {}).get(name):
        return advice
    for option, names in _SAME_OPTION.items():
        if option in options and name in names:
            return f"here it is {option}" + ("" if options[option].is_flag else f" {_typed_after(unknown)}")
    typed = f"{error.ctx.command_path} {' '.join(arguments)} ..."
    if name in _RUN and "RUN" in arguments:
        return f"the run has no option here: {typed}"
    if name in _DATA and {*arguments} - {"RUN"}:
        return f"files have no option here: {typed}"
    if name in (*_OUT, "out") and "--json" in options:
        return "here the result is printed: --json > FILE"
    return _instead_of_a_key(unknown, name, options, finished="RUN" in arguments) or _similar(name, options)


def _instead_of_a_key(unknown: str, name: str, options: Container[str], *, finished: bool) -> str | None:
    """As ``_instead_of``, for names of recipe keys; ``finished`` says that the command takes a finished run."""
    paths = paths_of(Recipe, name)
    key = key_for(name) or (".".join(paths[0]) if len(paths) == 1 else None)
    if key is not None and (option := _OPTIONS.get(key)) in options:
        return f"here it is {option} {_typed_after(unknown)}"
    if finished and name in _OF_A_FINISHED_RUN and (name != "format" or "--out" in options):
        return _OF_A_FINISHED_RUN[name]
    if key is not None and "--set" in options and not (finished and key.startswith(_OF_TRAINING)):
        return f"here it is a key of the recipe: {_setting(key, unknown)}"
    if name in _OF_EVERY_COMMAND:
        return _OF_EVERY_COMMAND[name]
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
