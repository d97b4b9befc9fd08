"""Notes and warnings about the rows of a run: how they were read, too few rows, and repeated texts."""

from __future__ import annotations

import codecs
import csv
import math
import shlex
from collections.abc import Mapping, Sequence
from operator import eq
from pathlib import Path
from typing import Any

from featherweight.data.label_lists import separator_note
from featherweight.data.label_spelling import groups_of_alike, nearly_alike
from featherweight.data.pairs import stripped
from featherweight.data.perturbations import is_perturbed
from featherweight.data.readers.conversion import free_name
from featherweight.data.readers.delimited import dialect_and_quoting
from featherweight.data.readers.dialect import Dialect
from featherweight.data.readers.kinds import KINDS
from featherweight.data.readers.reading import reading_of
from featherweight.data.readers.unpacking import Content
from featherweight.data.sources import Rows
from featherweight.formatting import counted
from featherweight.recipe import DataRecipe
from featherweight.run.doubts import TOO_GOOD

ENOUGH_VALIDATION_ROWS = 5_000
NOTABLE_REPETITION = 0.05
"""The share of evaluated rows with an earlier text from which on there is a warning."""
_MOST_REPLACED = 12
"""Number of labels in a command that writes them otherwise."""


def reading_notes(parts: Sequence[Rows | None], data: DataRecipe) -> list[str]:
    """Notes on how the data of all ``parts`` was read; the training rows come first."""
    train = parts[0]
    assert train is not None
    notes = list(dict.fromkeys(note for part in parts if part is not None for note in part.notes))
    column = train.label_column
    if column and data.label_separator is None:
        note = separator_note(column.name, column.separator, train.label_names, several=data.several)
        notes += [note] if note else []
    return notes


def split_warnings(train: Rows, validation: Rows, test: Rows | None, shift: Mapping[str, Rows]) -> list[str]:
    """Warnings, one line each, about labels and rows that make the metrics uncertain or too optimistic."""
    parts = {"validation": validation, "test": test, **shift}
    alike = _alike_warning(train)
    return [
        *([alike] if alike else []),
        *_validation_warnings(validation),
        *_repetition_warnings(train, {name: rows for name, rows in parts.items() if rows is not None}),
        *(_alike_rows_warning("validation", validation) if test is None else _alike_rows_warning("test", test)),
        *_perturbation_warnings(test, shift),
    ]


def remedies_of(train: Rows, data: DataRecipe) -> dict[str, str]:
    """Commands that change the file of training data so that a warning no longer applies, by warning.

    They are for the owner of the data: they contain its path.
    """
    alike = _alike_warning(train)
    command = _writing_alike(train, data) if alike else None
    return {alike: command} if alike and command else {}


def _alike_warning(train: Rows) -> str | None:
    alike = nearly_alike(train.label_names)
    return f"{alike}: if they are one, write them alike" if alike else None


def _writing_alike(train: Rows, data: DataRecipe) -> str | None:
    """A command that writes labels which are nearly alike as the most frequent of them; None if no file can be given.

    The file must be a table in UTF-8 whose first line is its header, with a separator of one character.
    """
    path, column = Path(data.train).expanduser(), train.label_column
    if KINDS.get(path.suffix.casefold()) not in ("csv", "tsv") or column is None or column.separator is not None:
        return None
    number = {name: n for n, name in enumerate(train.label_names)}
    written: dict[str, str] = {}
    for same in groups_of_alike(train.label_names):
        kept = max(same, key=lambda name: train.counts[number[name]])
        written |= {column.values[number[name]]: column.values[number[kept]] for name in same if name != kept}
    settings = _settings_of_plain(path, data)
    place = None if settings is None else _place_in_header(path, settings, column.name)
    if place is None or len(written) > _MOST_REPLACED:
        return None
    given = "".join(f", {name}={value!r}" for name, value in settings.items()) if settings else ""
    code = (
        f"import csv; csv.field_size_limit(2**31 - 1); alike = {written}; "
        f"rows = csv.reader(open({str(path)!r}, encoding='utf-8-sig', newline=''){given}); "
        f"new = csv.writer(open({str(free_name(path, path.suffix))!r}, 'w', encoding='utf-8', newline=''){given}); "
        f"new.writerow(next(rows)); new.writerows([*row[:{place}], *(alike.get(cell.strip(), cell) "
        f"for cell in row[{place}:{place + 1}]), *row[{place + 1}:]] for row in rows)"
    )
    return f"python -c {shlex.quote(code)}"


def _settings_of_plain(path: Path, data: DataRecipe) -> dict[str, Any] | None:
    """The arguments of ``csv.reader`` and ``csv.writer`` for a table; None if they do not keep all that it contains."""
    if codecs.lookup(data.encoding or "utf-8").name not in ("utf-8", "utf-8-sig"):
        return None
    tabs = KINDS[path.suffix.casefold()] == "tsv"
    dialect, quoted = dialect_and_quoting(Content(path, path.name), reading_of(data, "train"), tabs=tabs)
    if dialect != Dialect(dialect.separator, agreement=dialect.agreement):
        return None
    separator = {} if dialect.separator == "," else {"delimiter": dialect.separator}
    return separator if quoted else {**separator, "quoting": int(csv.QUOTE_NONE), "quotechar": None}


def _place_in_header(path: Path, settings: Mapping[str, Any], name: str) -> int | None:
    """Index of the column ``name`` in the first line of a table; None if it is not there once, or not all is UTF-8."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = [cell.strip() for cell in next(csv.reader(file, **settings), [])]
            while file.read(1 << 20):  # the command decodes the other rows, too
                pass
    except (OSError, ValueError, csv.Error):
        return None
    return header.index(name) if header.count(name) == 1 else None


def _validation_warnings(rows: Rows) -> list[str]:
    absent = [name for name, count in zip(rows.label_names, rows.counts, strict=True) if not count]
    warnings = [f"no validation row has the label {', '.join(map(repr, absent))}"] if absent else []
    if len(rows) < ENOUGH_VALIDATION_ROWS:
        width, enough = (100 * half_width(count) for count in (len(rows), ENOUGH_VALIDATION_ROWS))
        warnings.append(
            f"{counted(len(rows), 'validation row')}: at an accuracy of 90% its 95% confidence interval is "
            f"±{width:.1f} points; {ENOUGH_VALIDATION_ROWS:,} rows would give ±{enough:.1f}"
        )
    return warnings


def _repetition_warnings(train: Rows, parts: Mapping[str, Rows]) -> list[str]:
    counts = {name: repeated_rows(rows, train) for name, rows in parts.items()}
    return [
        f"{count:,} of {counted(len(parts[name]), f'{name} row')} repeat{'s' if count == 1 else ''} a training text: "
        f"the metrics may be {TOO_GOOD}"
        for name, count in counts.items()
        if count
    ]


def _alike_rows_warning(name: str, rows: Rows) -> list[str]:
    """A list with a warning if at least ``NOTABLE_REPETITION`` of ``rows`` have the text of another one; else []."""
    count = len(rows) - len(set(map(stripped, rows.texts)))
    if not count or count < NOTABLE_REPETITION * len(rows):
        return []
    which = f"{count:,} of {counted(len(rows), f'{name} row')} {'repeats' if count == 1 else 'repeat'} an earlier one"
    return [f"{which}: they are not independent, so the 95% intervals are too narrow"]


def _perturbation_warnings(test: Rows | None, shift: Mapping[str, Rows]) -> list[str]:
    perturbed = {name: rows for name, rows in shift.items() if is_perturbed(name)}
    unchanged = [name for name, rows in perturbed.items() if test and all(map(eq, rows.texts, test.texts))]
    return [f"{name} changes none of the test texts: its metrics are those of the test set" for name in unchanged]


def half_width(rows: int, accuracy: float = 0.9) -> float:
    """Half the width of the 95% confidence interval of an accuracy on ``rows`` rows, as a fraction.

    It is the normal approximation 1.96 sqrt(p (1 - p) / n), which is accurate for a few hundred rows or more.
    """
    return 1.96 * math.sqrt(accuracy * (1 - accuracy) / rows)


def repeated_rows(rows: Rows, train: Rows) -> int:
    """Number of rows whose text is also a training text; leading and trailing spaces are ignored."""
    own = set(map(stripped, rows.texts))  # the smaller set: the training texts may not fit into memory
    known = {bare for bare in map(stripped, train.texts) if bare in own}
    return sum(bare in known for bare in map(stripped, rows.texts))
