"""Verifies a finished run by checks in a fixed order: of its files, weight, history, metrics and predictions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from featherweight.errors import UserError
from featherweight.hints import to_resume
from featherweight.inference.exported import is_export
from featherweight.run.folder import Run, refuse_adapter
from featherweight.run.manifest import FILE
from featherweight.verification import integrity, reproduction
from featherweight.verification.checks import Check, guarded
from featherweight.verification.evidence import Evidence
from featherweight.verification.soup import soup

CHECKS: tuple[tuple[str, Callable[[Evidence], Check | list[Check]]], ...] = (
    ("files", integrity.files),
    ("run", integrity.readable),
    ("environment", integrity.environment),
    ("recipe", integrity.recipe),
    ("weight", integrity.weight),
    ("history", integrity.history),
    ("soup", soup),
    ("metrics", reproduction.metrics),
    ("adapter", reproduction.adapter),
    ("training rows", reproduction.training_rows),
    ("sets", reproduction.evaluated_sets),
)
"""All checks in their order, each with the name of the failed check that is reported if a file cannot be read."""


def verify_run(folder: str | Path, tell: Callable[[str], object] = lambda line: None) -> list[Check]:
    """Run all checks on the finished run in ``folder``, without changing it.

    ``tell`` gets a line on the progress once a minute. Raises UserError if there is no finished run.
    """
    evidence, checks = Evidence(folder, tell), list[Check]()
    _require_finished(evidence.folder)
    for name, look in CHECKS:
        result = guarded(name, partial(look, evidence))
        checks += result if isinstance(result, list) else [result]
        if checks and checks[-1].ends:
            break
    return checks


def _require_finished(folder: Path) -> None:
    if is_export(folder):
        raise UserError(f"{folder}: is an export, which cannot be verified; verify the run that it was made from")
    if (folder / FILE).is_file():
        return  # the run was finished, even if files are missing now
    refuse_adapter(folder)
    run = Run(folder)
    if "baseline" in (run.environment if (folder / "environment.json").is_file() else {}):
        raise UserError(f"{folder}: is a baseline; baselines save no model, so they cannot be verified")
    if not run.complete:
        raise UserError(f"{folder}: the run is not finished; finish it with: {to_resume(folder)}")
