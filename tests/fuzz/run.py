"""Fuzz the readers of foreign files, guided by coverage (atheris, the extra `fuzz`).

    python tests/fuzz/run.py --minutes 10
    python tests/fuzz/run.py --minutes 220 --jobs 2

The minutes are shared among the targets; with --jobs 2 two targets are fuzzed at once, in half of the time. Whatever is
found is written to tests/fuzz/finds, where the tests take it up and it must stay harmless for ever; the figures go to
benchmarks/results/MACHINE/reliability-fuzz.json.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "benchmarks"), str(ROOT / "src")]

from fuzz.seeds import SEEDS, WORDS  # noqa: E402 (the folders above hold it)
from fuzz.targets import TARGETS, find_in  # noqa: E402
from fuzz.workplace import clean_up  # noqa: E402

FINDS = HERE / "finds"
MEMORY = Path("/dev/shm")
"""Where the many small files are written, if the system has it."""
IN_THIS_PROCESS = Lock()
"""Held where an input is tried in this process: the targets share a folder."""
STOPPED = ("crash-", "timeout-", "oom-")
"""What libFuzzer calls the inputs that ended the process itself."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Fuzz every target in a process of its own, and write down what came of it."""
    options = parser().parse_args(arguments)
    if options.inside:
        fuzz(options.targets, options.seconds, Path(options.inside))
        return
    names = options.targets.split(",")
    seconds = options.minutes * 60 / len(names)
    with ThreadPoolExecutor(options.jobs) as pool:
        found = dict(zip(names, pool.map(lambda name: campaign(name, seconds), names), strict=True))
    print(f"written: {write(found, options.minutes, options.results)}")
    sys.exit(1 if any(one["crashes_left"] for one in found.values()) else 0)


def parser() -> argparse.ArgumentParser:
    """The options."""
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--minutes", type=float, default=10, help="for all targets together (default: 10)")
    found.add_argument("--jobs", type=int, default=1, help="how many targets are fuzzed at once (default: 1)")
    found.add_argument("--targets", default=",".join(TARGETS), help="some of them, with commas (default: all)")
    found.add_argument("--results", type=Path, help="folder of the figures (default: benchmarks/results/MACHINE); it"
                       " keeps those of readers that are not fuzzed now")  # fmt: skip
    found.add_argument("--inside", help=argparse.SUPPRESS)  # folder of new finds: this process fuzzes one target
    found.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    return found


def campaign(target: str, seconds: float) -> dict[str, Any]:
    """Fuzz ``target`` in a fresh process for so long; its figures."""
    known = sorted((FINDS / target).glob("*"))
    with IN_THIS_PROCESS:
        left = {path.name: reason for path in known if (reason := find_in(target, path.read_bytes()))}
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as temporary:
        command = [sys.executable, str(HERE / "run.py"), "--targets", target, "--inside", temporary]
        place = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        clock = time.perf_counter()
        done = subprocess.run([*command, "--seconds", str(seconds)], capture_output=True, text=True, env=place)
        with IN_THIS_PROCESS:
            new = keep(target, Path(temporary))
    figures = {
        **_figures(target, done.stderr, time.perf_counter() - clock),
        "crashes_found": len(known) + len(new),
        "crashes_left": len(left) + len(new),
    }
    print(f"{target}: {figures}", flush=True)
    for name, reason in {**left, **new}.items():
        print(f"  {name}: {reason}")
    return figures


def _figures(target: str, said: str, seconds: float) -> dict[str, Any]:
    """What libFuzzer says of itself; ``seconds`` of the whole process where an input ended it."""
    whole = re.findall(r"^Done (\d+) runs in (\d+) second", said, re.M)
    begun, edges = re.findall(r"^#(\d+)\s", said, re.M), re.findall(r"\bcov: (\d+)", said)
    if not begun or not edges:
        sys.exit(f"{target}: nothing was fuzzed\n{said[-2000:]}")
    executions, fuzzed = whole[-1] if whole else (begun[-1], seconds)
    return {"seconds": float(fuzzed), "executions": int(executions), "edges": int(edges[-1])}


def keep(target: str, made: Path) -> dict[str, str]:
    """Move new finds to where the tests take them up; their names, each with what came out."""
    found = {}
    for path in sorted(made.iterdir()):
        if path.name.startswith((*STOPPED, "find-")):
            home = FINDS / target
            home.mkdir(parents=True, exist_ok=True)
            (home / path.name).write_bytes(path.read_bytes())
            found[path.name] = find_in(target, path.read_bytes()) if path.name.startswith("find-") else "the end of it"
    return found


def fuzz(target: str, seconds: float, made: Path) -> None:
    """Let atheris make inputs for ``target``; each new kind of find goes into ``made``. Does not return."""
    import atheris

    tempfile.tempdir = str(made)
    corpus = made / "corpus"
    corpus.mkdir()
    (made / "words").write_text("".join(f'"{word}"\n' for word in WORDS))
    with atheris.instrument_imports(include=["featherweight", "tomllib"]):
        for number, seed in enumerate(SEEDS[target]):
            (corpus / f"seed-{number}").write_bytes(seed)
            find_in(target, seed)  # imports what it reads with
    seen: set[str] = set()

    def one(data: bytes) -> None:
        reason = find_in(target, data)
        if reason and reason not in seen:
            seen.add(reason)
            (made / f"find-{len(seen)}").write_bytes(data)

    limits = [f"-max_total_time={int(seconds)}", "-max_len=2048", "-timeout=20", "-rss_limit_mb=3000"]
    places = [f"-artifact_prefix={made}/", f"-dict={made / 'words'}", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *limits, *places, str(corpus)], one)
    atheris.Fuzz()


def write(found: dict[str, Any], minutes: float, folder: Path | None) -> str:
    """Write the figures as a result like the benchmarks' own, beside those of other targets; the file's name."""
    from importlib.metadata import version

    from harness.recording import RESULTS, earlier, machine_folder, new_record, save

    folder = folder or RESULTS / machine_folder()
    record = new_record(
        "reliability-fuzz", "reliability-fuzz", settings={"minutes": minutes, "longest_input_bytes": 2048},
        data={"name": "inputs that coverage guides, from seeds of our own"}, seeds=[],
    )  # fmt: skip
    record["versions"]["atheris"] = version("atheris")
    old = earlier(folder / f"{record['name']}.json")
    before = {name: {"date": old["date"], **one} for name, one in old.get("targets", {}).items()}
    found = {name: {**one, "date": record["date"]} for name, one in found.items()}
    record["targets"] = {name: one for name in TARGETS if (one := found.get(name) or before.get(name))}
    keys = ("seconds", "executions", "crashes_found", "crashes_left")
    record["summary"] = {key: sum(one[key] for one in record["targets"].values()) for key in keys}
    record["machine"]["load_after"] = round(os.getloadavg()[0], 2)
    return save(record, folder).name


if __name__ == "__main__":
    try:
        main()
    finally:
        clean_up()
