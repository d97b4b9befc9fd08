"""How a message says what to set: as options of the command line, arguments in Python, or keys of a Recipe.

Also how it says what to install.
"""

from __future__ import annotations

import json
import shlex
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from enum import Enum
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from featherweight.errors import in_a_line

Given = ParamSpec("Given")
Result = TypeVar("Result")


class Caller(Enum):
    """Where the user can set something."""

    COMMAND_LINE = "options of the command line"
    ARGUMENTS = "arguments of the Python function that was called"
    RECIPE = "the Recipe that was passed to a Python function"


_callers: list[Caller] = []  # the calls that run, the outermost first; a list and no ContextVar, for threads
_ARGUMENTS = {"id": "id_column"}
"""The names of arguments that are not called like their options."""
_FLAGS = {
    "--kaggle": "kaggle=True",
    "--as-numbers": "as_numbers=True",
    "--as-names": "as_numbers=False",
    "--as-probabilities": "as_probabilities=True",
    "--safe-csv": "safe=True",
    "--force": "replace=True",
    "--label-name": "label_name",
    "--like": "like",
    "--id": "id_column",
    "-o": "out",
    "--out": "out",
    "--resume": "resume=True",
    "--private": "private=True",
    "--license": "license_name",
    "--dry-run": "dry_run=True",
    "--to": "to",
    "--label": "label",
    "--labels": "labels",
    "--base": "base",
    "--folds": "folds",
    "--trials": "trials",
    "--workers": "workers",
    "--storage": "storage",
    "--epochs": "epochs",
    "--lr": "learning_rate",
    "--batch-size": "batch_size",
    "--max-length": "max_length",
}
"""The options of the commands, each with the argument of the Python function that does the same."""
_OF_KEYS = {
    "budget": "budget",
    "data.test": "test",
    "data.text": "text",
    "data.label": "label",
    "backbone.name": "backbone",
}
"""The recipe keys that have an option and an argument of their own, with its name."""
_PACKAGES = {"mlflow": "mlflow-skinny", "prometheus_client": "prometheus-client"}
"""The packages that are not called like their modules."""


@contextmanager
def called_from(caller: Caller) -> Iterator[None]:
    """While this context is open, messages are written for ``caller``; nothing changes inside another such context."""
    _callers.append(caller)
    try:
        yield
    finally:
        _callers.pop()


def on_the_command_line() -> AbstractContextManager[None]:
    """While this context is open, messages name options of the command line."""
    return called_from(Caller.COMMAND_LINE)


def called_with(caller: Caller) -> Callable[[Callable[Given, Result]], Callable[Given, Result]]:
    """A decorator for functions that users of Python call; their messages are written for ``caller``."""

    def decorated(function: Callable[Given, Result]) -> Callable[Given, Result]:
        @wraps(function)
        def inner(*arguments: Given.args, **named: Given.kwargs) -> Result:
            with called_from(caller):
                return function(*arguments, **named)

        return inner

    return decorated


def for_command_line() -> bool:
    """Whether messages are written for the command line; outside all contexts they name arguments."""
    return caller() is Caller.COMMAND_LINE


def caller() -> Caller:
    """For whom messages are written; a new process knows it only if it is told."""
    return _callers[0] if _callers else Caller.ARGUMENTS


def to_resume(folder: Path) -> str:
    """The command that finishes the interrupted run in ``folder``."""
    return f"featherweight train {shlex.quote(str(folder / 'recipe.toml'))} --out {shlex.quote(str(folder))} --resume"


def to_resume_here(folder: Path) -> str:
    """How the user resumes the training in ``folder`` that the command, or the call of ``train``, has begun."""
    if for_command_line():
        return f"run the same command with --resume --out {shlex.quote(str(folder))}"
    return f"call train again with the same arguments and {flag('--out', str(folder))}, {flag('--resume')}"


def to_resume_adaptation() -> str:
    """How the user resumes the adaptation that the command, or ``adapt_backbone``, has begun; as a clause."""
    if for_command_line():
        return "run the same command with --resume"
    return f"call adapt_backbone again with the same arguments and {flag('--resume')}"


def to_install(*modules: str) -> str:
    """The command that installs the packages of ``modules``: ``pip install onnx prometheus-client``.

    It names the packages and not an extra of Featherweight, so that it works however Featherweight was installed.
    """
    return f"pip install {' '.join(_PACKAGES.get(module, module) for module in modules)}"


def as_given(override: str) -> str:
    """The ``override`` that the user gave, as ``--set training.epochs`` or ``overrides=["training.epochs"]``.

    A text in JSON, such as ``budget="100k"``, was given by an option or argument: ``--budget 100k``, ``budget="100k"``.
    """
    key, _, text = override.partition("=")
    if (name := _OF_KEYS.get(key)) and text[:1] == '"' and isinstance(value := _value(text), str) and value != text:
        return f"--{name} {shlex.quote(value)}" if for_command_line() else f"{name}={_literal(value)}"
    return f"--set {override}" if for_command_line() else f"overrides={_literal([override])}"


def to_set(*overrides: str) -> str:
    """What to add to the call to set recipe keys, each given as a text such as ``training.epochs=3``.

    On the command line these are options, quoted for a shell: ``--set training.epochs=3``. In Python it is the argument
    of ``train``, ``overrides=["training.epochs=3"]``, or if a Recipe was passed,
    ``recipe.with_values(training={"epochs": 3})``.
    """
    if caller() is Caller.ARGUMENTS:
        return f"overrides={_literal(overrides)}"
    if caller() is Caller.RECIPE:
        return _with_values(overrides)
    return " ".join(f"--set {shlex.quote(override)}" for override in overrides)


def option(name: str, values: Sequence[str] = ("COLUMN",)) -> str:
    """What names columns, as ``--text 'a b'``, ``text="a b"`` or ``recipe.with_values(data={"text": "a b"})``.

    ``name`` is that of the option of the command line: text, label or id. Several values are a list.
    """
    if for_command_line():
        return " ".join(f"--{name} {shlex.quote(in_a_line(value))}" for value in values)
    value = _literal(values if len(values) > 1 else values[0])
    if caller() is Caller.RECIPE and name not in _ARGUMENTS:
        return f'recipe.with_values(data={{"{name}": {value}}})'
    return f"{_ARGUMENTS.get(name, name)}={value}"


def flag(name: str, value: str | None = None) -> str:
    """An option of a command, or the argument of the Python function: ``--force`` or ``replace=True``.

    With a ``value`` that the user gave, ``-o labels.csv`` or ``out="labels.csv"``.
    """
    if for_command_line():
        return name if value is None else f"{name} {value}"
    return _FLAGS[name] if value is None else f"{_FLAGS[name]}={_literal(value)}"


def elsewhere() -> str:
    """What to do if the chosen folder cannot be used, as a clause with the option or the argument that names it."""
    return f"choose another folder: {flag('--out', 'FOLDER')}"


def steadier(learning_rate: float | None = None) -> str:
    """What to do if a training diverged, as a clause; ``learning_rate`` is that of the training, if it is known."""
    lower = to_set(f"training.learning_rate={'...' if learning_rate is None else f'{learning_rate / 2:g}'}")
    return f"lower the learning rate ({lower}), or compute in fp32 ({to_set('training.precision=fp32')})"


def _with_values(overrides: Sequence[str]) -> str:
    """The call of ``Recipe.with_values``; keys that it cannot set, such as those of one LoRA table, as TOML."""
    sections: dict[str, Any] = {}
    for override in overrides:
        key, _, text = override.partition("=")
        *path, last = key.split(".")
        if len(path) > 1:
            return ", ".join(" = ".join(override.split("=", 1)) for override in overrides)
        (sections.setdefault(path[0], {}) if path else sections)[last] = _value(text)
    return f"recipe.with_values({', '.join(f'{key}={_literal(value)}' for key, value in sections.items())})"


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _literal(value: Any) -> str:
    """``value`` as Python code, with the quotation marks of the documentation."""
    if isinstance(value, str) and '"' in value and "'" not in value:
        return repr(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_literal(key)}: {_literal(item)}' for key, item in value.items())}}}"
    return f"[{', '.join(map(_literal, value))}]" if isinstance(value, list | tuple) else repr(value)
