"""Where the benchmarks stand, how a test imports them, and how it plays a competition in its own process."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Load = Callable[[str], ModuleType]
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SMALL_ABLATION = """recipe = "agnews-minilm"
rates = [0.5, 2.0]
choosing_seed = 0
seeds = [1, 2]
[changes.upper]
title = "upper half"
set = ["adapter.lora.layers=upper-half"]
[changes.soup]
title = "soup"
runs = 2
rates = [1.0]
"""
"""An ablation.toml of two changes."""


def play_here(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each competitor solve its job in this process: the libraries are loaded once, not once a run.

    A prediction that is profiled keeps a process of its own: the profiler sees no threads that were there before it.
    The check that a run can be loaded again is left out.
    """
    from featherweight.verification import reload

    monkeypatch.setattr(reload, "reload_check", lambda *_: nullcontext(lambda: {"identical": True}))
    competition = load("harness.competition")
    apart = competition.play

    def play(competitor: Any, job: dict[str, Any], folder: Path) -> dict[str, Any]:
        if competitor.module == "featherweight_predict" and job.get("profile"):
            return apart(competitor, job, folder)
        monkeypatch.setenv("FEATHERWEIGHT_CACHE", str(folder / "cache"))
        solve = importlib.import_module(f"competitors.{competitor.module}").solve
        return solve({**job, **competitor.settings, "scratch": str(folder)})

    monkeypatch.setattr(competition, "play", play)
