"""Interprets the arguments of ``train``: a recipe, the name of a recipe, the name of data, or rows in memory."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from featherweight.argument_checks import described, list_of
from featherweight.backbone.known_configs import refuse_backbone
from featherweight.data.in_memory import is_rows, parquet_parts, parquet_test, require_rows
from featherweight.data.readers.parquet import parquet_tables
from featherweight.environment import has_several_processes
from featherweight.errors import UserError
from featherweight.files import written_whole
from featherweight.recipe import Recipe
from featherweight.recipe.data_files import name_after
from featherweight.recipe.loading import is_recipe
from featherweight.recipe.overrides import option_overrides
from featherweight.recipe.schema import not_a_recipe
from featherweight.run.cleanup import RECIPE, ROWS
from featherweight.run.folder import Run
from featherweight.workflows.own_data import Draft, draft_recipe


@dataclass(frozen=True)
class Request:
    """What a call of ``train`` asks for: a recipe, or data to make one for.

    Rows in memory (such as a DataFrame) are written into the run folder, and the recipe names these files.
    """

    name: str
    """Name of the recipe."""
    recipe: Recipe | None = None
    """None where it waits for the run folder."""
    notes: tuple[str, ...] = ()
    """What was chosen for data."""
    source: str | None = None
    """Data, or a recipe, by its name, where only other parts of the data are in memory."""
    rows: Mapping[str, bytes] = field(default_factory=dict)
    """Rows in memory as Parquet files, by their part: train, validation, test."""
    called: str = ""
    """What the rows were given as, such as "a pandas DataFrame"."""
    overrides: tuple[str, ...] = ()

    def names(self, folder: Path) -> dict[str, str]:
        """What to call the rows in memory in messages, by the path of their file in the run ``folder``."""
        if list(self.rows) == ["train"]:
            return {str(folder / ROWS["train"]): self.called}
        return {str(folder / ROWS[part]): f"the {'training' if part == 'train' else part} rows" for part in self.rows}

    def settled(self, folder: Path) -> Request:
        """Write rows in memory into the run ``folder``; return the same request with a recipe that reads them there.

        The caller must hold the lock of ``folder``. Raises UserError if the columns cannot be guessed, or if ``folder``
        has a run with other rows.
        """
        if self.recipe is not None:
            return self
        files = {part: folder / ROWS[part] for part in self.rows}
        began = (folder / "environment.json").is_file()
        paths = _paths_in_recipe(folder, files) if began else {part: str(path) for part, path in files.items()}
        beside = option_overrides(test=paths.get("test"), validation=paths.get("validation"))
        draft = self._draft(paths, [*beside, *self.overrides])
        if not began:
            # The recipe first: a folder with one is a run, which the same call can resume after a crash.
            (folder / RECIPE).write_text(draft.recipe.to_toml(), "utf-8")
        for part, path in files.items():
            _write_rows(path, self.rows[part], folder)
        return Request(self.name, draft.recipe, draft.notes)

    def _draft(self, paths: Mapping[str, str], overrides: Sequence[str]) -> Draft:
        if "train" in self.rows:
            table = next(parquet_tables(io.BytesIO(self.rows["train"]), self.called))
            return draft_recipe(paths["train"], overrides, table=table)
        assert self.source is not None
        if is_recipe(self.source):
            refuse_backbone(self.source)
            return Draft(Recipe.load(self.source, overrides), {}, ())
        return draft_recipe(self.source, overrides)


def requested(
    given: Any,
    *,
    test: Any = None,
    text: str | Sequence[str] = (),
    label: str | Sequence[str] | None = None,
    budget: int | str | None = None,
    backbone: str | os.PathLike[str] | None = None,
    overrides: Sequence[str] = (),
) -> Request:
    """The request that the arguments of ``train`` describe. Raises UserError if they are neither recipe nor data."""
    overrides = list_of(overrides, "overrides=...", "texts such as 'training.epochs=2'")
    by_name = test if test is None or isinstance(test, str | os.PathLike) else None
    options = option_overrides(test=by_name, text=text, label=label, budget=budget, backbone=backbone)
    if isinstance(given, Recipe):
        if options or overrides or test is not None:
            raise UserError(
                "train: test, text, label, budget, backbone and overrides can be given with data, not with a Recipe\n"
                "Change the recipe by recipe.with_values(...), such as recipe.with_values(budget='300k')"
            )
        return Request(given.name, given)
    source = os.fspath(given) if isinstance(given, str | os.PathLike) else None
    if isinstance(given, list | tuple):
        require_rows(given, "train")
    if source is None and not is_rows(given):
        raise not_a_recipe(given, "train", "a Recipe, or data such as 'reviews.csv' or a DataFrame", "train(...)")
    rows = {} if source is not None else parquet_parts(given, "train")
    if test is not None and by_name is None:
        rows["test"] = parquet_test(test, "train")
    changes = (*options, *overrides)
    if source is not None and not rows:
        draft = Request("", source=source, overrides=changes)._draft({}, changes)
        return Request(draft.recipe.name, draft.recipe, draft.notes)
    if has_several_processes():
        raise UserError("train: with several processes the rows must be in a file; save them, and pass the file name")
    default = name_after(source, "texts") if source is not None else "rows"
    name = Recipe.parse({"name": default}, "train", changes).name
    return Request(name, source=source, rows=rows, called=described(given), overrides=changes)


def _paths_in_recipe(folder: Path, files: Mapping[str, Path]) -> dict[str, str]:
    """The path of the rows of each part (such as ``train``), as the recipe of the run in ``folder`` names it.

    If the folder was moved since, it is the new path. A part without rows in the stored recipe gets its path in
    ``files``.
    """
    data = Run(folder).recipe.data
    named = {part: getattr(data, part) or "" for part in files}
    return {part: named[part] if named[part].endswith(ROWS[part]) else str(path) for part, path in files.items()}


def _write_rows(path: Path, rows: bytes, folder: Path) -> None:
    """Write the rows of a part, unless the file exists. Raises UserError if it contains other rows."""
    if not path.is_file():
        path.parent.mkdir(exist_ok=True)
        with written_whole(path) as part:
            part.write_bytes(rows)
    elif path.read_bytes() != rows and not _same_rows(path, rows):
        raise UserError(
            f"{folder}: cannot be resumed with these rows: this run was started with other rows ({path.name} differs)\n"
            "Give the same rows, or train in another folder"
        )


def _same_rows(path: Path, rows: bytes) -> bool:
    """Whether ``path`` has the rows in ``rows``, even if another version of pyarrow wrote other bytes."""
    import pyarrow.parquet as pq

    # Not read_table, which refuses two columns of the same name, although they may be unused.
    return bool(pq.ParquetFile(path).read().equals(pq.ParquetFile(io.BytesIO(rows)).read()))
