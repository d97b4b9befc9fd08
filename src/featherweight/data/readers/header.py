"""Decides whether the first row of a table is its header.

If it is not, the names of the columns come from the recipe; without these, a message says how to give them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from featherweight.data.readers.reading import Reading
from featherweight.errors import UserError, in_a_line
from featherweight.formatting import listed
from featherweight.hints import option, to_set

_NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)?", re.ASCII)
_SENTENCE = 60
"""Number of characters above which a value of several words is a text, not the name of a column."""
_SHOWN = 40
_FEW_WORDS = 3
"""Number of words from which a value is probably a text, not the name of a column."""
_MOST_CLASSES = 20
"""Number of different values above which a column probably holds no labels if another one always has the same value."""
_UNSPACED = re.compile("[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]")
"""Letters of scripts without spaces between words: Thai and Lao, kana, Chinese characters."""
_FEW_ROWS = 5
"""Minimum number of rows for a conclusion from the values of a column."""


@dataclass(frozen=True)
class Header:
    """The names of the columns, and whether the first row holds them."""

    names: tuple[str, ...]
    in_first_row: bool
    note: str | None = None


def header_of(
    first: Sequence[str], sample: Sequence[Sequence[str]], reading: Reading, origin: str, between: str = ","
) -> Header:
    """The header of a table. ``first`` is its first row, and ``sample`` holds some of the later rows.

    ``between`` are the characters between two fields.

    Raises UserError if the first row seems to be data and the columns have no names. The message contains the option
    that names them.
    """
    names = tuple(field.strip() for field in first)
    rows = [row for row in sample if len(row) == len(first) and list(row) != list(first)]
    known = reading.any_header or any(name.casefold() in reading.known for name in names)
    if reading.columns and not known:
        _require_width(first, rows, reading, origin, between)
        if is_header(first, rows):
            instead = (
                f"its first line ({listed(_short(names), 4)}) seems to be a header; it was replaced by data.columns"
            )
            return Header(reading.columns, True, instead)
        return Header(reading.columns, False)
    if known or names == tuple(map(str, range(len(names)))) or not _is_row(first, rows):
        return Header(names, True)
    raise UserError(
        f"{origin}: its first line seems to be a row, not the names of the columns ({listed(_short(names), 4)})\n"
        f"{_remedy(first, rows, between)}"
    )


def is_header(first: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether ``first`` looks like a header and does not look like data; in different columns it may look like both."""
    return _says_header(first, rows) and not _says_row(first, rows)


def _require_width(
    first: Sequence[str], rows: Sequence[Sequence[str]], reading: Reading, origin: str, between: str
) -> None:
    if len(reading.columns) != len(first):
        count = "1 column" if len(reading.columns) == 1 else f"{len(reading.columns)} columns"
        names = _as_a_line(proposed_names([first, *rows]), between)
        line = f"or write their names as the first line of the file, such as {names}"
        raise UserError(
            f"{origin}: data.columns names {count}, but its first line has {len(first)}\n"
            f"Name all columns, in their order, {line}"
        )


def _as_a_line(names: Sequence[str], between: str) -> str:
    return between.replace("\t", "<TAB>").join(names)


def _remedy(first: Sequence[str], rows: Sequence[Sequence[str]], between: str) -> str:
    names = proposed_names([first, *rows])
    typed = json.dumps(names, ensure_ascii=False)
    ag_news = len(first) == 3 and {row[0].strip() for row in (first, *rows)} < {"1", "2", "3", "4"}
    other = f" (if it is AG News: {to_set('data.format=ag_news')})" if ag_news else ""
    doubts = "".join(f". {doubt}" for doubt in _doubts(names, [first, *rows]))
    line = f"or write {_as_a_line(names, between)} as the first line of the file"
    return f"Name them: {to_set(f'data.columns={typed}')}{other}; {line}{doubts}"


def _doubts(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Sentences on where the proposed ``names`` may be wrong: the label column, or text columns that are not used."""
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    found = []
    others = [name for name in names if name.startswith("column")]
    few = [name for name in others if 1 < len(set(columns[name])) <= max(2, len(rows) // 3)]
    if "label" in names and few:
        found.append(
            f"Which column holds the labels is a guess; other columns with few different values: {listed(few, 4)}"
        )
    texts = [name for name in others if _is_prose(columns[name])]
    if "text" in names and texts:
        options = option("text", [name for name in names if name in (*texts, "text")])
        found.append(f"To join all its text columns, add {options}")
    sizes = sorted(sum(map(len, columns[name])) for name in names if name in ("title", "description"))
    if sizes and 2 * sizes[0] >= sizes[1]:
        pair = to_set("data.join=pair")
        found.append(f"If title and description are a pair, such as premise and hypothesis, add {pair}")
    return found


def proposed_names(rows: Sequence[Sequence[str]]) -> list[str]:
    """Proposed names for the columns of a table without a header.

    The column with the longest values is ``text``, and one with few different values is ``label``. If two of three
    columns hold texts, they are ``title`` and ``description``, which are joined by default. No column is ``label`` if
    one column has the same value in all ``rows`` and the others have too many values for classes: then the table may
    be sorted by label, so only its later rows could show which column holds the labels.
    """
    columns = list(zip(*rows, strict=True))
    length = [sum(map(len, column)) / len(column) for column in columns]
    longest = max(range(len(columns)), key=lambda place: (not _are_numbers(columns[place]), length[place]))
    names = [f"column{place}" for place in range(1, len(columns) + 1)]
    label = _label_place(columns, longest)
    if label is not None:
        names[label] = "label"
    others = [place for place in range(len(columns)) if place not in (label, longest)]
    if len(columns) == 3 and len(others) == 1 and _is_prose(columns[others[0]]):
        first, second = sorted((others[0], longest))
        names[first], names[second] = "title", "description"
    else:
        names[longest] = "text"
    return names


def is_text_beside_name(rows: Sequence[Sequence[str]], text: int) -> bool:
    """For a table of two columns: whether the column with the index ``text`` holds prose and the other does not."""
    columns = list(zip(*rows, strict=True))
    words = len(rows[0][text].split())
    return words >= _FEW_WORDS and _is_prose(columns[text]) and not _is_prose(columns[1 - text])


def _label_place(columns: Sequence[Sequence[str]], besides: int) -> int | None:
    """The index of the column that most likely holds the labels: the column with the fewest different values.

    ``besides`` is the index of the text column. A column whose values are all equal is only chosen if no other column
    has few values. None if no column is likely.
    """
    few = {}
    for place, column in enumerate(columns):
        different = len(set(column))
        if place != besides and different <= max(2, len(column) // 3):
            few[place] = different
    several = [place for place in few if few[place] > 1]
    if len(several) < len(few) and several and min(map(few.__getitem__, several)) > _MOST_CLASSES:
        return None
    return next(iter(sorted(several, key=few.__getitem__) or few), None)


def _is_prose(column: Sequence[str]) -> bool:
    """Whether most non-empty values are distinct and have several words (several letters if there are no spaces)."""
    filled = [value for value in column if value.strip()]
    several = sum(len(value.split()) > 1 or len(_UNSPACED.findall(value)) > _FEW_WORDS for value in filled)
    return several > len(filled) / 2 and len(set(filled)) > len(filled) / 2


def _is_row(first: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    return _says_row(first, rows) or (any(map(_is_sentence, first)) and not _says_header(first, rows))


def _says_row(first: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row looks like data: a value occurs again in its column, or is a number in a numeric column."""
    for value, *others in zip(first, *rows, strict=True):
        if value.strip() and (value in others or (_NUMBER.fullmatch(value.strip()) and _are_numbers(others))):
            return True
    return False


def _says_header(first: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row looks like a header: it has a name above a column of numbers or of repeated values."""
    if len(rows) < _FEW_ROWS:
        return False
    for value, *others in zip(first, *rows, strict=True):
        filled = [other for other in others if other.strip()]
        recurring = filled and len(set(filled)) <= len(filled) / 3 and value not in filled
        if value.strip() and (recurring or (_are_numbers(filled) and not _NUMBER.fullmatch(value.strip()))):
            return True
    return False


def _are_numbers(values: Sequence[str]) -> bool:
    filled = [value.strip() for value in values if value.strip()]
    return sum(bool(_NUMBER.fullmatch(value)) for value in filled) >= 0.8 * len(filled)


def _is_sentence(value: str) -> bool:
    words = value.split()
    return len(words) > 3 and (len(value) > _SENTENCE or value.strip()[-1] in ".!?")


def _short(names: Sequence[str]) -> list[str]:
    return [in_a_line(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…") for name in names]
