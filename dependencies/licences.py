"""Write docs/licences.md: name, pinned version and licence of all that Featherweight needs to run.

python dependencies/licences.py docs/licences.md
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
ALLOWED = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0",
    "CNRI-Python", "HPND", "ISC", "MIT", "MIT-CMU", "MPL-2.0", "PSF-2.0", "Unlicense", "Zlib",
}  # fmt: skip
"""Licences under which a package may be needed: permissive ones, and MPL-2.0, which binds changed files alone."""
WRITTEN = {
    "Apache": "Apache-2.0", "Apache 2.0 License": "Apache-2.0", "Apache Software License": "Apache-2.0",
    "BSD License": "BSD", "ISC License (ISCL)": "ISC", "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0", "Python Software Foundation License": "PSF-2.0",
}  # fmt: skip
"""Licences as packages write them, by their SPDX names."""
INTRODUCTION = """# Licences

<!-- Written by `make licences` from the pins and the packages that are installed. -->

Featherweight is under Apache-2.0 (see LICENSE). These are the packages that it needs to run, with the version that
constraints.txt pins and the licence that each gives itself; "BSD" names no clauses. A test holds each to a list of
permissive licences. A build of torch for NVIDIA's GPUs brings NVIDIA's own libraries along, under NVIDIA's licence.
"""


@dataclass(frozen=True)
class Package:
    """An installed package."""

    name: str
    version: str
    licence: str
    """SPDX expression, as far as the package says one; empty where it says nothing."""


def runtime_packages() -> list[Package]:
    """All packages that Featherweight's dependencies come to on this machine, by name. Extras are not among them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    found: dict[str, Package] = {}
    _gather(map(Requirement, project["dependencies"]), found)
    return [found[name] for name in sorted(found)]


def _gather(requirements: Iterable[Requirement], found: dict[str, Package]) -> None:
    for requirement in requirements:
        name = canonicalize_name(requirement.name)
        needed = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if not needed or name in found:
            continue
        about = metadata.metadata(name)
        found[name] = Package(name, pins().get(name, about["Version"]), licence_of(about))
        _gather(map(Requirement, metadata.requires(name) or ()), found)


@cache
def pins() -> dict[str, str]:
    """The version that constraints.txt gives each package."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pairs = (line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


def licence_of(about: metadata.PackageMetadata) -> str:
    """What a package's metadata says of its licence: its expression, else its classifiers, else the first line."""
    if expression := about.get("License-Expression"):
        return str(expression)
    named = [c.rpartition(" :: ")[2] for c in about.get_all("Classifier") or () if c.startswith("License :: ")]
    text = (about.get("License") or "").strip().partition("\n")[0]
    return " AND ".join(WRITTEN.get(name, name) for name in named or filter(None, [text]))


def is_allowed(licence: str) -> bool:
    """Whether a package may be needed under ``licence``: one side of an OR suffices, an AND binds by both."""
    plain = licence.replace("(", "").replace(")", "")
    choices = [re.split(r"\s+AND\s+", choice) for choice in re.split(r"\s+OR\s+", plain)]
    return any(all(name.strip() in ALLOWED for name in choice) for choice in choices)


def page(packages: Iterable[Package]) -> str:
    """The list as Markdown."""
    rows = [f"| {package.name} | {package.version} | {package.licence or 'says none'} |" for package in packages]
    return "\n".join([INTRODUCTION, "| package | version | licence |", "|---|---|---|", *rows]) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(runtime_packages()), "utf-8")
