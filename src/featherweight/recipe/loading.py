"""Reads recipe files: the built-in ones by name, others by path. Errors name the file and the line."""

from __future__ import annotations

import difflib
import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from featherweight.errors import UserError
from featherweight.recipe.data_files import is_data, is_data_file, name_after

LARGEST_FILE = 1_000_000
"""Upper limit in bytes. A recipe with thousands of class names is far smaller."""
SEARCH = "search"
"""The section of a recipe file that only a search reads."""
# tomllib takes minutes for a key of thousands of parts (a.b.c...), so such files are refused before parsing.
# The look-behind makes the search linear: each run of letters is tried once.
_DEEP_KEY = re.compile(r"""(?<![\w"'-])(?:[\w"'-]+[ \t]*\.[ \t]*){50}""")
_PLACE = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$")


def built_in_recipes() -> dict[str, str]:
    """Names of the built-in recipes, each with its TOML text."""
    folder = resources.files("featherweight.recipe") / "builtin"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    return {f.name.removesuffix(".toml"): f.read_text("utf-8") for f in files}


def is_recipe(name: str) -> bool:
    """Whether ``name`` means a recipe: it is the name of a built-in recipe, or it does not name data (``is_data``)."""
    return name in built_in_recipes() or not is_data(name)


def read_recipe(name_or_path: str | Path) -> tuple[str, dict[str, Any]]:
    """The name or path of a recipe, for messages, and its unvalidated values as a nested dictionary.

    A recipe without ``name`` is named after its file. A section [search] is left out: it is for ``read_search_space``.
    Raises UserError if there is no such recipe, or it is not TOML.
    """
    built_in = built_in_recipes()
    if (origin := str(name_or_path)) in built_in:
        return origin, _parse_toml(built_in[origin], origin)
    path = Path(name_or_path)
    if is_data_file(path) and path.is_file():
        raise UserError(
            f"{origin}: is a data file, not a recipe\nTo train on it: featherweight train {origin}; to write a recipe "
            f"for it: featherweight new {origin} -o {name_after(path)}.toml"
        )
    values = _parse_toml(_read_text(path, built_in), origin)
    values.pop(SEARCH, None)
    if not values:
        raise UserError(f"{origin}: the recipe is empty; name at least one key, such as data.train")
    values.setdefault("name", name_after(path))
    return origin, values


def read_search_space(path: str) -> Any:
    """The unvalidated section [search] of the recipe file ``path``; None if there is none, or ``path`` names data."""
    if path in built_in_recipes() or not is_recipe(path) or not Path(path).is_file():
        return None
    return _parse_toml(_read_text(Path(path), {}), path).get(SEARCH)


def _read_text(path: Path, built_in: dict[str, str]) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise UserError(f"{path}: is larger than {LARGEST_FILE:,} bytes, so it is not a recipe; name a TOML file")
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except (FileNotFoundError, NotADirectoryError):
        hint = _similar_name(path, built_in) or f"\nThe built-in recipes are: {', '.join(built_in)}"
        raise UserError(f"{path}: no such recipe file and no built-in recipe{hint}") from None
    except IsADirectoryError:
        inside = path / "recipe.toml"
        hint = f"did you mean {str(inside)!r}?" if inside.is_file() else "name a TOML file or a built-in recipe"
        raise UserError(f"{path}: is a folder, not a recipe; {hint}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UserError(f"{path}: line {line} is not UTF-8; save the recipe as a UTF-8 text file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UserError(
            f"{str(path)[:200]!r}: cannot be read as a recipe file: {reason}; check its path and permissions"
        ) from None


def _similar_name(path: Path, built_in: dict[str, str]) -> str:
    """A hint such as "; did you mean 'agnews'?" for a ``path`` that does not exist; empty if no name is similar.

    It names a built-in recipe or a TOML file in the same folder.
    """
    near = difflib.get_close_matches(path.stem, built_in, n=1)
    if not near and path.parent.is_dir():
        beside = {file.name: str(file) for file in path.parent.glob("*.toml")}
        near = [beside[name] for name in difflib.get_close_matches(path.name, beside, n=1)]
    return f"; did you mean {near[0]!r}?" if near else ""


def _parse_toml(text: str, origin: str) -> dict[str, Any]:
    try:
        if _DEEP_KEY.search(text):
            raise RecursionError
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(_toml_problem(str(error), text, origin)) from None
    except ValueError as error:
        raise UserError(f"{origin}: not valid TOML: {error}; correct this value") from None
    except RecursionError:
        raise UserError(
            f"{origin}: lists or tables are nested too deeply for a recipe; remove the inner ones"
        ) from None


def _toml_problem(message: str, text: str, origin: str) -> str:
    place = _PLACE.search(message)
    lines = text.split("\n")
    number = int(place[1]) if place and place[1] else len(lines)
    what = _PLACE.sub("", message)
    written = lines[number - 1].strip()
    if twice := re.match(r"Duplicate inline table key (.*)", what):
        return f"{origin}: line {number}: duplicate key {twice[1]}; keep one of them"
    if what.startswith(("Cannot overwrite", "Cannot mutate")):
        # tomllib reports "overwriting"; what is in the file is a key that was written twice.
        key = f" {written.partition('=')[0].strip()!r}" if "=" in written else ""
        return f"{origin}: line {number}: duplicate key{key}; keep one of them"
    if what.startswith("Cannot declare"):
        return f"{origin}: line {number}: duplicate table {written}; put its keys into one table"
    return f"{origin}: line {number}: not valid TOML: {what[:1].lower()}{what[1:]} in {written[:60]!r}"
