"""Reads data sets with the library `datasets`: from folders that it saved, and from the hub."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, cast

from featherweight.data.readers.columns import stored
from featherweight.data.readers.nested import paths_of
from featherweight.data.readers.parquet import plain_values
from featherweight.data.readers.parts import part_named, parts_named
from featherweight.data.readers.table import Table
from featherweight.errors import HubUnreachable, UserError, first_line

ALIASES = {
    "ag_news": "fancyzhx/ag_news",
    "agnews": "fancyzhx/ag_news",
    "dbpedia_14": "fancyzhx/dbpedia_14",
    "yelp_polarity": "fancyzhx/yelp_polarity",
    "amazon_polarity": "fancyzhx/amazon_polarity",
    "imdb": "stanfordnlp/imdb",
    "sst2": "stanfordnlp/sst2",
    "emotion": "dair-ai/emotion",
    "rotten_tomatoes": "cornell-movie-review-data/rotten_tomatoes",
}
"""Short names of well-known sets on the hub."""
_PIECE = 10_000  # rows of a column that are read at a time


def hub_answers(seconds: float = 3.0) -> bool:
    """Whether the hub is available: ``HF_HUB_OFFLINE`` is not set, and the hub answers within ``seconds``.

    This is one small request (through a proxy if one is set). A download would retry for half a minute.
    """
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=seconds)
    except Exception:  # whatever the reason (DNS, route, timeout, proxy), the hub is not available
        return False
    return True


def open_saved(folder: Path, origin: str, split: str, rows: int | None = None) -> Iterator[Table]:
    """One split of a folder that ``save_to_disk`` wrote, as one table or ``rows`` rows at a time.

    If the folder holds a single Dataset, not a DatasetDict, ``split`` is ignored. Raises UserError if the folder has no
    such split, or was not written by ``save_to_disk``.
    """
    loaded = _load_saved(folder, origin)
    return _tables(_pick(loaded, origin, split), f"{origin} ({split})" if isinstance(loaded, dict) else origin, rows)


def saved_splits(folder: Path, origin: str) -> tuple[str, ...]:
    """The parts, such as ``validation``, in a folder that ``save_to_disk`` wrote; empty if it holds one Dataset."""
    loaded = _load_saved(folder, origin)
    return tuple(parts_named(loaded, whole=True)) if isinstance(loaded, dict) else ()


def open_hub(
    source: str, split: str, config: str | None = None, revision: str | None = None, rows: int | None = None
) -> Iterator[Table]:
    """One split of a data set on the hub, as one table or ``rows`` rows at a time.

    If the hub cannot be reached, the local cache of `datasets` is used. Raises HubUnreachable (within seconds) if that
    is not possible, and UserError for an unknown data set, configuration, revision or split.
    """
    loaded = _load_hub(ALIASES.get(source, source), config, revision)
    return _tables(_pick(loaded, source, split), f"{source} ({split})", rows)


def hub_splits(source: str, config: str | None = None, revision: str | None = None) -> tuple[str, ...]:
    """The parts (such as ``validation``) of a data set on the hub."""
    return tuple(parts_named(_load_hub(ALIASES.get(source, source), config, revision), whole=True))


def is_saved(folder: Path) -> bool:
    """Whether a folder has the files that ``save_to_disk`` writes."""
    return any((folder / name).is_file() for name in ("dataset_dict.json", "dataset_info.json", "state.json"))


def _load_saved(folder: Path, origin: str) -> Any:
    _require_inside(folder, origin)
    import datasets

    try:
        return datasets.load_from_disk(str(folder))
    except Exception as error:  # a damaged folder can raise many kinds of errors: JSON, Arrow, missing parts
        raise UserError(
            f"{origin}: the saved data set cannot be read: {first_line(error)}; save it again with save_to_disk"
        ) from None


def _require_inside(folder: Path, origin: str) -> None:
    """Raise UserError if a saved data set names a file outside its folder; `datasets` would open this file."""
    splits = [name for name in _list_in(folder / "dataset_dict.json", "splits") if isinstance(name, str)]
    parts = [folder, *(folder / name for name in splits)]
    files = [file.get("filename") for part in parts for file in _list_in(part / "state.json", "_data_files")
             if isinstance(file, dict)]  # fmt: skip
    for name in (*splits, *files):
        if not isinstance(name, str) or Path(name).name != name:
            raise UserError(
                f"{origin}: the saved data set names {name!r}, which is not in this folder; "
                "save it again with save_to_disk"
            )


def _list_in(path: Path, key: str) -> list[Any]:
    """The list under ``key`` in a JSON file; empty if it cannot be read.

    No error is raised, because `datasets` reads the same file later and says what is wrong with it.
    """
    try:
        found = json.loads(path.read_text("utf-8"))[key]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return []
    return found if isinstance(found, list) else []


@lru_cache(maxsize=4)
def _load_hub(name: str, config: str | None, revision: str | None) -> dict[str, Any]:
    import datasets

    reachable = hub_answers()
    if not reachable and revision:
        # The cache of `datasets` cannot say which revision it holds.
        raise HubUnreachable(_out_of_reach(name))
    try:
        with _offline(not reachable):
            return cast(dict[str, Any], datasets.load_dataset(name, config, revision=revision))
    except Exception as error:
        if not reachable or isinstance(error, ConnectionError):
            raise HubUnreachable(_out_of_reach(name)) from None
        raise UserError(
            f"{name}: cannot be read from the hub: {first_line(error)}; check the name, or name a file"
        ) from None


def _out_of_reach(name: str) -> str:
    return f"{name}: no such file or folder here, and the hub cannot be reached; name a data file or a saved folder"


@contextmanager
def _offline(wanted: bool) -> Iterator[None]:
    """Within the context, if ``wanted``, `datasets` uses only its cache and does not try to reach the hub."""
    from datasets import config

    before = config.HF_HUB_OFFLINE
    config.HF_HUB_OFFLINE = before or wanted
    try:
        yield
    finally:
        config.HF_HUB_OFFLINE = before


def _pick(loaded: Any, origin: str, split: str) -> Any:
    if not isinstance(loaded, dict):
        return loaded
    if name := part_named(split, loaded, whole=True):
        return loaded[name]
    if len(loaded) == 1:  # the data set has only one split
        return next(iter(loaded.values()))
    raise UserError(f"{origin}: no split {split!r}; it has {', '.join(loaded)}; use a data set that has this split")


def _tables(split: Any, origin: str, rows: int | None) -> Iterator[Table]:
    classes = {name: names for name, kind in split.features.items() if (names := _class_names(kind))}
    names = tuple(split.column_names)
    paths = tuple(path for one in split.features.arrow_schema for path in paths_of(one.name, one.type))
    for first in range(0, max(1, len(split)), rows or max(1, len(split))):
        piece = split.select(range(first, min(first + rows, len(split)))) if rows else split
        yield Table(origin, names, partial(_column, piece), classes=classes, before=first, paths=paths)


def _class_names(kind: Any) -> tuple[str, ...]:
    """The class names of a column with the type ClassLabel or a list of ClassLabel; empty for other columns."""
    return tuple(getattr(getattr(kind, "feature", kind), "names", None) or ())


def _column(split: Any, name: str) -> Sequence[Any]:
    column = split.select_columns([name]).with_format("arrow")
    return stored(value for piece in column.iter(_PIECE) for value in plain_values(piece.column(name)))
