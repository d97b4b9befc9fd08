"""Where the benchmarks stand, how a test imports them, and how it plays a competition in its own process."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Load = Callable[[str], ModuleType]
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def play_here(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each competitor solve its job in this process: the libraries are loaded once, not once a run."""
    competition = load("harness.competition")

    def play(competitor: Any, job: dict[str, Any], folder: Path) -> dict[str, Any]:
        monkeypatch.setenv("FEATHERWEIGHT_CACHE", str(folder / "cache"))
        solve = importlib.import_module(f"competitors.{competitor.module}").solve
        return solve({**job, **competitor.settings, "scratch": str(folder)})

    monkeypatch.setattr(competition, "play", play)
