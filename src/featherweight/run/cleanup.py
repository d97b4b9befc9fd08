"""The names of all files of a run, so that a cleanup removes only files of the run."""

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
    "asked.toml",  # this and the next one: of a trial of a search, or of a fold of an audit
    "inputs.json",
)
"""The files of a run folder, apart from its recipe."""
RECIPE = "recipe.toml"
"""The file that is written first: a folder without it is not a run."""
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
"""The names of the plots in the run's folder ``plots``, without ``.png``."""
ROWS = {part: f"data/{part}.parquet" for part in ("train", "validation", "test")}
"""The rows of a run that was trained on rows in memory."""
PAGE = "report.html"
CARD = "adapter/README.md"
"""The model card: in the folder of the adapter, so that whoever uploads that folder uploads the card, too."""
DRAWN = (PAGE, CARD, *(f"plots/{name}.png" for name in PICTURES))
"""The HTML report, the model card and the plots of a run. They can be made again at any time from the other files."""


def leftovers(folder: Path) -> list[Path]:
    """Incomplete files that a killed process or a full disk left in ``folder``; files of the user are never listed.

    A folder without recipe.toml is not a run. There only recipe.toml.part is listed: each run writes its recipe first.
    """
    if not (folder / RECIPE).is_file():
        return _files(folder, [f"{RECIPE}.part"])
    pictures = [f"plots/{name}.png.part" for name in PICTURES]
    parts = [folder / "adapter.part", folder / "checkpoint" / "part"]
    own = _files(folder, [*(f"{name}.part" for name in (RECIPE, *FILES, *ROWS.values())), *pictures])
    return [*own, *(part for part in parts if part.is_dir() and not part.is_symlink())]


def remove(paths: Iterable[Path]) -> None:
    """Remove files and folders; a file that no longer exists is skipped."""
    for path in paths:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def remove_beginnings(folder: Path) -> None:
    """Remove all files of a run that has trained nothing yet.

    The recipe is removed last, so that an interrupted cleanup can be repeated.
    """
    remove([*leftovers(folder), *_files(folder, [*FILES, *ROWS.values()])])
    for name in ("checkpoint", "data"):
        with suppress(OSError):  # it does not exist, or contains other files
            (folder / name).rmdir()
    remove(_files(folder, [RECIPE]))


def _files(folder: Path, names: Iterable[str]) -> list[Path]:
    return [path for path in (folder / name for name in names) if path.is_file()]
