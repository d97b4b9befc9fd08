"""Excel workbooks (.xlsx): reads the first sheet that has a table, with openpyxl."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import date, datetime, time
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

from featherweight.data.readers.header import is_header
from featherweight.data.readers.parts import parts_named
from featherweight.data.readers.reading import Reading
from featherweight.data.readers.records import record_tables
from featherweight.data.readers.table import Table, plain_text
from featherweight.data.readers.titles import MOST_TITLES, explanations_below, note_on, note_on_explanations
from featherweight.errors import UserError, in_a_line
from featherweight.formatting import listed
from featherweight.hints import to_install

_SPREAD = 1_000
"""Number of rows of a sheet that are read to find the number of its columns."""
_COMPARED = 20
"""Number of rows of a sheet from which the row of the column names is told."""
_DIGITS = 15  # number of digits of a number that Excel keeps


def excel_tables(source: str | BinaryIO, origin: str, reading: Reading, rows: int) -> Iterator[Table]:
    """The first sheet with rows of a workbook (a path or bytes), ``rows`` rows at a time.

    Empty rows are left out, except between the cells of a sheet of one column: there they are rows with an empty text.
    Raises UserError if openpyxl is not installed, or if the file is damaged or has no rows.
    """
    with _workbook(source, origin) as book:
        sheets = [sheet for sheet in book.worksheets if next(_filled(sheet, origin), None)]
        if not sheets:
            raise UserError(f"{origin}: the file has no rows")
        if parts := _parts(sheets):
            if reading.split not in parts:
                names = listed([*parts.values()])
                raise UserError(f"{origin}: no sheet for the part {reading.split!r}; it has {names}")
            chosen = book[parts[reading.split]]
            origin = f"{origin} ({chosen.title})"
        else:
            chosen = _sheet_of_rows(sheets, origin, reading)
        others = [sheet.title for sheet in sheets if sheet is not chosen and sheet.title not in parts.values()]
        notes = [f"only its sheet {in_a_line(chosen.title)!r} was read, not {listed(others)}"] if others else []
        titles = [] if reading.columns else _titles(chosen, origin, reading)
        if titles:
            notes.append(note_on(titles))
        records: Iterator[list[Any]] = islice(_of_one_width(chosen, origin), len(titles), None)
        header, *first = islice(_of_one_width(chosen, origin), len(titles), len(titles) + 3)
        if explained := 0 if reading.columns else explanations_below(first):
            notes.append(note_on_explanations(explained))
            records = chain([header], islice(records, explained + 1, None))
        if (long := next(_long_numbers(chosen, origin), None)) is not None:
            notes.append(
                f"Excel keeps {_DIGITS} digits of a number, so {plain_text(long)} may be rounded; "
                "write ids of more digits as texts"
            )
        if cell := _formula_without_result(source, origin, chosen):
            notes.append(
                f"formulas in the first rows, such as that in cell {cell}, have no results in the file and are read as "
                "empty cells; open it in a spreadsheet program and save it there"
            )
        yield from record_tables(records, origin, reading, rows, notes)


def excel_parts(source: str | BinaryIO, origin: str) -> tuple[str, ...]:
    """The parts of a data set that the sheets of a workbook are named after, such as train and test; else empty.

    Raises UserError as ``excel_tables`` does.
    """
    with _workbook(source, origin) as book:
        return tuple(_parts([sheet for sheet in book.worksheets if next(_filled(sheet, origin), None)]))


def _parts(sheets: Sequence[Any]) -> dict[str, str]:
    """The title of the sheet of each part; empty unless there are a sheet of training rows and another part."""
    parts = parts_named([sheet.title for sheet in sheets], whole=True)
    return parts if "train" in parts and len(parts) > 1 else {}


@contextmanager
def _workbook(source: str | BinaryIO, origin: str, *, formulas: bool = False) -> Iterator[Any]:
    """The workbook, whose cells with formulas have their results, or with ``formulas`` the formulas themselves."""
    try:
        import openpyxl
    except ImportError:
        raise UserError(
            f"{origin}: Excel files need openpyxl: {to_install('openpyxl')}; or save the sheet as CSV"
        ) from None
    # Opened here, because openpyxl refuses a path with another extension.
    with Path(source).open("rb") if isinstance(source, str) else nullcontext(source) as file:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about styles and the like, which are not read here
                book = openpyxl.load_workbook(file, read_only=True, data_only=not formulas)
        except Exception as error:  # a damaged file can raise many kinds of errors: zip, XML, missing parts
            raise _unreadable(origin, error) from None
        yield book
        book.close()


def _filled(sheet: Any, origin: str) -> Iterator[list[Any]]:
    """The rows of a sheet that are not empty, without the empty cells at their ends."""
    return filter(None, _rows(sheet, origin))


def _rows(sheet: Any, origin: str) -> Iterator[list[Any]]:
    """As ``_filled``, but with the empty rows between others as empty lists."""
    empty = -1  # number of empty rows since the last one with a value; negative above the first
    sheet.reset_dimensions()  # because some programs write wrong ones
    rows = sheet.iter_rows(values_only=True)
    while True:
        try:
            row = [_plain(value) for value in next(rows)]
        except StopIteration:
            return
        except Exception as error:
            raise _unreadable(origin, error) from None
        while row and row[-1] is None:
            row.pop()
        if not row:
            empty += empty >= 0
            continue
        yield from ([] for _ in range(empty))
        yield row
        empty = 0


def _sheet_of_rows(sheets: Sequence[Any], origin: str, reading: Reading) -> Any:
    """The first sheet with a table; a longer one with more known names instead, because the first may be a summary."""
    tables = [sheet for sheet in sheets if _is_table(sheet, origin)]
    if len(tables) < 2:
        return tables[0] if tables else sheets[0]
    known, rows = _known_names(tables[0], origin, reading), sum(1 for _ in islice(_filled(tables[0], origin), _SPREAD))
    for sheet in tables[1:] if rows < _SPREAD else ():
        longer = next(islice(_filled(sheet, origin), rows, None), None)
        if longer and _known_names(sheet, origin, reading) > known:
            return sheet
    return tables[0]


def _known_names(sheet: Any, origin: str, reading: Reading) -> int:
    """Number of known column names in the first rows of a sheet."""
    rows = islice(_filled(sheet, origin), MOST_TITLES + 2)
    found = {cell.strip().casefold() for row in rows for cell in row if isinstance(cell, str)}
    return len(found & {*reading.known} - {"id"})


def _is_table(sheet: Any, origin: str) -> bool:
    """Whether at least two of the first rows of a sheet have several filled cells; a sheet of explanations has none."""
    return sum(sum(cell is not None for cell in row) > 1 for row in islice(_filled(sheet, origin), MOST_TITLES + 3)) > 1


def _titles(sheet: Any, origin: str, reading: Reading) -> list[str]:
    """The title rows above the header of a sheet, each as one text; empty if the header is the first row."""
    first = list(islice(_filled(sheet, origin), _COMPARED))
    cells = [[cell for cell in row if cell is not None] for row in first]
    count = next((place for place, row in enumerate(cells) if len(row) > 1), 0)
    if count == 0 and _is_group_row(first, cells, reading):
        return [", ".join(map(str, cells[0]))]
    titles = [str(row[0]) for row in cells[:count]]
    known = any(title.strip().casefold() in reading.known for title in titles)
    # A header has texts only, and a row below it.
    header = count <= MOST_TITLES and len(cells) > count + 1 and all(isinstance(cell, str) for cell in cells[count])
    return titles if header and not known else []


def _is_group_row(rows: Sequence[Sequence[Any]], cells: Sequence[Sequence[Any]], reading: Reading) -> bool:
    """Whether the first row names groups of columns (in merged cells), and the second row names the columns."""
    if (
        len(rows) < 3
        or len(cells[0]) >= len(cells[1])
        or not all(isinstance(cell, str) for row in cells[:2] for cell in row)
    ):
        return False
    groups, names = ({cell.strip().casefold() for cell in row} for row in cells[:2])
    known = {*reading.known}
    if None in rows[0] and None not in rows[1] and not (groups | names) & known:
        below = [row for row in rows[2:] if len(row) == len(rows[1])]
        texts = [["" if cell is None else str(cell) for cell in row] for row in below]
        return is_header(list(map(str, rows[1])), texts)
    return bool(names & known) and not groups & known


def _of_one_width(sheet: Any, origin: str) -> Iterator[list[Any]]:
    """The rows of a sheet, padded or cut to the same length: that of the longest of the first rows.

    Empty rows are left out if that length is more than one.
    Cells beyond that length belong to no column and are dropped.
    """
    width = max(map(len, islice(_filled(sheet, origin), _SPREAD)))
    for row in _rows(sheet, origin) if width == 1 else _filled(sheet, origin):
        yield [*row[:width], *[None] * (width - len(row))]


def _long_numbers(sheet: Any, origin: str) -> Iterator[float]:
    """The numbers among the first rows of a sheet that have more digits than Excel keeps."""
    for row in islice(_filled(sheet, origin), _SPREAD):
        yield from (cell for cell in row if isinstance(cell, int | float) and abs(cell) >= 10**_DIGITS)


def _plain(value: Any) -> Any:
    """The value of a cell; dates and times are converted to texts, and an empty text to None."""
    if isinstance(value, datetime | date | time):
        return value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()
    return None if isinstance(value, str) and not value.strip() else value


def _unreadable(origin: str, error: Exception) -> UserError:
    reason = str(error).split("\n")[0] or type(error).__name__
    return UserError(f"{origin}: not a readable Excel file: {reason}; save it again as .xlsx, or as CSV")


def _formula_without_result(source: str | BinaryIO, origin: str, sheet: Any) -> str | None:
    """The first cell with a formula, if no formula in the first rows of a sheet has a result in the file; else None.

    Programs that write workbooks without computing them, such as openpyxl, store no results. An empty text is a result.
    """
    found = list(islice(sheet.iter_rows(), _SPREAD))
    results = [[cell.value is not None or cell.data_type == "str" for cell in row] for row in found]
    if all(map(all, results)):
        return None
    first = None
    try:
        with _workbook(source, origin, formulas=True) as book:
            for cells, row in zip(book[sheet.title].iter_rows(), results, strict=False):
                for cell, result in zip(cells, row, strict=False):
                    if cell.data_type == "f":
                        if result:
                            return None
                        first = first or str(cell.coordinate)
    except Exception:  # openpyxl raises many kinds for a formula that it cannot parse; only the note is lost
        return None
    return first
