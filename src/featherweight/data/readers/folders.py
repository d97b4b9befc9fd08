"""A folder of text files, with one subfolder per class, such as IMDB.

The folder may have parts such as ``train`` and ``test``, each with its own subfolders per class.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from featherweight.data.readers.beside import joined_by_paste, labels_beside, with_labels_before
from featherweight.data.readers.parts import part_named, parts_named
from featherweight.data.readers.reading import Reading
from featherweight.data.readers.table import Table, pieces_of, whole_table
from featherweight.data.readers.text_encoding import decoded
from featherweight.errors import UserError, in_a_line
from featherweight.formatting import listed
from featherweight.run.other_folders import kind_of_folder

_HEAD = 2**20  # bytes at the beginning of a file in which its first lines are looked for
_MOST_FILES, _FEW_LINES = 30, 5  # maximum number of files, minimum number of lines, of files with a text a line
_PIECE = 10_000  # files that are read at a time
_UNLABELLED = frozenset({"unsup", "unlabeled", "unlabelled"})
_HIDDEN = re.compile(r"\..*|__macosx", re.IGNORECASE)
_BESIDE = re.compile(
    r"(?:readme|license|licence|notice|authors|changelog)\b.*|events\.out\.tfevents\..*|\..*", re.IGNORECASE
)
"""Names of files that are not texts of the data set."""
_TEXT_ENDING = re.compile(r"(?:|\.txt|\.text|\.\d+)", re.IGNORECASE)


def folder_parts(folder: Path) -> Mapping[str, Path]:
    """A dictionary from ``train``, ``validation`` and ``test`` to their subfolders; empty if there are none.

    A subfolder counts as a part if its name says so (``dev`` is ``validation``) and it has folders in it.
    """
    folders = {path.name: path for path in _folders(folder)}
    return {part: folders[name] for part, name in parts_named(folders).items() if any(_folders(folders[name]))}


def is_text_folder(folder: Path, data_files: int = 0) -> bool:
    """Whether ``folder`` holds text files: directly, in one folder per class, or in parts such as ``train``.

    ``data_files`` is the number of its data files, such as CSV files. If there are some, the folder only counts if it
    has several class folders, or more text files than data files: a few texts beside the data are notes.
    """
    if folder_parts(folder):
        return True
    classes, texts = len(class_folders(folder)), sum(1 for _ in _texts(folder))
    return classes > 1 or texts > data_files if data_files else classes + texts > 0


def class_folders(folder: Path) -> list[Path]:
    """The subfolders that directly hold text files, sorted by name; not hidden ones, runs, exports or PEFT's folders.

    Files such as vocab.txt beside an adapter are not texts.
    """
    return [path for path in _folders(folder) if any(_texts(path)) and not kind_of_folder(path)]


def folder_tables(folder: Path, origin: str, reading: Reading, rows: int | None) -> Iterator[Table]:
    """The text files of a folder as tables of at most ``rows`` rows (one table for None): path, text and class.

    The class of a file is the name of its folder. If the folder has parts, the part ``reading.split`` is read.
    Folders of unlabelled texts, and files that are not texts, are left out. Raises UserError if there is no such part,
    or no text.
    """
    if parts := folder_parts(folder):
        if reading.split not in parts:
            names = listed(list(map(str, parts.values())))
            raise UserError(
                f"{origin}: no part {reading.split!r}; it has {', '.join(parts)}; name one of them: {names}"
            )
        folder = parts[reading.split]
        origin = f"{origin} ({reading.split})"
    classes = [path for path in class_folders(folder) if path.name.casefold() not in _UNLABELLED]
    left_out = [path.name for path in _folders(folder) if path.name.casefold() in _UNLABELLED]
    notes = [f"{origin}: {in_a_line(name)} has no labels, and was left out" for name in left_out]
    notes += [f"{origin}: {note}" for note in _left_out(folder, classes)]
    files = [(path, group.name) for group in classes for path in sorted(_texts(group))]
    labelled = bool(files)
    files = files or [(path, "") for path in sorted(_texts(folder))]
    remedy = None if labelled else _remedy([path for path, _ in files])
    pieces = (
        _table(folder, origin, piece, before, labelled, reading, notes, remedy)
        for before, piece in pieces_of(files, rows or _PIECE)
    )
    yield from pieces if rows else [whole_table(pieces)]


def _left_out(folder: Path, classes: Sequence[Path]) -> list[str]:
    """Notes on the subfolders that are not read: those without text files beside the ``classes``, and deeper ones."""
    known = {*classes}
    others = [path for path in _folders(folder) if path.name.casefold() not in _UNLABELLED and path not in known]
    bare = [path.name for path in others if any(path.iterdir())] if classes else []
    deeper = [path.relative_to(folder).as_posix() for group in classes for path in class_folders(group)]
    were = "it was left out" if len(bare) == 1 else "they were left out"
    notes = [f"no text files (.txt) in {listed(bare)}, so {were}"] if bare else []
    return notes + ([f"left out, because a class has no subfolders: {listed(deeper)}"] if deeper else [])


def data_files(folder: Path) -> str:
    """The names of the data files in a folder and its subfolders, as a text for a message; empty if there are none."""
    from featherweight.recipe.data_files import is_data_file

    names = [file.relative_to(folder).as_posix() for path in (folder, *_folders(folder)) for file in path.iterdir()
             if file.is_file() and is_data_file(file) and not _HIDDEN.fullmatch(file.name)]  # fmt: skip
    return listed(sorted(names, key=lambda name: (name.count("/"), name)))


def _table(
    folder: Path, origin: str, files: Sequence[tuple[Path, str]], before: int, labelled: bool, reading: Reading,
    notes: list[str], remedy: str | None,
) -> Table:  # fmt: skip
    texts, western = [], False
    for path, _ in files:
        text, guessed = decoded(path.read_bytes(), reading.encoding, f"{origin}/{path.relative_to(folder)}")
        texts.append(text)
        western |= guessed
    ids = [path.relative_to(folder).as_posix() for path, _ in files]
    columns = {"id": ids, "text": texts, "label": [label for _, label in files]}
    names = tuple(columns) if labelled else ("id", "text")
    told = (*notes, f"{origin}: some files are not UTF-8, and were read as cp1252") if western else tuple(notes)
    label = "label" if labelled else None
    return Table(origin, names, columns.__getitem__, label=label, text="text", before=before, notes=told, remedy=remedy)


def _remedy(files: Sequence[Path]) -> str:
    """Advice, for a message, on text files without class folders. Each counts as one text, which may be a mistake.

    If the files look like tables, lists of texts or files of labels, the advice has the command for these.
    """
    each = "Each file counts as one text, and needs a folder with the name of its class"
    if len(files) > _MOST_FILES:
        return each
    train = part_named("train", [path.stem for path in files])
    first = sorted(files, key=lambda path: "train" not in path.stem.casefold())
    if pair := next(((path, labels) for path in first if (labels := labels_beside(path))), None):
        text, label = (in_a_line(path.name) for path in pair)
        return f"{label} seems to hold the labels of {text}: {joined_by_paste(*pair)}"
    if train is not None:
        return f"{each}; if a file has a text a line: featherweight train {shlex.quote(str(first[0]))}"
    lines = [_first_lines(path) for path in files]
    if min(map(len, lines)) < _FEW_LINES:
        return each
    if all(b"\t" in line for texts in lines for line in texts):
        return f"{each}; if a file has a row a line: featherweight train {shlex.quote(str(files[0]))}"
    joined = with_labels_before(files)
    return f"{each}; or, if each file is a class: {joined}" if joined else each


def _first_lines(path: Path) -> list[bytes]:
    with path.open("rb") as file:
        return file.read(_HEAD).splitlines()[:_FEW_LINES]


def _folders(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        found = sorted(entry.path for entry in entries if entry.is_dir() and not _HIDDEN.fullmatch(entry.name))
    yield from map(Path, found)


def _texts(folder: Path) -> Iterator[Path]:
    """The text files of a folder, in arbitrary order."""
    with os.scandir(folder) as entries:
        for entry in entries:
            path = Path(entry.path)
            if entry.is_file() and _TEXT_ENDING.fullmatch(path.suffix) and not _BESIDE.fullmatch(entry.name):
                yield path
