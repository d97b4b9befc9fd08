"""Is work ever lost? Small runs are killed by SIGKILL over and over, resumed, and compared with undisturbed runs.

    python benchmarks/run.py kills --kills 200

A kill comes at a place inside of a run, while something is written, or at a random moment. Every killed run is resumed
until it is complete, and then compared, byte for byte, with the same run that nobody killed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

from harness.competition import Plan, say
from harness.measuring import timed
from harness.recording import presentable, spread
from reliability.killed import LINE, NEVER, RELOAD, STEPPED, TAKEN_UP, Child, Ended, Kill
from reliability.outcome import Outcome, half_written, outcome, unlike
from reliability.small_runs import ROWS, SmallRun, small_runs

import featherweight

COUNTS = ("resumes", "runs_ended", "histories_found_torn", "full_disks", "second_processes", "half_written_files")
LOSSES = ("lost_steps", "doubled_lines", "torn_lines", "other_records", "differing_files", "differing_bytes",
          "leftovers")  # fmt: skip
KNOCKED = "another process is training in this run folder"
IN_A_TRIAL = 12
"""Kills of one run before it is left to end."""
_HEAVY = ("matplotlib.backends.backend_agg", "pyarrow.dataset", "scipy.special", "sklearn.model_selection", "peft",
          "transformers.models.bert.modeling_bert", "transformers.models.mpnet.modeling_mpnet")  # fmt: skip


ONE_THREAD = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
}
"""The environment of a process that forks: it must have one thread, from before torch is loaded."""


@dataclass
class Tally:
    """What a campaign has found."""

    wanted: int = 0
    """Kills that were asked for."""
    kills: list[dict[str, Any]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    """Resumes, runs ended, full disks, second processes; kills after which the history ended in half a line, which the
    resume has to put right; files found half-written under their own names after a kill."""
    unlike: Counter[str] = field(default_factory=Counter)
    """Lost steps, doubled and torn lines, differing files and bytes of runs that were killed and resumed."""
    places: set[str] = field(default_factory=set)
    """All that the runs come by, and at which they are to be killed."""
    aimed_at: Counter[str] = field(default_factory=Counter)
    """Kills by the place that was chosen for them; those at any moment are left out."""
    missed: set[str] = field(default_factory=set)
    """Places at which a run was to be killed that came to its end before."""
    failures: list[str] = field(default_factory=list)

    @property
    def left(self) -> bool:
        """Whether kills are missing, or a place without one; no run is tried for ever."""
        missing = len(self.kills) < self.wanted or self.places - {kill["place"] for kill in self.kills}
        return bool(missing) and self.counts["runs_ended"] < self.wanted + 50


@dataclass(frozen=True)
class Reference:
    """A small run undisturbed: what it came to, which places it came by how often, its seconds and its files' sizes."""

    run: SmallRun
    outcome: Outcome
    places: dict[str, int]
    seconds: float
    sizes: list[int]


def plans(options: argparse.Namespace, folder: Path) -> Iterator[Plan]:
    """The campaign, in this process: it forks, so there must be one thread, and nothing heavy may be loaded yet."""
    os.environ.update(ONE_THREAD)
    data = {"name": "made-up texts", **{f"{split}_rows": rows for split, rows in ROWS.items()}}

    def finish(record: dict[str, Any]) -> dict[str, Any]:
        tally = campaign(options.kills, options.seed, folder)
        return {"runs": tally.kills, "summary": summary_of(tally)}

    yield Plan("reliability-kills", {}, data, finish=finish, said=("kills",))


def summary_of(tally: Tally) -> dict[str, Any]:
    """How the kills were spread, and what was lost."""
    spreads = {f"by_{key}": dict(Counter(kill[key] for kill in tally.kills)) for key in ("place", "way", "run")}
    return {
        "kills": len(tally.kills),
        **spreads,
        "mid_epoch": sum(kill["mid_epoch"] for kill in tally.kills),
        "steps_trained_again": spread(float(kill["steps_again"]) for kill in tally.kills),
        **{key: tally.counts[key] for key in COUNTS},
        **{loss: tally.unlike[loss] for loss in LOSSES},
        "places_without_a_kill": sorted(tally.places - spreads["by_place"].keys()),
        "failures": [presentable(failure) for failure in tally.failures],
    }


def campaign(kills: int, seed: int, folder: Path) -> Tally:
    """Kill the small runs ``kills`` times in ``folder``: at every place that they come by in turn, and at any moment.

    This process must have one thread: it forks. Every trial lies in the same folder, so that paths are the same too,
    and has a cache of its own.
    """
    own = (module.name for module in pkgutil.walk_packages(featherweight.__path__, "featherweight."))
    for name in (*_HEAVY, *own):  # all that a forked process would import, as far as it is installed
        if not name.endswith("__main__"):
            with suppress(ImportError):
                importlib.import_module(name)
    tally, chance = Tally(kills), random.Random(seed)
    references = [_reference(run, folder / "trial") for run in small_runs(folder)]
    say("undisturbed: " + ", ".join(f"{one.run.name} {one.seconds:.1f} s" for one in references))
    tally.places = {place for one in references for place in one.places} | {TAKEN_UP}
    for reference in cycle(references):
        if not tally.left:
            return tally
        _Trial(reference, folder / "trial", tally, chance).carry_out()
        ended = tally.counts["runs_ended"]
        say(f"{len(tally.kills)} kills, {ended} runs ended, unlike {dict(tally.unlike)}, {tally.failures[-1:]}")
    return tally


def next_kill(places: dict[str, int], hits: int, seconds: float, tally: Tally, chance: random.Random) -> Kill:
    """The kill of a run after ``hits`` others: where kills are fewest, and every fourth time at any moment.

    ``places`` are those that the run comes by in their order, with how often; ``seconds`` is what it takes undisturbed.
    A run that goes on from a checkpoint is shorter.
    """
    tally.counts["starts"] += 1
    if tally.counts["starts"] % 4 == 0:
        # Half of them count from the first step: before it a short run spends most of its time.
        since, share = chance.choice((("", 0.8), (STEPPED, 0.4)))
        return Kill(since, seconds=chance.uniform(0.01, share) * seconds / (1 + hits))
    place = min(places, key=lambda place: tally.aimed_at[place])
    if place == RELOAD:
        return Kill(place, seconds=chance.uniform(0.01, 1.5))  # which is when the fresh process is at work
    number = 1 if place in tally.missed else chance.randint(1, max(1, places[place] // (1 + hits)))
    torn = place == LINE or (place.startswith("renaming") and chance.random() < 0.5)
    return Kill(place, number, tear=torn)


def _reference(run: SmallRun, folder: Path) -> Reference:
    _clear(folder)
    seconds, ended = timed(lambda: Child(run.carry_out, folder).end())
    if ended.code:
        raise RuntimeError(f"{run.name} does not run at all: {ended.message[-2000:]}")
    places = json.loads((folder / "places.json").read_text("utf-8"))
    sizes = sorted({path.stat().st_size for path in (folder / "run").rglob("*") if path.is_file()})
    return Reference(run, outcome(folder / "run"), places, seconds, sizes)


class _Trial:
    """One run from its beginning to its end, with up to IN_A_TRIAL kills on the way."""

    def __init__(self, reference: Reference, folder: Path, tally: Tally, chance: random.Random) -> None:
        self.reference, self.folder, self.tally, self.chance = reference, folder, tally, chance
        self.ahead = list(reference.places)
        """Places behind that of the last kill."""
        _clear(folder)

    def carry_out(self) -> None:
        """Kill and resume until the kills are done or the run is, then compare it with the undisturbed one."""
        tally, counts, hits = self.tally, self.tally.counts, 0
        counts["runs_ended"] += 1
        while True:
            kill = self._next_kill(hits) if hits < IN_A_TRIAL and tally.left else NEVER
            counts["resumes"] += hits > 0
            if hits == 1 and len(tally.kills) > 6 * counts["full_disks"]:
                self._try_full_disk()
            child = self._child(kill)
            if kill != NEVER and len(tally.kills) > 12 * (1 + counts["second_processes"]):
                self._knock(child)
            ended = child.end(0.0 if kill.place else kill.seconds)
            if ended.code >= 0:
                break
            hits += 1
            self._note(kill, ended)
        tally.missed.add(kill.place)
        if ended.code:
            self._failed(f"at {ended.place}", ended)
        tally.unlike.update(unlike(outcome(self.folder / "run"), self.reference.outcome))

    def _child(self, kill: Kill = NEVER) -> Child:
        return Child(self.reference.run.carry_out, self.folder, kill)

    def _failed(self, where: str, ended: Ended) -> None:
        how = f"{self.reference.run.name}: {where}: exit code {ended.code}: {ended.message[-300:]}"
        self.tally.failures.append(how)

    def _next_kill(self, hits: int) -> Kill:
        # A checkpoint is taken up where there is one run to resume.
        taken_up = {TAKEN_UP: 1} if self._checkpoints() and len(self.reference.run.recipes) == 1 else {}
        places = taken_up | {place: self.reference.places[place] for place in self.ahead}
        kill = next_kill(places, hits, self.reference.seconds, self.tally, self.chance)
        if kill.place in self.ahead[:-1]:
            self.ahead = self.ahead[self.ahead.index(kill.place) + 1 :]
        return kill

    def _knock(self, child: Child) -> None:
        """While ``child`` holds the run folder (it is stopped meanwhile), a second process must be refused."""
        while os.waitid(os.P_PID, child.number, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            if child.step.value > 0:  # a step is done: the folder is claimed
                break
            time.sleep(0.001)
        os.kill(child.number, signal.SIGSTOP)
        if os.waitid(os.P_PID, child.number, os.WEXITED | os.WSTOPPED | os.WNOWAIT).si_code == os.CLD_STOPPED:
            second = self._child().end()
            self.tally.counts["second_processes"] += 1
            if second.code != 2 or KNOCKED not in second.message:
                self._failed("a second process", second)
        with suppress(ProcessLookupError):
            os.kill(child.number, signal.SIGCONT)

    def _try_full_disk(self) -> None:
        """A disk that takes only small files: refused in a line or two, nothing half-written, and it can go on."""
        sizes, counts = self.reference.sizes, self.tally.counts
        most = max(1, sizes[counts["full_disks"] * 7 % len(sizes)] - 1)
        left_by_kill = self._parts()
        ended = self._child(Kill(most_bytes=most)).end()
        counts.update(full_disks=1, resumes=1)
        parts = self._parts() - left_by_kill
        said = ended.message.partition("featherweight: ")[2]
        if ended.code not in (0, 2) or len(said.splitlines()) > 2 or (ended.code and parts):
            self._failed(f"disk of {most} bytes, {parts}", ended)

    def _note(self, kill: Kill, ended: Ended) -> None:
        # While the reload check runs in its own process, this one evaluates, and comes by other places.
        place = RELOAD if kill.place == RELOAD else ended.place
        self.tally.aimed_at.update([kill.place] if place == kill.place else [])
        way = "half-written" if kill.tear else "moment" if kill.seconds else "place"
        of_epoch = self.reference.outcome.epoch_after(ended.step)
        self.tally.kills.append({
            "run": self.reference.run.name, "place": place, "way": way, "step": ended.step,
            "mid_epoch": of_epoch is not None and of_epoch % 1 > 0,
            "steps_again": max(0, ended.step - max(self._checkpoints(), default=0)),
        })  # fmt: skip
        histories = [path.read_bytes() for path in self.folder.glob("run/**/history.jsonl")]
        torn = any(lines and not lines.endswith(b"\n") for lines in histories)
        halves = list(half_written(self.folder / "run"))
        self.tally.counts.update(histories_found_torn=torn, half_written_files=len(halves))

    def _parts(self) -> set[str]:
        return {path.name for path in (self.folder / "run").rglob("*part")}

    def _checkpoints(self) -> list[int]:
        return [int(path.name.removeprefix("step-")) for path in self.folder.glob("run/**/checkpoint/step-*")]


def _clear(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
