"""What Featherweight stands on: licences that let anybody use it, and an audit that does not call silence safety."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "dependencies"))

from audit import outcome  # noqa: E402
from licences import is_allowed, page, runtime_packages  # noqa: E402
from packaging.requirements import Requirement  # noqa: E402
from packaging.utils import canonicalize_name  # noqa: E402


def direct() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return {str(canonicalize_name(Requirement(text).name)) for text in project["dependencies"]}


def test_every_package_that_is_needed_has_a_permissive_licence() -> None:
    packages = runtime_packages()
    assert direct() <= {package.name for package in packages}
    others = {f"{package.name}: {package.licence}" for package in packages if not is_allowed(package.licence)}
    assert others == set()


@pytest.mark.parametrize(("licence", "allowed"), [
    ("MIT", True), ("Apache-2.0 AND BSD-3-Clause", True), ("GPL-3.0-only", False), ("MIT AND GPL-3.0-only", False),
    ("GPL-2.0-only OR MIT", True), ("(MIT OR GPL-2.0-only)", True), ("", False), ("Proprietary", False),
])  # fmt: skip
def test_licences_are_read_as_expressions(licence: str, allowed: bool) -> None:
    assert is_allowed(licence) is allowed


def test_the_page_lists_every_dependency() -> None:
    listed = {line.split(" | ")[0].strip("| ") for line in (ROOT / "docs" / "licences.md").read_text().splitlines()}
    assert direct() <= listed, "run `make licences`"
    assert page(runtime_packages()).startswith("# Licences\n")


def answer(*packages: dict) -> str:
    return json.dumps({"dependencies": list(packages)})


SOUND = {"name": "a", "version": "1", "vulns": []}
WEAK = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}
UNKNOWN = {"name": "c", "skip_reason": "Dependency not found"}


@pytest.mark.parametrize(("said", "first", "code"), [
    (answer(SOUND), "audit: 1 packages asked about, 0 weaknesses known", 0),
    (answer(SOUND, UNKNOWN), "audit: 1 packages asked about, 0 weaknesses known; 1 unknown to the index", 0),
    (answer(SOUND, WEAK), "audit: 2 packages asked about, 1 weaknesses known", 1),
    (answer(UNKNOWN), "audit: skipped: the index that is reachable has no advisories (0 of 1 packages)", 0),
    ("", "audit: skipped: the advisory service cannot be reached (no route)", 0),
])  # fmt: skip
def test_an_audit_that_could_not_ask_is_no_audit(said: str, first: str, code: int) -> None:
    lines, found = outcome(said, "Traceback\nno route")
    assert (lines[0], found) == (first, code)
    assert len(lines) == 1 + code
    assert not code or lines[1] == "  b 2: PYSEC-1; mended in 3"
