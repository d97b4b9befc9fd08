"""Would the tests notice? Faults that a programmer makes, planted one at a time, and the tests beside each.

    python benchmarks/run.py planted-faults     all, some tens of minutes; may be stopped and run again

The faults are in `planted_faults.toml`, and planted in a copy of the files that git knows. The unchanged tests must
pass first: a test that fails without a fault proves nothing.

A fault is noticed where a test fails or cannot be collected, or where the process dies. A run that is killed at the
time limit counts as noticed only where the unchanged tests took less than a tenth of the limit: then the fault made it
hang. Tests marked slow are left out.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from harness.competition import say
from harness.recording import RESULTS, commit, earlier, machine_folder, new_record, presentable, save

from featherweight.errors import UserError

_HUNG = 10  # times as long as the unchanged tests: no busy machine makes so much of a difference
_FAILED, _NOT_COLLECTED = 1, 2  # pytest's exit statuses
OPTIONS = ("-x", "-q", "--tb=line", "-rfE", "-p", "no:cacheprovider", "-p", "no:randomly", "--hypothesis-seed=0",
           "-m", "not slow")  # fmt: skip
"""Of pytest: it stops at the first failure and names it, and chance decides nothing."""
_NAMED = re.compile(r"^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Fault:
    """One table of the file of faults."""

    id: str
    file: str
    """Path from the root of the checkout."""
    before: str
    after: str
    tests: tuple[str, ...]
    """Files or node ids, from the root."""
    means: str

    @property
    def mark(self) -> str:
        """Changes where the change itself does; the paths may change with the layout of the checkout."""
        return hashlib.sha256(f"{self.before}\0{self.after}".encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Ended:
    """How one run of pytest ended."""

    code: int | None
    """pytest's exit status, the negative number of the signal that killed it, or None at the time limit."""
    seconds: float
    first: str | None
    """The test that failed first, or what could not be collected."""
    last_lines: str


def read_faults(table: Path, root: Path) -> list[Fault]:
    """The faults of ``table``, each of which can be planted in ``root``.

    Raises UserError that names the fault where a key is missing or unknown, an id stands twice, the text to replace is
    not there exactly once, or what comes of it is no Python or reads a name that nothing binds.
    """
    faults: list[Fault] = []
    for place, values in enumerate(tomllib.loads(table.read_text("utf-8"))["fault"], 1):
        try:
            fault = Fault(**{**values, "tests": tuple(values["tests"])})
        except (TypeError, KeyError) as error:
            name = values.get("id", f"number {place}")
            raise UserError(f"{table.name}: {name}: {error}; it needs id, file, before, after, tests, means") from None
        if any(fault.id == other.id for other in faults):
            raise UserError(f"{table.name}: {fault.id}: two faults have this id; rename one")
        _planted(fault, root)
        faults.append(fault)
    return faults


def _planted(fault: Fault, root: Path) -> str:
    """The text of the fault's file with the fault in it. Raises UserError where it does not fit."""
    path = root / fault.file
    if not path.is_file():
        raise UserError(f"{fault.id}: {fault.file} is not there; correct the fault's file")
    text = path.read_text("utf-8")
    if (count := text.count(fault.before)) != 1:
        raise UserError(f"{fault.id}: {fault.before!r} stands {count} times in {fault.file}, not once; mend `before`")
    changed = text.replace(fault.before, fault.after)
    try:
        compile(changed, fault.file, "exec")
    except SyntaxError as error:
        raise UserError(f"{fault.id}: {fault.file} with it is no Python (line {error.lineno}); mend `after`") from None
    if changed == text:
        raise UserError(f"{fault.id}: `before` and `after` are the same; mend `after`")
    if unknown := sorted(_unbound(changed) - _unbound(text)):
        raise UserError(f"{fault.id}: nothing in {fault.file} binds {unknown[0]}, so any test fails; mend `after`")
    return changed


def _unbound(source: str) -> set[str]:
    """The names that a module reads but binds nowhere, such as that of a variable which has been renamed."""
    nodes = list(ast.walk(ast.parse(source)))
    added_to = {id(node.target) for node in nodes if isinstance(node, ast.AugAssign)}  # read before they are bound
    names = [node for node in nodes if isinstance(node, ast.Name)]
    bound = {node.id for node in names if isinstance(node.ctx, ast.Store) and id(node) not in added_to}
    return {node.id for node in names} - bound - _declared(nodes) - vars(builtins).keys()


def _declared(nodes: Sequence[ast.AST]) -> set[str]:
    """The names of functions, classes, arguments, imports and caught errors."""
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.alias):
            found.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.ExceptHandler) and node.name:
            found.add(node.name)
    return found


def record_of(fault: Fault, ended: Ended, unchanged: float, limit: float) -> dict[str, Any]:
    """What the result says of one fault: whether it was noticed, by which test, and the seconds of the run.

    Raises UserError where the run says nothing, because pytest itself did not work.
    """
    by = ended.first
    if ended.code is None:
        by = "time limit" if unchanged < limit / _HUNG else None
    elif ended.code < 0:
        by = by or f"signal {-ended.code}"
    elif ended.code not in (0, _FAILED, _NOT_COLLECTED) or (ended.code and not by):
        raise UserError(f"{fault.id}: pytest ended with {ended.code}: {ended.last_lines}")
    return {
        **{key: getattr(fault, key) for key in ("id", "file", "means", "mark")},
        "noticed": by is not None,
        "by": by and presentable(by),
        "seconds": ended.seconds,
        **({"timed_out": True} if ended.code is None else {}),
        "commit": commit(),
    }


def summary_of(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Counts, and the ids of what no test noticed."""
    missed = sorted(run["id"] for run in runs if not run["noticed"])
    return {
        "count": len(runs),
        "noticed": len(runs) - len(missed),
        "missed": missed,
        "missed_percent": 100 * len(missed) / len(runs) if runs else 0.0,
        "by_file": dict(sorted(Counter(run["file"] for run in runs).items())),
        "seconds": sum(run["seconds"] for run in runs),
    }


def main(options: argparse.Namespace) -> None:
    """Plant what has no result yet, or what ``--only`` names, and write the result after each fault."""
    faults, found = read_faults(options.table, options.root), RESULTS.glob("*/planted-faults.json")
    # Where the result is, on whatever machine it was begun: another call adds to it.
    out = options.out or next(found, RESULTS / machine_folder() / "planted-faults.json")
    known = {fault.id: fault for fault in faults}
    if unknown := [name for name in options.only or () if name not in known]:
        raise UserError(f"{options.table.name}: has no fault {unknown[0]}")
    kept = (run for run in earlier(out)["runs"] if run["id"] in known and run["mark"] == known[run["id"]].mark)
    done = {run["id"]: run for run in kept}
    settings = {"limit_seconds": options.limit, "jobs": options.jobs}
    data = {"name": options.table.name, "faults": len(faults)}
    record = new_record("planted-faults", out.stem, settings=settings, data=data, seeds=[0])

    def write() -> Path:
        record["runs"] = [done[fault.id] for fault in faults if fault.id in done]
        record["summary"] = summary_of(record["runs"])
        return save(record, out.parent, whole=len(done) == len(faults))

    for run in plant([known[name] for name in options.only or known if options.only or name not in done], options):
        done[run["id"]] = run
        say(f"{len(done)}/{len(faults)} {run['id']}: {run['by'] or 'NOT NOTICED'} ({run['seconds']:.0f} s)")
        write()
    written, summary = write().name, record["summary"]
    missed = ", ".join(summary["missed"]) or "none"
    say(f"{summary['noticed']} of {summary['count']} noticed; not noticed: {missed}; written: {written}")


def plant(faults: Sequence[Fault], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Plant each of ``faults`` in a copy of the checkout; the record of each as soon as its tests have ended.

    Raises UserError where tests do not pass without a fault.
    """
    jobs, free = max(1, options.jobs), SimpleQueue[Path]()
    pool, unchanged = ThreadPoolExecutor(jobs), dict[tuple[str, ...], float]()
    with tempfile.TemporaryDirectory() as temporary:
        for job in range(jobs):
            free.put(copy_checkout(options.root, Path(temporary) / f"checkout-{job}"))
        run = partial(run_tests, free=free, limit=options.limit)
        try:
            one_each = list({fault.tests: fault for fault in faults}.values())
            for fault, ended in zip(one_each, pool.map(partial(run, planted=False), one_each), strict=True):
                if ended.code != 0:
                    what = "took too long" if ended.code is None else ended.first or ended.last_lines
                    raise UserError(f"{fault.id}: its tests do not pass without it: {what}")
                unchanged[fault.tests] = ended.seconds
                say(f"unchanged: {' '.join(fault.tests)[:100]}: {ended.seconds:.0f} s")
            for fault, ended in zip(faults, pool.map(partial(run, planted=True), faults), strict=True):
                yield record_of(fault, ended, unchanged[fault.tests], options.limit)
        finally:
            pool.shutdown(cancel_futures=True)


def run_tests(fault: Fault, *, free: SimpleQueue[Path], limit: float, planted: bool) -> Ended:
    """Run the fault's tests in one of the ``free`` checkouts, killed after ``limit`` seconds; the checkout is put back.

    Each run is a process that leads a group of its own.
    """
    checkout = free.get()
    path, log = checkout / fault.file, checkout.with_name(f"{checkout.name}.log")
    unchanged = path.read_text("utf-8")
    path.write_text(_planted(fault, checkout) if planted else unchanged, "utf-8")
    variables = {**os.environ, "PYTHONPATH": str(checkout / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    began, code = time.monotonic(), None
    with log.open("w") as out:
        command = [sys.executable, "-m", "pytest", *OPTIONS, *fault.tests]
        streams = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": out}
        process = subprocess.Popen(command, cwd=checkout, env=variables, process_group=0, **streams)
        with suppress(subprocess.TimeoutExpired):
            code = process.wait(limit)
    seconds = time.monotonic() - began
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # with processes that the tests have left behind
    process.wait()
    path.write_text(unchanged, "utf-8")
    shutil.rmtree(checkout / ".hypothesis", ignore_errors=True)  # no fault profits from another's
    free.put(checkout)
    said = log.read_text("utf-8", "replace")
    named = _NAMED.search(said)
    return Ended(code, round(seconds, 2), named[1] if named else None, said[-1500:])


def copy_checkout(root: Path, folder: Path) -> Path:
    """Copy the files of ``root`` that git knows into ``folder``, as they stand now."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (root / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, folder / name)
    return folder
