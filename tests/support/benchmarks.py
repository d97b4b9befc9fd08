"""Where the benchmarks stand, and how a test imports them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

Load = Callable[[str], ModuleType]
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
