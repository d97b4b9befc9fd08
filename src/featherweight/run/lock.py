"""Reserves a run folder for one process: checks that it may be used, locks it, and cleans it up after a failure."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import IO

from featherweight.errors import UserError
from featherweight.files import disk_refusal, file_in_the_way, try_lock
from featherweight.hints import flag
from featherweight.run.cleanup import leftovers, remove, remove_beginnings
from featherweight.run.folder import Run


class TakenError(UserError):
    """The folder contains another run, or another process is using it."""


def choose_folder(name: str, out: str | Path | None, *, resume: bool) -> Path:
    """The folder for a run of the recipe ``name``: ``out`` if given, else ``runs/<name>``.

    If ``runs/<name>`` exists and is not to be resumed, it is the first of ``runs/<name>-2``, ``runs/<name>-3`` and so
    on that does not exist.
    """
    if out is not None:
        return Path(out)
    return next(path for path in _default_folders(name) if resume or not path.exists())


def _default_folders(name: str) -> Iterator[Path]:
    """``runs/<name>``, ``runs/<name>-2``, ``runs/<name>-3`` and so on."""
    return (Path("runs") / (name + (f"-{number}" if number > 1 else "")) for number in count(1))


@contextmanager
def chosen_and_reserved(name: str, out: str | Path | None, *, resume: bool) -> Iterator[Path]:
    """Choose a folder as ``choose_folder`` does, reserve it as ``reserved`` does, and yield its path.

    If several processes start at the same time without ``out``, each gets a different folder.
    """
    with ExitStack() as held:
        folder = choose_folder(name, out, resume=resume)
        try:
            held.enter_context(reserved(folder, resume=resume))
        except TakenError:
            if out is not None or resume:
                raise
            folder = held.enter_context(chosen_and_reserved(name, out, resume=resume))
        yield folder


@contextmanager
def reserved(folder: Path, *, resume: bool) -> Iterator[None]:
    """Lock ``folder`` for a new run during the context; with ``resume``, for the run that the folder contains.

    A folder with a complete run is not locked, because nothing is written into it. Raises UserError if the folder
    contains another run or other files, is not writable, or is locked by another process.
    """
    _require_free(folder, resume=resume)
    if is_complete_run(folder):
        yield
        return
    with locked(folder):
        _require_free(folder, resume=resume)  # another process may have been faster
        yield


def is_complete_run(folder: Path) -> bool:
    """Whether ``folder`` contains a complete run."""
    return (folder / "recipe.toml").is_file() and Run(folder).complete


def require_usable(folder: Path) -> None:
    """Raise UserError unless ``folder`` may be used for a run: it is new or empty, or has a run to be resumed."""
    _require_free(folder, resume=True)


def _require_free(folder: Path, *, resume: bool) -> None:
    named, resumed = flag("--out", str(folder)), flag("--resume")
    if file := file_in_the_way(folder):
        raise UserError(f"{named}: {file} is not a folder; choose another folder")
    holds_run = (folder / "recipe.toml").exists()
    if holds_run and not resume:
        raise TakenError(f"{named}: contains another run; choose a new folder, or resume that run with {resumed}")
    if not holds_run and folder.exists() and set(folder.iterdir()) - {folder / ".lock", *leftovers(folder)}:
        raise UserError(f"{named}: is not empty and contains no run; choose a new folder")
    if not (holds_run and Run(folder).complete):
        require_writable(folder)


def require_writable(folder: Path) -> None:
    """Raise UserError if ``folder`` is not writable or cannot be created; the folder does not change.

    This is tested by creating a temporary file or folder. Permission bits are not reliable: not for the administrator,
    not on a read-only disk, and not in /proc.
    """
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        if existing == folder:
            tempfile.TemporaryFile(dir=existing).close()
        else:
            Path(tempfile.mkdtemp(dir=existing)).rmdir()
    except OSError as error:
        what = "is not writable" if existing == folder else "cannot be created"
        raise UserError(f"{flag('--out', str(folder))}: {what}: {error.strerror}; choose another folder") from None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock the run folder for this process during the context.

    A missing folder is created, and is removed at the end if nothing was written into it. Raises UserError if another
    process has locked the folder.
    """
    created = [path for path in (folder, *folder.parents) if not path.exists()]
    with _lock(folder):
        try:
            with _cleaned_up(folder):
                yield
        finally:
            (folder / ".lock").unlink(missing_ok=True)
            with suppress(OSError):  # normally the folder is not empty
                for path in created:
                    path.rmdir()


@contextmanager
def only_user(folder: Path) -> Iterator[None]:
    """Lock ``folder``, which need not be a run folder, for this process during the context; its files do not change.

    A missing folder is created. Raises TakenError if another process has locked it.
    """
    with _lock(folder):
        try:
            yield
        finally:
            (folder / ".lock").unlink(missing_ok=True)


def _lock(folder: Path) -> IO[str]:
    """The open and locked lock file of ``folder``, which is created if it is missing."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            if file := try_lock(folder / ".lock"):
                return file
        except BlockingIOError:
            raise TakenError(
                f"{folder}: another process is training in this run folder; wait, or choose another folder"
            ) from None


@contextmanager
def _cleaned_up(folder: Path) -> Iterator[None]:
    """Remove incomplete files at the start of the context and after a failure.

    If the run is new and has trained nothing when it fails, all of its files are removed. A full disk is reported as a
    UserError.
    """
    new = False
    try:
        remove(leftovers(folder))
        new = set(folder.iterdir()) == {folder / ".lock"}  # with other files, not everything belongs to this process
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
        with suppress(OSError):  # nothing can be removed from a folder that is not writable
            # The lock is released after this; afterwards another process may use the folder.
            remove_beginnings(folder) if new and not trained else remove(leftovers(folder))
        raise refusal from error
