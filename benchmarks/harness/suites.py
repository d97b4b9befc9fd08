"""The suites of suites.toml: their options on a parser, and their competitors."""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path
from typing import Any

from harness.competition import Competitor, select

ROOT = Path(__file__).parents[2]
TABLE = tomllib.loads((ROOT / "benchmarks" / "suites.toml").read_text("utf-8"))
SHARED: dict[str, dict[str, Any]] = TABLE.pop("options")
GROUPS: dict[str, list[str]] = TABLE.pop("groups")
_TYPES = {"int": int, "float": float, "path": Path}


def add_options(parser: argparse.ArgumentParser, suite: str) -> None:
    """Give ``parser`` the options of a suite: what the table says of all suites, and of this one."""
    for name in _ungrouped(TABLE[suite]["options"]):
        values = SHARED.get(name, {}) | TABLE[suite].get("option", {}).get(name, {})
        default = values.get("default")
        if values.get("type") == "path" and default:
            values["default"] = ROOT / default
        if kind := _TYPES.get(values.pop("type", type(default).__name__)):
            values["type"] = kind
        if isinstance(values.get("metavar"), list):
            values["metavar"] = tuple(values["metavar"])
        if values.pop("hidden", False):
            values["help"] = argparse.SUPPRESS
        elif default not in (None, []) and "(default" not in values["help"]:
            values["help"] += " (default: %(default)s)"
        parser.add_argument(name if values.pop("positional", False) else f"--{name}", **values)


def competitors(suite: str, only: str | None = None, job: dict[str, Any] | None = None) -> list[Competitor]:
    """The competitors of a suite that ``only`` names, settings of the ``job`` in their notes. Raises UserError."""
    known = []
    for values in TABLE[suite]["competitor"]:
        values = values | {"note": values.get("note", "").format(**(job or {}))}
        if values.pop("peer", False):
            values["python"] = (job or {})["peers"]
        known.append(Competitor(**values))
    return select(known, only)


def _ungrouped(names: list[str]) -> list[str]:
    return [one for name in names for one in (_ungrouped(GROUPS[name]) if name in GROUPS else [name])]
