"""How long until something happens: --help, the import, weighing, and the first training step.

    python benchmarks/run.py startup --repeats 9

Every time is a whole process's, from its start, after one that does not count (the disk's cache, compiled modules).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.competition import Competitor, Plan, competitors
from harness.recording import presentable, summary_of

FIRST_STEP = """
import os, signal, sys, time
from featherweight import Recipe, train
from featherweight.training.listeners import Listener
class Stop(Exception): pass
class Watch(Listener):
    def stepped(self, record):
        if sys.argv[2] != "interrupt":
            print("first step at", time.time())
            raise Stop
        if record["step"] == 2:
            os.kill(os.getpid(), signal.SIGTERM)
try:
    train(Recipe.load(sys.argv[3], sys.argv[4:]), sys.argv[1], listeners=[Watch()], resume=sys.argv[2] == "resume")
except Stop:
    pass
"""
"""A process with the arguments RUN MODE RECIPE SETTING...: it tells when its first step is done; ``interrupt`` leaves a
run behind that can be resumed."""


def plans(options: argparse.Namespace, folder: Path) -> Iterator[Plan]:
    """Every command once a turn; the first training has no cache, the second finds the tokens of the one before it."""
    recipe = ["newsbriefs", f"backbone.name={options.backbone}", f"data.max_length={options.max_length}"]

    def play(competitor: Competitor, job: dict[str, Any], folder: Path) -> dict[str, Any]:
        if competitor.settings:
            return seconds_of(competitor.settings["command"])
        if competitor.name == "first_step":
            shutil.rmtree(folder / "cache", ignore_errors=True)
        shutil.rmtree(folder / "run", ignore_errors=True)
        return seconds_of(["-c", FIRST_STEP, str(folder / "run"), "new", *recipe], folder / "cache")

    yield Plan(
        "startup",
        {"backbone": Path(options.backbone).name},
        {"name": "newsbriefs"},
        competitors("startup", options.only),
        finish=lambda record: {"summary": summary_of(record["runs"], record["contestants"], ["seconds"])},
        name="startup",
        warm_ups=1,
        play=play,
        told=lambda result: f"{result['seconds']:.2f} s" if "seconds" in result else f"failed: {result['failed']}",
    )


def seconds_of(arguments: Sequence[str], cache: Path | None = None) -> dict[str, Any]:
    """Seconds from the start of a Python process to its end, or, with a cache folder, to its first training step."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", **({"FEATHERWEIGHT_CACHE": str(cache)} if cache else {})}
    epoch, began = time.time(), time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment)
    seconds = time.perf_counter() - began
    if done.returncode:
        return {"failed": presentable((done.stderr.strip() or "no message").splitlines()[-1])}
    if cache:
        if not done.stdout.startswith("first step at"):
            return {"failed": "there was no first step"}
        seconds = float(done.stdout.split()[3]) - epoch
    return {"seconds": seconds}
