"""A run: one training in one folder, the only thing that later steps read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from featherweight.errors import UserError
from featherweight.recipe import Recipe

FORMAT = 1
"""Version of the run folder's layout; a run of a newer version is refused."""


class Run:
    """Read access to a run folder. Raises UserError where the folder is no run or is of a newer version."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not (self.folder / "recipe.toml").is_file():
            raise UserError(f"{folder}: no run folder (there is no recipe.toml in it)")
        version = self.environment.get("format", FORMAT) if (self.folder / "environment.json").is_file() else FORMAT
        if version > FORMAT:
            raise UserError(f"{folder}: written by a newer Featherweight (layout {version}, this one reads {FORMAT}); update it")

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
        return read_json(self.folder / "evaluation.json")

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
        """All records of steps and evaluations, in order."""
        path = self.folder / "history.jsonl"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.is_file() else []

    @property
    def complete(self) -> bool:
        """Whether the run went through to its verified end."""
        return (self.folder / "verification.json").is_file()


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; UserError where the file is missing or damaged."""
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: missing; the run did not get that far or the file was removed") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: damaged: {error}") from None


def write_whole(path: Path, text: str) -> None:
    """Write a text file beside its place and rename it: it is there whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, "utf-8")
    part.replace(path)


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write an object as indented JSON, whole or not at all."""
    write_whole(path, json.dumps(values, indent=2, ensure_ascii=False, default=str) + "\n")


def free_folder(recipe: Recipe, out: str | Path | None, *, resume: bool) -> Path:
    """The folder for a new run: ``out``, or the next free ``runs/<name>``. Raises UserError where ``out`` is taken."""
    if out is None:
        candidates = (Path("runs") / (recipe.name + suffix) for suffix in _suffixes())
        return next(path for path in candidates if resume or not path.exists())
    folder = Path(out)
    if folder.is_file():
        raise UserError(f"--out {folder}: is a file; name a folder")
    if folder.exists() and any(folder.iterdir()) and not resume:
        what = "holds another run" if (folder / "recipe.toml").exists() else "is not empty"
        raise UserError(f"--out {folder}: {what}; name a new folder, or go on with that run by --resume")
    return folder


def _suffixes() -> Iterator[str]:
    yield ""
    number = 2
    while True:
        yield f"-{number}"
        number += 1


@contextmanager
def locked(folder: Path | None) -> Iterator[None]:
    """Hold the run folder (where one is given) for this process; UserError where another process trains in it."""
    if folder is None:
        yield
        return
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(f"{folder}: another process is training in this run folder") from None
        try:
            yield
        finally:
            (folder / ".lock").unlink(missing_ok=True)
