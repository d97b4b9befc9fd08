"""Checks a soup: whether its weights are the mean of the weights of the runs that it was made from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from featherweight.adapter.soup import mean_of
from featherweight.adapter.storage import saved_values, weights_sha256
from featherweight.formatting import counted
from featherweight.verification.checks import Check
from featherweight.verification.evidence import Evidence

if TYPE_CHECKING:
    from torch import Tensor


def soup(evidence: Evidence) -> Check | list[Check]:
    """Compare the weights of a soup with the mean of its runs' weights.

    The check is skipped if one of these runs is missing, or its weights have changed since the soup was made. Returns
    an empty list for a run that is no soup.
    """
    run = evidence.run
    if not run.recipe.training.soup:
        return []
    taken = [one for one in (run.environment.get("soup") or {}).get("runs", ()) if one["taken"]]
    if not taken:
        return Check("soup", "fail", "environment.json: its key 'soup' names no run, but the recipe is that of a soup")
    adapters = [Path(one["run"]) / "adapter" for one in taken]
    now = map(weights_sha256, adapters)
    if changed := next((one["run"] for one, sha256 in zip(taken, now, strict=True) if sha256 != one["sha256"]), None):
        return Check("soup", "skipped", f"{changed}: is missing, or its weights have changed since the soup was made")
    mean, saved = mean_of(adapters), saved_values(run.adapter)
    if other := next((name for name in sorted(mean.keys() | saved.keys()) if not _equal(name, mean, saved)), None):
        return Check("soup", "fail", f"{other} is not the mean over the runs that environment.json names")
    return Check("soup", "pass", f"the mean of {counted(len(taken), 'run')}")


def _equal(name: str, mean: dict[str, Tensor], saved: dict[str, Tensor]) -> bool:
    one, other = mean.get(name), saved.get(name)
    if one is None or other is None or one.shape != other.shape:
        return False
    return bool(one.allclose(other, rtol=1e-6, atol=1e-12))  # another processor may round the sums otherwise
