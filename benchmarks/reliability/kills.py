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

LOSSES = ("lost_steps", "doubled_lines", "torn_lines", "other_records", "differing_files", "differing_bytes",
          "leftovers")  # fmt: skip


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--kills", type=int, default=200, help="of the campaign (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="of the campaign's choices (default: 0)")


def plans(options: argparse.Namespace, folder: Path) -> Iterator[Plan]:
    """The campaign, in this process: it forks, so there must be one thread, and nothing heavy may be loaded yet."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    os.environ.update({**threads, "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"})
    from reliability.small_runs import ROWS

    data = {"name": "made-up texts", **{f"{split}_rows": rows for split, rows in ROWS.items()}}
    name = "reliability-kills"

    def finish(record: dict[str, Any]) -> dict[str, Any]:
        from reliability.campaign import campaign

        return result_of(campaign(options.kills, options.seed, folder, say))

    yield Plan(name, options.name or name, {"kills": options.kills}, data, [], finish=finish, seeds=[options.seed])


def result_of(tally: Any) -> dict[str, Any]:
    """Runs and summary of the result: every kill, how they were spread, and what was lost."""
    counts = {f"by_{key}": dict(Counter(kill[key] for kill in tally.kills)) for key in ("place", "way", "run")}
    summary = {
        "kills": len(tally.kills),
        **counts,
        "mid_epoch": sum(kill["mid_epoch"] for kill in tally.kills),
        "resumes": tally.resumes,
        "runs_ended": tally.trials,
        "steps_trained_again": spread(float(kill["steps_again"]) for kill in tally.kills),
        "histories_found_torn": tally.torn_lines_found,
        "full_disks": tally.full_disks,
        "second_processes": tally.second_processes,
        "half_written_files": tally.half_written.total(),
        **{loss: tally.unlike[loss] for loss in LOSSES},
        "places_without_a_kill": sorted(tally.places - counts["by_place"].keys()),
        "failures": [presentable(failure) for failure in tally.failures],
    }
    return {"runs": tally.kills, "summary": summary}
