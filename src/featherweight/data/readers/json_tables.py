"""JSON and JSON Lines as tables. Each row is an object with named values, or a list of values."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Any

from featherweight.data.readers.annotations import annotations_of, viewer_classes
from featherweight.data.readers.conversion import free_name
from featherweight.data.readers.header import is_text_beside_name, proposed_names
from featherweight.data.readers.json_shapes import json_parts, rows_in
from featherweight.data.readers.json_texts import keys_of_texts, rows_of_texts
from featherweight.data.readers.json_values import json_values
from featherweight.data.readers.nested import paths_in
from featherweight.data.readers.parts import PARTS
from featherweight.data.readers.published import of_snips
from featherweight.data.readers.reading import Reading
from featherweight.data.readers.records import record_tables
from featherweight.data.readers.table import Table, pieces_of, plain_text, table_of
from featherweight.data.readers.text_encoding import head_text, open_text
from featherweight.data.readers.unpacking import Content
from featherweight.errors import UserError
from featherweight.formatting import counted

_PART = re.compile(
    r'"[^"]{{0,40}}\b(?:{})"\s*:\s*[\[{{]'.format("|".join(name for names in PARTS.values() for name in names)),
    re.IGNORECASE,
)
_PYTHON = re.compile(r"\s*(\[?)\s*\{\s*'")
"""The start of a dict of Python, whose keys are in single quotation marks."""
_SAMPLED = 2_000  # number of rows that are examined to name the columns of lists


def json_tables(content: Content, reading: Reading, rows: int, *, in_lines: bool) -> Iterator[Table]:
    """The table in a JSON file, ``rows`` rows at a time; with ``in_lines`` one object per line is expected.

    Rows are objects or lists. They may be one per line, one after the other, in a list, or in an object. Raises
    UserError for broken JSON (with the line), and for a value that is neither an object nor a list (with the row).
    """
    origin = content.origin
    _refuse_python(content, reading)
    with open_text(content, reading.encoding, guess=False) as text:
        values = json_values(text.lines, origin, in_lines=in_lines)
        first = list(islice(values, 2))
        notes = list(text.notes)
        found: Iterable[Any] = chain(first, values)
        features = None
        if len(first) == 1 and isinstance(first[0], list):
            found = first[0]
        elif len(first) == 1 and isinstance(first[0], dict):
            if message := of_snips(first[0], content.path, origin):
                raise UserError(message)
            inside = rows_in(first[0], reading, content)
            origin = f"{origin} ({inside.part})" if inside.part else origin
            found, notes = inside.rows, [*notes, *filter(None, [inside.note])]
            features = first[0].get("features")
        yield from _tables(iter(found), origin, reading, rows, notes, features)


def _refuse_python(content: Content, reading: Reading) -> None:
    """Raise UserError if a file has Python's dicts instead of JSON's objects; the message says how to convert it."""
    head, _ = head_text(content, reading.encoding)
    if not (start := _PYTHON.match(head)):
        return
    path = content.path
    opened = "gzip.open" if path.suffix == ".gz" else "open"
    opened = f"{opened}(sys.argv[1], 'rt', encoding='utf-8')"
    values = f"[json.dump(ast.literal_eval({opened}.read()), out)]"
    if not start[1]:
        values = f"[print(json.dumps(ast.literal_eval(line)), file=out) for line in {opened} if line.strip()]"
    code = f"import ast, gzip, json, sys; out = open(sys.argv[2], 'w'); {values}"
    files = shlex.join([str(path), str(free_name(path, ".json" if start[1] else ".jsonl"))])
    raise UserError(f'{content.origin}: is written as Python, not as JSON; convert it:\n  python -c "{code}" {files}')


def parts_of(content: Content, encoding: str | None) -> tuple[str, ...]:
    """The names of the parts (such as ``train``) in a JSON file; empty if it holds a single table.

    Only a file whose beginning looks like an object with parts is read as a whole.
    """
    head, _ = head_text(content, encoding)
    if not head.lstrip().startswith("{") or not _PART.search(head):
        return ()
    with open_text(content, encoding, guess=False) as text:
        values = list(islice(json_values(text.lines, content.origin, in_lines=False), 2))
    return tuple(json_parts(values[0])) if len(values) == 1 and isinstance(values[0], dict) else ()


def _tables(
    found: Iterator[Any], origin: str, reading: Reading, rows: int, notes: Sequence[str], features: Any = None
) -> Iterator[Table]:
    first = next(found, None)
    found = chain([] if first is None else [first], found)
    if isinstance(first, list):
        sample = list(islice(found, _SAMPLED))
        reading, naming = _as_pairs(sample, reading)
        yield from record_tables(_lists(chain(sample, found), origin), origin, reading, rows, [*notes, *naming])
        return
    if keys := keys_of_texts(first, reading):
        found = rows_of_texts(found, *keys)
        notes = [*notes, "each text under its key {!r} is a row, with {!r} as the label".format(*keys)]
    annotations = annotations_of(first, reading)
    told = tuple(f"{origin}: {note}" for note in (*notes, *([annotations.note] if annotations else [])))
    names: dict[str, None] = {}  # of this piece and of all earlier pieces, because objects may lack some keys
    for before, piece in pieces_of(found, rows):
        if not piece:
            raise UserError(f"{origin}: the file has no rows")
        piece = annotations.rows(piece) if annotations else piece
        for number, row in enumerate(piece, before + 1):
            if not isinstance(row, dict):
                raise UserError(f'{origin}: row {number}: not a JSON object such as {{"text": ..., "label": ...}}')
            names.update(dict.fromkeys(row))
        if not names and len(piece) == 1:
            raise UserError(f"{origin}: the file has no rows")
        if names and not any(names):
            raise UserError(f'{origin}: no value has a name; write rows such as {{"text": ..., "label": ...}}')
        columns = {name: [row.get(name) for row in piece] for name in names}
        more = annotations.of_table(features) if annotations else {"classes": viewer_classes(first, features)}
        yield table_of(origin, columns, before=before, notes=told, paths=_paths(columns), **more)


def _paths(columns: Mapping[str, Sequence[Any]]) -> tuple[str, ...]:
    """The columns, as paths where they are nested, such as ``meta.topic``; empty if no column is nested.

    The paths are found from the first value of each column that is not None.
    """
    filled = {name: next((value for value in values if value is not None), None) for name, values in columns.items()}
    paths = tuple(path for name, value in filled.items() for path in paths_in(name, value))
    return paths if paths != tuple(columns) else ()


def _as_pairs(sample: Sequence[Any], reading: Reading) -> tuple[Reading, list[str]]:
    """``reading``, with column names if each row is a list of a text and a label, and notes for the user.

    The only note says how the rows were read, such as ``[text, label]``; without such rows there is none.
    """
    rows = [[plain_text(value) for value in row] for row in sample if isinstance(row, list) and len(row) == 2]
    if reading.columns or len(rows) < len(sample) or any(name.casefold() in reading.known for name in rows[0]):
        return reading, []
    objects = all(isinstance(text, str) and isinstance(label, Mapping) for text, label in sample)
    names = ["text", "label"] if objects else proposed_names(rows)
    if "label" not in names and is_text_beside_name(rows, names.index("text")):
        names = ["text" if name == "text" else "label" for name in names]  # there are few rows, all of other classes
    if {*names} != {"text", "label"}:
        return reading, []
    return replace(reading, columns=tuple(names)), [f"its rows were read as [{', '.join(names)}]"]


def _lists(found: Iterable[Any], origin: str) -> Iterator[Sequence[Any]]:
    width = None
    for number, row in enumerate(found, 1):
        if not isinstance(row, list):
            raise UserError(f"{origin}: row {number}: not a list, but the rows before it are lists; make it a list")
        width = len(row) if width is None else width
        if len(row) != width:
            raise UserError(
                f"{origin}: row {number}: has {counted(len(row), 'value')}, but the first row has {width}; correct it"
            )
        yield row
