"""The result of one check of a finished run, and the summary of all checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from featherweight.errors import UserError

Result = Literal["pass", "differs", "skipped", "fail"]


@dataclass(frozen=True)
class Check:
    """One check: its name, its result, and what was found, in one line.

    The result is ``pass``, ``fail``, ``differs`` or ``skipped``. ``differs`` means that something differs from
    the training, but other versions or another machine explain it. ``skipped`` means that something that the check
    needs is missing or has changed, such as a file with test rows.
    """

    name: str
    result: Result
    found: str
    predicted: bool = False
    """Whether the check predicts rows again."""
    ends: bool = False
    """Whether the later checks are impossible."""


def guarded(name: str, look: Callable[[], Check | list[Check]]) -> Check | list[Check]:
    """The result of the check ``look()``; if a file cannot be read or lacks a key, a failed check called ``name``."""
    try:
        return look()
    except UserError as error:
        return Check(name, "fail", str(error))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        return Check(name, "fail", f"damaged: {type(error).__name__} {str(error)[:200]}")


def verdict(checks: Sequence[Check]) -> str:
    """The result of all checks in words, such as "passed; skipped: training rows"; the run goes in front of it."""
    by_result = {result: [c.name for c in checks if c.result == result] for result in ("fail", "differs", "skipped")}
    if by_result["fail"]:
        return f"failed: {', '.join(by_result['fail'])}"
    if not _predicted(checks):
        return f"is inconclusive: no predictions could be recomputed; skipped: {', '.join(by_result['skipped'])}"
    words = "passed; some values differ within the tolerance" if by_result["differs"] else "passed"
    return words + (f"; skipped: {', '.join(by_result['skipped'])}" if by_result["skipped"] else "")


def passed(checks: Sequence[Check]) -> bool:
    """Whether the run is verified: no check failed, and the rows of at least one set were predicted again.

    Without new predictions it is unknown whether the saved adapter gives the results that the run claims.
    """
    return _predicted(checks) and not any(check.result == "fail" for check in checks)


def _predicted(checks: Sequence[Check]) -> bool:
    return any(check.predicted and check.result != "skipped" for check in checks)
