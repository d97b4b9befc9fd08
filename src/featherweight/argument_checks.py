"""What a caller gave in place of what was asked for: its name in words, and what to write instead.

Tables, arrays and series are told by what they can do. None of their libraries is imported to look at a type.
"""

from __future__ import annotations

import operator
import os
from collections.abc import ItemsView, Iterable, KeysView, Mapping, Set
from typing import Any

from featherweight.errors import UserError

_LIBRARIES = {"numpy": "NumPy ", "pandas": "pandas ", "polars": "polars ", "pyarrow": "Arrow ", "torch": "PyTorch "}
_BYTES = (bytes, bytearray, memoryview)


def described(value: Any) -> str:
    """``value`` in words, for the middle of a message: "a pandas DataFrame", "a dict", "the number 3", "None"."""
    kind = type(value)
    if value is None or isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        return f"the text {value[:60]!r}"
    if isinstance(value, os.PathLike):
        return f"the path {os.fspath(value)!r}"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, tuple):
        return "a tuple"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, _BYTES):
        return "bytes"
    name = "array" if kind.__name__ == "ndarray" else kind.__name__
    words = _LIBRARIES.get(kind.__module__.partition(".")[0], "") + name
    return f"{'an' if words[0] in 'AEIOaeio' else 'a'} {words}"


def is_table(value: Any) -> bool:
    """Whether ``value`` has named columns: a DataFrame, an Arrow Table, a Dataset, a dict of Datasets."""
    # Asked of the type: asking a lazy table itself would compute something.
    attributes = (getattr(type(value), name, None) for name in ("columns", "column_names"))
    return any(attribute is not None and not callable(attribute) for attribute in attributes)


def column_of(table: Any) -> tuple[str, str]:
    """Python for a table's column of texts, such as ``frame["text"]``, and a note that lists the columns to choose of.

    The note is empty where there is nothing to choose.
    """
    if isinstance(table, Mapping):  # datasets by their splits
        split = "test" if "test" in table else next(iter(table), "test")
        within, note = column_of(table[split]) if split in table else ('dataset["text"]', "")
        return within.replace("dataset", f"dataset[{_quoted(split)}]", 1), note
    frame = not hasattr(type(table), "column_names")
    name = "frame" if frame else "table" if hasattr(table, "schema") else "dataset"
    named = table.columns if frame else table.column_names
    columns = ["text"] if named is None or len(named) == 0 else list(named)
    chosen = columns if len(columns) == 1 else [column for column in columns if str(column).casefold() == "text"]
    if len(chosen) == 1:
        return f"{name}[{_quoted(chosen[0])}]", ""
    shown = ", ".join(map(_quoted, columns[:8])) + (", ..." if len(columns) > 8 else "")
    return f"{name}[column]", f", where column is the one of the texts: {shown}"


def saving(rows: Any) -> tuple[str, str]:
    """Python that saves rows of a caller's memory, and the file (or folder) that it makes."""
    library = type(rows).__module__.partition(".")[0]
    if library == "polars":
        return "frame.write_csv('rows.csv')", "rows.csv"
    if library == "pyarrow" and is_table(rows):
        return "table.to_pandas().to_csv('rows.csv', index=False)", "rows.csv"
    if library == "datasets" and hasattr(rows, "save_to_disk"):
        return "dataset.save_to_disk('rows')", "rows"
    if library == "datasets" and is_table(rows):
        return "dataset.to_csv('rows.csv')", "rows.csv"
    if is_table(rows) and hasattr(rows, "to_csv"):
        return "frame.to_csv('rows.csv', index=False)", "rows.csv"
    rows_or_columns = isinstance(rows, Mapping) or (isinstance(rows, list) and rows and isinstance(rows[0], Mapping))
    made_of = "rows" if rows_or_columns else "{'text': texts, 'label': labels}"
    return f"pandas.DataFrame({made_of}).to_csv('rows.csv', index=False)", "rows.csv"


def items_of(values: Iterable[Any]) -> list[Any]:
    """The items of any sequence, series, array, column or iterator, in its order."""
    # Arrow's own items are scalars of its own; the list has Python's.
    as_list = getattr(values, "to_pylist", None)
    return [_plain(item) for item in values] if as_list is None else as_list()


def _plain(item: Any) -> Any:
    """``item``, or Python's own value of one of Arrow's scalars."""
    as_python = getattr(type(item), "as_py", None)
    return item if as_python is None else as_python(item)


def list_of(values: Iterable[Any], call: str, what: str, one: type | tuple[type, ...] = ()) -> list[Any]:
    """``values`` as a list. Raises UserError where it is no collection in an order, or just ``one`` of its items.

    ``call`` is the call or argument in question with "..." for its value, ``what`` says in words what it lists.
    """
    single = isinstance(values, (str, *_BYTES, os.PathLike, *(one if isinstance(one, tuple) else (one,))))
    if single or is_table(values) or isinstance(values, Mapping) or not is_iterable(values):
        remedy = f"; write {call.replace('...', '[...]')}" if single else ""
        raise UserError(f"{name_of(call)} takes a list of {what}, not {described(values)}{remedy}")
    if is_unordered(values):
        remedy = call.replace("...", "sorted(...)")
        raise UserError(f"{name_of(call)} takes a list of {what}; a set has no order: write {remedy}")
    return items_of(values)


def is_unordered(values: Any) -> bool:
    """Whether ``values`` is a set; the views of a dict are in its order."""
    return isinstance(values, Set) and not isinstance(values, KeysView | ItemsView)


def is_iterable(values: Any) -> bool:
    """Whether ``values`` can be gone through; a class of such things cannot."""
    try:
        iter(values)
    except TypeError:
        return False
    return True


def name_of(call: str) -> str:
    """What is called in ``call``: "predict" of ``predict(...)``, "seeds" of ``seeds=...``."""
    return call.partition("(")[0].partition("=")[0]


def require_path(value: Any, name: str, what: str) -> None:
    """Raise UserError where ``value`` is no path (a text or a Path); ``name`` takes ``what``."""
    if isinstance(value, str) or (isinstance(value, os.PathLike) and isinstance(os.fspath(value), str)):
        return
    remedy = "; write run.folder" if type(value).__name__ == "Run" else ""
    raise UserError(f"{name} takes {what}, not {described(value)}{remedy}")


def require_whole(value: Any, name: str, example: str) -> int:
    """``value`` as an int. Raises UserError where it is no whole number; ``example`` is one as Python writes it."""
    if not isinstance(value, bool):
        try:
            return operator.index(value)
        except TypeError:
            pass
    raise UserError(f"{name} takes a whole number such as {example}, not {described(value)}")


def _quoted(column: Any) -> str:
    return f'"{column}"' if isinstance(column, str) and '"' not in column else repr(column)
