"""Data files that were named where a recipe was expected: how to recognise one, and the recipe to write for it."""

from __future__ import annotations

import os
from pathlib import PurePath

DATA_ENDINGS = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".pq", ".gz", ".zst", ".xlsx", ".arrow")


def is_data_file(path: str | os.PathLike[str]) -> bool:
    """Whether the name of ``path`` has the ending of a data file; the file itself is not opened."""
    return PurePath(path).suffix.lower() in DATA_ENDINGS


def recipe_code(data_file: str) -> str:
    """Python code for a recipe that trains on ``data_file`` and has every other key at its default."""
    return f"Recipe.parse({{'data': {{'train': {data_file!r}}}}})"
