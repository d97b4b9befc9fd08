"""Files: written whole or not at all, read with errors that name them, and told apart by their sha256."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from featherweight.errors import UserError


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises UserError where the file is missing, cannot be read, or holds anything else."""
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


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A file beside ``path`` to be written in the block: then it takes the name ``path``; a failure removes it."""
    part = path.with_name(path.name + ".part")
    try:
        yield part
        _sync(part)  # before the new name: a power cut leaves no empty file
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_whole(path: Path, text: str) -> None:
    """Write a text file beside its place and rename it: it is there whole or not at all."""
    try:
        with written_whole(path) as part:
            part.write_text(text, "utf-8")
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk does not say which file it was
        raise


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


def sha256_of(path: Path) -> str:
    """The sha256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def replace_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let ``write`` fill a temporary sibling of ``path``, then rename it; after any failure ``path`` is as it was.

    Creates the folder. Raises OSError where the disk refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    import fcntl

    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # tells a file in the making from what a killed process has left
            write(file)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
