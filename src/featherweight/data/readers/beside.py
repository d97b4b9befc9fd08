"""Finds files that are one data set together: texts and a file of their labels, or one file for each class.

They are not read together. The functions return commands that join them to one file; error messages show these.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from featherweight.data.readers.conversion import free_name
from featherweight.data.readers.parts import PARTS, part_named
from featherweight.recipe.data_files import is_data_file

_TEXTS = frozenset({"x", "text", "texts", "sentence", "sentences", "tweets", "data", "input", "inputs"})
_LABELS = frozenset({"y", "label", "labels", "target", "targets"})
_WORD = re.compile(r"[^\W_]+")
_BESIDE = re.compile(r"(?:readme|license|licence)\b.*|[._].*", re.IGNORECASE)
_MOST = 30  # maximum number of files that may each be a class
_HEAD = 4096
_LONGEST = 200
"""Maximum number of characters for the names of files in a command, which must fit in a line of a message."""
_COLUMNS = shlex.quote(f"data.columns={json.dumps(['label', 'text'])}")


def labels_beside(path: Path) -> Path | None:
    """The file of labels beside ``path``, such as ``train_labels.txt`` for ``train_text.txt``, or None."""
    words = _WORD.findall(path.stem.casefold())
    if not {*words} & _TEXTS or not path.is_file():
        return None
    others = (other for other in sorted(path.parent.iterdir()) if other != path and other.suffix == path.suffix)
    return next((other for other in others if _is_named_as_labels(words, other)), None)


def joined_by_paste(texts: Path, labels: Path) -> str:
    """The command that puts a file of texts and the file of their labels into one file, and trains on it."""
    into = shlex.quote(str(free_name(texts, ".tsv")))
    return f"paste {shlex.join([str(labels), str(texts)])} > {into} && featherweight train {into} --set {_COLUMNS}"


def with_labels_before(files: Sequence[Path]) -> str | None:
    """The command that joins ``files`` to one, with the name of the original file as a label before each text.

    None if they cannot be named briefly.
    """
    names, into = _all_of(files), shlex.quote(str(_beside_folder(files, ".txt")))
    label = '$(basename "$f" .txt | tr " " _)'
    return names and f'(for f in {names}; do LC_ALL=C sed "/./!d; s/^/__label__{label} /" "$f"; done) > {into}'


def with_a_label_column(files: Sequence[Path]) -> str | None:
    """The command that joins CSV ``files`` to one, with the name of the original file as the label of each row.

    None if they cannot be named briefly.
    """
    table = "pandas.concat(pandas.read_csv(name).assign(label=pathlib.Path(name).stem) for name in sys.argv[2:])"
    names, into = _all_of(files), shlex.quote(str(_beside_folder(files, ".csv")))
    command = f'python -c "import pathlib, sys, pandas; {table}.to_csv(sys.argv[1], index=False)"'
    return names and f"{command} {into} {names}"


def _all_of(files: Sequence[Path]) -> str | None:
    """The names of ``files`` for a shell: all of them, or a pattern such as ``texts/*.csv`` that matches these alone.

    None if both would be too long for a message, which is cut in the middle.
    """
    names, folder = shlex.join(map(str, files)), files[0].parent
    if len(names) <= _LONGEST:
        return names
    matched = sorted(path for path in folder.glob(f"*{files[0].suffix}") if not path.name.startswith("."))
    pattern = f"{shlex.quote(str(folder))}/*{files[0].suffix}"
    return pattern if matched == sorted(files) and len(pattern) <= _LONGEST else None


def _beside_folder(files: Sequence[Path], ending: str) -> Path:
    """A new file beside the folder of ``files``: in it, the file would be one of the files that are joined."""
    folder = files[0].parent
    return free_name(folder if folder.name else folder.absolute(), ending)


def one_file_of(folder: Path) -> str | None:
    """The command that joins the files of a folder; None unless it is likely that each file holds one class.

    It is likely for 2 to 30 files that are all CSV files with the same header, or all text files with an unknown
    extension, such as ``rt-polarity.pos``. It is not if a file has the name of a split, such as ``train.csv``.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file() and not _BESIDE.fullmatch(path.name))
    parts = any(part_named(part, [path.stem]) for part in PARTS for path in files)
    if not 1 < len(files) <= _MOST or parts:
        return None
    endings = {path.suffix.lower() for path in files}
    if endings == {".csv"}:
        return with_a_label_column(files) if len({_first_line(path) for path in files}) == 1 else None
    return with_labels_before(files) if not any(map(is_data_file, files)) and all(map(_is_text, files)) else None


def _first_line(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.readline(_HEAD)


def _is_text(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(_HEAD)
    return b"\n" in head and not any(byte < 32 and byte not in b"\t\n\r\f" for byte in head)


def _is_named_as_labels(words: Sequence[str], other: Path) -> bool:
    """Whether ``other`` is named like a file of texts, but with a word for labels in place of the word for texts.

    ``words`` are the words in the name of the file of texts: ("train", "text") for ``train_text.txt``. For these,
    ``train_labels.txt`` is such a name.
    """
    found = _WORD.findall(other.stem.casefold())
    differing = [(word, named) for word, named in zip(words, found, strict=False) if word != named]
    return len(found) == len(words) and len(differing) == 1 and differing[0][0] in _TEXTS and differing[0][1] in _LABELS
