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

    The result is ``pass``, ``fail``, ``differs`` or ``skipped``. ``differs`` is a difference that changed versions or
    another machine explain. ``skipped`` is a check that is impossible here.
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
    """The result of all checks as one line, without the name of the run."""
    by_result = {result: [c.name for c in checks if c.result == result] for result in ("fail", "differs", "skipped")}
    if by_result["fail"]:
        return f"failed: {', '.join(by_result['fail'])}"
    if not _predicted(checks):
        return f"is inconclusive: no predictions could be recomputed; skipped: {', '.join(by_result['skipped'])}"
    words = "passed; some values differ within the tolerance" if by_result["differs"] else "passed"
    return words + (f"; skipped: {', '.join(by_result['skipped'])}" if by_result["skipped"] else "")


def passed(checks: Sequence[Check]) -> bool:
    """Whether no check failed, and the predictions of at least one set were computed again."""
    return _predicted(checks) and not any(check.result == "fail" for check in checks)


def _predicted(checks: Sequence[Check]) -> bool:
    return any(check.predicted and check.result != "skipped" for check in checks)
