"""Claiming a run folder: it is free or holds the run to resume, one process writes in it, and it is left clean."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import IO

from featherweight.errors import UserError
from featherweight.files import disk_refusal
from featherweight.run.cleanup import leftovers, remove, remove_beginnings
from featherweight.run.folder import Run


class TakenError(UserError):
    """A folder holds another run, or is held by another process."""


def choose_folder(name: str, out: str | Path | None, *, resume: bool) -> Path:
    """The folder for a run of the recipe ``name``: ``out``, or the next ``runs/<name>`` that does not exist.

    With ``resume`` and without ``out`` it is ``runs/<name>``.
    """
    if out is not None:
        return Path(out)
    return next(path for path in _default_folders(name) if resume or not path.exists())


def _default_folders(name: str) -> Iterator[Path]:
    """``runs/<name>``, ``runs/<name>-2``, ``runs/<name>-3`` and so on."""
    return (Path("runs") / (name + (f"-{number}" if number > 1 else "")) for number in count(1))


@contextmanager
def claimed_for(name: str, out: str | Path | None, *, resume: bool) -> Iterator[Path]:
    """Hold the folder of `choose_folder` as `claimed` does; gives its path.

    Where several processes start together without ``out``, each gets the next folder that no other has taken.
    """
    with ExitStack() as held:
        folder = choose_folder(name, out, resume=resume)
        try:
            held.enter_context(claimed(folder, resume=resume))
        except TakenError:
            if out is not None or resume:
                raise
            folder = held.enter_context(claimed_for(name, out, resume=resume))
        yield folder


@contextmanager
def claimed(folder: Path, *, resume: bool) -> Iterator[None]:
    """Hold ``folder`` for one run: a new one, or with ``resume`` the one that it holds.

    A complete run is not held, as nothing is written into it. Raises UserError where the folder is taken by another
    run or by other files, cannot be written to, or is held by another process.
    """
    _require_free(folder, resume=resume)
    if is_complete_run(folder):
        yield
        return
    with locked(folder):
        _require_free(folder, resume=resume)  # another process may have been faster
        yield


def is_complete_run(folder: Path) -> bool:
    """Whether ``folder`` holds a run that went through to its end."""
    return (folder / "recipe.toml").is_file() and Run(folder).complete


def _require_free(folder: Path, *, resume: bool) -> None:
    if file := next((p for p in (folder, *folder.parents) if p.exists() and not p.is_dir()), None):
        raise UserError(f"--out {folder}: {file} is no folder; name another")
    holds_run = (folder / "recipe.toml").exists()
    if holds_run and not resume:
        raise TakenError(f"--out {folder}: holds another run; name a new folder, or resume that run with --resume")
    if not holds_run and folder.exists() and set(folder.iterdir()) - {folder / ".lock", *leftovers(folder)}:
        raise UserError(f"--out {folder}: is not empty and holds no run; name a new folder")
    if not (holds_run and Run(folder).complete):
        require_writable(folder)


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


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the run folder for this process. Raises UserError where another process trains in it.

    The folder is made where there is none, and removed again where nothing was written into it.
    """
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
            raise TakenError(f"{folder}: another process is training in this run folder") from None
        # Whoever held the folder until now may have removed the file between the two lines above: it guards nothing.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), (folder / ".lock").stat()):
                return file
        file.close()


@contextmanager
def _swept(folder: Path) -> Iterator[None]:
    """Remove what a killed process, bad input or a full disk leaves half-written; where nothing was trained, all."""
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
