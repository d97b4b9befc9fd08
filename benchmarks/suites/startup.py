"""How long until something happens: --help, the import, weighing, and the first training step.

    python benchmarks/startup.py --repeats 9

Every time is a whole process's, from its start, after one that does not count (the disk's cache, compiled modules).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.competition import say
from harness.jobs import result_options, written
from harness.recording import new_record, presentable, save, spread

COMMANDS = {
    "python": ["-c", "pass"],
    "import": ["-c", "import featherweight"],
    "help": ["-m", "featherweight", "--help"],
    "weigh": ["-m", "featherweight", "weigh", "r4"],
}
LABELS = {
    "python": "python itself",
    "import": "import featherweight",
    "help": "featherweight --help",
    "weigh": "featherweight weigh r4",
    "first_step": "train newsbriefs: first step",
    "first_step_again": "the same, tokens in the cache",
}
_FIRST_STEP = """
import sys, time
from featherweight import Recipe, train
class Stop(Exception): pass
class Watch:
    def started(self, *_): pass
    def evaluated(self, *_): pass
    def stepped(self, record):
        print("first step at", time.time())
        raise Stop
try:
    recipe = Recipe.load("newsbriefs", ["backbone.name=" + sys.argv[2], "data.max_length=" + sys.argv[3]])
    train(recipe, sys.argv[1], listeners=[Watch()])
except Stop:
    pass
"""


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    settings = {"backbone": Path(options.backbone).name, "repeats": options.repeats}
    record = new_record("startup", options.name or "startup", settings=settings, data={"name": "newsbriefs"}, seeds=[0])
    record["contestants"] = {name: {"label": label} for name, label in LABELS.items()}
    for repeat in range(-1, options.repeats):  # the first turn warms up and does not count
        for name, seconds in one_turn(options).items():
            run = {"contestant": name, "repeat": repeat, **seconds}
            if repeat >= 0:
                record["runs"].append(run)
        say(f"turn {repeat + 1} of {options.repeats}")
    record["summary"] = {
        name: {
            "seconds": spread(run.get("seconds") for run in record["runs"] if run["contestant"] == name),
            "failed": next((r["failed"] for r in record["runs"] if r["contestant"] == name and "failed" in r), None),
        }
        for name in LABELS
    }
    written(save(record, options.results))


def parser() -> argparse.ArgumentParser:
    """The options."""
    parser = result_options(__doc__, "startup", repeats=9)
    parser.add_argument("--backbone", default="minilm", help="of the training (default: minilm)")
    parser.add_argument("--max-length", type=int, default=256, help="tokens kept of a text in it (default: 256)")
    return parser


def one_turn(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Every command once."""
    found = {name: _timed(command) for name, command in COMMANDS.items()}
    with tempfile.TemporaryDirectory() as temporary:
        cache = {"FEATHERWEIGHT_CACHE": str(Path(temporary) / "cache")}
        for name in ("first_step", "first_step_again"):
            run = str(Path(temporary) / name)
            found[name] = _timed(["-c", _FIRST_STEP, run, options.backbone, str(options.max_length)], cache)
    return found


def _timed(command: list[str], surroundings: dict[str, str] | None = None) -> dict[str, Any]:
    """Seconds from the start of the process to its end, or to the moment that it prints."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", **(surroundings or {})}
    epoch, began = time.time(), time.perf_counter()
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, env=environment)
    seconds = time.perf_counter() - began
    if done.returncode:
        return {"failed": presentable((done.stderr.strip() or "no message").splitlines()[-1])}
    if surroundings is not None:
        if not done.stdout.startswith("first step at"):
            return {"failed": "there was no first step"}
        seconds = float(done.stdout.split()[3]) - epoch
    return {"seconds": seconds}
