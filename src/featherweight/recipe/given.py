"""Files of rows given in place of a recipe: how they are told, and the recipe to write for one."""

from __future__ import annotations

import os
from pathlib import PurePath

DATA_ENDINGS = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".pq", ".gz", ".zst", ".xlsx", ".arrow")


def naming(file: str) -> str:
    """Python for a recipe of the data in ``file``, and of defaults otherwise."""
    return f"Recipe.parse({{'data': {{'train': {file!r}}}}})"


def is_data_file(path: str | os.PathLike[str]) -> bool:
    """Whether ``path`` is called as files of rows are, not as recipes are."""
    return PurePath(path).suffix.lower() in DATA_ENDINGS
