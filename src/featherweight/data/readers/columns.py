"""Columns of a table that may be larger than memory: large columns are stored in a temporary file."""

from __future__ import annotations

import os
import tempfile
from abc import abstractmethod
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, islice
from typing import IO, Any, overload

from featherweight.cache import cache_folder

CHUNK = 2_000
"""Number of values that are processed at a time."""
_KEPT = 2**24  # approximate number of bytes of texts that a column holds in memory before they go to the file
_OBJECT = 60  # bytes of overhead of a Python string
_SHORT = 40  # maximum length of a text that is likely to be repeated, such as a label
_MOST = 2**30  # maximum number of bytes in one read: above 2 GB the system returns fewer bytes, or an error
_SHARED = 10_000  # number of different short texts that are kept for reuse


class Column(Sequence[Any]):
    """The values of one column. Values can be read and selected without loading the whole column into memory."""

    @abstractmethod
    def take(self, places: Iterable[int]) -> Column:
        """The values at the row indices ``places`` (from 0), in that order."""


class StoredColumn(Column):
    """Values in a temporary file. A value is read from the file when it is accessed.

    The file has no name, so the system deletes it when no column uses it any more. It is read, not memory-mapped,
    because the pages of a mapped file would count as memory of this process.
    """

    def __init__(self, file: IO[bytes], starts: array[int], ends: array[int], others: Mapping[int, Any]) -> None:
        """``starts`` and ``ends`` are the positions of the texts in ``file``, in bytes.

        ``others`` are the values that are no text, by row index (from 0).
        """
        self._file, self._starts, self._ends, self._others = file, starts, ends, others

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, place: int) -> Any: ...
    @overload
    def __getitem__(self, place: slice) -> list[Any]: ...
    def __getitem__(self, place: int | slice) -> Any:
        places = range(len(self))[place]
        return self._values(places) if isinstance(places, range) else self._values(range(places, places + 1))[0]

    def __iter__(self) -> Iterator[Any]:
        for start in range(0, len(self), CHUNK):
            yield from self[start : start + CHUNK]

    def take(self, places: Iterable[int]) -> StoredColumn:
        """The values at the row indices ``places``, in that order; they stay in the same file."""
        wanted = array("q", places)
        starts, ends = (array("q", (bounds[place] for place in wanted)) for bounds in (self._starts, self._ends))
        chosen = ((new, old) for new, old in enumerate(wanted) if old in self._others) if self._others else ()
        return StoredColumn(self._file, starts, ends, {new: self._others[old] for new, old in chosen})

    def _values(self, places: range) -> list[Any]:
        bounds = [(self._starts[place], self._ends[place]) for place in places]
        first, last = (min(bounds)[0], max(bounds)[1]) if bounds else (0, 0)
        handle = self._file.fileno()
        if last - first <= 2 * sum(end - start for start, end in bounds):  # there are only small gaps between them
            data = read_at(handle, last - first, first)
            parts = (data[start - first : end - first] for start, end in bounds)
        else:
            parts = (read_at(handle, end - start, start) for start, end in bounds)
        texts = [part.decode("utf-8", "surrogatepass") for part in parts]
        return (
            [self._others.get(place, text) for place, text in zip(places, texts, strict=True)]
            if self._others
            else texts
        )


class ColumnBuilder:
    """Collects the values of a column: in memory at first, and in a temporary file when they become large."""

    def __init__(self) -> None:
        self._waiting: list[Any] = []
        self._bytes = 0
        self._file: IO[bytes] | None = None
        self._sizes = array("q")
        self._others: dict[int, Any] = {}
        self._refused = False
        self._shared: dict[str, str] = {}

    def extend(self, values: Iterable[Any]) -> None:
        """Add ``values`` at the end."""
        left = iter(values)
        while piece := list(islice(left, CHUNK)):
            self._waiting += map(self._shared_text, piece)
            self._bytes += sum(len(value) + _OBJECT for value in piece if self._takes_memory(value))
            if self._bytes > _KEPT:
                self._store()

    def finish(self) -> Sequence[Any]:
        """All values: a list, or a `StoredColumn` if they were moved to a file."""
        if self._file is None:
            return self._waiting
        self._store()
        bounds = array("q", accumulate(self._sizes, initial=0))
        stored = StoredColumn(self._file, bounds[:-1], bounds[1:], self._others)
        return [*stored, *self._waiting] if self._waiting else stored

    def _shared_text(self, value: Any) -> Any:
        """``value``; equal short texts share one object, to save memory."""
        if type(value) is not str or len(value) > _SHORT:
            return value
        return self._shared.setdefault(value, value) if len(self._shared) < _SHARED else self._shared.get(value, value)

    def _takes_memory(self, value: Any) -> bool:
        return isinstance(value, str) and (len(value) > _SHORT or value not in self._shared)

    def _store(self) -> None:
        """Move the values in memory to the file; if the file cannot be written, they stay in memory."""
        if self._refused:
            return
        texts = [value.encode("utf-8", "surrogatepass") if type(value) is str else b"" for value in self._waiting]
        try:
            self._file = self._file or _temporary_file()
            data = memoryview(b"".join(texts))
            while data:
                data = data[self._file.write(data) :]
        except (OSError, RuntimeError):  # RuntimeError: there is no home folder for the cache
            self._refused = True
            return
        before = len(self._sizes)
        others = ((place, value) for place, value in enumerate(self._waiting, before) if type(value) is not str)
        self._others.update(others)
        self._sizes.extend(map(len, texts))
        self._waiting, self._bytes = [], 0


def read_at(handle: int, size: int, place: int) -> bytes:
    """``size`` bytes of an open file, starting at ``place``. Raises OSError if the file is too short."""
    parts = []
    while size:
        parts.append(os.pread(handle, min(size, _MOST), place))
        if not parts[-1]:
            raise OSError(
                "a temporary file or a file in the cache became shorter while it was in use; run the command again"
            )
        place, size = place + len(parts[-1]), size - len(parts[-1])
    return parts[0] if len(parts) == 1 else b"".join(parts)


def stored(values: Iterable[Any]) -> Sequence[Any]:
    """``values`` as a column: a list, or a column in a file if they are large."""
    builder = ColumnBuilder()
    builder.extend(values)
    return builder.finish()


def taken(column: Sequence[Any], places: Iterable[int]) -> Sequence[Any]:
    """The values of ``column`` at the row indices ``places`` (from 0), in that order."""
    return column.take(places) if isinstance(column, Column) else [column[place] for place in places]


def _temporary_file() -> IO[bytes]:
    # In the cache folder, because the system's folder for temporary files is often in memory.
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=folder, buffering=0)
