"""Data sets of the library `datasets`: folders that it saved, and sets on the hub."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from featherweight.data.tables import Table
from featherweight.errors import HubUnreachable, UserError

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


def hub_answers(seconds: float = 3.0) -> bool:
    """Whether the hub can be asked now: not switched off by ``HF_HUB_OFFLINE``, and it answers within ``seconds``.

    One small request (through a proxy where one is set) instead of the half a minute of retries that a download makes.
    """
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=seconds)
    except Exception:  # no name, no route, no answer, a proxy's refusal: each means that there is no hub
        return False
    return True


def open_saved(folder: Path, origin: str, split: str) -> Table:
    """One split of a folder that ``save_to_disk`` wrote (a Dataset or a DatasetDict).

    A single Dataset is that split, whatever ``split`` says. Raises UserError where the folder lacks the split, or is
    no such folder.
    """
    loaded = _load_saved(folder, origin)
    return _table(_pick(loaded, origin, split), f"{origin} ({split})" if isinstance(loaded, dict) else origin)


def saved_splits(folder: Path, origin: str) -> tuple[str, ...]:
    """Names of the splits in a saved folder; none where it holds a single Dataset."""
    loaded = _load_saved(folder, origin)
    return tuple(loaded) if isinstance(loaded, dict) else ()


def open_hub(source: str, split: str, config: str | None = None, revision: str | None = None) -> Table:
    """One split of a data set on the hub, from the local cache of `datasets` where the hub is out of reach.

    Raises HubUnreachable within seconds, and UserError for an unknown set, configuration, revision or split.
    """
    loaded = _load_hub(ALIASES.get(source, source), config, revision)
    return _table(_pick(loaded, source, split), f"{source} ({split})")


def hub_splits(source: str, config: str | None = None, revision: str | None = None) -> tuple[str, ...]:
    """Names of the splits of a data set on the hub."""
    return tuple(_load_hub(ALIASES.get(source, source), config, revision))


def _load_saved(folder: Path, origin: str) -> Any:
    if not any((folder / name).is_file() for name in ("dataset_dict.json", "dataset_info.json", "state.json")):
        raise UserError(f"{origin}: this folder was not saved by `datasets` (save_to_disk); name a data file in it")
    import datasets

    try:
        return datasets.load_from_disk(str(folder))
    except Exception as error:  # a damaged folder shows in many ways: JSON, Arrow, missing parts
        raise UserError(f"{origin}: the saved data set cannot be read: {_first_line(error)}") from None


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
        raise UserError(f"{name}: the hub's data set cannot be read: {_first_line(error)}") from None


def _out_of_reach(name: str) -> str:
    return f"{name}: no such file or folder here, and the hub cannot be reached; name a data file or a saved folder"


@contextmanager
def _offline(wanted: bool) -> Iterator[None]:
    """Let `datasets` look at its cache alone, without the retries of an unreachable hub."""
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
    if split in loaded:
        return loaded[split]
    if len(loaded) == 1:  # a set with one split was named: that one is meant
        return next(iter(loaded.values()))
    raise UserError(f"{origin}: no split {split!r}; it has {', '.join(loaded)}")


def _table(split: Any, origin: str) -> Table:
    def column(name: str) -> list[Any]:
        return cast(list[Any], split.select_columns([name]).with_format("arrow")[:].column(name).to_pylist())

    classes = {name: tuple(kind.names) for name, kind in split.features.items() if getattr(kind, "names", None)}
    return Table(origin, tuple(split.column_names), column, classes=classes)


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
