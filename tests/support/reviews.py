"""Reviews with two classes, as a file."""

from __future__ import annotations

import random
from pathlib import Path

SENTIMENTS = ("positive", "negative")


def write_reviews(path: str, rows: int = 40, words: int = 6) -> None:
    """A CSV of reviews with the columns ``review`` and ``sentiment``."""
    drawn = random.Random(0)
    lines = [f"{' '.join(drawn.choices(['good', 'bad', 'film', 'plot'], k=words))} {n},{SENTIMENTS[n % 2]}"
             for n in range(rows)]  # fmt: skip
    Path(path).write_text("\n".join(["review,sentiment", *lines]) + "\n", "utf-8")
