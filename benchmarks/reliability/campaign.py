"""The kill campaign: small runs killed over and over, resumed, and compared with the same runs undisturbed."""

from __future__ import annotations

import json
import os
import pkgutil
import random
import shutil
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from reliability.forks import load
from reliability.killed import LINE, RELOAD, STEPPED, TAKEN_UP, Board, Ended, Kill, end, start
from reliability.outcome import Outcome, half_written, outcome, unlike
from reliability.small_runs import SmallRun, small_runs

import featherweight

KNOCKED = "another process is training in this run folder"
IN_A_TRIAL = 12
"""Kills of one run before it is left to end."""
MOST_TRIES = 8
RESUMED = {TAKEN_UP: 2}
"""Places that only a resumed run comes by, and how often."""
_HEAVY = ("matplotlib.backends.backend_agg", "pyarrow.dataset", "scipy.special", "sklearn.model_selection", "peft",
          "transformers.models.bert.modeling_bert", "transformers.models.mpnet.modeling_mpnet")  # fmt: skip


@dataclass
class Tally:
    """What a campaign has found."""

    kills: list[dict[str, Any]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    """Resumes, runs ended, full disks, second processes; kills after which the history ended in half a line, which the
    resume has to put right; files found half-written under their own names after a kill."""
    unlike: Counter[str] = field(default_factory=Counter)
    """Lost steps, doubled and torn lines, differing files and bytes of runs that were killed and resumed."""
    places: set[str] = field(default_factory=set)
    """All that the runs come by, and at which they are to be killed."""
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Reference:
    """A small run undisturbed: what it came to, which places it came by how often, its seconds and its files' sizes."""

    run: SmallRun
    outcome: Outcome
    places: dict[str, int]
    seconds: float
    sizes: list[int]


def campaign(kills: int, seed: int, folder: Path, say: Callable[[str], None] = lambda line: None) -> Tally:
    """Kill the small runs ``kills`` times in ``folder``: at every place that they come by in turn, and at any moment.

    This process must have one thread: it forks. Every trial lies in the same folder, so that paths are the same too,
    and has a cache of its own.
    """
    own = (module.name for module in pkgutil.walk_packages(featherweight.__path__, "featherweight."))
    load([*_HEAVY, *(name for name in own if not name.endswith("__main__"))])  # all that a forked process would import
    runs = small_runs(folder)
    tally, board, chance = Tally(), Board(), random.Random(seed)
    references = {run.name: _reference(run, folder / "trial", board) for run in runs}
    say(f"{len(runs)} runs undisturbed: " + ", ".join(f"{r.run.name} {r.seconds:.1f} s" for r in references.values()))
    plan = planned(references, kills, chance)
    tally.places = {place for one in references.values() for place in one.places} | set(RESUMED)
    while any(plan.values()):
        for name, queue in plan.items():
            if queue:
                _Trial(references[name], folder / "trial", board, tally).carry_out(queue)
        ended = tally.counts["runs_ended"]
        say(f"{len(tally.kills)} kills, {ended} runs ended, unlike {dict(tally.unlike)}, {tally.failures[-1:]}")
    return tally


def planned(references: dict[str, Reference], kills: int, chance: random.Random) -> dict[str, deque[Kill]]:
    """Kills for each run: every place in turn, renames torn or not, every fourth at a moment that chance chooses."""
    places = list(dict.fromkeys([*(place for one in references.values() for place in one.places), *RESUMED]))
    plan: dict[str, list[Kill]] = {name: [] for name in references}
    turn = 0
    for number in range(kills):
        if number % 4 == 3:
            one = chance.choice(list(references.values()))
            # Half of them count from the first step: before it a short run spends most of its time.
            since, share = chance.choice((("", 0.8), (STEPPED, 0.4)))
            plan[one.run.name].append(Kill(since, seconds=chance.uniform(0.01, share) * one.seconds))
            continue
        place, again = places[turn % len(places)], turn // len(places)
        # A checkpoint is taken up where there is one run to resume.
        one = chance.choice([
            one for one in references.values()
            if place in one.places or (place in RESUMED and len(one.run.recipes) == 1)
        ])  # fmt: skip
        plan[one.run.name].append(_at(place, one.places.get(place, RESUMED.get(place, 1)), again, chance))
        turn += 1
    return {name: deque(_by_trial(queue, list(references[name].places))) for name, queue in plan.items()}


def _at(place: str, times: int, again: int, chance: random.Random) -> Kill:
    if place == RELOAD:
        return Kill(place, seconds=chance.uniform(0.01, 1.5))  # which is when the fresh process is at work
    torn = place == LINE or (place.startswith("renaming") and (again + len(place)) % 2 > 0)
    return Kill(place, chance.randint(1, times), tear=torn)


def _by_trial(kills: list[Kill], places: list[str]) -> Iterator[Kill]:
    """Kills of one trial in the order in which a run comes by their places."""
    # A checkpoint is taken up after one was written; what has no place may come at any time, as chance does.
    order = {place: number for number, place in enumerate(places)}
    order |= {TAKEN_UP: len(places), "": order[STEPPED]}
    for first in range(0, len(kills), IN_A_TRIAL):
        yield from sorted(kills[first : first + IN_A_TRIAL], key=lambda kill: order[kill.place])


def _reference(run: SmallRun, folder: Path, board: Board) -> Reference:
    _clear(folder)
    began = time.monotonic()
    ended = end(*start(run.carry_out, folder, board, Kill()), board)
    if ended.code:
        raise RuntimeError(f"{run.name} does not run at all: {ended.message[-2000:]}")
    seconds = time.monotonic() - began
    places = json.loads((folder / "places.json").read_text("utf-8"))
    sizes = sorted({path.stat().st_size for path in (folder / "run").rglob("*") if path.is_file()})
    return Reference(run, outcome(folder / "run"), places, seconds, sizes)


class _Trial:
    """One run from its beginning to its end, with up to IN_A_TRIAL kills from a queue on the way."""

    def __init__(self, reference: Reference, folder: Path, board: Board, tally: Tally) -> None:
        self.reference, self.run, self.folder = reference, reference.run, folder
        self.board, self.tally = board, tally
        _clear(folder)

    def carry_out(self, queue: deque[Kill]) -> None:
        """Kill and resume until the kills are done or the run is, then compare it with the undisturbed one."""
        tally, counts, hits = self.tally, self.tally.counts, 0
        counts["runs_ended"] += 1
        while True:
            kill = queue.popleft() if queue and hits < IN_A_TRIAL else Kill()
            if kill.place in RESUMED and not self._checkpoints():
                queue.appendleft(kill)
                kill = Kill("after renaming checkpoint")
            counts["resumes"] += hits > 0
            if hits == 1 and len(tally.kills) > 6 * counts["full_disks"]:
                self._try_full_disk()
            ended = self._killed(self._within_reach(kill))
            if not ended.killed:
                break
            hits += 1
            self._note(kill, ended)
        if kill.place or kill.seconds:
            self._try_again(kill, queue)
        if ended.code:
            self._failed(f"exit code {ended.code} at {ended.place}: {ended.message[-300:]}")
        tally.unlike.update(unlike(outcome(self.folder / "run"), self.reference.outcome))

    def _failed(self, how: str) -> None:
        self.tally.failures.append(f"{self.run.name}: {how}")

    def _try_again(self, kill: Kill, queue: deque[Kill]) -> None:
        """The run came to its end before the kill: another trial takes the first chance that it gets."""
        if kill.tries == MOST_TRIES:
            self._failed(f"never killed at {kill.place or kill.seconds}")
        else:
            queue.append(replace(kill, number=1, seconds=kill.seconds / 2, tries=kill.tries + 1))

    def _within_reach(self, kill: Kill) -> Kill:
        """A run that goes on from a checkpoint comes by its places less often."""
        histories = self.reference.outcome.histories.values()
        last = max((record["step"] for lines in histories for record in lines), default=1)
        done = max(self._checkpoints(), default=0) / last
        return replace(kill, number=max(1, round(kill.number * (1 - done))), seconds=kill.seconds * (1 - done / 2))

    def _killed(self, kill: Kill) -> Ended:
        child, pipe = start(self.run.carry_out, self.folder, self.board, kill)
        if kill != Kill() and len(self.tally.kills) > 12 * (1 + self.tally.counts["second_processes"]):
            self._knock(child)
        return end(child, pipe, self.board, 0.0 if kill.place else kill.seconds)

    def _knock(self, child: int) -> None:
        """While ``child`` holds the run folder (it is stopped meanwhile), a second process must be refused."""
        while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            if self.board.read()[1] > 0:  # a step is done: the folder is claimed
                break
            time.sleep(0.001)
        os.kill(child, signal.SIGSTOP)
        if os.waitid(os.P_PID, child, os.WEXITED | os.WSTOPPED | os.WNOWAIT).si_code == os.CLD_STOPPED:
            own = Board()
            second = end(*start(self.run.carry_out, self.folder, own, Kill()), own)
            self.tally.counts["second_processes"] += 1
            if second.code != 2 or KNOCKED not in second.message:
                self._failed(f"a second process got code {second.code}: {second.message[-300:]}")
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGCONT)

    def _try_full_disk(self) -> None:
        """A disk that takes only small files: refused in a line or two, nothing half-written, and it can go on."""
        sizes, counts = self.reference.sizes, self.tally.counts
        most = max(1, sizes[counts["full_disks"] * 7 % len(sizes)] - 1)
        ended = end(*start(self.run.carry_out, self.folder, self.board, Kill(most_bytes=most)), self.board)
        counts.update(full_disks=1, resumes=1)
        parts = [path.name for path in (self.folder / "run").rglob("*part")]
        said = ended.message.partition("featherweight: ")[2]
        if ended.code not in (0, 2) or len(said.splitlines()) > 2 or (ended.code and parts):
            self._failed(f"disk of {most} bytes: exit code {ended.code}, {parts}: {ended.message[-300:]}")

    def _note(self, kill: Kill, ended: Ended) -> None:
        # While the reload check runs in its own process, this one evaluates, and comes by other places.
        place = RELOAD if kill.place == RELOAD else ended.place
        way = "half-written" if kill.tear else "moment" if kill.seconds else "place"
        of_epoch = self.reference.outcome.epoch_after(ended.step)
        self.tally.kills.append({
            "run": self.run.name, "place": place, "way": way, "step": ended.step,
            "mid_epoch": of_epoch is not None and of_epoch % 1 > 0,
            "steps_again": max(0, ended.step - max(self._checkpoints(), default=0)),
        })  # fmt: skip
        histories = [path.read_bytes() for path in self.folder.glob("run/**/history.jsonl")]
        torn = any(lines and not lines.endswith(b"\n") for lines in histories)
        halves = list(half_written(self.folder / "run"))
        self.tally.counts.update(histories_found_torn=torn, half_written_files=len(halves))

    def _checkpoints(self) -> list[int]:
        return [int(path.name.removeprefix("step-")) for path in self.folder.glob("run/**/checkpoint/step-*")]


def _clear(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
