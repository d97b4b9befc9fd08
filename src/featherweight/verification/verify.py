"""Does a finished run hold what it says? An ordered list of checks looks at its files, count, history and figures."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from featherweight.errors import UserError
from featherweight.run.folder import Run
from featherweight.run.manifest import FILE
from featherweight.verification import integrity, reproduction
from featherweight.verification.checks import Check, guarded
from featherweight.verification.evidence import Evidence

CHECKS: tuple[tuple[str, Callable[[Evidence], Check | list[Check]]], ...] = (
    ("files", integrity.files),
    ("run", integrity.readable),
    ("surroundings", integrity.surroundings),
    ("recipe", integrity.recipe),
    ("weight", integrity.weight),
    ("history", integrity.history),
    ("figures", reproduction.figures),
    ("adapter", reproduction.adapter),
    ("training rows", reproduction.training_rows),
    ("sets", reproduction.evaluated_sets),
)
"""All checks in their order, each with the name of the check that fails where it cannot read what it needs."""


def verify_run(folder: str | Path) -> list[Check]:
    """Look again at all that the finished run in ``folder`` says of itself, and change nothing there.

    Raises UserError where there is no finished run.
    """
    evidence, checks = Evidence(folder), list[Check]()
    _require_finished(evidence.folder)
    for name, look in CHECKS:
        found = guarded(name, partial(look, evidence))
        checks += found if isinstance(found, list) else [found]
        if checks and checks[-1].ends:
            break
    return checks


def _require_finished(folder: Path) -> None:
    if (folder / FILE).is_file():
        return  # it was finished once, whatever has become of it
    run = Run(folder)
    if "baseline" in (run.environment if (folder / "environment.json").is_file() else {}):
        raise UserError(f"{folder}: is a baseline, of which no model is kept that could be looked at again")
    if not run.complete:
        raise UserError(f"{folder}: the run is not finished; to resume it, run train with --resume, then verify it")
