"""The files of a run by name, so that a cleanup removes nothing but what is the run's own."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

FILES = (
    "environment.json",
    "weigh.json",
    "history.jsonl",
    "diverged.json",
    "evaluation.json",
    "predictions.parquet",
    "verification.json",
    "manifest.json",
    "report.html",
)
"""The files of a run folder, beside its recipe."""
RECIPE = "recipe.toml"
"""Written first of all: a folder without it is no run."""
PICTURES = (
    "curves",
    "learning_rate",
    "confusion_matrix",
    "per_class",
    "reliability",
    "weigh_in",
    "shift",
    "summary",
)
"""The pictures in a run's ``plots``, without ``.png``."""
PAGE = "report.html"
DRAWN = (PAGE, *(f"plots/{name}.png" for name in PICTURES))
"""What is drawn of a run. It can be drawn again at any time: no result stands in it alone."""


def leftovers(folder: Path) -> list[Path]:
    """Half-written files of a process that was killed or had no disk space; foreign files are never among them.

    A folder without a recipe is no run: nothing but half a recipe can be a run's own there.
    """
    if not (folder / RECIPE).is_file():
        return _files(folder, [f"{RECIPE}.part"])
    pictures = [f"plots/{name}.png.part" for name in PICTURES]
    parts = [folder / "adapter.part", folder / "checkpoint" / "part"]
    own = _files(folder, [*(f"{name}.part" for name in (RECIPE, *FILES)), *pictures])
    return [*own, *(part for part in parts if part.is_dir() and not part.is_symlink())]


def remove(paths: Iterable[Path]) -> None:
    """Remove files and folders; those that are gone already are skipped."""
    for path in paths:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def remove_beginnings(folder: Path) -> None:
    """Remove a run that has trained nothing yet. The recipe goes last: until then the folder is a run."""
    remove([*leftovers(folder), *_files(folder, FILES)])
    with suppress(OSError):  # there is none, or something foreign is in it
        (folder / "checkpoint").rmdir()
    remove(_files(folder, [RECIPE]))


def _files(folder: Path, names: Iterable[str]) -> list[Path]:
    return [path for path in (folder / name for name in names) if path.is_file()]
