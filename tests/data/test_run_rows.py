"""Rows of a finished run are read again: in which folder they are looked for, and what counts as changed or gone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from featherweight.data.run_rows import NotThere, rows_of_run
from featherweight.data.sources import Rows
from featherweight.errors import UserError
from featherweight.recipe import Recipe
from featherweight.run.folder import Run

OWN, OTHER = "the own row", "another row"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run that was trained in the folder ``there`` on ``rows.csv``; the working folder is ``here``."""
    for name in ("there", "here", "run"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    recipe = Recipe.parse({"data": {"train": "rows.csv", "validation": "rows.csv"}})
    (tmp_path / "run" / "recipe.toml").write_text(recipe.to_toml(), "utf-8")
    (tmp_path / "run" / "environment.json").write_text(json.dumps({"working_folder": str(tmp_path / "there")}), "utf-8")
    return Run("../run")


def write(folder: str, text: str, label: str = "b") -> None:
    Path(folder, "rows.csv").write_text(f"text,label\n{text},a\n{text} too,{label}\n", "utf-8")


def read(run: Run) -> str:
    """The first of the rows; only ``OWN`` counts as unchanged."""

    def difference(rows: Rows) -> str:
        return "" if rows.texts[0] == OWN else "has changed"

    return str(rows_of_run(run, "train", ("a", "b"), difference).texts[0])


def test_the_folder_of_the_training_comes_first_and_the_working_folder_counts_where_it_does_not_help(run: Run) -> None:
    write("../there", OWN)
    write(".", OTHER)
    assert read(run) == OWN
    write("../there", OTHER)
    write(".", OWN)
    assert read(run) == OWN
    Path("../there/rows.csv").unlink()
    assert read(run) == OWN
    Path("../there").rmdir()
    assert read(run) == OWN


def test_rows_that_have_changed_are_told_from_rows_that_are_gone(run: Run) -> None:
    here = Path.cwd()
    with pytest.raises(NotThere, match=r"rows\.csv: no such file"):
        read(run)
    write("../there", OTHER)
    with pytest.raises(UserError, match=r"rows\.csv: has changed$") as changed:
        read(run)
    assert not isinstance(changed.value, NotThere)
    write("../there", OWN, label="c")
    with pytest.raises(UserError, match=r"has changed: rows\.csv: row 2: unknown label 'c'"):
        read(run)
    assert Path.cwd() == here
