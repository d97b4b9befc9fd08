"""Rows of text from wherever a recipe names: the built-in set, a file, a saved folder, or the hub."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featherweight.data.cleaning import clean_texts
from featherweight.data.files import looks_like_file, open_file
from featherweight.data.hub import hub_splits, open_hub, open_saved, saved_splits
from featherweight.data.labels import AG_NEWS, code_labels
from featherweight.data.tables import Table, id_column, joined_texts, label_column, text_columns
from featherweight.errors import UserError
from featherweight.recipe import DataRecipe

BUILT_IN = {"newsbriefs": ("train", "test")}
"""Data sets that the package brings along, and their splits."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Texts of one part of the data, with their labels where these are known."""

    texts: list[str]
    labels: NDArray[np.int64] | None
    """Class numbers, one a text."""
    label_names: tuple[str, ...]
    """Names of the classes in the order of their numbers; empty where nobody knows them."""
    origin: str
    """What messages call these rows, such as ``train.csv.gz``."""
    ids: list[str] | None = None
    """Values of the column ``ID``, where the data has one."""

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, places: NDArray[np.int64]) -> Rows:
        """The rows at ``places`` (0-based), in that order."""
        texts, ids = self.texts, self.ids
        return Rows(
            [texts[place] for place in places.tolist()],
            None if self.labels is None else self.labels[places],
            self.label_names,
            self.origin,
            None if ids is None else [ids[place] for place in places.tolist()],
        )


def read_rows(
    source: str,
    data: DataRecipe,
    *,
    split: str = "train",
    labelled: bool = True,
    label_names: Sequence[str] | None = None,
) -> Rows:
    """All rows of ``source``: a built-in name, a file, a folder saved by `datasets`, or a data set on the hub.

    Columns and cleaning are the recipe's. ``label_names`` are the classes to map to, where they are known already;
    with ``labelled=False`` no label column is needed or read. Raises UserError, naming row and column, for empty texts,
    unknown labels and anything that cannot be read, and HubUnreachable.
    """
    table = open_table(source, data, split)
    texts = joined_texts(table, text_columns(table, data))
    _require_texts(texts, table.origin, "")
    texts = clean_texts(texts, data.clean)
    _require_texts(texts, table.origin, " after cleaning")
    labels, names = _labels(table, source, data, label_names) if labelled else (None, tuple(label_names or data.labels))
    return Rows(texts, labels, names, table.origin, _ids(table))


def open_table(source: str, data: DataRecipe, split: str) -> Table:
    """The raw columns of ``source``. Files hold one split only, so ``split`` matters for the other kinds."""
    if source in BUILT_IN:
        return _open_built_in(source, split)
    path = Path(source).expanduser()
    if path.is_dir():
        return open_saved(path, source, split)
    if path.exists():
        return open_file(path, source)
    if looks_like_file(source):
        raise UserError(f"{source}: no such file{_near_file(path)}")
    return open_hub(source, split, *_hub_choice(source, data))


def has_test_split(data: DataRecipe) -> bool:
    """Whether the training data set brings a test split along."""
    path = Path(data.train).expanduser()
    if data.train in BUILT_IN:
        return "test" in BUILT_IN[data.train]
    if path.is_dir():
        return "test" in saved_splits(path, data.train)
    if path.exists() or looks_like_file(data.train):
        return False
    return "test" in hub_splits(data.train, data.config, data.revision)


def training_label_names(data: DataRecipe) -> tuple[str, ...]:
    """The class names that the training data would get, from its label column alone."""
    table = open_table(data.train, data, "train")
    column = label_column(table, data)
    return table.classes.get(column) or _labels(table, data.train, data, None)[1]


def _open_built_in(source: str, split: str) -> Table:
    if split not in BUILT_IN[source]:
        raise UserError(f"{source}: no split {split!r}; it has {', '.join(BUILT_IN[source])}")
    with resources.as_file(resources.files("featherweight") / "data" / source / f"{split}.jsonl") as path:
        table = open_file(path, f"{source} ({split})")
    return table


def _hub_choice(source: str, data: DataRecipe) -> tuple[str | None, str | None]:
    # The recipe's configuration and revision are those of the training set.
    return (data.config, data.revision) if source == data.train else (None, None)


def _near_file(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"; there is no folder {folder} either"
    near = difflib.get_close_matches(path.name, [other.name for other in folder.iterdir()], n=1)
    return f"; did you mean {folder / near[0]}?" if near else f" in {folder.resolve()}; check the path"


def _require_texts(texts: Sequence[str], origin: str, when: str) -> None:
    if not texts:
        raise UserError(f"{origin}: the data set is empty; it needs at least one row")
    empty = [row for row, text in enumerate(texts, 1) if not text or text.isspace()]
    if empty:
        more = f" (and in {len(empty) - 1:,} more rows)" if len(empty) > 1 else ""
        raise UserError(f"{origin}: row {empty[0]}: the text is empty{when}{more}; fill it in or delete the row")


def _labels(
    table: Table,
    source: str,
    data: DataRecipe,
    label_names: Sequence[str] | None,
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    names = label_names or data.labels or (AG_NEWS if source in BUILT_IN else None)
    column = label_column(table, data)
    own = source in (data.train, data.validation, data.test)
    return code_labels(
        table.read(column),
        table.origin,
        carried=table.classes.get(column),
        names=names,
        numbered=bool(data.labels),
        rename=bool(data.labels) and own,
    )


def _ids(table: Table) -> list[str] | None:
    column = id_column(table)
    return None if column is None else [_id(value) for value in table.read(column)]


def _id(value: Any) -> str:
    if value is None or value != value:
        return ""
    # A column of whole numbers with a gap comes back from some tools as 1.0, 2.0, ...
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
