"""Keeps the opened training table, so that a command that looks at the data and then trains on it reads it once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from featherweight.data.readers.table import Table
from featherweight.recipe import DataRecipe

_KEPT: ContextVar[dict[tuple[object, ...], Table] | None] = ContextVar("kept tables", default=None)


@contextmanager
def tables_kept() -> Iterator[None]:
    """In this context, ``kept_table`` opens the same training data once, until ``release_tables`` is called."""
    if _KEPT.get() is not None:
        yield
        return
    token = _KEPT.set({})
    try:
        yield
    finally:
        _KEPT.reset(token)


def release_tables() -> None:
    """Forget the tables that were kept, so that the columns that no row uses leave the memory."""
    if (kept := _KEPT.get()) is not None:
        kept.clear()


def kept_table(data: DataRecipe, open_it: Callable[[], Table]) -> Table:
    """The training table of ``data``, opened by ``open_it`` unless it is kept.

    A kept table is found by the settings that decide how the data is read. The names of the text and label columns are
    not among them: they are often only known after a look at the table.
    """
    kept = _KEPT.get()
    if kept is None:
        return open_it()
    key = (data.train, data.columns, data.encoding, data.separator, data.format, data.config, data.revision)
    if key not in kept:
        kept[key] = open_it()
    return kept[key]
