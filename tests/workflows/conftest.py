"""Data of a user, for the tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.reviews import write_reviews


@pytest.fixture
def reviews(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    write_reviews("reviews.csv")
    return "reviews.csv"
