"""Every step and every evaluation as one line of history.jsonl."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class History:
    """Appends records to a JSONL file; a line is written whole, and a resumed run continues after its checkpoint.

    Of several processes one alone writes: the others pass no path, and their history writes nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file = path.open("a", encoding="utf-8") if path else None

    def write(self, record: dict[str, Any]) -> None:
        """Append one record; floats are rounded to nine significant digits."""
        if self._file:
            self._file.write(json.dumps({key: _short(value) for key, value in record.items()}) + "\n")

    def flush(self) -> None:
        """Bring all written lines to the disk."""
        if self._file:
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Write what is pending and close the file."""
        self.flush()
        if self._file:
            self._file.close()

    def cut_after(self, step: int) -> None:
        """Drop torn lines and all records after ``step``: a resumed run writes them anew."""
        if not self._path or not self._file:
            return
        self._file.close()
        kept = [line for line, record in _whole_lines(self._path) if record["step"] <= step]
        part = self._path.with_name(self._path.name + ".part")
        part.write_text("".join(kept), "utf-8")
        part.replace(self._path)
        self._file = self._path.open("a", encoding="utf-8")


def _whole_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for line in path.read_text("utf-8").splitlines(keepends=True):
        try:
            yield line, json.loads(line)
        except json.JSONDecodeError:
            return


def _short(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    # An fp16 gradient may overflow, which the loss scaling mends; JSON has no word for infinity.
    return float(f"{value:.9g}") if math.isfinite(value) else None
