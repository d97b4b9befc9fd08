"""Is work ever lost? Small runs are killed by SIGKILL over and over, resumed, and compared with undisturbed runs.

    python benchmarks/run.py kills --kills 200

A kill comes at a place inside of a run, while something is written, or at a random moment. Every killed run is resumed
until it is complete, and then compared, byte for byte, with the same run that nobody killed.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.competition import Plan, say
from harness.recording import presentable, spread
from reliability.forks import ONE_THREAD

COUNTS = ("resumes", "runs_ended", "histories_found_torn", "full_disks", "second_processes", "half_written_files")
LOSSES = ("lost_steps", "doubled_lines", "torn_lines", "other_records", "differing_files", "differing_bytes",
          "leftovers")  # fmt: skip


def plans(options: argparse.Namespace, folder: Path) -> Iterator[Plan]:
    """The campaign, in this process: it forks, so there must be one thread, and nothing heavy may be loaded yet."""
    os.environ.update(ONE_THREAD)
    from reliability.small_runs import ROWS

    def finish(record: dict[str, Any]) -> dict[str, Any]:
        from reliability.campaign import campaign

        return result_of(campaign(options.kills, options.seed, folder, say))

    data = {"name": "made-up texts", **{f"{split}_rows": rows for split, rows in ROWS.items()}}
    yield Plan("reliability-kills", {}, data, finish=finish, said=("kills",))


def result_of(tally: Any) -> dict[str, Any]:
    """Runs and summary of the result: every kill, how they were spread, and what was lost."""
    spreads = {f"by_{key}": dict(Counter(kill[key] for kill in tally.kills)) for key in ("place", "way", "run")}
    summary = {
        "kills": len(tally.kills),
        **spreads,
        "mid_epoch": sum(kill["mid_epoch"] for kill in tally.kills),
        "steps_trained_again": spread(float(kill["steps_again"]) for kill in tally.kills),
        **{key: tally.counts[key] for key in COUNTS},
        **{loss: tally.unlike[loss] for loss in LOSSES},
        "places_without_a_kill": sorted(tally.places - spreads["by_place"].keys()),
        "failures": [presentable(failure) for failure in tally.failures],
    }
    return {"runs": tally.kills, "summary": summary}
