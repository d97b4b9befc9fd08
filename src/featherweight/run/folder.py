"""A run: one training in one folder, the only thing that later steps read."""

from __future__ import annotations

import json
import os
from functools import cached_property
from pathlib import Path
from typing import Any

from featherweight.argument_checks import require_path
from featherweight.errors import UserError
from featherweight.files import read_object
from featherweight.recipe import Recipe

FORMAT = 1
"""Version of the run folder's layout; a run of a newer version is refused."""


class Run:
    """Read access to a run folder. Raises UserError where the folder is no run or is of a newer version."""

    def __init__(self, folder: str | Path) -> None:
        require_path(folder, "Run", "the path of a run folder")
        self.folder = Path(folder)
        if not (self.folder / "recipe.toml").is_file():
            raise UserError(f"{folder}: no run folder (there is no recipe.toml in it)")
        environment = self.folder / "environment.json"
        if os.path.lexists(environment):
            _require_version(read_object(environment), environment, FORMAT)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    @cached_property
    def recipe(self) -> Recipe:
        """The resolved recipe, every default written out."""
        return Recipe.load(self.folder / "recipe.toml")

    @cached_property
    def environment(self) -> dict[str, Any]:
        """Versions, processor, threads, seeds, data fingerprints."""
        return read_json(self.folder / "environment.json")

    @cached_property
    def weight(self) -> dict[str, Any]:
        """Trainable parameters by component."""
        return read_json(self.folder / "weigh.json")

    @property
    def evaluation(self) -> dict[str, Any]:
        """Figures on validation, test and shift sets."""
        figures = read_json(self.folder / "evaluation.json")
        if "validation" not in figures:
            raise UserError(
                f"{self.folder / 'evaluation.json'}: damaged: there are no figures of the validation set in it"
            )
        return figures

    @property
    def adapter(self) -> Path:
        """The folder that PEFT loads."""
        return self.folder / "adapter"

    @property
    def report(self) -> Path:
        """The page to open."""
        return self.folder / "report.html"

    @property
    def history(self) -> list[dict[str, Any]]:
        """All whole records of steps and evaluations, in order."""
        return read_history(self.folder / "history.jsonl")

    @property
    def complete(self) -> bool:
        """Whether all results are written and the saved adapter is checked; pictures and page may still be missing.

        ``verification.json`` and then ``manifest.json`` are written last, when no other result will change. Early
        versions wrote no manifest: of their runs the page was the last file.
        """
        listed = (self.folder / "manifest.json").is_file() or self.report.is_file()
        return listed and (self.folder / "verification.json").is_file()


def read_history(path: Path) -> list[dict[str, Any]]:
    """All records of a history file, in order; none where there is no file. UserError where a line is damaged."""
    try:
        text = path.read_text("utf-8", errors="replace") if os.path.lexists(path) else ""
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    from featherweight.run import schema as layout  # takes its time, and many a command reads nothing

    records: list[dict[str, Any]] = []
    lines = text.removesuffix("\n").split("\n") if text else []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
        except (RecursionError, ValueError):
            # A run that was cut off while it wrote leaves half a last line; anything else is damage.
            if number < len(lines):
                raise UserError(f"{path}: line {number} is damaged (not valid JSON)") from None
        else:
            layout.require(record, layout.Record, f"{path}: line {number}")
            records.append(record)
    return records


def read_json(path: Path, *, newest: int | None = None) -> dict[str, Any]:
    """A JSON object from a file of a run; UserError where the file is missing, damaged, or not what it must be.

    With ``newest`` the layout that it gives itself as ``format`` must be no newer.
    """
    values = read_object(path)
    if newest is not None:
        _require_version(values, path, newest)
    from featherweight.run import schema as layout

    if path.name in layout.FILES:
        layout.require(values, layout.FILES[path.name], path)
    return values


def _require_version(values: dict[str, Any], path: Path, newest: int) -> None:
    # Before anything else is asked of the file: a newer one may hold other things.
    version = values.get("format", newest)
    if type(version) is not int:
        raise UserError(f"{path}: damaged: format is {version!r}, not a number")
    if version > newest:
        newer = f"layout {version}, this one reads {newest}"
        raise UserError(f"{path.parent}: written by a newer Featherweight ({newer}); update it")
