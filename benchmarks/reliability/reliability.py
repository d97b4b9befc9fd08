"""Is work ever lost? Kills and resumes, what checkpoints cost, and bad inputs: one command each.

    python benchmarks/reliability.py kills --kills 200
    python benchmarks/reliability.py overhead
    python benchmarks/reliability.py bad-inputs
    python benchmarks/tables.py               # their figures to docs/results/reliability.md

A kill is SIGKILL: at a place inside of a small run, while something is written, or at a moment that chance chooses.
Every killed run is resumed until it is complete, and then compared, byte for byte, with the same run left in peace.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.competition import say
from harness.jobs import written
from harness.recording import RESULTS, new_record, presentable, save, spread

ROOT = Path(__file__).parents[2]
BACKBONES = {
    "minilm": ["newsbriefs"],
    "mpnet": ["r3", "backbone.name=mpnet", "data.train=newsbriefs", "data.validation_size=0.15"],
}
"""Whose checkpoints are timed: a recipe and what is changed in it (the rows alone; the adapter stays)."""
CHECKPOINT_STEPS, CHECKPOINT_SECONDS = 1000, 300.0


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    record = {"kills": kills, "overhead": overhead, "bad-inputs": bad_inputs}[options.what](options)
    record["machine"]["load_after"] = round(os.getloadavg()[0], 2)
    written(save(record, options.results))


def parser() -> argparse.ArgumentParser:
    """The options."""
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("what", choices=("kills", "overhead", "bad-inputs"))
    found.add_argument("--kills", type=int, default=200, help="of the campaign (default: 200)")
    found.add_argument("--seed", type=int, default=0, help="of the campaign's choices (default: 0)")
    found.add_argument("--steps", type=int, default=12, help="timed steps and checkpoints of `overhead` (default: 12)")
    found.add_argument("--repeats", type=int, default=3, help="timed starts and resumes of `overhead` (default: 3)")
    found.add_argument("--only", default="minilm,mpnet", help="backbones of `overhead` (default: minilm,mpnet)")
    found.add_argument("--results", type=Path, default=RESULTS, help=argparse.SUPPRESS)
    return found


def kills(options: argparse.Namespace) -> dict[str, Any]:
    """The campaign, in this process: it forks, so there must be one thread, and nothing heavy may be loaded yet."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    os.environ.update({**threads, "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"})

    from reliability.kills import campaign
    from reliability.small_runs import ROWS

    data = {"name": "made-up texts", **{f"{split}_rows": rows for split, rows in ROWS.items()}}
    settings = {"kills": options.kills}
    record = new_record("reliability-kills", "reliability-kills", settings=settings, data=data, seeds=[options.seed])
    with tempfile.TemporaryDirectory() as temporary:
        found = campaign(options.kills, options.seed, Path(temporary), say)
    record["runs"] = found.kills
    aims = (
        "lost_steps",
        "doubled_lines",
        "torn_lines",
        "other_records",
        "differing_files",
        "differing_bytes",
        "leftovers",
    )
    record["summary"] = {
        "kills": len(found.kills),
        "by_place": dict(Counter(one["place"] for one in found.kills)),
        "by_way": dict(Counter(one["way"] for one in found.kills)),
        "by_run": dict(Counter(one["run"] for one in found.kills)),
        "mid_epoch": sum(one["mid_epoch"] for one in found.kills),
        "resumes": found.resumes,
        "runs_ended": found.trials,
        "steps_trained_again": spread(float(one["steps_again"]) for one in found.kills),
        "histories_found_torn": found.torn_lines_found,
        "full_disks": found.full_disks,
        "second_processes": found.second_processes,
        "half_written_files": found.half_written.total(),
        **{aim: found.unlike[aim] for aim in aims},
        "failures": [presentable(failure) for failure in found.failures],
    }
    return record


def overhead(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of a checkpoint and of a step, hence what checkpoints cost; and how soon a resumed run trains again."""
    from suites.checkpoint_cost import seconds_of_checkpoints, seconds_of_starts

    settings = {"steps": options.steps, "repeats": options.repeats, "checkpoint_steps": CHECKPOINT_STEPS}
    settings["checkpoint_seconds"] = CHECKPOINT_SECONDS
    data = {"name": "newsbriefs"}
    record = new_record("reliability-overhead", "reliability-overhead", settings=settings, data=data, seeds=[0])
    for backbone in options.only.split(","):
        with tempfile.TemporaryDirectory() as temporary:
            run = {"backbone": backbone, **seconds_of_checkpoints(BACKBONES[backbone], options.steps, Path(temporary))}
            say(f"{backbone}: checkpoints are timed")
            run |= seconds_of_starts(BACKBONES[backbone], options.repeats, Path(temporary))
            say(f"{backbone}: starts are timed")
        record["runs"].append(run)
        record["summary"][backbone] = summary_of(run)
    return record


def summary_of(run: dict[str, Any]) -> dict[str, Any]:
    """Spreads, and the share of a run's time that its checkpoints take at the default interval."""
    step, checkpoint = spread(run["step_seconds"]), spread(run["checkpoint_seconds"])
    assert step and checkpoint
    # A checkpoint is due after so many steps or after so many seconds, whichever is first.
    interval = min(CHECKPOINT_STEPS * step["median"], CHECKPOINT_SECONDS)
    return {
        "trainable": run["trainable"],
        "bytes": run["bytes"],
        "step_seconds": step,
        "checkpoint_seconds": checkpoint,
        "interval_seconds": interval,
        "share": checkpoint["median"] / (interval + checkpoint["median"]),
        "worst_share": checkpoint["high"] / (interval + checkpoint["high"]),
        "load_seconds": spread(run["load_seconds"]),
        "start_seconds": spread(run["start_seconds"]),
        "resume_seconds": spread(run["resume_seconds"]),
    }


def bad_inputs(options: argparse.Namespace) -> dict[str, Any]:
    """Run the tables of bad inputs among the tests, and count their cases by test and outcome."""
    files = sorted((ROOT / "tests" / "refusals").glob("test_*.py"))
    record = new_record(
        "reliability-bad-inputs", "reliability-bad-inputs", settings={}, data={"name": "made-up inputs"}, seeds=[]
    )
    with tempfile.TemporaryDirectory() as temporary:
        found = Path(temporary) / "found.xml"
        command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider", f"--junitxml={found}"]
        subprocess.run([*command, *map(str, files)], cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
        cases = list(xml.parse(found).iter("testcase"))
    tests: dict[str, Counter[str]] = {}
    for case in cases:
        name = f"{case.get('classname', '').rpartition('.')[2]}: {case.get('name', '').partition('[')[0]}"
        tests.setdefault(name, Counter())[_outcome(case)] += 1
    record["runs"] = [{"test": name, **counts} for name, counts in sorted(tests.items())]
    record["summary"] = {"cases": len(cases), **sum(tests.values(), Counter())}
    return record


def _outcome(case: xml.Element) -> str:
    kinds = {"failure": "failed", "error": "failed", "skipped": "skipped"}
    return next((kinds[child.tag] for child in case if child.tag in kinds), "passed")
