"""Turns validation errors into messages: one line names the file or override, the key, the fault, what is allowed."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from featherweight.argument_checks import code_to_save, described, is_table
from featherweight.errors import UserError
from featherweight.formatting import shortened
from featherweight.hints import as_given, to_set
from featherweight.recipe.fields import ListWanted
from featherweight.recipe.foreign_keys import WITHOUT_A_KEY, key_for

# Wording by pydantic's error type; the {names} are filled from the error's context, such as its limit.
_WORDING = {
    "bool_type": "must be true or false",
    "dict_type": "must be a table of keys and values",
    "finite_number": "must be a finite number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must have fewer digits",
    "int_type": "must be a whole number",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "model_attributes_type": "must be a table of keys and values",
    "missing": "is missing",
    "model_type": "must be a table of keys and values",
    "string_pattern_mismatch": "must consist of letters, digits, '.', '_' and '-', and start with a letter or a digit",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must not be empty; give a value, or leave the key out",
    "string_type": 'must be text in quotes, such as "name"',
    "string_unicode": "must be valid Unicode text",
    "too_short": "must have at least {min_length} (it has {actual_length})",
    "tuple_type": "must be a list in brackets, [ ]",
}

_OTHERS = {"union:word": "a list", "union:name": "a number"}
"""What a key may be instead of a word, by the tag of its type for words."""


def refuse(error: ValidationError, schema: type[BaseModel], origin: str, overrides: Sequence[str] = ()) -> UserError:
    """The UserError for ``error``: at most two lines, for the first two problems.

    Each line begins with ``origin``, the file or recipe. If one of ``overrides`` (``key=value`` texts) set the key,
    that override is named, too.
    """
    issues = error.errors(include_url=False)
    lines = [_explain(issue, schema, origin, overrides) for issue in issues[:2]]
    if len(issues) > len(lines):
        lines[-1] += f" (and {len(issues) - len(lines)} more)"
    return UserError("\n".join(lines))


def section_at(schema: type[BaseModel], path: Sequence[str]) -> type[BaseModel] | None:
    """The pydantic model of the section at ``path``, such as ("adapter", "lora"); None if there is none.

    Numbers in the path, such as 0 in adapter.lora.0, are skipped.
    """
    section: type[BaseModel] | None = schema
    for part in path:
        if section is not None and not part.isdecimal():
            field = section.model_fields.get(part)
            section = None if field is None else section_in(field.annotation)
    return section


def section_in(annotation: Any) -> type[BaseModel] | None:
    """The pydantic model that the type of a field contains, such as ``Lora`` in ``list[Lora]``; None without one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (section_in(argument) for argument in get_args(annotation))
    return next((section for section in found if section is not None), None)


def _explain(issue: Any, schema: type[BaseModel], origin: str, overrides: Sequence[str]) -> str:
    path = [str(part) for part in issue["loc"] if not str(part).startswith(("union:", "[key]"))]
    source = _source(path, origin, overrides)
    key = shortened(repr(".".join(path))[1:-1])  # repr, because a quoted key may contain line breaks
    if issue["type"] == "extra_forbidden":
        return f"{source}: unknown key '{key}'{_suggested_key(path, schema)}"
    error = issue.get("ctx", {}).get("error")
    if isinstance(error, ListWanted) and source != origin:
        return f"{source}: {key}: {error.wanted}; write {to_set(f'{key}={error.written}')}"
    return f"{source}: {key or 'recipe'}: {_problem(issue)}"


def _source(path: list[str], origin: str, overrides: Sequence[str]) -> str:
    # The last override of this key, if any, replaced what the file says, so it is named.
    names = [part for part in path if not part.isdecimal()]
    for override in reversed(overrides):
        key = [part for part in override.partition("=")[0].strip().split(".") if not part.isdecimal()]
        if all(ours == theirs for ours, theirs in zip(key, names, strict=False)):
            return f"{origin} with {as_given(override)}"
    return origin


def expected(issue: Any) -> str:
    """What a value must be, for one of pydantic's ``errors()``: ``"must be at least 1"``."""
    context = issue.get("ctx", {})
    if issue["type"] == "value_error":
        return str(context["error"])
    if issue["type"] == "literal_error":
        return _allowed_choices(issue)
    if issue["type"] in _WORDING:
        return _WORDING[issue["type"]].format(**{name: _formatted(limit) for name, limit in context.items()})
    return str(issue["msg"][:1].lower() + issue["msg"][1:])


def _problem(issue: Any) -> str:
    text, value = expected(issue), issue["input"]
    if not isinstance(value, (str, int, float)):
        return f"{text}{_python_value(value)}"
    shown = str(value).lower() if isinstance(value, bool) else shortened(_digits_or_repr(value))
    return f"{text} (it is {shown}{_nearest_choice(issue)})"


def _python_value(value: Any) -> str:
    """The end of a message about a value that no TOML file can contain, such as " (it is a DataFrame; save it by ...)".

    It is empty for values that TOML can express.
    """
    if is_table(value):
        how, file = code_to_save(value)
        return f" (it is {described(value)}; save it by {how} and write {file!r})"
    if isinstance(value, os.PathLike):
        return f" (it is {described(value)}; write {os.fspath(value)!r})"
    return "" if value is None or isinstance(value, (list, tuple, dict)) else f" (it is {described(value)})"


def _allowed_choices(issue: Any) -> str:
    choices = _choices(issue)
    *most, last = [*choices, *(other for tag, other in _OTHERS.items() if tag in issue["loc"])]
    return f"must be {', '.join(most)} or {last}" if most else f"must be {last}"


def _choices(issue: Any) -> list[str]:
    return re.findall(r"'([^']*)'", issue.get("ctx", {}).get("expected", ""))


def _nearest_choice(issue: Any) -> str:
    # The input may be very long; a prefix is enough to find a similar choice.
    near = difflib.get_close_matches(str(issue["input"])[:100], choices, n=1) if (choices := _choices(issue)) else []
    return f"; did you mean {near[0]!r}?" if near else ""


def _suggested_key(path: list[str], schema: type[BaseModel]) -> str:
    """A hint for the unknown key ``path``, such as "; did you mean 'training.epochs'?".

    It names the first of these that exists: the same key in another section, the key for which other tools use this
    name, the most similar key of this section. Otherwise it lists the keys of this section.
    """
    key, section = path[-1], section_at(schema, path[:-1])
    if places := paths_of(schema, key):
        place = min(places, key=len)
        return f"; did you mean {'.'.join(place)!r}?" if len(place) > 1 else "; it belongs above the first [section]"
    ours, head = key_for(key, path[0]), path[0] if len(path) > 1 else ""
    without = WITHOUT_A_KEY.get(key.lower())
    if ours and paths_of(schema, ours.rpartition(".")[2]) and (without is None or ours.startswith(f"{head}.")):
        return f"; here it is called {ours!r}"
    if without is not None:
        return f"; there is no such key: {without}"
    known = list(section.model_fields) if section else []
    sections = [] if path[:-1] else ["search"]  # no key of the schema: a search alone reads this section
    near = difflib.get_close_matches(key, [*known, *sections], n=1, cutoff=0.7)
    return f"; did you mean {'.'.join([*path[:-1], near[0]])!r}?" if near else f"; known here: {', '.join(known)}"


def paths_of(schema: type[BaseModel], key: str, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Paths of all keys called ``key`` in ``schema``: for the recipe, "epochs" gives [("training", "epochs")].

    Each path begins with ``above``, the path of ``schema`` itself (empty for the recipe).
    """
    found = []
    for name, field in schema.model_fields.items():
        found += [(*above, name)] if name == key else []
        if section := section_in(field.annotation):
            found += paths_of(section, key, (*above, name))
    return found


def _formatted(limit: Any) -> Any:
    whole = int(limit) if isinstance(limit, float) and limit.is_integer() else limit
    return f"{whole:,}" if isinstance(whole, int) else whole


def _digits_or_repr(value: Any) -> str:
    try:
        return repr(value)
    except ValueError:  # Python refuses to convert integers of more than 4,300 digits
        return "a number of more than 4,000 digits"
