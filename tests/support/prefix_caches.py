"""Files that the prefix cache holds."""

from __future__ import annotations

from pathlib import Path


def kept_files(cache: Path) -> list[Path]:
    return sorted(path for path in (cache / "states").glob("**/*") if path.is_file())
