"""Reads the folder of a run, which one training wrote; all later commands use it."""

from __future__ import annotations

import json
import os
from functools import cached_property
from pathlib import Path
from typing import Any

from featherweight.argument_checks import require_path
from featherweight.errors import UserError, damaged
from featherweight.files import read_object
from featherweight.hints import flag
from featherweight.recipe import Recipe
from featherweight.run.cleanup import ROWS
from featherweight.run.other_folders import no_run_because

FORMAT = 1
"""Version of the run folder's layout; a run of a newer version is refused."""


class Run:
    """Read access to a run folder. Raises UserError if it is not a run or was written by a newer Featherweight."""

    def __init__(self, folder: str | Path) -> None:
        require_path(folder, "Run", "the path of a run folder")
        given = Path(folder)
        if not (given / "recipe.toml").is_file():
            raise UserError(f"{folder}: not a run folder {no_run_because(given)}")
        self._given, self._absolute = given, given.absolute()
        environment = given / "environment.json"
        if os.path.lexists(environment):
            _require_version(read_object(environment), environment, FORMAT)

    @property
    def folder(self) -> Path:
        """The folder as it was given; its absolute path if the working folder has changed since."""
        try:
            return self._given if self._given.absolute() == self._absolute else self._absolute
        except FileNotFoundError:  # the working folder was removed
            return self._absolute

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe of the run, with all default values.

        A run that was trained on rows in memory stores them in its own folder. If that folder was moved, the paths in
        ``data`` are the new ones, even if another run is now in the place of the old ones.
        """
        recipe = Recipe.load(self.folder / "recipe.toml")
        moved = {}
        for part, name in ROWS.items():
            path, own = getattr(recipe.data, part), self.folder / name
            if path and path.endswith(name) and own.is_file() and not (Path(path).exists() and own.samefile(path)):
                moved[part] = str(own.resolve())
        return recipe.with_values(data=moved, description=recipe.description) if moved else recipe

    @cached_property
    def environment(self) -> dict[str, Any]:
        """The content of environment.json: versions, processor, threads, seeds, fingerprints of the data."""
        return read_json(self.folder / "environment.json")

    @cached_property
    def weight(self) -> dict[str, Any]:
        """Number of trainable parameters by component (weigh.json)."""
        return read_json(self.folder / "weigh.json")

    @property
    def evaluation(self) -> dict[str, Any]:
        """Metrics of the validation, test and shift sets (evaluation.json)."""
        metrics = read_json(self.folder / "evaluation.json")
        if "validation" not in metrics:
            path = self.folder / "evaluation.json"
            raise damaged(path, "the metrics of the validation set are missing")
        return metrics

    @property
    def adapter(self) -> Path:
        """The folder of the adapter, which PEFT can load."""
        return self.folder / "adapter"

    @property
    def report(self) -> Path:
        """Path of the HTML report."""
        return self.folder / "report.html"

    @property
    def history(self) -> list[dict[str, Any]]:
        """All complete records of steps and evaluations, in order (history.jsonl)."""
        return read_history(self.folder / "history.jsonl")

    @property
    def complete(self) -> bool:
        """Whether all results are written and the saved adapter is checked; plots and report may still be missing.

        ``verification.json`` and then ``manifest.json`` are written last, when all other results are final. Early
        versions wrote no manifest; the last file of their runs was the report.
        """
        has_last_file = (self.folder / "manifest.json").is_file() or self.report.is_file()
        return has_last_file and (self.folder / "verification.json").is_file()


def refuse_export(folder: str | Path) -> None:
    """Raise UserError if ``folder`` is an export, which has a recipe but is not a run."""
    if (Path(folder) / "export.json").is_file():
        raise UserError(f"{folder}: is an export, not a run; pass the run that it came from")


def refuse_adapter(folder: str | Path) -> None:
    """Raise UserError if ``folder`` is only the folder ``adapter`` of a run: it has a recipe, but no results."""
    path = Path(folder)
    if path.name == "adapter" and (path.parent / "recipe.toml").is_file():
        raise UserError(f"{folder}: is only the adapter of a run; name the run itself, {path.parent}")


def read_history(path: Path) -> list[dict[str, Any]]:
    """All records of a history file, in order; empty if there is no file. Raises UserError if a line is damaged.

    An incomplete last line is ignored: a killed training leaves one.
    """
    try:
        text = path.read_text("utf-8", errors="replace") if os.path.lexists(path) else ""
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; check its permissions") from None
    from featherweight.run.checked import require  # imported late: it is slow, and many commands do not need it
    from featherweight.run.schema import Record

    records: list[dict[str, Any]] = []
    lines = text.removesuffix("\n").split("\n") if text else []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
        except (RecursionError, ValueError):
            # A run that was killed while writing leaves an incomplete last line; any other invalid line is damage.
            if number < len(lines):
                raise damaged(path, f"line {number} is not valid JSON") from None
        else:
            require(record, Record, f"{path}: line {number}")
            records.append(record)
    return records


def missing_file(path: Path) -> UserError:
    """The error that the file ``path`` of a run is missing; what helps depends on whether the run was finished."""
    if all((path.parent / name).is_file() for name in ("manifest.json", "verification.json")):
        return UserError(f"{path}: missing from a complete run; restore the file, or train again in another folder")
    return UserError(f"{path}: missing; finish the run with {flag('--resume')}, or restore the file")


def read_json(path: Path, *, newest: int | None = None) -> dict[str, Any]:
    """The JSON object in a file of a run. Raises UserError if it is missing, damaged or does not match its schema.

    ``newest`` is the highest allowed value of the key ``format``: a higher one, of a newer version, is an error, too.
    """
    if not os.path.lexists(path):
        raise missing_file(path)
    values = read_object(path)
    if newest is not None:
        _require_version(values, path, newest)
    from featherweight.run.checked import require
    from featherweight.run.schema import FILES

    if path.name in FILES:
        require(values, FILES[path.name], path)
    return values


def _require_version(values: dict[str, Any], path: Path, newest: int) -> None:
    # This is checked first, because a newer file may have a different content.
    version = values.get("format", newest)
    if type(version) is not int:
        raise damaged(path, f"its key 'format' is {version!r}, not a number")
    if version > newest:
        newer = f"layout {version}, this version reads layout {newest}"
        raise UserError(f"{path.parent}: written by a newer Featherweight ({newer}); update Featherweight")
