"""Writes files atomically, reads JSON with errors that name the file, explains disk errors, and computes sha256."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO

from featherweight.errors import DiskError, UserError, damaged
from featherweight.hints import flag

_RESTORE = "restore the file from a copy, or make it again"


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in the file ``path``. Raises UserError if it is missing, unreadable or not a JSON object."""
    try:
        values = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: missing; finish the run with {flag('--resume')}, or restore the file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; check its permissions") from None
    except RecursionError:
        raise damaged(path, "its lists or objects are nested too deeply", _RESTORE) from None
    except ValueError as error:
        raise damaged(path, f"it is not valid JSON: {error}", _RESTORE) from None
    if not isinstance(values, dict):
        raise damaged(path, "it contains no JSON object", _RESTORE)
    return values


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file next to ``path``; at the end of the block it is renamed to ``path``.

    If the block fails, the temporary file is removed and ``path`` does not change.
    """
    part = path.with_name(path.name + ".part")
    try:
        yield part
        _sync(part)  # before renaming, so that a power failure cannot leave an empty file
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def try_lock(path: Path) -> IO[str] | None:
    """The open file ``path``, locked for this process; None if its last owner has just removed it, so try again.

    The system releases the lock when this process ends, even if it is killed. On a file system without locks the file
    is only opened. Raises BlockingIOError if another process has locked the file.
    """
    import fcntl

    file = path.open("w")
    try:
        lock_open_file(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise BlockingIOError(str(path)) from None
    # The last owner may have removed the file between open and flock; a lock on a removed file has no effect.
    with suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(file.fileno()), path.stat()):
            return file
    file.close()
    return None


_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)
"""Errors of `flock` on file systems without locks, such as Lustre by default and some network drives."""


def lock_open_file(file: IO[Any], operation: int) -> None:
    """Lock ``file`` by `flock`, or do nothing on a file system without locks.

    Raises OSError if it cannot be locked for another reason, such as a lock of another process.
    """
    import fcntl

    try:
        fcntl.flock(file, operation)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise


def expanded(name: str | Path) -> Path:
    """``name`` as a path, with the home folder in place of ``~``; a ``~user`` that does not exist stays as it is."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        return Path(name)


def file_in_the_way(folder: Path) -> Path | None:
    """``folder`` or the folder above it that is a file, so that ``folder`` cannot be created; None if none is."""
    return next((path for path in (folder, *folder.parents) if path.exists() and not path.is_dir()), None)


def write_whole(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` atomically."""
    try:
        with written_whole(path) as part:
            part.write_text(text, "utf-8")
    except OSError as error:
        error.filename = error.filename or str(path)  # the error of a full disk does not name the file
        raise


def sync_folder(folder: Path) -> None:
    """Flush all files in ``folder``, and the folder itself, to the disk."""
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
    """Write ``values`` to ``path`` as indented JSON, atomically."""
    write_whole(path, json.dumps(values, indent=2, ensure_ascii=False, default=str) + "\n")


_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS)


def disk_refusal(error: Exception, place: Path) -> DiskError | None:
    """The DiskError to raise if ``error`` means that the disk is full or not writable; None for any other error.

    ``place`` is the path to name if the error does not contain one.
    """
    number = getattr(error, "errno", None)
    if number is None and (wrapped := re.search(r"\(os error (\d+)\)", str(error))):
        number = int(wrapped[1])  # the errors of safetensors have the number of the system error only in their text
    if number not in _DISK:
        return None
    where = getattr(error, "filename", None) or place
    if number in (errno.EACCES, errno.EPERM):  # also of a file that was to be read
        return DiskError(
            f"{where}: cannot be used: {os.strerror(number)}; change its permissions or use another folder"
        )
    return DiskError(f"{where}: cannot be written: {os.strerror(number)}; free some space or use another folder")


def share_weights(folder: Path, like: str) -> None:
    """Give the safetensors files in ``folder`` the permissions of its file ``like``.

    safetensors makes files that only the owner can read.
    """
    for weights in folder.glob("*.safetensors"):
        weights.chmod((folder / like).stat().st_mode)


def sha256_of(path: Path) -> str:
    """The sha256 of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def replace_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Call ``write`` with a temporary file next to ``path``, then rename that file to ``path``.

    After a failure ``path`` is unchanged. The folder is created if necessary. Raises OSError if the disk is full or not
    writable.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    import fcntl

    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            lock_open_file(file, fcntl.LOCK_EX)  # the lock shows that the file is not the leftover of a killed process
            write(file)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
