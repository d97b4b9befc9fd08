"""What is searched for garbage while large libraries are imported, and afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import featherweight

IMPORTED_QUICKLY = """
import gc, json, sys
from featherweight.environment import quick_imports
assert "wave" not in sys.modules and gc.isenabled()
with quick_imports():
    inside = gc.isenabled()
    import wave
oldest = any(found is vars(wave) for found in gc.get_objects(generation=2))
gc.collect()
left = [[]]
with quick_imports():
    import wave
young = any(found is left for found in gc.get_objects(generation=0))
print(json.dumps([inside, gc.isenabled(), oldest, gc.get_freeze_count(), young]))
"""
ASKED_FOR = """
import gc, json, sys
from contextlib import suppress
import numpy as np
from featherweight.data.folds import fold_numbers
from featherweight.data.sources import Rows
from featherweight.data.splits import split_off
from featherweight.report.style import new_figure
asked = {}
class Watch:
    def find_spec(self, name, path, target=None):
        if name in ("sklearn", "matplotlib"):
            asked.setdefault(name, []).append(gc.isenabled())
            raise ImportError(name)
sys.meta_path.insert(0, Watch())
labels = np.array([0, 1] * 4)
rows = Rows(list("abcdefgh"), labels, ("x", "y"), "made.csv")
with suppress(ImportError):
    split_off(rows, 2, seed=0)
with suppress(ImportError):
    fold_numbers(rows, 2, seed=0)
with suppress(ImportError):
    new_figure(1, 1)
print(json.dumps(asked))
"""


def answer_of(program: str) -> Any:
    """What ``program`` prints as JSON, run by a new Python process."""
    environment = {**os.environ, "PYTHONPATH": str(Path(featherweight.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout)


def test_what_is_imported_quickly_is_old_for_the_garbage_collector_at_once() -> None:
    inside, after, oldest, frozen, young = answer_of(IMPORTED_QUICKLY)
    assert not inside and after
    assert oldest and not frozen  # searched seldom, but not never
    assert young  # nothing was imported, so what else was made stays where it was


def test_the_libraries_for_splits_folds_and_plots_are_imported_without_a_search_for_garbage() -> None:
    assert answer_of(ASKED_FOR) == {"sklearn": [False, False], "matplotlib": [False]}
