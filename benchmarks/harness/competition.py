"""Contestants in processes of their own, turn by turn, so that whatever slows the machine slows all of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.recording import presentable

SCRIPTS = Path(__file__).parents[1] / "competitors"
PEERS_PYTHON = Path(__file__).parents[1] / ".venv-peers" / "bin" / "python"
Result = dict[str, Any]

_EXCEPTION = re.compile(r"[\w.]+(?:Error|Exception|Diverged|Interrupt)\b")


@dataclass(frozen=True)
class Contestant:
    """One way to do a job: a script in ``contestants/``, and what it adds to the job's settings."""

    name: str
    label: str
    script: str
    settings: dict[str, Any] = field(default_factory=dict)
    python: str = sys.executable
    note: str = ""
    """What a reader of the figures has to know."""
    processes: int = 1
    environment: dict[str, str] = field(default_factory=dict)
    """Environment variables of its process, beside those of this one."""


def interleaved(contestants: Sequence[Contestant], repeats: int) -> Iterator[tuple[int, Contestant]]:
    """Every contestant once a repeat; who begins changes, so that nobody always runs on a cool or a warm machine."""
    for repeat in range(repeats):
        turn = repeat % max(1, len(contestants))
        for contestant in (*contestants[turn:], *contestants[:turn]):
            yield repeat, contestant


def play(contestant: Contestant, job: dict[str, Any], folder: Path) -> Result:
    """Run one contestant in its own process and return what it measured, or ``{"failed": reason}``.

    Of several processes the first one's figures count, and the memory of all of them together.
    ``folder`` is for the job's description, the answer and whatever the contestant writes.
    """
    question, answer = folder / "job.json", folder / "answer.json"
    for earlier in folder.glob("answer*.json"):
        earlier.unlink()
    question.write_text(json.dumps({**job, **contestant.settings, "scratch": str(folder)}), "utf-8")
    command = ["-m", f"competitors.{contestant.script}", str(question), str(answer)]
    launch = [contestant.python]
    if contestant.processes > 1:
        launch += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(contestant.processes)]
    surroundings = _surroundings(folder, contestant, job.get("device"))
    done = subprocess.run([*launch, *command], capture_output=True, text=True, env=surroundings)
    if done.returncode or not answer.is_file():
        return {"failed": presentable(_reason(done.stderr) or f"ended with code {done.returncode}")}
    result = json.loads(answer.read_text("utf-8"))
    others = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("answer.rank*.json"))]
    if others:
        result["peak_memory_bytes"] += sum(other["peak_memory_bytes"] for other in others)
    return result


def say(message: str) -> None:
    """A line of progress on standard error: a benchmark takes minutes."""
    print(message, file=sys.stderr, flush=True)


def _surroundings(folder: Path, contestant: Contestant, device: str | None) -> dict[str, str]:
    """No hub, no cache of earlier runs, no GPU in a contest of processors; several processes share out the cores."""
    surroundings = {**os.environ, **contestant.environment, "HF_HUB_OFFLINE": "1"}
    paths = [str(SCRIPTS.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    surroundings["PYTHONPATH"] = os.pathsep.join(paths)
    surroundings["FEATHERWEIGHT_CACHE"] = str(folder / "cache")
    if device == "cpu":
        surroundings["CUDA_VISIBLE_DEVICES"] = ""
    if contestant.processes > 1:
        cores = int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0)))
        surroundings["OMP_NUM_THREADS"] = str(max(1, cores // contestant.processes))
    return surroundings


def _reason(errors: str) -> str:
    """The line that says what went wrong: an exception of its own, not the launcher's or a partner's about it."""
    lines = [re.sub(r"^\[rank\d+\]: *", "", line).strip() for line in errors.splitlines()]
    echoes = ("ChildFailedError", "Connection closed by peer")
    named = [line for line in lines if _EXCEPTION.match(line) and not any(echo in line for echo in echoes)]
    return (named or [line for line in lines if line] or [""])[-1]
