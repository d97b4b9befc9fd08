"""The tables of results say what the committed result files say."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import publish  # noqa: E402

FILES = publish.run_files()


@pytest.mark.parametrize(("page", "folder"), publish.PAGES.items())
def test_tables_are_made_from_the_files(page: Path, folder: str) -> None:
    assert page.read_text("utf-8") == publish.with_table(page.read_text("utf-8"), folder)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_result_says_how_it_was_made_and_holds_no_text(path: Path) -> None:
    values = json.loads(path.read_text("utf-8"))
    assert {"processor", "cores", "torch", "seed", "started", "threads"} <= values["environment"].keys()
    assert values["environment"]["data"]["train"]["rows"] > 0
    assert values["verification"]["identical"]
    judged = values["evaluation"]
    assert not any(
        "mistakes" in figures for figures in [judged["validation"], judged["test"], *judged["shift"].values()]
    )
    assert values["weight"]["total"] <= values["weight"]["budget"]
