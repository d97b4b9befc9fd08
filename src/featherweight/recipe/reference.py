"""Writes the reference of all recipe keys as Markdown: ``python -m featherweight.recipe.reference FILE``."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import tomli_w
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from featherweight.recipe.fields import MAX_COUNT
from featherweight.recipe.loading import built_in_recipes
from featherweight.recipe.messages import section_in
from featherweight.recipe.schema import Recipe

_INTRODUCTION = """\
# Recipe reference

<!-- Written by `make docs` from src/featherweight/recipe/sections/: change it there. -->

A recipe holds every choice of a run, as TOML. `featherweight train` takes the name of a built-in recipe or the path of
a file. A key that is left out has its default; an unknown key is refused.

- `--set section.key=value` replaces a value on the command line. The value is TOML or bare text:
  `--set training.learning_rate=3e-4`, `--set backbone.name=mpnet`.
- `--set adapter.lora.rank=4` sets the key in every LoRA table, `--set adapter.lora.0.rank=4` only in the first.
- An empty value removes an optional key (`--set data.validation=`), and `--set data.test=` means no test. For any other
  key it is refused, because it usually comes from a shell variable that is not set.
- The run folder's `recipe.toml` has every default written out. Train it to repeat the run.
- Numbers without an upper limit below go up to 1,000,000,000.
"""
_WORDS = {int: "whole number", float: "number", bool: "`true` or `false`", str: "text"}
_LIMITS = {Gt: ("gt", "above"), Ge: ("ge", "at least"), Lt: ("lt", "below"), Le: ("le", "at most")}


def recipe_reference() -> str:
    """The text of docs/recipe-reference.md: the built-in recipes, then each section with a table of its keys."""
    pages = [_INTRODUCTION, _built_in(), "## Top of the file\n", _table(Recipe)]
    for path, section in _sections(Recipe):
        pages += [f"## `{path}`\n\n{section.__doc__}\n", _table(section)]
    return "\n".join(pages)


def _built_in() -> str:
    rows = [
        f"| `{name}` | {_cell(tomllib.loads(text).get('description', ''))} |"
        for name, text in built_in_recipes().items()
    ]
    return "\n".join(["## Built-in recipes\n", "| recipe | what it is for |", "|---|---|", *rows, ""])


def _sections(model: type[BaseModel], above: str = "") -> list[tuple[str, type[BaseModel]]]:
    """All sections inside ``model``, in order: the heading, such as ``[data]``, and the pydantic model of each."""
    found: list[tuple[str, type[BaseModel]]] = []
    for name, field in model.model_fields.items():
        if section := section_in(field.annotation):
            path = f"{above}{name}"
            heading = f"[{path}]" if section is field.annotation else f"[[{path}]]"
            found += [(heading, section), *_sections(section, f"{path}.")]
    return found


def _table(model: type[BaseModel]) -> str:
    # Sections have tables of their own. A key that takes either a section or a word is in both tables.
    fields = {
        name: field for name, field in model.model_fields.items() if section_in(field.annotation) != field.annotation
    }
    rows = [_row(name, field) for name, field in fields.items()]
    return "\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *rows, ""])


def _row(name: str, field: FieldInfo) -> str:
    cells = [f"`{name}`", _type(field), _default(field), _cell(field.description or "")]
    return f"| {' | '.join(cells)} |"


def _type(field: FieldInfo) -> str:
    return _words(field.annotation) + _limits(field.metadata)


def _limits(metadata: Iterable[Any]) -> str:
    """The limits of a number among the ``metadata`` of its type, such as ", at least 0, below 1"; empty without any."""
    limits = ""
    for limit in metadata:
        if isinstance(limit, FieldInfo):
            limits += _limits(limit.metadata)
        elif type(limit) in _LIMITS:
            attribute, word = _LIMITS[type(limit)]
            value = getattr(limit, attribute)
            limits += "" if value == MAX_COUNT else f", {word} {value:,}"
    return limits


def _words(annotation: Any) -> str:
    """The type ``annotation`` of a key in words, such as "list of text"."""
    kind, arguments = get_origin(annotation), get_args(annotation)
    if kind is Annotated:
        return _words(arguments[0]) + _limits(arguments[1:])
    if kind in (Union, UnionType):
        return ", or ".join(_words(argument) for argument in arguments if argument is not NoneType)
    if kind is Literal:
        return ", ".join(f"`{choice}`" for choice in arguments)
    if kind is tuple:
        return "tables (below)" if section_in(annotation) else _list_of(arguments[0])
    if kind is dict:
        return "table"
    return _WORDS[annotation]


def _list_of(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return f"list out of {_words(annotation)}"
    return f"list of {_words(annotation)}".replace("number", "numbers")


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is None or value in ((), {}):
        return ""
    if isinstance(value, tuple) and isinstance(value[0], BaseModel):
        return "one table of defaults"
    if isinstance(value, tuple):
        return f"`[{', '.join(_toml(item) for item in value)}]`"
    return f"`{_toml(value)}`" if value != "" else ""


def _toml(value: Any) -> str:
    return tomli_w.dumps({"value": value}).removeprefix("value = ").strip()


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(recipe_reference(), "utf-8")
