"""Columns such as label1 and label2 are named if they hold several labels of a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from featherweight.data.numbered_columns import numbered_columns_note
from featherweight.data.readers.table import table_of

pytestmark = pytest.mark.usefixtures("as_options")


def note(first: Sequence[Any], second: Sequence[Any]) -> str | None:
    return numbered_columns_note(table_of("rows.csv", {"label1": first, "label2": second}), "label1")


def test_the_example_names_each_label_once() -> None:
    found = note(["a", "b", "a"], ["a", None, "b"])
    assert found is not None
    assert "label2 holds classes of 'label1', too" in found and "such as a|b, and add --set task=multi-label" in found


@pytest.mark.parametrize(("first", "second"), [
    (["a", "b"], ["a", "b"]),
    ([0, 1, 1], [1, 0, 1]),
    (["yes", "no"], ["no", "yes"]),
    (["a", "b"], ["a", "c"]),
    (["a", "b"], [None, ""]),
], ids=["the same labels", "flags", "yes and no", "other classes", "empty"])  # fmt: skip
def test_columns_that_hold_no_further_labels_are_not_named(first: list[Any], second: list[Any]) -> None:
    assert note(first, second) is None
