"""Parses the values in a JSON text: one value per line, several values one after the other, or a single value."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any, TextIO

from featherweight.data.readers.numbers import json_number
from featherweight.errors import UserError

_BETWEEN = re.compile(r"[\s,]*")


def json_values(text: TextIO, origin: str, *, in_lines: bool) -> Iterator[Any]:
    """The values in an open text. Values on one line each are parsed line by line; otherwise the whole text is loaded.

    With ``in_lines`` one value per line is expected. Raises UserError for broken JSON, with the line.
    """
    # In JSON Lines only \n ends a line; other line separators may occur inside strings.
    lines = enumerate(iter(text.readline, ""), 1)
    number, first = next(((number, line) for number, line in lines if line.strip()), (1, ""))
    if not first:
        return
    before = "\n" * (number - 1) + first
    if first.lstrip().startswith("[") and not in_lines:
        yield from _parsed(before + text.read(), origin)
        return
    try:
        values = _parsed(first.rstrip("\r\n"), origin, number)
    except UserError as error:
        yield from _several_lines(before, text, origin, error, in_lines)
        return
    yield from values
    for number, line in lines:
        if line.strip():
            yield from _parsed(line.rstrip("\r\n"), origin, number)


def _several_lines(before: str, text: TextIO, origin: str, broken: UserError, in_lines: bool) -> list[Any]:
    """The JSON values of a text whose first line alone is not valid JSON; a value may span several lines.

    ``before`` is what was already read of ``text``: its first line, and empty lines above it. ``broken`` is the error
    in that line. It is raised in these cases, in which the line was meant to be a value by itself:
    - No other line follows.
    - The next line is a JSON object by itself.
    - ``in_lines`` is set, and the text as a whole is not valid JSON either.
    """
    rest = text.read()
    following = next((line for line in rest.split("\n") if line.strip()), "")
    try:
        if not following or isinstance(json.loads(following), dict):
            raise broken
    except (ValueError, RecursionError):
        pass
    try:
        return _parsed(before + rest, origin)
    except UserError:
        if in_lines:
            raise broken from None
        raise


def _parsed(content: str, origin: str, line: int | None = None) -> list[Any]:
    """The JSON values in ``content``: one value, or several objects, with or without commas between them.

    ``line`` is the line number of ``content`` in the file, for messages.
    """
    where = f"line {line}: " if line else ""
    try:
        try:
            return [_DECODER.decode(content)]
        except json.JSONDecodeError as error:
            if error.msg != "Extra data":
                raise
            return _one_after_the_other(content)
    except json.JSONDecodeError as error:
        where = f"line {line or error.lineno}: broken JSON at column {error.colno}"
        raise UserError(f"{origin}: {where}: {error.msg}\n{_remedy(content, error, origin, line)}") from None
    except RecursionError:
        raise UserError(f"{origin}: {where}broken JSON: lists or objects are nested too deeply") from None
    except UserError as error:
        raise UserError(f"{origin}: {where}{error}") from None
    except ValueError:
        raise UserError(f"{origin}: {where}holds a number with thousands of digits; write it as a string") from None


def _remedy(content: str, error: json.JSONDecodeError, origin: str, line: int | None) -> str:
    """What to do about broken JSON; ``line`` is its line in a file of one value per line."""
    if line and origin.endswith((".jsonl", ".ndjson", ".json")):
        return f"Correct the line, or leave it out: sed {line}d {shlex.quote(origin)} > NEW.jsonl"
    if content[: error.pos].rstrip().endswith(",") and content[error.pos :].lstrip()[:1] in ("]", "}"):
        return "Remove the comma before the closing bracket"
    return "Correct the file there, or write it again"


def _one_after_the_other(content: str) -> list[Any]:
    found: list[Any] = []
    place = _next(content, 0)
    while place < len(content):
        value, end = _DECODER.raw_decode(content, place)
        if not isinstance(value, dict):
            raise json.JSONDecodeError("Extra data", content, _next(content, end) if not found else place)
        found.append(value)
        place = _next(content, end)
    return found


def _next(content: str, place: int) -> int:
    match = _BETWEEN.match(content, place)
    return match.end() if match else place


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise UserError(f"an object has the key {twice!r} twice; keep one of them")
    return values


_DECODER = json.JSONDecoder(object_pairs_hook=_each_key_once, parse_float=json_number)
