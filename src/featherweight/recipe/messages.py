"""Validation errors in words: one line for each, with its origin, its key, what is wrong and what would be right."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from featherweight.argument_checks import described, is_table, saving
from featherweight.errors import UserError

# Wording by pydantic's error type; {names} are the limits that the error carries.
_WORDING = {
    "bool_type": "must be true or false",
    "dict_type": "must be a table of keys and values",
    "finite_number": "must be a finite number",
    "float_type": "must be a number",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "model_attributes_type": "must be a table of keys and values",
    "missing": "is missing",
    "model_type": "must be a table of keys and values",
    "string_pattern_mismatch": "may have letters, digits, '.', '_' and '-' only, and starts with a letter or a digit",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must not be empty; name something, or leave the key out",
    "string_type": 'must be text in quotes, such as "name"',
    "string_unicode": "must be valid Unicode text",
    "too_short": "must have at least {min_length} (it has {actual_length})",
    "tuple_type": "must be a list in brackets, [ ]",
}


def refuse(error: ValidationError, schema: type[BaseModel], origin: str, overrides: Sequence[str] = ()) -> UserError:
    """The UserError for ``error``: two lines at the most, however much is wrong.

    ``origin`` names the source in each line, unless one of ``overrides`` (``key=value`` texts) set the key.
    """
    issues = error.errors(include_url=False)
    lines = [_explain(issue, schema, origin, overrides) for issue in issues[:2]]
    if len(issues) > len(lines):
        lines[-1] += f" (and {len(issues) - len(lines)} more)"
    return UserError("\n".join(lines))


def section_at(schema: type[BaseModel], path: Sequence[str]) -> type[BaseModel] | None:
    """The section that a recipe has at ``path`` (numbers of tables are skipped); None where there is none."""
    section: type[BaseModel] | None = schema
    for part in path:
        if section is not None and not part.isdecimal():
            field = section.model_fields.get(part)
            section = None if field is None else section_in(field.annotation)
    return section


def section_in(annotation: Any) -> type[BaseModel] | None:
    """The section that a field's type holds, however deep in unions and lists; None for a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (section_in(argument) for argument in get_args(annotation))
    return next((section for section in found if section is not None), None)


def _explain(issue: Any, schema: type[BaseModel], origin: str, overrides: Sequence[str]) -> str:
    path = [str(part) for part in issue["loc"] if not str(part).startswith(("union:", "[key]"))]
    source = _source(path, origin, overrides)
    key = _shortened(repr(".".join(path))[1:-1])  # a quoted key may hold line breaks, a message may not
    if issue["type"] == "extra_forbidden":
        return f"{source}: unknown key '{key}'{_right_key(path, schema)}"
    return f"{source}: {key or 'recipe'}: {_what_is_wrong(issue)}"


def _source(path: list[str], origin: str, overrides: Sequence[str]) -> str:
    # The file may well be right, and the override wrong that touched this key last.
    names = [part for part in path if not part.isdecimal()]
    for override in reversed(overrides):
        key = [part for part in override.partition("=")[0].strip().split(".") if not part.isdecimal()]
        if all(ours == theirs for ours, theirs in zip(key, names, strict=False)):
            return f"{origin} with --set {override}"
    return origin


def _what_is_wrong(issue: Any) -> str:
    context, value = issue.get("ctx", {}), issue["input"]
    if issue["type"] == "value_error":
        text = str(context["error"])
    elif issue["type"] == "literal_error":
        text = _one_of(issue)
    elif issue["type"] in _WORDING:
        text = _WORDING[issue["type"]].format(**{name: _plain(limit) for name, limit in context.items()})
    else:
        text = issue["msg"][:1].lower() + issue["msg"][1:]
    if not isinstance(value, (str, int, float)):
        return f"{text}{_what_it_is(value)}"
    shown = str(value).lower() if isinstance(value, bool) else _shortened(_written(value))
    return f"{text} (it is {shown}{_nearest_choice(issue)})"


def _what_it_is(value: Any) -> str:
    """For a value that only Python can put into a recipe, never a TOML file; what a file holds is there to be seen."""
    if is_table(value):
        how, file = saving(value)
        return f" (it is {described(value)}; save it by {how} and write {file!r})"
    if isinstance(value, os.PathLike):
        return f" (it is {described(value)}; write {os.fspath(value)!r})"
    return "" if value is None or isinstance(value, (list, tuple, dict)) else f" (it is {described(value)})"


def _one_of(issue: Any) -> str:
    choices = _choices(issue)
    *most, last = [*choices, "a list"] if "union:words" in issue["loc"] else choices
    return f"must be {', '.join(most)} or {last}" if most else f"must be {last}"


def _choices(issue: Any) -> list[str]:
    return re.findall(r"'([^']*)'", issue.get("ctx", {}).get("expected", ""))


def _nearest_choice(issue: Any) -> str:
    # Only a text is near to another; it may be of any length.
    near = difflib.get_close_matches(str(issue["input"])[:100], choices, n=1) if (choices := _choices(issue)) else []
    return f"; did you mean {near[0]!r}?" if near else ""


def _right_key(path: list[str], schema: type[BaseModel]) -> str:
    """A hint at the key that was meant: a right one in the wrong section, else the nearest in this one."""
    key, section = path[-1], section_at(schema, path[:-1])
    if places := _places(schema, key):
        place = min(places, key=len)
        return f"; did you mean {'.'.join(place)!r}?" if len(place) > 1 else "; it belongs above the first [section]"
    known = list(section.model_fields) if section else []
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"; did you mean {'.'.join([*path[:-1], near[0]])!r}?" if near else f"; known here: {', '.join(known)}"


def _places(schema: type[BaseModel], key: str, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Paths of all keys called ``key`` in a recipe."""
    found = []
    for name, field in schema.model_fields.items():
        found += [(*above, name)] if name == key else []
        if section := section_in(field.annotation):
            found += _places(section, key, (*above, name))
    return found


def _plain(limit: Any) -> Any:
    whole = int(limit) if isinstance(limit, float) and limit.is_integer() else limit
    return f"{whole:,}" if isinstance(whole, int) else whole


def _written(value: Any) -> str:
    try:
        return repr(value)
    except ValueError:  # more digits than Python writes out
        return "a number of thousands of digits"


def _shortened(text: str, most: int = 60) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
