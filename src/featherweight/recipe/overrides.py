"""Overrides from the command line, such as ``training.learning_rate=3e-4``, applied to the values of a recipe."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from featherweight.argument_checks import described, list_of, require_path, require_whole
from featherweight.errors import UserError
from featherweight.hints import as_given
from featherweight.recipe.messages import section_at
from featherweight.recipe.values import one_or_all

_DESCRIBED = ("data", "backbone")
_MAX_KEY_PARTS = 8
"""Largest number of parts of a key. No recipe key has more, and a key with thousands would exhaust the stack."""


def overridden(values: Mapping[str, Any], overrides: Sequence[str], schema: type[BaseModel]) -> dict[str, Any]:
    """A copy of the values of a recipe with ``overrides`` applied. Raises UserError if an override is wrong.

    If the overrides change [data] or [backbone] but not the description, the description is removed, because it is
    about the original data or backbone.
    """
    changed = deepcopy(dict(values))
    for override in overrides:
        apply_override(changed, override, schema)
    others = any(changed.get(section) != values.get(section) for section in _DESCRIBED)
    if others and changed.get("description") == values.get("description"):
        changed.pop("description", None)
    return changed


def apply_override(values: dict[str, Any], override: str, schema: type[BaseModel]) -> None:
    """Set one key in ``values``, in place, as ``override`` says: a text ``section.key=value``.

    ``adapter.lora.rank=4`` sets the key in every table, ``adapter.lora.0.rank=4`` only in the first. An empty value
    removes an optional key, with one exception: ``data.test=`` stores an empty text, which means no test set. Raises
    UserError if ``override`` has another form, or sets a key in a value that is no table (``name.length=4``). Whether
    the recipe knows the key and accepts the value is checked later, by the validation.
    """
    if not isinstance(override, str):
        raise UserError(f"overrides must be texts such as 'training.epochs=2', not {described(override)}")
    key, equals, text = (part.strip() for part in override.partition("="))
    path = key.split(".")
    if not equals or not all(path) or len(path) > _MAX_KEY_PARTS:
        raise UserError(f"{as_given(override)}: write it as section.key=value, such as training.learning_rate=3e-4")
    field = _field_at(schema, path)
    if not text and field is not None and field.default not in (None, (), {}, ""):
        # An empty value usually comes from a shell variable that is not set, so it does not stand for the default.
        raise UserError(f"{as_given(override)}: the value is empty; give one (only optional keys can be removed)")
    if not text and path == ["data", "test"]:
        value = ""  # no test set; without the key, data.train's own test split is used, if it has one
    else:
        value = _value(text, keep_text=field is not None and _plain_types(field.annotation) == {str})
    _assign(values, path, value, override)


def option_overrides(
    *,
    test: str | os.PathLike[str] | None = None,
    validation: str | None = None,
    text: str | Sequence[str] | None = (),
    label: str | Sequence[str] | None = None,
    budget: int | str | None = None,
    backbone: str | os.PathLike[str] | None = None,
) -> list[str]:
    """Overrides for the given options of ``train``: label="stars" becomes the text ``data.label="stars"``.

    Raises UserError if an option has a value of another type than a recipe can hold.
    """
    labels = _column_names(label, "label")
    given: dict[str, Any] = {
        "data.test": _path(test, "test", "the path of a file or folder, or the name of a data set"),
        "data.validation": validation,
        "data.text": _column_names(text, "text") or None,
        "data.label": one_or_all(labels) if labels or not isinstance(label, str | None) else label,
        "budget": budget if isinstance(budget, str | float | None) else require_whole(budget, "budget", "1_000_000"),
        "backbone.name": _path(backbone, "backbone", "a name on the hub or the path of a folder"),
    }
    # JSON writes texts, lists and numbers as TOML does.
    return [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in given.items() if value is not None]


def _path(given: str | os.PathLike[str] | None, name: str, what: str) -> str | None:
    """The argument ``name`` of a Python function as a text. Raises UserError if it is not ``what`` it takes."""
    if given is None:
        return None
    require_path(given, name, what)
    return os.fspath(given)


def _column_names(given: str | Sequence[str] | None, name: str) -> list[str]:
    """The names of columns in the argument ``name`` of a Python function. Raises UserError if it holds values."""
    if given is None or isinstance(given, str):
        return [given] if given else []
    names = list_of(given, f"{name}=...", "names of columns")
    if type(given).__name__ == "Series" or not all(isinstance(one, str) for one in names):
        raise UserError(
            f"{name} takes the name of a column, or a list of names, not {described(given)} of values\n"
            f'Add the values to the rows as a column, such as frame["{name}"] = values, and write {name}="{name}"'
        )
    return names


def _field_at(schema: type[BaseModel], path: list[str]) -> FieldInfo | None:
    """The pydantic field of the key ``path``; None if no section has this key."""
    section = section_at(schema, path[:-1])
    return section.model_fields.get(path[-1]) if section else None


def _value(text: str, *, keep_text: bool) -> Any:
    """``text`` read as a TOML value; if it is not valid TOML, the text itself; None if it is empty.

    With ``keep_text`` a text that looks like a number, such as 1234567, is not converted.
    """
    if not text:
        return None
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text
    # A revision such as 1234567, or a file called 2024, stays a text if the key takes texts.
    return text if keep_text and not isinstance(value, str) else value


def _plain_types(annotation: Any) -> set[Any]:
    if get_origin(annotation) is Annotated:
        return _plain_types(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return set().union(*map(_plain_types, get_args(annotation))) - {NoneType}
    return {annotation}


def _assign(place: Any, path: list[str], value: Any, override: str) -> None:
    head, rest = path[0], path[1:]
    if isinstance(place, list) and any(isinstance(table, dict) for table in place):
        _assign_in_list(place, path, value, override)
    elif not isinstance(place, dict):
        raise UserError(
            f"{as_given(override)}: {_parent(override, path)} has a value and no keys, so {head!r} cannot be set in "
            f"it; leave out {'.'.join(['', *path])!r}"
        )
    elif rest:
        if head == "lora" and (place.get(head) in (None, []) or isinstance(place[head], str)):
            # There is no table yet ("auto", an empty list, or no key): start one with the default values.
            place[head] = [{}]
        _assign(place.setdefault(head, {}), rest, value, override)
    elif value is None:
        place.pop(head, None)
    else:
        place[head] = value


def _parent(override: str, path: list[str]) -> str:
    """The key of ``override`` without its last parts ``path``: of ``name.length=4`` and ["length"], it is "name"."""
    parts = [part.strip() for part in override.partition("=")[0].split(".")]
    return ".".join(parts[: -len(path)])


def _assign_in_list(tables: list[Any], path: list[str], value: Any, override: str) -> None:
    if not path[0].isdecimal():
        for table in tables:
            _assign(table, path, value, override)
    elif int(path[0]) >= len(tables) or len(path) == 1:
        known = f"NUMBER is 0 to {len(tables) - 1} in this recipe" if len(tables) > 1 else "NUMBER is 0 in this recipe"
        raise UserError(f"{as_given(override)}: write adapter.lora.NUMBER.KEY, such as adapter.lora.0.rank; {known}")
    else:
        _assign(tables[int(path[0])], path[1:], value, override)
