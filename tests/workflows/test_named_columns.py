"""Columns that users name for a training: in any case, in any list, and never one column twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.reviews import write_reviews

from featherweight import recipe_for
from featherweight.errors import UserError
from featherweight.recipe import Recipe
from featherweight.workflows.own_data import with_guessed_columns


@pytest.fixture
def reviews(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    write_reviews("reviews.csv")
    return "reviews.csv"


def test_columns_may_be_named_in_any_case_and_by_any_list(reviews: str) -> None:
    recipe = recipe_for(reviews, text="REVIEW", label="Sentiment")
    assert (recipe.data.text, recipe.data.label) == (("review",), "sentiment")
    frame = pd.read_csv(reviews)
    assert recipe_for(reviews, text=frame.columns[:1]).data.text == tuple(frame.columns[:1])  # type: ignore[arg-type]
    for values in (frame.sentiment, np.array([0, 1])):
        with pytest.raises(UserError, match=r"^label takes the name of a column.*\nAdd the values to the rows"):
            recipe_for(reviews, label=values)


def test_a_column_of_texts_has_no_labels(reviews: str) -> None:
    with pytest.raises(UserError, match=r"data\.text and data\.label both name the column 'Review'"):
        recipe_for(reviews, text="Review", label="review")
    rows = "".join(f"a note of mine {n},{'ham' if n % 2 else 'spam'}\n" for n in range(8))
    Path("labels.csv").write_text(f"text,label\n{rows}", "utf-8")
    with pytest.raises(UserError, match="no column seems to hold the labels"):
        with_guessed_columns(Recipe.parse({"data": {"train": "labels.csv", "text": ["label"]}}))
