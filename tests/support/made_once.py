"""What is made once and read by the tests of all workers of a session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock


class MadeOnce:
    """Folders below one root, each made by whoever asks first; the other workers wait for it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(exist_ok=True)

    def __call__(self, name: str, make: Callable[[Path], Any]) -> Path:
        """The folder of this name, which ``make`` writes where there is none yet."""
        done = self._root / f"{name}.done"
        with FileLock(self._root / f"{name}.lock"):
            if not done.exists():
                make(self._root / name)
                done.touch()
        return self._root / name
