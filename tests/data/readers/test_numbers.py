"""Numbers in JSON keep all of their digits, as ids and as labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from featherweight.data.sources import read_rows
from featherweight.recipe import DataRecipe

BIG = 2**53 + 1


@pytest.mark.parametrize(
    ("number", "exact"),
    [
        (f"{BIG}", f"{BIG}"),
        (f"{BIG}.0", f"{BIG}"),
        (f"{BIG}e0", f"{BIG}"),
        (f"{BIG}.25", f"{BIG}.25"),
        ("12345678901234567890.0", "12345678901234567890"),
        ("0.12345678901234567890", "0.12345678901234567890"),
        ("1e22", "1" + 22 * "0"),
        ("4.5", "4.5"),
        ("3.0", "3"),
        ("4.7000000000000002", "4.7"),
        ("1e999", "inf"),
        ("0." + "0" * 500 + "1", "0"),
    ],
)
def test_numbers_keep_all_of_their_digits(tmp_path: Path, number: str, exact: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"text": "a", "label": 1, "id": {number}}}\n')
    assert read_rows(str(path), DataRecipe()).ids == [exact]


def test_labels_that_differ_in_a_late_digit_are_two_classes(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f'{{"text": "text {n}", "label": {BIG + n % 2}.0}}\n' for n in range(4)))
    rows = read_rows(str(path), DataRecipe())
    assert rows.names_of(rows.labels) == [str(BIG), str(BIG + 1)] * 2
