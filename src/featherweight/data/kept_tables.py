"""Keeps the training table in memory, so that a command that first inspects the data and then trains reads it once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from featherweight.data.readers.table import Table
from featherweight.recipe import DataRecipe

_KEPT: ContextVar[dict[tuple[object, ...], Table] | None] = ContextVar("kept tables", default=None)


@contextmanager
def tables_kept() -> Iterator[None]:
    """Within the context, ``kept_table`` reads the same training data only once, until ``release_tables`` is called."""
    if _KEPT.get() is not None:
        yield
        return
    token = _KEPT.set({})
    try:
        yield
    finally:
        _KEPT.reset(token)


def release_tables() -> None:
    """Forget the kept tables, so that the memory of columns that are no longer used is freed."""
    if (kept := _KEPT.get()) is not None:
        kept.clear()


def kept_table(data: DataRecipe, open_it: Callable[[], Table]) -> Table:
    """The training table of ``data``: the kept one if the data was read before, else the result of ``open_it()``.

    The kept table is used only if the settings that determine how the data is read (such as its path, format and
    encoding) are the same. The names of the text and label columns are not among these settings, because they are often
    found only by reading the table.
    """
    kept = _KEPT.get()
    if kept is None:
        return open_it()
    key = (data.train, data.columns, data.encoding, data.separator, data.format, data.config, data.revision)
    if key not in kept:
        kept[key] = open_it()
    return kept[key]
