"""The README fits on a screen, and every figure in it is in a committed result."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
NUMBER = re.compile(r"\d[\d,.]*\d|\d")
RESULT = re.compile(r"\]\((docs/results/[\w.-]+)\)")
ITEMS = [" ".join(item.split()) for item in re.findall(r"^(?:- \*\*|\| \[).*?(?=^- |^\||^$)", README, re.M | re.S)]


def numbers_in(values: Any) -> Iterator[str]:
    """Every number of a result file, as the README may write it: 996,868 or, for a share, 93.57."""
    if isinstance(values, dict | list):
        for value in values.values() if isinstance(values, dict) else values:
            yield from numbers_in(value)
    elif isinstance(values, int | float):
        yield f"{values:,}" if isinstance(values, int) else f"{100 * values:.2f}"


def figures_of(path: Path) -> set[str]:
    text = path.read_text("utf-8")
    return set(numbers_in(json.loads(text))) if path.suffix == ".json" else set(NUMBER.findall(text))


def test_the_why_has_five_lines_and_the_table_at_most_five_rows() -> None:
    assert [len([item for item in ITEMS if item.startswith(start)]) for start in ("- **", "| [")] == [5, 5]
    assert README.count("\n") < 80


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item[:40])
def test_every_figure_stands_in_a_result_that_its_line_links_to(item: str) -> None:
    results = RESULT.findall(item)
    shown = NUMBER.findall(re.sub(r"\]\(.*?\)|\[[^\]]*r1 to r4[^\]]*\]|95% interval", "", item))
    assert results and shown
    assert set(shown) <= set().union(*(figures_of(ROOT / result) for result in results))
