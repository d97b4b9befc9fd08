"""Converts rows in memory (DataFrames, Arrow tables, lists of dicts or pairs, dicts of columns) to Parquet files."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from featherweight.argument_checks import code_to_save, described, is_table
from featherweight.data.readers.parts import parts_named
from featherweight.data.row_pairs import are_pairs, columns_of_pairs
from featherweight.errors import UserError, in_a_line

if TYPE_CHECKING:
    import pyarrow as pa


def is_rows(given: Any) -> bool:
    """Whether ``given`` is rows with named columns: a table, a dict of them by split, dicts, pairs, or columns."""
    if is_table(given) or is_by_split(given):
        return True
    if isinstance(given, Mapping):
        return (
            bool(given)
            and not any(isinstance(values, str | Mapping) for values in given.values())
            and all(isinstance(values, Iterable) for values in given.values())
        )
    return _are_rows(given)


def parquet_parts(given: Any, name: str) -> dict[str, bytes]:
    """A Parquet file for each part of ``given``: ``train``, and ``validation`` and ``test`` if there are such splits.

    ``name`` is the name of the called function, for messages. If ``given`` is not rows, raises UserError, which says
    what to write instead.
    """
    if not is_by_split(given):
        return {"train": parquet_bytes(given, name)}
    splits_of = _splits(given)
    parts = {part: given[split] for part, split in splits_of.items()}
    if "train" not in parts and len(given) == 1:
        parts["train"] = next(iter(given.values()))
    if "train" not in parts:
        splits = ", ".join(map(str, given))
        raise UserError(
            f"{name}: the {type(given).__name__} has no split 'train'; its splits are: {splits}\n"
            f"Pass one of them, such as {name}(splits[{next(iter(given), 'train')!r}])"
        )
    for part, rows in parts.items():
        require_rows(rows, name, f"the part {splits_of.get(part, part)!r}", needed=part == "train")
    return {part: parquet_bytes(rows, name) for part, rows in parts.items()}


def parquet_test(rows: Any, name: str) -> bytes:
    """The test ``rows`` as a Parquet file. Raises UserError as ``parquet_parts`` does, also if there are none."""
    require_rows(rows, name, "test", needed=False)
    return parquet_bytes(rows, name)


def is_by_split(given: Any) -> bool:
    """Whether ``given`` is a dict of Datasets, or one of tables or lists of rows with the training rows among them."""
    if not isinstance(given, Mapping):
        return False
    if is_table(given):
        return True
    if "train" not in _splits(given):
        return False
    return all(is_table(rows) or _are_rows(rows) or rows in ([], ()) for rows in given.values())


def require_rows(rows: Any, name: str, what: str = "the data", *, needed: bool = True) -> None:
    """Raise UserError if ``rows`` are known to be none. ``what`` names them; those not ``needed`` may be left out."""
    if hasattr(type(rows), "__len__") and not len(rows):  # a lazy table does not know its length
        raise UserError(f"{name}: {what} has no rows; add some{'' if needed else ', or leave it out'}")


def _splits(given: Mapping[Any, Any]) -> dict[str, str]:
    """The key of ``given`` for each part of the data, such as {"validation": "dev"}; missing parts are left out."""
    return parts_named([key for key in given if isinstance(key, str)], whole=True)


def _are_dicts(rows: Any) -> bool:
    return isinstance(rows, list | tuple) and bool(rows) and all(isinstance(row, Mapping) for row in rows)


def _are_rows(rows: Any) -> bool:
    return _are_dicts(rows) or are_pairs(rows)


def parquet_bytes(rows: Any, name: str) -> bytes:
    """``rows`` as a Parquet file. Raises UserError as ``parquet_parts`` does."""
    import pyarrow.parquet as pq

    file = io.BytesIO()
    pq.write_table(_arrow_table(rows, name), file)
    return file.getvalue()


def _arrow_table(rows: Any, name: str) -> pa.Table:
    import pyarrow as pa

    library = type(rows).__module__.partition(".")[0]
    if isinstance(rows, pa.Table):
        return rows
    if isinstance(rows, pa.RecordBatch):
        return pa.Table.from_batches([rows])
    if library == "datasets" and hasattr(rows, "save_to_disk"):
        # The reader of Parquet files takes the names of the classes from the metadata.
        return rows.with_format("arrow")[:].replace_schema_metadata(rows.features.arrow_schema.metadata)
    if library == "pandas" and is_table(rows):
        return _of_columns([(str(name), _plain(rows.iloc[:, place])) for place, name in enumerate(rows.columns)])
    if is_table(rows) and hasattr(rows, "__arrow_c_stream__"):  # polars and others, through Arrow's own interface
        return pa.table(rows)
    if isinstance(rows, Mapping) and not is_table(rows):
        return _of_columns([(str(column), _listed(values)) for column, values in rows.items()])
    if _are_dicts(rows):
        columns = dict.fromkeys(column for row in rows for column in row)
        return _of_columns([(str(column), [row.get(column) for row in rows]) for column in columns])
    if are_pairs(rows):
        return _of_columns(list(columns_of_pairs(rows, name).items()))
    how, file = code_to_save(rows)
    raise UserError(
        f"{name} takes rows with named columns, such as a DataFrame or a list of dicts, not {described(rows)}\n"
        f"Save the rows with {how}, and pass the file: {name}({file!r})"
    )


def _plain(column: Any) -> Any:
    """A column of pandas; categories, intervals, periods and the like become a list of their values as objects."""
    kind = type(column.dtype).__name__
    return list(column) if kind in ("CategoricalDtype", "IntervalDtype", "PeriodDtype", "SparseDtype") else column


def _listed(values: Any) -> list[Any]:
    as_list = getattr(values, "to_pylist", None) or getattr(values, "tolist", None)
    return list(values) if as_list is None else as_list()


def _of_columns(columns: Sequence[tuple[str, Any]]) -> pa.Table:
    """A table of ``columns``, given as (name, values); a name may be repeated, as in a DataFrame.

    A column that Arrow refuses, because its values have several types, becomes texts.
    """
    import pyarrow as pa

    lengths = {len(values) for _, values in columns}
    if len(lengths) > 1:
        told = ", ".join(f"{in_a_line(name)} {len(values):,}" for name, values in columns[:4])
        raise UserError(f"the columns have different numbers of rows: {told}; give every column one value per row")
    arrays = []
    for _, values in columns:
        try:
            arrays.append(pa.array(values, from_pandas=True))
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            arrays.append(pa.array([None if value is None or value != value else str(value) for value in values]))
    return pa.table(arrays, names=[name for name, _ in columns])
