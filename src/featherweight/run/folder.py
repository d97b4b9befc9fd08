"""A run: one training in one folder, the only thing that later steps read."""

from __future__ import annotations

import errno
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from featherweight.errors import UserError
from featherweight.kinds import require_path
from featherweight.recipe import Recipe
from featherweight.run.cleanup import leftovers, remove, remove_beginnings

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
            _require_version(_json_object(environment), environment, FORMAT)

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
        """Whether the run went through to its verified end: the report is the last file that is written."""
        return (self.folder / "verification.json").is_file() and self.report.is_file()


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
    values = _json_object(path)
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


def _json_object(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: missing; the run did not get that far or the file was removed") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except RecursionError:
        raise UserError(f"{path}: damaged: its lists or objects are nested without end") from None
    except ValueError as error:
        raise UserError(f"{path}: damaged: {error}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: damaged: it holds no JSON object")
    return values


def write_whole(path: Path, text: str) -> None:
    """Write a text file beside its place and rename it: it is there whole or not at all."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(text, "utf-8")
        put_in_place(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        error.filename = error.filename or str(path)  # a full disk does not say which file it was
        raise


def put_in_place(part: Path, path: Path) -> None:
    """Rename a file that was written beside ``path``, once it is all on the disk: a power cut leaves no empty one."""
    _sync(part)
    part.replace(path)


def sync_folder(folder: Path) -> None:
    """Bring all files below a folder, and their names, to the disk."""
    for path in [*folder.rglob("*"), folder]:
        if not path.is_symlink():
            _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write an object as indented JSON, whole or not at all."""
    write_whole(path, json.dumps(values, indent=2, ensure_ascii=False, default=str) + "\n")


def free_folder(recipe: Recipe, out: str | Path | None, *, resume: bool) -> Path:
    """The folder for a new run: ``out``, or the next free ``runs/<name>``. Raises UserError where ``out`` is taken."""
    if out is None:
        candidates = (Path("runs") / (recipe.name + suffix) for suffix in _suffixes())
        folder = next(path for path in candidates if resume or not path.exists())
        require_writable(folder)
        return folder
    folder = Path(out)
    if file := next((p for p in (folder, *folder.parents) if p.exists() and not p.is_dir()), None):
        raise UserError(f"--out {folder}: {file} is no folder; name another")
    holds_run = (folder / "recipe.toml").exists()
    if holds_run and not resume:
        raise UserError(f"--out {folder}: holds another run; name a new folder, or go on with that run by --resume")
    if not holds_run and folder.exists() and set(folder.iterdir()) - {folder / ".lock", *leftovers(folder)}:
        raise UserError(f"--out {folder}: is not empty and holds no run; name a new folder")
    if not (holds_run and Run(folder).complete):
        require_writable(folder)
    return folder


def require_writable(folder: Path) -> None:
    """Raise UserError where nothing can be written in ``folder``, or it cannot be made; it is left as it is.

    Tried, not asked: permissions say little to an administrator, on a read-only disk, or in /proc.
    """
    place = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    try:
        # What has no name, or none for long, is in nobody's way.
        tempfile.TemporaryFile(dir=place).close() if place == folder else Path(tempfile.mkdtemp(dir=place)).rmdir()
    except OSError as error:
        what = "nothing can be written there" if place == folder else "the folder cannot be made"
        raise UserError(f"--out {folder}: {what}: {error.strerror}; name another") from None


def _suffixes() -> Iterator[str]:
    yield ""
    number = 2
    while True:
        yield f"-{number}"
        number += 1


@contextmanager
def locked(folder: Path | None) -> Iterator[None]:
    """Hold the run folder (where one is given) for this process; UserError where another process trains in it.

    The folder is made where there is none, and taken away again where nothing came to be in it.
    """
    if folder is None:
        yield
        return
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    with _lock(folder):
        try:
            with _swept(folder):
                yield
        finally:
            (folder / ".lock").unlink(missing_ok=True)
            with suppress(OSError):  # not empty, as a rule
                for place in made:
                    place.rmdir()


def _lock(folder: Path) -> IO[str]:
    """The open lock file, held by this process; the system lets go of it when the process ends, however it ends."""
    import fcntl

    while True:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise UserError(f"{folder}: another process is training in this run folder") from None
        # Whoever held the folder until now may have removed the file between the two lines above: it guards nothing.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), (folder / ".lock").stat()):
                return file
        file.close()


@contextmanager
def _swept(folder: Path) -> Iterator[None]:
    """Leave nothing half-written of a killed process, of bad input or a full disk; nothing at all of no training."""
    new = False
    try:
        remove(leftovers(folder))
        new = set(folder.iterdir()) == {folder / ".lock"}  # where anything else lies, not all is this process's own
        yield
    except KeyboardInterrupt:
        with suppress(OSError):
            remove(leftovers(folder))
        raise
    except Exception as error:
        refusal = error if isinstance(error, UserError) else disk_refusal(error, folder)
        if refusal is None:
            raise
        trained = (folder / "adapter").exists() or any(folder.glob("checkpoint/step-*"))
        with suppress(OSError):  # a folder closed to writing keeps what it has
            # The lock goes last of all, after this: somebody else may hold another by then.
            remove_beginnings(folder) if new and not trained else remove(leftovers(folder))
        raise refusal from error


_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS)


def disk_refusal(error: Exception, place: Path) -> UserError | None:
    """The UserError for a disk that is full or closed to writing at ``place``; None for any other failure."""
    number = getattr(error, "errno", None)
    if number is None and (wrapped := re.search(r"\(os error (\d+)\)", str(error))):
        number = int(wrapped[1])  # safetensors gives the system's error as text
    if number not in _DISK:
        return None
    where = getattr(error, "filename", None) or place
    return UserError(f"{where}: cannot be written: {os.strerror(number)}; free some space or name another folder")
