"""Checks that the weights of a soup are the mean of the weights of its runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from featherweight.adapter.soup import mean_of
from featherweight.adapter.storage import WEIGHTS, saved_values
from featherweight.files import sha256_of
from featherweight.formatting import counted
from featherweight.verification.checks import Check
from featherweight.verification.evidence import Evidence

if TYPE_CHECKING:
    from torch import Tensor


def soup(evidence: Evidence) -> Check | list[Check]:
    """Compare the weights of a soup with the mean of those of its runs, as far as these still exist.

    Returns an empty list for a run that is no soup.
    """
    run = evidence.run
    if not run.recipe.training.soup:
        return []
    taken = [one for one in (run.environment.get("soup") or {}).get("runs", ()) if one["taken"]]
    if not taken:
        return Check("soup", "fail", "environment.json: its key 'soup' names no run, but the recipe is that of a soup")
    if changed := next((one["run"] for one in taken if _changed(one)), None):
        return Check("soup", "skipped", f"{changed}: is missing, or its weights have changed since the soup was made")
    mean, saved = mean_of([Path(one["run"]) / "adapter" for one in taken]), saved_values(run.adapter)
    if other := next((name for name in sorted(mean.keys() | saved.keys()) if not _equal(name, mean, saved)), None):
        return Check("soup", "fail", f"{other} is not the mean over the runs that environment.json names")
    return Check("soup", "pass", f"the mean of {counted(len(taken), 'run')}")


def _changed(described: dict[str, Any]) -> bool:
    adapter = Path(described["run"]) / "adapter"
    now = {name: sha256_of(adapter / name) for name in WEIGHTS if (adapter / name).is_file()}
    return now != described["sha256"]


def _equal(name: str, mean: dict[str, Tensor], saved: dict[str, Tensor]) -> bool:
    one, other = mean.get(name), saved.get(name)
    if one is None or other is None or one.shape != other.shape:
        return False
    return bool(one.allclose(other, rtol=1e-6, atol=1e-12))  # another processor may round the sums otherwise
