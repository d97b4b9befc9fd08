"""Rows in the shape of MNLI: a premise, a hypothesis, and whether the one follows from the other."""

from __future__ import annotations

import csv
from pathlib import Path

COLUMNS = ("premise", "hypothesis")
NAMES = ("Ada", "Bo", "Cleo", "Dan")
THINGS = ("apples", "pears", "plums", "figs")
ANSWERS = {
    "entailment": "{name} has {thing}.",
    "contradiction": "Nobody bought any.",
    "neutral": "It rained all day long.",
}
"""What a hypothesis says, by its label."""


def nli_rows(rows: int, before: int = 0) -> list[tuple[str, str, str]]:
    """Premise, hypothesis and label of each row; ``before`` rows of the endless list are passed over."""
    found = []
    for number in range(before, before + rows):
        words = {"name": NAMES[number // 3 % 4], "thing": THINGS[number // 12 % 4]}
        label = list(ANSWERS)[number % 3]
        premise = "{name} bought {n} {thing}.".format(**words, n=number)
        found.append((premise, ANSWERS[label].format(**words), label))
    return found


def write_nli(path: Path, rows: int, before: int = 0, *, labelled: bool = True) -> Path:
    """A CSV of such rows."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        columns = (*COLUMNS, "label") if labelled else COLUMNS
        writer.writerow(columns)
        writer.writerows(row[: len(columns)] for row in nli_rows(rows, before))
    return path
