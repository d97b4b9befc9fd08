"""Checks arguments of Featherweight's Python functions, and describes wrong arguments in words for error messages.

Tables, arrays and series are recognised by their attributes, so that pandas, Arrow and so on need not be imported.
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
    """A short description of ``value`` for a message: "a pandas DataFrame", "a dict", "the number 3", "None"."""
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
    # Attributes of the type are checked, because attributes of a lazy table itself would start a computation.
    attributes = (getattr(type(value), name, None) for name in ("columns", "column_names"))
    return any(attribute is not None and not callable(attribute) for attribute in attributes)


def column_of(table: Any) -> tuple[str, str]:
    """Python code for the text column of ``table``, such as ``frame["text"]``, and a note that lists its columns.

    The note is empty if it is clear which column has the texts.
    """
    if isinstance(table, Mapping):  # a dictionary of datasets by split
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
    return f"{name}[column]", f", where column is the text column, one of: {shown}"


def code_to_save(rows: Any) -> tuple[str, str]:
    """Python code that saves in-memory ``rows``, and the name of the file or folder that it writes."""
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
    if isinstance(rows, list) and rows and all(isinstance(row, tuple | list) for row in rows):
        made_of = "rows, columns=['text', 'label']" if len(rows[0]) == 2 else "rows, columns=['text', 'label', ...]"
    return f"pandas.DataFrame({made_of}).to_csv('rows.csv', index=False)", "rows.csv"


def items_of(values: Iterable[Any]) -> list[Any]:
    """The items of a sequence, series, array, column or iterator as a list of Python values."""
    # Iterating over an Arrow array gives Arrow scalars; to_pylist gives Python values.
    as_list = getattr(values, "to_pylist", None)
    return [_to_python(item) for item in values] if as_list is None else as_list()


def _to_python(item: Any) -> Any:
    """``item``, converted to a Python value if it is an Arrow scalar."""
    as_python = getattr(type(item), "as_py", None)
    return item if as_python is None else as_python(item)


def list_of(values: Iterable[Any], call: str, what: str, item_types: type | tuple[type, ...] = ()) -> list[Any]:
    """``values`` as a list. Raises UserError if it is a single item, not iterable, or unordered (a set).

    ``call`` names the argument in the message, such as ``labels=...`` or ``predict(...)``; ``what`` describes the items
    in words. Texts, bytes and paths count as single items, and so do instances of ``item_types``.
    """
    types = item_types if isinstance(item_types, tuple) else (item_types,)
    single = isinstance(values, (str, *_BYTES, os.PathLike, *types))
    if single or is_table(values) or isinstance(values, Mapping) or not is_iterable(values):
        remedy = f"; write {call.replace('...', '[...]')}" if single else ""
        raise UserError(f"{name_of(call)} takes a list of {what}, not {described(values)}{remedy}")
    if is_unordered(values):
        remedy = call.replace("...", "sorted(...)")
        raise UserError(f"{name_of(call)} takes a list of {what}, but a set has no order: write {remedy}")
    return items_of(values)


def is_unordered(values: Any) -> bool:
    """Whether ``values`` is a set or another unordered collection; keys and items of a dict are ordered."""
    return isinstance(values, Set) and not isinstance(values, KeysView | ItemsView)


def is_iterable(values: Any) -> bool:
    """Whether ``values`` can be iterated over."""
    try:
        iter(values)
    except TypeError:
        return False
    return True


def name_of(call: str) -> str:
    """The name of the function or argument in ``call``: "predict" for ``predict(...)``, "seeds" for ``seeds=...``."""
    return call.partition("(")[0].partition("=")[0]


def require_path(value: Any, name: str, what: str) -> None:
    """Raise UserError unless ``value`` is a path (a str or a Path); the message says that ``name`` takes ``what``."""
    if isinstance(value, str) or (isinstance(value, os.PathLike) and isinstance(os.fspath(value), str)):
        return
    remedy = "; write run.folder" if type(value).__name__ == "Run" else ""
    raise UserError(f"{name} takes {what}, not {described(value)}{remedy}")


def require_whole(value: Any, name: str, example: str) -> int:
    """``value`` as an int. Raises UserError if it is not a whole number; the message shows ``example``."""
    if not isinstance(value, bool):
        try:
            return operator.index(value)
        except TypeError:
            pass
    raise UserError(f"{name} takes a whole number such as {example}, not {described(value)}")


def _quoted(column: Any) -> str:
    return f'"{column}"' if isinstance(column, str) and '"' not in column else repr(column)
