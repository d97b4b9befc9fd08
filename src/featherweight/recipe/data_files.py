"""Tells whether an argument names data or a recipe, and derives the name of a recipe from that of a data file."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePath

DATA_ENDINGS = (
    ".csv",
    ".tsv",
    ".tab",
    ".txt",
    ".text",
    ".json",
    ".jsonl",
    ".ndjson",
    ".parquet",
    ".pq",
    ".arrow",
    ".feather",
    ".xlsx",
    ".xlsm",
    ".xls",
    ".ods",
    ".gz",
    ".zst",
    ".zstd",
    ".bz2",
    ".xz",
    ".zip",
    ".tar",
    ".tgz",
    ".yaml",
    ".yml",
    ".sgm",
    ".sgml",
    ".pkl",
    ".pickle",
    ".pt",
)
"""Endings of data files, including formats that cannot be read: their readers report this."""
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)

_TOML = re.compile(r"""\s*(?:\[+[\w."' -]+\]+\s*(?:#.*)?$|[\w."'-]+\s*=)""")
_HEAD = 4_096  # bytes of a file in which its first line is looked for


def is_data_file(path: str | os.PathLike[str]) -> bool:
    """Whether the name of ``path`` has the ending of a data file; the file itself is not opened."""
    return PurePath(path).suffix.lower() in DATA_ENDINGS


def is_data(name: str | os.PathLike[str]) -> bool:
    """Whether ``name`` means data, not a recipe: it names a data file, a folder of data, a URL or a hub data set.

    A file with an unknown ending, or none, is data unless its first line is TOML's. Any other name is read as the name
    of a recipe, even if it does not exist.
    """
    text = str(name)
    path = Path(text)
    try:
        if path.is_dir():
            return _is_data_folder(path)
        if "://" in text or is_data_file(path):
            return True
        if path.is_file():
            return path.suffix != ".toml" and not _begins_like_toml(path)
        return path.suffix != ".toml" and bool(_HUB_NAME.fullmatch(text)) and not path.parent.exists()
    except (OSError, ValueError):  # too long for a file's name, or none at all
        return False


def _is_data_folder(folder: Path) -> bool:
    """Whether ``folder`` is not empty and contains no recipe and no adapter; its files are not checked here."""
    names = {path.name for path in folder.iterdir()}
    return bool(names) and "adapter_config.json" not in names and not any(name.endswith(".toml") for name in names)


def _begins_like_toml(file: Path) -> bool:
    """Whether the first line of ``file`` with content is a section or a key of TOML; empty files are taken for TOML."""
    with file.open("rb") as lines:
        head = lines.read(_HEAD).decode("utf-8-sig", "replace")
    first = next((line for line in head.splitlines() if line.strip() and not line.lstrip().startswith("#")), None)
    return first is None or bool(_TOML.match(first))


def name_after(source: str | os.PathLike[str], otherwise: str = "recipe") -> str:
    """A name for the recipe of the data ``source``: "my data.csv.gz" gives "my-data".

    Allowed are ASCII letters, digits, points, underscores and hyphens; ``otherwise`` is the result if none remains.
    """
    path = PurePath(str(source).rstrip("/"))
    stem = path.stem
    while PurePath(stem).suffix.lower() in DATA_ENDINGS:
        stem = PurePath(stem).stem
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:100] or otherwise


def recipe_code(data_file: str) -> str:
    """The Python call that makes a recipe for ``data_file``, for use in messages: ``recipe_for('rows.csv')``."""
    return f"recipe_for({data_file!r})"
