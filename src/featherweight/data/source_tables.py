"""Opens a data source (built-in data set, file, folder, or data set on the hub) as tables of raw columns."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from itertools import chain
from pathlib import Path

from featherweight.data.kept_tables import kept_table
from featherweight.data.readers.addresses import download, is_address
from featherweight.data.readers.beside import one_file_of
from featherweight.data.readers.files import file_parts, file_tables
from featherweight.data.readers.folders import data_files, folder_parts, folder_tables, is_text_folder
from featherweight.data.readers.hub import hub_splits, is_saved, open_hub, open_saved, saved_splits
from featherweight.data.readers.kinds import looks_like_file
from featherweight.data.readers.parquet import Wanted
from featherweight.data.readers.reading import reading_of
from featherweight.data.readers.shards import files_like, name_of, shard_tables, shards_of, tables_by_part
from featherweight.data.readers.table import Table
from featherweight.errors import UserError, in_a_line
from featherweight.files import expanded
from featherweight.formatting import listed
from featherweight.recipe import DataRecipe
from featherweight.run.other_folders import folders_inside, is_model, kind_of_folder

BUILT_IN = {"newsbriefs": ("train", "test")}
"""Data sets that are part of the package, and their splits."""


def column_pieces(
    source: str, data: DataRecipe, *, split: str, rows: int, columns: Sequence[str] = ()
) -> Iterator[Table]:
    """Yield tables of ``source`` with ``rows`` rows each. From a Parquet file, only ``columns`` are read, if given."""
    return open_tables(source, data, split, rows, (lambda table: columns) if columns else None)


def open_table(source: str, data: DataRecipe, split: str) -> Table:
    """All rows of ``source`` as one table of raw columns. ``split`` is for sources with several splits."""
    if source == data.train and split == "train":
        return kept_table(data, lambda: next(open_tables(source, data, split)))
    return next(open_tables(source, data, split))


def open_tables(
    source: str, data: DataRecipe, split: str, rows: int | None = None, wanted: Wanted | None = None
) -> Iterator[Table]:
    """Yield tables of ``source`` with ``rows`` rows each; without ``rows``, one table with all rows.

    ``wanted`` returns the names of the columns to read from a Parquet file. Raises UserError if the source does not
    exist, and HubUnreachable if the hub cannot be reached.
    """
    if source in BUILT_IN:
        return _open_built_in(source, split, rows)
    origin = in_a_line(source)
    try:
        path = Path(source).expanduser()
        folder, exists = path.is_dir(), path.exists()
    except (OSError, RuntimeError) as error:  # a name that is too long, or an unknown ~user
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{origin}: cannot be read: {reason}; name a data file, a folder or a data set") from None
    if is_address(source):
        raise UserError(download(source))
    if folder:
        return _open_folder(path, origin, data, split, rows, wanted)
    if exists:
        return file_tables(path, origin, rows, wanted, reading_of(data, split))
    if files := files_like(str(path)):
        return shard_tables(files, origin, reading_of(data, split), rows, wanted)
    require_found(source)
    return open_hub(source, split, *_hub_choice(source, data), rows=rows)


def files_of(source: str) -> tuple[Path, ...]:
    """The existing data files that ``source`` names: one file, or those of a folder or a pattern; empty for others."""
    path = expanded(source)
    try:
        if path.is_file():
            return (path,)
        if path.is_dir():
            return tuple(chain.from_iterable(_shards(path).values()))
        return files_like(str(path))
    except OSError:  # such as a name that is too long; reading the source gives the message
        return ()


def require_found(source: str) -> None:
    """Raise UserError if ``source`` names a file or a folder that does not exist; nothing is read.

    Whether a data set exists on the hub is not checked.
    """
    path = expanded(source)
    if source not in BUILT_IN and not path.exists() and not files_like(str(path)) and looks_like_file(source):
        raise UserError(f"{in_a_line(source)}: no such file{_near_file(path)}")


def _open_folder(
    folder: Path, origin: str, data: DataRecipe, split: str, rows: int | None, wanted: Wanted | None
) -> Iterator[Table]:
    if is_saved(folder):
        return open_saved(folder, origin, split, rows)
    if is_model(folder):
        backbone = f"to train it further: featherweight train FILE --backbone {shlex.quote(str(folder))}"
        raise UserError(f"{origin}: is a model that transformers saved, not data; {backbone}")
    if shards := _shards(folder):
        if split not in shards and len(shards) > 1:
            names = listed([str(name) for files in shards.values() if (name := name_of(files))])
            one = f"; name one of them: {names}" if names else ""
            raise UserError(f"{origin}: no part {split!r}; it has {', '.join(shards)}{one}")
        called = f"{origin} ({split})" if len(shards) > 1 else origin
        chosen = shards.get(split) or next(iter(shards.values()))
        return shard_tables(chosen, called, reading_of(data, split), rows, wanted)
    if is_text_folder(folder):
        return folder_tables(folder, origin, reading_of(data, split), rows)
    if kind := kind_of_folder(folder):
        raise UserError(f"{origin}: is {kind}, not data; name a file of texts and labels")
    if inside := folders_inside(folder):  # such as the checkpoints of transformers' Trainer
        named = listed([f"{path} ({kind_of_folder(path)})" for path in inside], 3)
        raise UserError(f"{origin}: is not data, but contains {named}; name such a folder, or a data file")
    files = data_files(folder)
    name_one = f"name one of its files: {files}" if files else "name a data file"
    line = one_file_of(folder)
    table = f"To read them as one table: featherweight train {shlex.quote(f'{folder}/*.csv')}; " if files else ""
    one_file = f"\n{table}{'if' if table else 'If'} each of its files is a class: {line}" if line else ""
    raise UserError(f"{origin}: this folder was not saved by `datasets`, and holds no .txt files; {name_one}{one_file}")


def _shards(folder: Path) -> Mapping[str, Sequence[Path]]:
    """The data files of a folder, by part of the data; empty for a folder of text files, or without data files."""
    if parts := tables_by_part(folder):
        return parts
    found = shards_of(folder)
    return {} if is_text_folder(folder, sum(map(len, found.values()))) else found


def from_hub(source: str) -> bool:
    """Whether ``source`` names a data set on the hub, not a built-in data set, a file or a folder."""
    return source not in BUILT_IN and not Path(source).expanduser().exists() and not looks_like_file(source)


def has_split(data: DataRecipe, split: str) -> bool:
    """Whether the training data set has the given ``split``, such as ``test``."""
    return split in _parts(data.train, data)


def note_on_part(source: str, data: DataRecipe, split: str) -> str | None:
    """A note for the user that only the part ``split`` of ``source`` is read, and how to name another part.

    None if ``source``, which must exist, has only one part.
    """
    parts = _parts(source, data)
    if len(parts) < 2 or split not in parts:
        return None
    others = [part for part in parts if part != split]
    names = [shlex.quote(str(name)) for part in others if (name := parts[part])]
    another = f"; to read another part, name it: {listed(names)}" if names else ""
    return in_a_line(f"{source}: only its part {split!r} is read, not {listed(others)}{another}")


def _parts(source: str, data: DataRecipe) -> Mapping[str, Path | None]:
    """The parts of ``source``, each with the path under which it alone is read (None if there is none).

    A source without parts has at most one entry.
    """
    path = Path(source).expanduser()
    if source in BUILT_IN:
        return dict.fromkeys(BUILT_IN[source])
    if path.is_dir():
        if is_saved(path):
            return {part: path / part for part in saved_splits(path, source)}
        if shards := _shards(path):
            return {part: name_of(files) for part, files in shards.items()}
        return folder_parts(path)
    if path.exists():
        return dict.fromkeys(file_parts(path, in_a_line(source), reading_of(data, "train")))
    if looks_like_file(source) or files_like(str(path)):
        return {}
    return dict.fromkeys(hub_splits(source, *_hub_choice(source, data)))


def source_of_test(data: DataRecipe) -> str | None:
    """The source of the test rows: ``data.test``, else the training data set if it has a test split, else None."""
    if data.test is not None:
        return data.test or None
    return data.train if has_split(data, "test") else None


def _open_built_in(source: str, split: str, rows: int | None) -> Iterator[Table]:
    if split not in BUILT_IN[source]:
        raise UserError(f"{source}: no split {split!r}; it has {', '.join(BUILT_IN[source])}")
    with resources.as_file(resources.files("featherweight") / "data" / source / f"{split}.jsonl") as path:
        yield from file_tables(path, f"{source} ({split})", rows)


def _hub_choice(source: str, data: DataRecipe) -> tuple[str | None, str | None]:
    # data.config and data.revision apply only to the training data set.
    return (data.config, data.revision) if source == data.train else (None, None)


def _near_file(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"; there is no folder {folder} either"
    if path.is_symlink():
        return "; it is a link to a file that does not exist"
    near = difflib.get_close_matches(path.name, [other.name for other in folder.iterdir()], n=1)
    return f"; did you mean {folder / near[0]}?" if near else f" in {folder.resolve()}; check the path"
