"""Where downloads and encoded texts are kept between runs, and how a file gets there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def cache_folder() -> Path:
    """The folder for everything that can be made again; it is created by whoever writes to it.

    ``$FEATHERWEIGHT_CACHE``, else ``$XDG_CACHE_HOME/featherweight``, else ``~/.cache/featherweight``.
    """
    own, shared = os.environ.get("FEATHERWEIGHT_CACHE"), os.environ.get("XDG_CACHE_HOME")
    if own:
        return Path(own).expanduser()
    return (Path(shared).expanduser() if shared else Path.home() / ".cache") / "featherweight"


def replace_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let ``write`` fill a temporary sibling of ``path``, then rename it; after any failure ``path`` is as it was.

    Creates the folder. Raises OSError where the disk refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
