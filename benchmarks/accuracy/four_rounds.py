"""The generated parts of docs/results/four-rounds.md: published figures, and what the committed results say of them."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from harness.recording import read_results
from pages.write import filled, rendered

from featherweight.evaluation.significance import rows_needed
from featherweight.formatting import duration
from featherweight.recipe import Recipe
from featherweight.report.comparison.tables import Table, schedule_in_words
from featherweight.report.comparison.words import markdown_table
from featherweight.workflows.weigh import weigh

PAGE = "four-rounds.md"
PUBLISHED = Path(__file__).parent / "published_rounds.json"
BACKBONES = {"mpnet": "all-mpnet-base-v2", "minilm": "all-MiniLM-L6-v2"}
"""Results that the page has a section for, and the full names of their backbones."""
LEGENDS = {
    "rounds": "Accuracy of each round with its 95% interval",
    "accuracy": "Validation accuracy over the epochs",
    "loss": "Training loss over the epochs",
    "frontier": "Accuracy against trained parameters",
    "shift": "Accuracy on the test rows and on shift sets",
}
Record = dict[str, Any]


def made_anew(page: str, results: Path) -> str:
    """The page with all its generated parts written anew from the files in ``results``."""
    records = {path.stem: record for path, record in read_results(results, "rounds-*.json").items()}
    found, rates = (
        {name: records[f"rounds-{name}{kind}"] for name in BACKBONES if f"rounds-{name}{kind}" in records}
        for kind in ("", "-rates")
    )
    return filled(page, **parts(found, rates, longer_runs(results), results.parent / "images"))


def parts(found: Record, rates: Record, longer: Record, images: Path) -> dict[str, str]:
    """Each part of the page by its name; empty where there is no result for it."""
    published = json.loads(PUBLISHED.read_text("utf-8"))
    files = {
        name: {f"rounds-{name}-{picture}.png": legend for picture, legend in LEGENDS.items()} for name in BACKBONES
    }
    text = rendered(
        "four-rounds.md",
        published=published,
        backbones=BACKBONES,
        found=found,
        rates=rates,
        longer=longer,
        weights={name: weigh(Recipe.load(name)) for name in published["rounds"]},
        noise=noise(published),
        pictures={name: [(legend, file) for file, legend in own.items() if (images / file).is_file()]
                  for name, own in files.items()},
        schedule_of=lambda recipe: schedule_in_words(Recipe.model_validate(recipe)),
        markdown=lambda columns, rows, names: markdown_table(Table("", columns, rows, names)),
        as_markdown=lambda table: markdown_table(Table(**table)),
        duration=duration,
    )  # fmt: skip
    _, *split = re.split(r"^=== (.+)$", text, flags=re.MULTILINE)
    return {name: part.strip() for name, part in zip(split[::2], split[1::2], strict=True)}


def noise(published: Record) -> Record:
    """How far chance alone moves the published accuracies, and the rows that would show the smallest difference."""
    rows, rounds = published["test_rows"], published["rounds"]
    best = max(rounds, key=lambda name: rounds[name]["accuracy"])
    share = rounds[best]["accuracy"]
    apart = min(share - row["accuracy"] for name, row in rounds.items() if name != best)
    # Each is wrong on 1 - share of the rows; with half of these in common the other halves tell the two apart.
    either = 1 - share
    needed = int(float(f"{rows_needed((either + apart) / 2, (either - apart) / 2):.2g}"))
    error = math.sqrt(share * (1 - share) / rows)
    return {"best": best, "share": share, "error": error, "apart": apart, "rows_needed": needed}


def longer_runs(results: Path) -> Record:
    """Single runs of a round's adapter over more than one epoch of AG News, best on validation rows first."""
    found: list[tuple[str, Record]] = []
    for path, record in read_results(results, "r[1-4]-*.json").items():
        training = record["recipe"]["training"]
        if training["epochs"] > 1 and training.get("max_steps") is None and record["evaluation"].get("test"):
            found.append((path.stem, record))
    return dict(sorted(found, key=lambda one: -one[1]["evaluation"]["validation"]["accuracy"]))
