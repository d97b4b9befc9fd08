"""Competitors in processes of their own, turn by turn, so that whatever slows the machine slows all of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.recording import presentable

from featherweight.errors import UserError

BENCHMARKS = Path(__file__).parents[1]
SUITES: dict[str, dict[str, Any]] = tomllib.loads((BENCHMARKS / "suites.toml").read_text("utf-8"))
OPTIONS, GROUPS = SUITES.pop("options"), SUITES.pop("groups")
PEERS_PYTHON = BENCHMARKS / ".venv-peers" / "bin" / "python"
Result = dict[str, Any]

_EXCEPTION = re.compile(r"[\w.]+(?:Error|Exception|Diverged|Interrupt)\b")


@dataclass(frozen=True)
class Competitor:
    """One way to do a job: a module in ``competitors/``, and what it adds to the job's settings."""

    name: str
    label: str
    module: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    python: str = sys.executable
    note: str = ""
    """What a reader of the figures has to know."""
    processes: int = 1
    environment: dict[str, str] = field(default_factory=dict)
    """Environment variables of its process, beside those of this one."""


def in_short(result: Result) -> str:
    """A run's speed and memory, or why it failed, in a few words."""
    if "failed" in result:
        return f"failed: {result['failed']}"
    speed = [f"{result['samples_per_second']:.1f} samples/s"] if "samples_per_second" in result else []
    memory = [f"{result['peak_memory_bytes'] / 1e9:.2f} GB"] if "peak_memory_bytes" in result else []
    return ", ".join([*speed, *memory]) or "done"


@dataclass
class Plan:
    """What a suite asks of the runner: who competes in which job, and what is made of their runs."""

    benchmark: str
    """The kind of result, by which a page finds its section."""
    settings: dict[str, Any]
    data: dict[str, Any]
    competitors: Sequence[Competitor] = ()
    job: dict[str, Any] = field(default_factory=dict)
    """Settings that all competitors share."""
    finish: Callable[[dict[str, Any]], dict[str, Any]] = lambda record: {}
    """After the last turn: what is added to the record, the summary above all."""
    said: Sequence[str] = ()
    """Options that the result names beside the settings."""
    name: str = ""
    """Of the result's file, where it is not that of benchmark, backbone and ``variant``."""
    variant: str = ""
    seed_each_turn: bool = False
    """Whether each turn has a seed of its own, and not one all of them."""
    warm_ups: int = 0
    """Turns before the first that do not count."""
    play: Callable[[Competitor, dict[str, Any], Path], Result] | None = None
    """How a competitor's run is made; by default in a process of its own."""
    keep: Callable[[Competitor, int, Result], Result] = lambda competitor, repeat, result: result
    """What stays of a run for the record."""
    told: Callable[[Result], str] = in_short
    more: dict[str, Any] = field(default_factory=dict)
    """Further keys of the record, known before the first turn."""


def interleaved(competitors: Sequence[Competitor], repeats: int) -> Iterator[tuple[int, Competitor]]:
    """Every competitor once a repeat; who begins changes, so that nobody always runs on a cool or a warm machine."""
    for repeat in range(repeats):
        turn = repeat % max(1, len(competitors))
        for competitor in (*competitors[turn:], *competitors[:turn]):
            yield repeat, competitor


def named(only: str | None, known: Collection[str], kind: str) -> list[str]:
    """What ``only`` names, separated by commas, in the order of ``known``; all if it is empty. UserError for others."""
    wanted = [name.strip() for name in only.split(",")] if only else known
    if unknown := set(wanted) - set(known):
        raise UserError(f"--only {', '.join(sorted(unknown))}: no such {kind}; there are {', '.join(known)}")
    return [name for name in known if name in wanted]


def competitors(suite: str, only: str | None = None, job: dict[str, Any] | None = None) -> list[Competitor]:
    """The installed competitors of a suite, all or those in ``only``; settings of the ``job`` go into their notes."""
    table = {values["name"]: values for values in SUITES[suite]["competitor"]}
    job, chosen = job or {}, []
    for name in named(only, table, "competitor"):
        values = table[name] | {"note": table[name].get("note", "").format(**job)}
        if values.pop("peer", False):
            values["python"] = job["peers"]
        if Path(values.get("python", sys.executable)).is_file():
            chosen.append(Competitor(**values))
        else:
            say(f"{name}: left out; run competitors/peers.sh first, or name its python by --peers")
    return chosen


def play(competitor: Competitor, job: dict[str, Any], folder: Path) -> Result:
    """Run one competitor in its own process and return what it measured, or ``{"failed": reason}``.

    Of several processes the first one's figures count, and the memory of all of them together.
    ``folder`` is for the job's description, the answer and whatever the competitor writes.
    """
    question, answer = folder / "job.json", folder / "answer.json"
    for earlier in folder.glob("answer*.json"):
        earlier.unlink()
    question.write_text(json.dumps({**job, **competitor.settings, "scratch": str(folder)}), "utf-8")
    launch = [competitor.python]
    if competitor.processes > 1:
        launch += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(competitor.processes)]
    command = [*launch, "-m", "harness.measuring", competitor.module, str(question), str(answer)]
    done = subprocess.run(command, capture_output=True, text=True, env=_environment(folder, competitor, job))
    if done.returncode or not answer.is_file():
        return {"failed": presentable(_reason(done.stderr) or f"ended with code {done.returncode}")}
    result = json.loads(answer.read_text("utf-8"))
    for other in sorted(folder.glob("answer.rank*.json")):
        result["peak_memory_bytes"] += json.loads(other.read_text("utf-8"))["peak_memory_bytes"]
    return result


def say(message: str) -> None:
    """A line of progress on standard error: a benchmark takes minutes."""
    print(message, file=sys.stderr, flush=True)


def _environment(folder: Path, competitor: Competitor, job: dict[str, Any]) -> dict[str, str]:
    """No hub, no cache of earlier runs, no GPU in a competition of processors; several processes share the cores."""
    # The peers' environment has no Featherweight: of its sources they take what needs Python alone.
    folders = [str(BENCHMARKS), os.environ.get("PYTHONPATH", ""), str(BENCHMARKS.parent / "src")]
    paths = os.pathsep.join(filter(None, folders))
    environment = {**os.environ, **competitor.environment, "HF_HUB_OFFLINE": "1", "PYTHONPATH": paths}
    environment["FEATHERWEIGHT_CACHE"] = str(folder / "cache")
    if job.get("device") == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    elif competitor.processes == 1:  # Trainer would take all GPUs, each with a batch of its own
        environment.setdefault("CUDA_VISIBLE_DEVICES", "0")
    if competitor.processes > 1:
        cores = int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0)))
        environment["OMP_NUM_THREADS"] = str(max(1, cores // competitor.processes))
    return environment


def _reason(errors: str) -> str:
    """The line that says what went wrong: an exception of its own, not the launcher's or a partner's about it."""
    lines = [re.sub(r"^\[rank\d+\]: *", "", line).strip() for line in errors.splitlines()]
    echoes = ("ChildFailedError", "Connection closed by peer")
    named = [line for line in lines if _EXCEPTION.match(line) and not any(echo in line for echo in echoes)]
    return (named or [line for line in lines if line] or [""])[-1]
