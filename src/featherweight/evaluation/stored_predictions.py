"""Reads the predictions that a run has stored (predictions.parquet)."""

from __future__ import annotations

from typing import Any

from featherweight.errors import damaged, first_line
from featherweight.run.folder import Run, missing_file


def stored_predictions(run: Run, split: str) -> dict[str, list[Any]]:
    """The columns ``row``, ``text_key``, ``label`` and ``predicted`` of the rows of ``split``, in their order.

    Raises UserError if the file of the predictions is missing or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = run.folder / "predictions.parquet"
    if not path.is_file():
        raise missing_file(path)
    try:
        columns = ["row", "text_key", "label", "predicted"]
        table = pq.read_table(path, columns=columns, filters=[("split", "=", split)])
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise damaged(path, first_line(error)) from None
    if not table.num_rows:
        raise damaged(path, f"it has no {split} rows")
    for name in columns:
        kind = table.schema.field(name).type
        lists = run.recipe.task == "multi-label" and name in ("label", "predicted") and pa.types.is_list(kind)
        kind_of_text = kind.value_type if lists else kind
        text = pa.types.is_string(kind_of_text) or pa.types.is_large_string(kind_of_text)
        if not (pa.types.is_integer(kind) if name == "row" else text):
            raise damaged(path, f"column {name!r} has the type {kind}")
    return table.sort_by("row").to_pydict()
