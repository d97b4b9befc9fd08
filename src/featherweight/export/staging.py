"""Hidden folders beside an export, for its files while it is written; removes those that killed exports have left."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PART, OLD = ".part", ".old"
"""Ends of the names: of an export that is being written, and of an earlier one that is being replaced."""


@contextmanager
def staging_folder(target: Path, suffix: str) -> Iterator[Path]:
    """Yield a new hidden folder beside ``target``; at the end of the block it is removed, unless it was renamed.

    The folder is locked during the block, so that ``remove_leftovers`` keeps it. ``suffix`` is the end of its name. A
    folder ``OLD`` stays after an error if it is not empty. Raises OSError if the folder cannot be made.
    """
    folder, lock = _made(target, suffix)
    try:
        yield folder
    except BaseException:
        if suffix != OLD:
            shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            folder.rmdir()
        raise
    else:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        if lock is not None:
            os.close(lock)


def remove_leftovers(target: Path, suffix: str) -> None:
    """Remove the folders of ``staging_folder`` beside ``target`` whose process was killed.

    The system has released the locks of such folders. A folder stays if it is locked, or cannot be locked or removed.
    """
    own = re.compile(rf"\.{re.escape(target.name)}\.[a-z0-9_]{{8}}{re.escape(suffix)}")  # as mkdtemp names it
    for folder in [path for path in target.parent.iterdir() if own.fullmatch(path.name)]:
        with suppress(OSError):
            lock = _locked(folder)
            try:
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def _made(target: Path, suffix: str) -> tuple[Path, int | None]:
    """A new folder and the descriptor that locks it; the descriptor is None on a file system without locks."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=suffix, dir=target.parent))
        try:
            folder.chmod(0o755)
            return folder, _locked(folder)
        except (BlockingIOError, FileNotFoundError):
            continue  # before it was locked, another process took it for a leftover
        except OSError:
            return folder, None


def _locked(folder: Path) -> int:
    """A descriptor that locks ``folder`` until it is closed.

    Raises OSError if ``folder`` is no folder or cannot be locked: BlockingIOError if another process has locked it, and
    FileNotFoundError if it was removed.
    """
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(descriptor), folder.stat()):
            raise FileNotFoundError(str(folder))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
