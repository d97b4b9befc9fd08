"""Several files of one table, such as ``train-00000-of-00002.parquet``, and folders of them, which may have parts."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from glob import has_magic
from itertools import chain, repeat, takewhile
from pathlib import Path, PurePosixPath
from typing import Any

from featherweight.data.readers.columns import stored
from featherweight.data.readers.files import file_tables
from featherweight.data.readers.kinds import KINDS, TEXTS, ending_of, kind_of
from featherweight.data.readers.parquet import Wanted
from featherweight.data.readers.parts import PARTS, part_named, parts_named
from featherweight.data.readers.reading import Reading
from featherweight.data.readers.table import Table
from featherweight.data.readers.unpacking import COMPRESSED, Content
from featherweight.errors import UserError, in_a_line
from featherweight.formatting import listed
from featherweight.run.other_folders import kind_of_folder

_BESIDE = re.compile(
    r"[._].*|(dataset_(infos?|dict)|state|config|(dataset-)?metadata|croissant|label2id|id2label|label_map)\.json"
    r"|sample_?submission\b.*",
    re.IGNORECASE,
)
"""Names of files that are not rows of the data set, but describe it."""
_NUMBER = re.compile(r"(?:[-_. ]?(?:of|part|shard|chunk)?[-_. ]?\d+)+", re.IGNORECASE)
_SPARK = re.compile(r"part-\d{5}-.*", re.IGNORECASE)
"""Files that Spark wrote: ``part-00000-2f9b….c000.snappy.parquet``."""
_FURTHER = (".snappy", ".c000")
"""Endings that say how a Parquet file is compressed, or which piece of a task of Spark it is."""
_SHOWN = 4  # number of files that a note lists


def shards_of(folder: Path) -> Mapping[str, tuple[Path, ...]]:
    """The data files of a folder by part (``train``, ``validation``, ``test``), or all of them under ``""``.

    The files are in the folder itself, in its only subfolder (such as ``data``), or in one subfolder per part. Runs,
    exports and folders that PEFT saved are no such subfolders. Files whose names differ only in numbers form one part.
    The result is empty if there are no data files, or if they are several tables that are not named after parts.
    """
    if files := _data_files(folder):
        return _by_part(files)
    inside = {path.name: _data_files(path) for path in sorted(folder.iterdir()) if path.is_dir()}
    kept = (name for name, found in inside.items() if found and not _BESIDE.fullmatch(name))
    inside = {name: inside[name] for name in kept if not kind_of_folder(folder / name)}
    if len(inside) == 1:  # such as `data`, or the name of the only configuration
        name, files = next(iter(inside.items()))
        part = part_named("train", [name])
        return {"train": files} if part else _by_part(files)
    parts = {name: _part_of(name) for name in inside}
    if None in parts.values() or len(set(parts.values())) < len(parts):
        return {}
    return _in_parts({str(parts[name]): files for name, files in inside.items()})


def tables_by_part(folder: Path) -> Mapping[str, tuple[Path, ...]]:
    """The text files ``train.txt``, ``val.txt`` and ``test.txt`` of a folder by part, if their lines have labels.

    Empty if there is no such file of training rows, if its lines are texts alone, or if the folder has many other texts
    or folders, which are classes.
    """
    with os.scandir(folder) as entries:
        found = [Path(entry.path) for entry in entries if not _BESIDE.fullmatch(entry.name)]
    texts = {path.stem: path for path in found if path.suffix.lower() in TEXTS and path.is_file()}
    parts = parts_named(texts, whole=True)
    if "train" not in parts or len(texts) > 2 * len(PARTS) or any(path.is_dir() for path in found):
        return {}
    train = texts[parts["train"]]
    try:
        kind = kind_of(Content(train, in_a_line(str(train))), Reading())[0]
    except UserError:  # such as the lines of tokens and tags of CoNLL; reading the file gives this message
        kind = ""
    return {} if kind == "lines" else _in_parts({part: (texts[name],) for part, name in parts.items()})


def files_like(pattern: str) -> tuple[Path, ...]:
    """The files that a pattern such as ``parts/*.csv`` matches, those with lower numbers first."""
    if not has_magic(pattern):
        return ()
    path = Path(pattern)
    try:
        found = [*Path(path.anchor).glob(str(path.relative_to(path.anchor)))]
    except ValueError:  # a text such as "I **love** it"
        return ()
    return tuple(sorted(filter(Path.is_file, found), key=lambda file: _in_order(str(file))))


def name_of(files: Sequence[Path]) -> Path | None:
    """The file, or the pattern (see ``files_like``) that matches all ``files`` and no others; None if there is none."""
    if len(files) == 1:
        return files[0]
    names = [path.name for path in files]
    start = len(_common_start(names))
    end = _common_start([name[start:][::-1] for name in names])[::-1]
    pattern = files[0].with_name(f"{names[0][:start]}*{end}")
    return pattern if {*files_like(str(pattern))} == {*files} else None


def _common_start(names: Sequence[str]) -> str:
    return "".join(places[0] for places in takewhile(lambda places: len({*places}) == 1, zip(*names, strict=False)))


def shard_tables(
    files: Sequence[Path], origin: str, reading: Reading, rows: int | None, wanted: Wanted | None = None
) -> Iterator[Table]:
    """The rows of all ``files`` as one table; if ``rows`` is given, as several tables of at most ``rows`` rows.

    Raises UserError if a file has other columns than the first file; the message names both files.
    """

    def read(table: Table) -> Sequence[str]:
        return (wanted(table) if wanted else ()) or table.names[:1]  # a column to count the rows by

    files = [path for path in files if path.stat().st_size] or files  # Spark writes empty files, too
    opened = (file_tables(path, in_a_line(str(path)), rows, wanted and read, reading) for path in files)
    pieces = chain.from_iterable(opened)
    if rows is None:
        yield _joined(list(pieces), origin)
        return
    before, first = 0, None
    for piece in pieces:
        first = first or piece
        _require_alike(first, piece, origin)
        if length := _length(piece, read(piece)):  # a file may have only a header
            yield _called(piece, origin, before=before, notes=(*_note(files, origin), *piece.notes))
        before += length
    if first and not before:
        yield _called(first, origin)


def _joined(tables: Sequence[Table], origin: str) -> Table:
    for table in tables[1:]:
        _require_alike(tables[0], table, origin)
    names = dict.fromkeys(name for table in tables for name in table.names)
    paths = dict.fromkeys(path for table in tables for path in (table.paths or ()))
    notes = dict.fromkeys(note for table in tables for note in table.notes)
    files = [Path(table.origin) for table in tables]
    read = partial(_column, tables)
    whole = replace(tables[0], names=tuple(names), read=read, paths=tuple(paths))
    return _called(whole, origin, notes=(*_note(files, origin), *notes))


def _column(tables: Sequence[Table], name: str) -> Sequence[Any]:
    """The values of a column in all tables; None in those that do not have it."""
    if len(tables) == 1:
        return tables[0].read(name)
    return stored(
        chain.from_iterable(
            table.read(name) if table.column(name) in table.names else repeat(None, _length(table, table.names))
            for table in tables
        )
    )


def _called(table: Table, origin: str, **changes: Any) -> Table:
    # A table forgets which names it left out because they are repeated, so they are given again.
    names = (*changes.pop("names", table.names), *(name for name in table.repeated for _ in range(2)))
    return replace(table, origin=origin, names=names, **changes)


def _note(files: Sequence[Path], origin: str) -> tuple[str, ...]:
    names = listed([path.name for path in files], _SHOWN)
    return (f"{origin}: {len(files)} files were read as one table: {names}",) if len(files) > 1 else ()


def _length(table: Table, columns: Sequence[str]) -> int:
    return len(table.read(columns[0])) if columns else 0


def _require_alike(first: Table, other: Table, origin: str) -> None:
    """Raise UserError if two files of one table differ in their columns.

    There is one exception: of two JSON files, either may lack columns of the other, but not both.
    """
    if other.origin == first.origin:
        return
    here, there = Path(other.origin).name, Path(first.origin).name
    lacking = [name for name in first.names if name not in other.names]
    more = [name for name in other.names if name not in first.names]
    in_json = all("json" in KINDS.get(ending_of(table.origin), "") for table in (first, other))
    if (lacking or more) and not (in_json and not (lacking and more)):
        raise UserError(
            f"{origin}: its files are not one table: {here} has the columns {listed(other.names, 6)}, "
            f"but {there} has {listed(first.names, 6)}\n"
            "Name a single file, or move the files of other tables to another folder"
        )
    if differing := [name for name, classes in first.classes.items() if other.classes.get(name) != classes]:
        raise UserError(
            f"{origin}: {here} has other class names in the column {differing[0]!r} than {there}; "
            "write both files again with the same class names"
        )


def _data_files(folder: Path) -> tuple[Path, ...]:
    """The data files directly in a folder, those with lower numbers first."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_file() and not _BESIDE.fullmatch(entry.name)]
    return tuple(folder / name for name in sorted(names, key=_in_order) if ending_of(name) in KINDS)


def _by_part(files: Sequence[Path]) -> dict[str, tuple[Path, ...]]:
    groups: dict[str, list[Path]] = {}
    for path in files:
        groups.setdefault(_stem(path), []).append(path)
    if not all(map(_are_shards, groups.values())):
        return {}
    if len(groups) == 1:
        part = _part_of(next(iter(groups)))
        return {part or "": tuple(files)} if part or len(files) > 1 or _is_whole_data_set(files[0]) else {}
    parts = {stem: _part_of(stem) for stem in groups}
    if None in parts.values() or len(set(parts.values())) < len(parts):
        return {}
    return _in_parts({str(parts[stem]): tuple(found) for stem, found in groups.items()})


def _in_parts(files: Mapping[str, tuple[Path, ...]]) -> dict[str, tuple[Path, ...]]:
    return {part: files[part] for part in PARTS if part in files}


def _is_whole_data_set(file: Path) -> bool:
    """Whether the only data file of a folder may be read in place of the folder.

    Its name must have a number, such as ``data-0.csv``, or the other files of the folder must be Markdown or have no
    extension, such as ``README.md`` and ``LICENSE``.
    """
    others = [path for path in file.parent.iterdir() if path != file and not _BESIDE.fullmatch(path.name)]
    return _stem(file) != _base(file) or all(path.suffix == ".md" or not path.suffix for path in others)


def _are_shards(files: Sequence[Path]) -> bool:
    """Whether files are shards: a single file, or numbered files that all have the same extension."""
    names = {_base(path) for path in files}
    numbered = all(_SPARK.fullmatch(path.name) or _stem(path) != _base(path) for path in files)
    return len(files) == 1 or (
        len(names) == len(files) and numbered and len({ending_of(path.name) for path in files}) == 1
    )


def _part_of(name: str) -> str | None:
    return next((part for part in PARTS if part_named(part, [name])), None)


def _stem(path: Path) -> str:
    """The name of a file without its ending and its number: ``train`` for ``train-00000-of-00002.parquet``."""
    return "" if _SPARK.fullmatch(path.name) else _NUMBER.sub("", _base(path))


def _base(path: Path) -> str:
    """The name of a file in lower case without its extensions: ``train-1`` for ``Train-1.csv.gz``."""
    name = PurePosixPath(path.name.casefold())
    while name.suffix in (*COMPRESSED, *KINDS, *_FURTHER):
        name = name.with_suffix("")
    return name.name


def _in_order(name: str) -> list[tuple[int, str]]:
    """A sort key for file names that orders by numbers: ``part-2`` comes before ``part-10``."""
    return [(int(piece) if piece.isdecimal() else 0, piece) for piece in re.split(r"(\d+)", name)]
