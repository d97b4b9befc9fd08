"""history.jsonl: one line for each step and each evaluation of a training."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from featherweight.files import write_whole


class History:
    """Appends records to a JSONL file, one line each.

    Only one of several processes writes: the others pass no path, and their history writes nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file = path.open("a", encoding="utf-8") if path else None

    def write(self, record: dict[str, Any]) -> None:
        """Append one record; floats are rounded to nine significant digits."""
        if self._file:
            self._file.write(json.dumps({key: _short(value) for key, value in record.items()}) + "\n")

    def flush(self) -> None:
        """Make sure that all written lines are on the disk."""
        if self._file:
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Write all lines that are still in memory, and close the file."""
        self.flush()
        if self._file:
            self._file.close()

    def cut_after(self, step: int) -> list[str]:
        """Remove incomplete lines and all records after ``step``, which a resumed run writes again.

        Returns a warning if records of steps up to ``step`` are missing. They were written before the checkpoint of
        ``step``, so the file was damaged since.
        """
        if not self._path or not self._file:
            return []
        self._file.close()
        kept = [(line, record) for line, record in _whole_lines(self._path) if record["step"] <= step]
        write_whole(self._path, "".join(line for line, _ in kept))
        self._file = self._path.open("a", encoding="utf-8")
        lost = step - len({record["step"] for _, record in kept if record.get("kind") == "step"})
        return [f"{self._path}: damaged: the records of {lost:,} of {step:,} steps are missing"] if lost else []


def _whole_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for line in path.read_text("utf-8", errors="replace").splitlines(keepends=True):
        with suppress(json.JSONDecodeError):
            record = json.loads(line)
            if line.endswith("\n") and isinstance(record, dict) and isinstance(record.get("step"), int):
                yield line, record


def _short(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    # An fp16 gradient may overflow, which loss scaling handles; JSON has no infinity.
    return float(f"{value:.9g}") if math.isfinite(value) else None
