"""Detects the kind of a data file from its file extension and its content."""

from __future__ import annotations

import json
import re
import shlex
import zipfile
from dataclasses import replace
from pathlib import PurePosixPath

from featherweight.data.readers import pickles
from featherweight.data.readers.conversion import FOREIGN, conversion, foreign_ending, free_name
from featherweight.data.readers.dialect import Dialect, dialect_of
from featherweight.data.readers.lines import PREFIX, is_tagged, line_kind, refuse_headings, refuse_trees
from featherweight.data.readers.published import SGML, of_published
from featherweight.data.readers.reading import Reading
from featherweight.data.readers.text_encoding import PADDING, head_text
from featherweight.data.readers.unpacking import COMPRESSED, ZIP, Content
from featherweight.errors import UserError
from featherweight.formatting import listed
from featherweight.hints import to_set

KINDS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
}
TEXTS = (".txt", ".text")
"""Extensions of files whose kind is detected from their content."""
ARCHIVE = ".zip"
_FORMATS = {"csv": "csv", "tsv": "tsv", "ag_news": "csv", "fasttext": "fasttext", "text@label": "text@label",
            "lines": "lines"}  # fmt: skip
"""Values of `data.format`, each with its kind of file."""
_TOLD = ("json", "jsonl", "parquet", "xlsx")
"""Kinds that the file extension decides; `data.format` is about other files."""
_BINARY = re.compile(r"[\x00-\x08\x0e-\x1a]")
"""Control characters that texts do not have."""
_JSON = re.compile(r'\s*(?:\{\s*"|\[\s*[\[{"])')
_POINTER = b"version https://git-lfs.github.com/"
_BESIDE = ("readme", "license", "licence", "notice", ".", "__macosx")


def kind_of(content: Content, reading: Reading) -> tuple[str, Content]:
    """The kind and the content of a data file. A zip archive with one file counts as that file.

    Kinds are ``csv``, ``tsv``, ``json``, ``jsonl``, ``parquet``, ``xlsx``, and those with one text per line:
    ``fasttext`` (``__label__x text``), ``text@label``, ``label text`` and ``lines`` (no labels). Raises UserError
    for other kinds, if possible with the command that converts the file, and for files that can run code when they are
    opened (pickles).
    """
    ending, start = ending_of(content.name), content.head(512)
    if ending in pickles.ENDINGS:
        raise UserError(pickles.refusal(content.path, content.origin, ending))
    if hidden := pickles.content_ending(start):
        raise UserError(pickles.refusal(content.path, content.origin, hidden, inside=True))
    if start.startswith(ZIP) and ending not in (".xlsx", ".xlsm"):
        return _of_archive(content, reading)
    if start.startswith(_POINTER):
        raise UserError(f"{content.origin}: is a pointer of Git LFS, not the data; get the data with: git lfs pull")
    if ending not in FOREIGN and start[:64].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        raise UserError(
            f"{content.origin}: is a web page, not a data file; open it in a browser, and download the file"
        )
    if ending == ARCHIVE:
        raise UserError(f"{content.origin}: not a readable zip archive; get the file again, or unpack it yourself")
    if message := of_published(content, ending):
        raise UserError(message)
    if foreign := foreign_ending(ending, start):
        raise UserError(conversion(content.path, content.origin, foreign))
    kind = "parquet" if start.startswith(b"PAR1") else KINDS.get(ending)
    if kind in _TOLD:
        return kind, content
    if kind and start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")) and _is_json(content, reading):
        return "json", content
    if reading.format in _FORMATS:
        return _FORMATS[reading.format], content
    if kind and not start.lstrip().startswith(PREFIX.encode()):
        return kind, content
    return _of_content(content, ending, reading), content


def looks_like_file(source: str) -> bool:
    """Whether ``source`` looks like a path, not like the name of a data set on the hub."""
    endings = {ending.lower() for ending in PurePosixPath(source).suffixes}
    known = bool(endings & {*KINDS, *TEXTS, *COMPRESSED, *pickles.ENDINGS, *FOREIGN, *SGML, ARCHIVE})
    return known or source.startswith((".", "/", "~")) or source.count("/") > 1


def ending_of(name: str) -> str:
    """The file extension in lower case; an extension for compression is ignored (``.csv`` for ``a.csv.gz``)."""
    endings = [ending.lower() for ending in PurePosixPath(name).suffixes]
    while endings and endings[-1] in COMPRESSED:
        packed = endings.pop()
        if endings and endings[-1] == ".tar":
            return f".t{packed[1:]}" if packed in (".bz2", ".xz") else ".tgz"
    return endings[-1] if endings else ""


def _of_archive(content: Content, reading: Reading) -> tuple[str, Content]:
    """The kind and the content of the only data file in a zip archive.

    Raises UserError if the archive holds several data files or none.
    """
    if content.is_packed():
        raise UserError(
            f"{content.origin}: is an archive inside another one; unpack both, and use the path of the data file"
        )
    try:
        with zipfile.ZipFile(content.path) as archive:
            names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
    except zipfile.BadZipFile as error:
        raise content.damaged(error) from None
    if any(name.startswith("xl/") for name in names):
        return "xlsx", content
    if any(name.startswith("word/") for name in names):
        raise UserError(conversion(content.path, content.origin, ".docx"))
    if {"mimetype", "content.xml"} <= {*names}:
        raise UserError(conversion(content.path, content.origin, ".odt" if content.name.endswith(".odt") else ".ods"))
    if names and all(name.endswith(".npy") for name in names):
        raise UserError(conversion(content.path, content.origin, ".npz"))
    wanted = [name for name in names if not _is_beside(name)]
    if len(wanted) != 1:
        holds = f"{len(wanted)} files ({listed(wanted, 4)})" if wanted else "no data file"
        folder = free_name(content.path, "")
        line = shlex.join(["python", "-m", "zipfile", "-e", str(content.path), str(folder)])
        tops = {PurePosixPath(name).parts[0] for name in wanted if "/" in name} if wanted else set()
        if len(tops) == 1 and all("/" in name for name in wanted):  # the folder of the data set
            line = f"{line} && featherweight train {shlex.quote(str(folder / tops.pop()))}"
        raise UserError(
            f"{content.origin}: is an archive of {holds}; unpack it, and use the path of the data in it:\n  {line}"
        )
    return kind_of(replace(content, member=wanted[0]), reading)


def _is_beside(name: str) -> bool:
    """Whether a file in an archive is not data, such as a README or the hidden files that macOS adds."""
    return any(part.casefold().startswith(_BESIDE) for part in PurePosixPath(name).parts)


def _is_json(content: Content, reading: Reading) -> bool:
    """Whether the first line of a file is a JSON object or a list of them, whatever the file is called."""
    line = head_text(content, reading.encoding)[0].lstrip().partition("\n")[0]
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(value[0] if isinstance(value, list) and value else value, dict)


def _of_content(content: Content, ending: str, reading: Reading) -> str:
    """The kind of a text file, detected from its content."""
    head, cut = head_text(content, reading.encoding)
    if not cut and not head.strip(PADDING):
        raise UserError(f"{content.origin}: the file is empty")
    if is_tagged(head):
        raise UserError(
            f"{content.origin}: each line is a token and its tag (CoNLL), but a classifier needs one label per text\n"
            "Convert it to a CSV with the header text,label and one text with its label per row"
        )
    refuse_trees(head, content)
    dialect = dialect_of(head, cut, reading, tabs=True)
    if not dialect.long and (kind := line_kind(head, cut)):
        return kind
    if _JSON.match(head):
        return "json"
    if _is_table(dialect, reading):
        return "tsv"
    if ending in TEXTS and head.strip():
        refuse_headings(head, content)
        return "lines"
    is_text = not _BINARY.search(head)
    lines = f", or, if it has one text per line, add {to_set('data.format=lines')}" if is_text else ""
    raise UserError(
        f"{content.origin}: {ending or 'no extension'}: not a kind of data file that can be read; use .csv, .tsv, "
        f".json, .jsonl, .parquet, .xlsx or .txt{lines}"
    )


def _is_table(dialect: Dialect, reading: Reading) -> bool:
    """Whether the lines of a file are rows of a table.

    Prose may contain commas or semicolons, too. So with these separators, the first line must have a known column name
    or some column must have few different values, as labels do.
    """
    if len(dialect.sample) < 2 or dialect.agreement < 0.9:
        return False
    if dialect.separator not in ",;":
        return True
    first, *others = dialect.sample
    columns = zip(*(row for row in others if len(row) == len(first)), strict=True)
    labels = any(1 < len(set(column)) <= len(column) / 3 for column in columns)
    return labels or any(name.strip().casefold() in reading.known for name in first)
