"""A check of a finished run, what it found, and what all checks together amount to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from featherweight.errors import UserError

Result = Literal["pass", "moved", "skipped", "fail"]


@dataclass(frozen=True)
class Check:
    """One check: what it is about, how it ended, and what was found, in one line.

    ``pass`` holds; ``moved`` is within the tolerance for what has changed since (versions, machine); ``skipped`` could
    not be looked at here; ``fail`` does not hold.
    """

    name: str
    result: Result
    found: str
    predicted: bool = False
    """Whether it is about rows that had to be predicted again."""
    ends: bool = False
    """Whether the checks after it have nothing to look at."""


def guarded(name: str, look: Callable[[], Check | list[Check]]) -> Check | list[Check]:
    """What ``look`` finds; where a file cannot be read or lacks a key, a check ``name`` that failed."""
    try:
        return look()
    except UserError as error:
        return Check(name, "fail", str(error))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        return Check(name, "fail", f"damaged: {type(error).__name__} {str(error)[:200]}")


def verdict(checks: Sequence[Check]) -> str:
    """All checks in one line."""
    by_result = {result: [c.name for c in checks if c.result == result] for result in ("fail", "moved", "skipped")}
    if by_result["fail"]:
        return f"does not hold: {', '.join(by_result['fail'])}"
    if not _predicted(checks):
        return f"is undecided, for nothing could be predicted again; not looked at: {', '.join(by_result['skipped'])}"
    words = "holds, but for what has moved within the tolerance" if by_result["moved"] else "holds"
    return words + (f"; not looked at: {', '.join(by_result['skipped'])}" if by_result["skipped"] else "")


def holds(checks: Sequence[Check]) -> bool:
    """Whether nothing failed, and at least one set of rows was predicted again."""
    return _predicted(checks) and not any(check.result == "fail" for check in checks)


def _predicted(checks: Sequence[Check]) -> bool:
    return any(check.predicted and check.result != "skipped" for check in checks)
