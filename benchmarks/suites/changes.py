"""What each decision about the engine brings: the training as it is, and with one thing undone or added.

    python benchmarks/run.py changes --backbone minilm --steps 40 --repeats 5
    python benchmarks/run.py changes --only lean,pieces

Each change was given a prediction before it was measured; both are in the result and in docs/design/speed.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.competition import Competitor, Plan, competitors
from harness.jobs import BATCH, long_files, training_job
from harness.recording import by_repeat, ratio_spread, summary_of

SHIPPED = Competitor("shipped", "as shipped", "changed_run")


def plans(options: argparse.Namespace, folder: Path) -> Iterator[Plan]:
    """The shipped engine first, then each change."""
    options.rows = options.steps * BATCH
    job = training_job(options, folder)
    if options.length:
        files = long_files(job.settings, options.length, options.rows, folder)
        job.settings.update(files=files, max_length=options.length)
    yield Plan(
        "changes",
        job.said,
        job.data,
        [SHIPPED, *competitors("changes", options.only)],
        {**job.settings, "warm_up": 3},
        lambda record: {"summary": summarise(record["runs"], list(record["contestants"]))},
        said=("length", "steps"),
    )


def summarise(runs: Sequence[dict[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """Speed, speed against the shipped engine's of the same turn, and memory."""
    summary = summary_of(runs, names, ("samples_per_second", "peak_memory_bytes"))
    shipped = by_repeat(runs, SHIPPED.name, "samples_per_second")
    for name, figures in summary.items():
        own = by_repeat(runs, name, "samples_per_second")
        figures["against_shipped"] = ratio_spread(own, shipped) if name != SHIPPED.name else None
    return summary
