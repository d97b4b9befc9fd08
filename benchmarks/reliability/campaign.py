"""The kill campaign: small runs killed over and over, resumed, and compared with the same runs undisturbed."""

from __future__ import annotations

import gc
import importlib
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

from reliability.killed import LINE, RELOAD, STEPPED, TAKEN_UP, Board, Ended, Kill, end, start
from reliability.outcome import Outcome, half_written, outcome, unlike
from reliability.small_runs import SmallRun, small_runs

KNOCKED = "another process is training in this run folder"
IN_A_TRIAL = 8
"""Kills of one run before it is left to end."""
MOST_TRIES = 8
RESUMED = {TAKEN_UP: 2}
"""Places that only a resumed run comes by, and how often."""
_DEAR = ("pictures", "report.html", RELOAD)
"""Kinds of places that take seconds, and are real in the whole run alone."""
_WARM = ("matplotlib.backends.backend_agg", "pyarrow.parquet", "scipy.special", "sklearn.metrics", "peft", "datasets",
         "transformers.models.bert.modeling_bert", "transformers.models.mpnet.modeling_mpnet")  # fmt: skip


@dataclass
class Tally:
    """What a campaign has found."""

    kills: list[dict[str, Any]] = field(default_factory=list)
    resumes: int = 0
    trials: int = 0
    torn_lines_found: int = 0
    """Kills after which the history ended in half a line; the resume has to put that right."""
    full_disks: int = 0
    second_processes: int = 0
    half_written: Counter[str] = field(default_factory=Counter)
    """Files found half-written under their own names after a kill."""
    unlike: Counter[str] = field(default_factory=Counter)
    """Lost steps, doubled and torn lines, differing files and bytes of runs that were killed and resumed."""
    places: set[str] = field(default_factory=set)
    """All that the runs come by, and at which they are to be killed."""
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Reference:
    """A small run undisturbed: what it came to, which places it came by how often, and its seconds."""

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
    runs = small_runs(folder)
    _warm_up()
    tally, board, chance = Tally(), Board(), random.Random(seed)
    references = {run.name: _reference(run, folder / "trial", board) for run in runs}
    say(f"{len(runs)} runs undisturbed: " + ", ".join(f"{r.run.name} {r.seconds:.1f} s" for r in references.values()))
    plan = planned(references, kills, chance)
    tally.places = {place for one in references.values() for place in one.places} | set(RESUMED)
    while any(plan.values()):
        for name, queue in plan.items():
            if queue:
                _trial(references[name], queue, folder / "trial", board, tally)
        say(f"{len(tally.kills)} kills, {tally.trials} runs ended, unlike {dict(tally.unlike)}, {tally.failures[-1:]}")
    return tally


def planned(references: dict[str, Reference], kills: int, chance: random.Random) -> dict[str, deque[Kill]]:
    """Kills for each run: every place in turn, renames torn or not, every fourth at a moment that chance chooses."""
    places = list(dict.fromkeys(place for one in references.values() for place in one.places))
    places = list(dict.fromkeys([*places, *RESUMED]))
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
        fit = [one for one in references.values() if place in one.places or place in RESUMED]
        one = chance.choice([one for one in fit if _is_at_home(place, one.run)])
        plan[one.run.name].append(_at(place, one.places.get(place, RESUMED.get(place, 1)), again, chance))
        turn += 1
    return {name: deque(_by_trial(queue, list(references[name].places))) for name, queue in plan.items()}


def _at(place: str, times: int, again: int, chance: random.Random) -> Kill:
    if place == RELOAD:
        return Kill(place, seconds=chance.uniform(0.01, 1.5))  # which is when the fresh process is at work
    torn = place == LINE or (place.startswith("renaming") and (again + len(place)) % 2 > 0)
    return Kill(place, chance.randint(1, times), tear=torn)


def _is_at_home(place: str, run: SmallRun) -> bool:
    """The dear places are killed where they are real; a checkpoint is taken up where there is one run to resume."""
    return run.whole == place.endswith(_DEAR) and not (place in RESUMED and len(run.recipes) > 1)


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
    ended = end(*start(run.carry_out, folder, board, Kill(), whole=run.whole), board)
    if ended.code:
        raise RuntimeError(f"{run.name} does not run at all: {ended.message[-2000:]}")
    seconds = time.monotonic() - began
    places = json.loads((folder / "places.json").read_text("utf-8"))
    sizes = sorted({path.stat().st_size for path in (folder / "run").rglob("*") if path.is_file()})
    return Reference(run, outcome(folder / "run"), places, seconds, sizes)


def _trial(reference: Reference, queue: deque[Kill], folder: Path, board: Board, tally: Tally) -> None:
    """One run from its beginning to its end, with up to IN_A_TRIAL kills from the queue on the way."""
    run, hits, began = reference.run, 0, False
    _clear(folder)
    tally.trials += 1
    while queue and hits < IN_A_TRIAL:
        kill = queue.popleft()
        if kill.place in RESUMED and not _checkpoints(folder):
            queue.appendleft(kill)
            kill = Kill("after renaming checkpoint")
        kill = _within_reach(kill, reference, folder)
        tally.resumes += began
        if hits == 1 and len(tally.kills) > 6 * tally.full_disks:
            _try_full_disk(reference, folder, board, tally)
        ended = _killed(run, kill, folder, board, tally, knock=len(tally.kills) > 12 * (1 + tally.second_processes))
        began = True
        if not ended.killed:
            _try_again(kill, queue, run, tally)
            break
        hits += 1
        _note(kill, ended, reference, folder, tally)
    else:
        tally.resumes += 1
        ended = end(*start(run.carry_out, folder, board, Kill(), whole=run.whole), board)
    if ended.code:
        tally.failures.append(f"{run.name}: exit code {ended.code} at {ended.place}: {ended.message[-300:]}")
    tally.unlike.update(unlike(outcome(folder / "run"), reference.outcome))


def _try_again(kill: Kill, queue: deque[Kill], run: SmallRun, tally: Tally) -> None:
    """The run came to its end before the kill: another trial takes the first chance that it gets."""
    if kill.tries == MOST_TRIES:
        tally.failures.append(f"{run.name}: never killed at {kill.place or kill.seconds}")
    else:
        queue.append(replace(kill, number=1, seconds=kill.seconds / 2, tries=kill.tries + 1))


def _within_reach(kill: Kill, reference: Reference, folder: Path) -> Kill:
    """A run that goes on from a checkpoint comes by its places less often."""
    last = max((record["step"] for lines in reference.outcome.histories.values() for record in lines), default=1)
    done = max(_checkpoints(folder), default=0) / last
    return replace(kill, number=max(1, round(kill.number * (1 - done))), seconds=kill.seconds * (1 - done / 2))


def _killed(run: SmallRun, kill: Kill, folder: Path, board: Board, tally: Tally, *, knock: bool) -> Ended:
    child, pipe = start(run.carry_out, folder, board, kill, whole=run.whole)
    if knock:
        _knock(run, child, folder, board, tally)
    return end(child, pipe, board, 0.0 if kill.place else kill.seconds)


def _knock(run: SmallRun, child: int, folder: Path, board: Board, tally: Tally) -> None:
    """While ``child`` holds the run folder (it is stopped meanwhile), a second process must be refused."""
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if board.read()[1] > 0:  # a step is done: the folder is claimed
            break
        time.sleep(0.001)
    os.kill(child, signal.SIGSTOP)
    if os.waitid(os.P_PID, child, os.WEXITED | os.WSTOPPED | os.WNOWAIT).si_code == os.CLD_STOPPED:
        own = Board()
        second = end(*start(run.carry_out, folder, own, Kill()), own)
        tally.second_processes += 1
        if second.code != 2 or KNOCKED not in second.message:
            tally.failures.append(f"{run.name}: a second process got code {second.code}: {second.message[-300:]}")
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGCONT)


def _try_full_disk(reference: Reference, folder: Path, board: Board, tally: Tally) -> None:
    """A disk that takes only small files: refused in a line or two, nothing half-written left, and it can go on."""
    sizes = reference.sizes
    most = sizes[tally.full_disks * 7 % len(sizes)] - 1
    kill, run = Kill(most_bytes=max(1, most)), reference.run
    ended = end(*start(run.carry_out, folder, board, kill, whole=run.whole), board)
    tally.full_disks += 1
    tally.resumes += 1
    parts = [path.name for path in (folder / "run").rglob("*part")]
    said = ended.message.partition("featherweight: ")[2]
    if ended.code not in (0, 2) or len(said.splitlines()) > 2 or (ended.code and parts):
        tally.failures.append(
            f"{run.name}: disk of {most} bytes: exit code {ended.code}, {parts}: {ended.message[-300:]}"
        )


def _note(kill: Kill, ended: Ended, reference: Reference, folder: Path, tally: Tally) -> None:
    way = "half-written" if kill.tear else "moment" if kill.seconds else "place"
    of_epoch = reference.outcome.epoch_after(ended.step)
    tally.kills.append({
        "run": reference.run.name, "place": ended.place, "way": way, "step": ended.step,
        "mid_epoch": of_epoch is not None and of_epoch % 1 > 0,
        "steps_again": max(0, ended.step - max(_checkpoints(folder), default=0)),
    })  # fmt: skip
    histories = [path.read_bytes() for path in folder.glob("run/**/history.jsonl")]
    tally.torn_lines_found += any(lines and not lines.endswith(b"\n") for lines in histories)
    tally.half_written.update(half_written(folder / "run"))


def _checkpoints(folder: Path) -> list[int]:
    return [int(path.name.removeprefix("step-")) for path in folder.glob("run/**/checkpoint/step-*")]


def _clear(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _warm_up() -> None:
    """Import all that a run imports, so that each forked process begins at once."""
    import featherweight

    for module in pkgutil.walk_packages(featherweight.__path__, "featherweight."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in _WARM:
        importlib.import_module(name)
    gc.freeze()  # no forked process looks through all of that for what it might free
