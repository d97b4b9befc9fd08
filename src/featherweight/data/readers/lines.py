"""Files with one text per line: ``__label__x text``, ``text@label``, ``1 text``, or texts without labels."""

from __future__ import annotations

import re
import shlex
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from featherweight.data.readers.beside import joined_by_paste, labels_beside
from featherweight.data.readers.conversion import free_name
from featherweight.data.readers.reading import Reading
from featherweight.data.readers.table import Table, pieces_of
from featherweight.data.readers.text_encoding import PADDING, is_empty_line, noted, open_text, without_nul
from featherweight.data.readers.unpacking import Content
from featherweight.errors import UserError, in_a_line
from featherweight.hints import to_set
from featherweight.recipe.values import one_or_all

LINES = ("fasttext", "text@label", "label text", "lines")
"""Kinds of such files."""
PREFIX = "__label__"
_FIRST = re.compile(rf"\s*((?:{PREFIX}\S+[\s,]*)+)")
_LAST = re.compile(rf"((?:\s*{PREFIX}\S+)+)\s*$")
_AT = re.compile(r"(.*\S)\s*@\s*(\w[\w &/+-]{0,39})\s*", re.DOTALL)
_NUMBERED = re.compile(r"(-?\d{1,2}|[A-Z]+:\w+) +(\S[^\t]*)")
"""A label before a text: a small number as in SST, or a class and its subclass as in TREC (``DESC:manner``)."""
_TAG = re.compile(r"O|[BIESLU]-\S+")
"""The tag of a token that is part of a name, or of none, as in CoNLL 2003."""
_TREE = re.compile(r"\s*\([0-9] (?:\(|[^()]+\)$)")
"""A tree such as ``(3 (2 It) (4 works))``."""
_CONLLU = 8  # minimum number of fields of a line of CoNLL-U, of which the first is a number
_FEW = 0.3
"""Up to this number of different words per line, the words after the last @ are taken for labels."""

Split = Callable[[str], tuple[str, Any]]
"""Splits a line into its text and its label; the label is None if there is none."""


def line_tables(content: Content, kind: str, reading: Reading, rows: int) -> Iterator[Table]:
    """The lines of a file as a table of ``text`` and ``label``, ``rows`` rows at a time.

    ``kind`` is one of ``LINES``; the kind ``lines`` has no labels, and an empty line of it is an empty text. In other
    kinds empty lines are skipped. Several labels in a line become a list. Raises UserError if the file is empty or
    contains a NUL byte within a line.
    """
    split = _SPLITS[kind]
    names, label = (("text",), None) if kind == "lines" else (("text", "label"), "label")
    remedy = _remedy(content.path) if kind == "lines" else _REMEDY
    with open_text(content, reading.encoding, guess=True) as text:
        for before, piece in pieces_of(_lines(text.lines, content.origin, empty=kind == "lines"), rows):
            if not any(piece) and not before:
                raise UserError(f"{content.origin}: the file is empty")
            texts, labels = zip(*map(split, piece), strict=True)
            columns = {"text": list(texts), "label": list(labels)}
            notes = tuple(f"{content.origin}: {note}" for note in (*text.notes, *_NOTES.get(kind, ())))
            more: dict[str, Any] = {"label": label, "text": "text", "remedy": remedy}
            yield Table(content.origin, names, columns.__getitem__, before=before, notes=notes, **more)


def line_kind(head: str, cut: bool) -> str | None:
    """The format of the first lines of a file: ``fasttext``, ``text@label`` or ``label text``; None for other files."""
    lines = [line for line in (head.splitlines()[:-1] if cut else head.splitlines()) if line.strip()]
    if not lines:
        return None
    if sum(PREFIX in line and bool(_FIRST.match(line) or _LAST.search(line)) for line in lines) > len(lines) / 2:
        return "fasttext"
    found = [match[2] for line in lines if (match := _AT.fullmatch(line))]
    few = len(set(found)) <= max(3, _FEW * len(lines))
    if len(found) >= 0.95 * len(lines) and len(lines) > 1 and few:
        return "text@label"
    return "label text" if _have_labels_before(lines) else None


def _have_labels_before(lines: Sequence[str]) -> bool:
    """Whether each line begins with a label; numbers count as labels only if they are few and consecutive."""
    matches = [_NUMBERED.fullmatch(line.strip()) for line in lines]
    labels = {match[1] for match in matches if match}
    numbers = sorted(int(label) for label in labels if ":" not in label)
    of_classes = numbers == list(range(numbers[0], numbers[0] + len(numbers))) and len(numbers) < 7 if numbers else True
    return None not in matches and 1 < len(labels) <= _FEW * len(lines) and of_classes


def refuse_trees(head: str, content: Content) -> None:
    """Raise UserError if each line is a tree with a label at each node, as in SST: ``(3 (2 It) (4 works))``.

    The message has a command that converts the file.
    """
    lines = [line for line in head.splitlines()[:200] if line.strip()]
    if lines and sum(map(bool, map(_TREE.match, lines))) >= 0.9 * len(lines):
        files = f"{shlex.quote(str(content.path))} > {shlex.quote(str(free_name(content.path, '.txt')))}"
        line = f"sed -E 's/^ *\\(([0-9]) /__label__\\1 (\\1 /; s/\\([0-9] //g; s/\\)//g' {files}"
        raise UserError(
            f"{content.origin}: each line is a tree of labels, as in SST; keep the label of each whole text:\n  {line}"
        )


def refuse_headings(head: str, content: Content) -> None:
    """Raise UserError if some lines of a file are headings between rows with tabs.

    The message has a command that removes the headings.
    """
    lines = [line for line in head.splitlines() if line.strip()]
    tabs = Counter(line.count("\t") for line in lines)
    if 0.5 * len(lines) <= max(tabs[1], tabs[2], tabs[3]) < len(lines) and len(tabs) == 2 and tabs[0]:
        other = next(line for line in lines if "\t" not in line)
        files = f"{shlex.quote(str(content.path))} > {shlex.quote(str(free_name(content.path, '.tsv')))}"
        raise UserError(
            f"{content.origin}: most of its lines have fields with tabs between them, but {other[:30]!r} has none\n"
            f"If such lines are headings, remove them: grep \"$(printf '\\t')\" {files}; "
            f"if they are texts, add {to_set('data.format=lines')}"
        )


def is_tagged(head: str) -> bool:
    """Whether nearly all lines of a file that begins with ``head`` are a token and its tag, as in the CoNLL formats."""
    lines = [line for line in head.splitlines()[:200] if line.strip() and not line.startswith(("#", "-DOCSTART-"))]
    of_names = any("-" in line.split()[-1] or "\t" in line for line in lines)
    return len(lines) > 4 and of_names and sum(map(_is_token, lines)) >= 0.9 * len(lines)


def _is_token(line: str) -> bool:
    words, fields = line.split(), line.split("\t")
    of_conllu = len(fields) >= _CONLLU and fields[0].partition("-")[0].isdecimal() and fields[3].isupper()
    return of_conllu or (len(words) > 1 and bool(_TAG.fullmatch(words[-1])))


def _remedy(path: Path) -> str:
    """Advice, for a message, on a file of texts without labels: where its labels seem to be, or how to write them."""
    if labels := labels_beside(path):
        return f"Its labels seem to be in {in_a_line(labels.name)}: {joined_by_paste(path, labels)}"
    return f"{_REMEDY}; {_ONE_LABEL}"


def _lines(text: TextIO, origin: str, *, empty: bool) -> Iterator[str]:
    """The lines without their ends; with ``empty``, also those without content, except padding at the end."""
    # Not splitlines(): texts may contain other characters that it treats as ends of lines.
    latest: deque[str] = deque(maxlen=2)
    for line in noted(without_nul(text, origin), latest):
        if line.strip(PADDING):
            yield line.rstrip("\r\n")
        elif empty and is_empty_line(latest):
            yield ""


def _fasttext(line: str) -> tuple[str, Any]:
    if match := _FIRST.match(line):
        return line[match.end() :].strip(), _labels(match[1].replace(",", " ").split())
    if match := _LAST.search(line):
        return line[: match.start()].strip(), _labels(match[1].split())
    return line.strip(), None


def _labels(words: Iterable[str]) -> str | list[str]:
    return one_or_all(word.removeprefix(PREFIX) for word in words)


def _at(line: str) -> tuple[str, Any]:
    text, at, label = line.rpartition("@")
    return (text.strip(), label.strip()) if at else (line.strip(), None)


def _before(line: str) -> tuple[str, Any]:
    label, _, text = line.strip().partition(" ")
    match = _NUMBERED.fullmatch(line.strip())
    return (match[2], match[1]) if match else (text.strip(), label)


_SPLITS: dict[str, Split] = {
    "fasttext": _fasttext,
    "text@label": _at,
    "label text": _before,
    "lines": lambda line: (line.strip(), None),
}
"""The function that splits a line, for each kind of file."""
_REMEDY = (
    "Write a label as __label__x before each text, after a tab, or after an @; or save the file as CSV with a header"
)
_ONE_LABEL = "if all texts of a file have one label: sed 's/^/__label__x /' FILE >> train.txt"
_NOTES = {
    "label text": ("one text per line; the part before its first blank was read as its label",),
    "lines": ("one text per line, without labels",),
    "text@label": ("one text per line; the part after the last @ was read as its label",),
}
