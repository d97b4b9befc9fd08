"""What every competitor's process does alike: read its job, write its answer, look at its own memory and versions.

It needs nothing but Python itself, because the peers' environment has no Featherweight.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

Job = dict[str, Any]


def answer(solve: Callable[[Job], dict[str, Any]]) -> None:
    """Solve the job of the first argument's file and write what comes of it to the second argument's, whole.

    Of several processes the first writes; the others leave their greatest memory beside it.
    """
    question, place = Path(sys.argv[1]), Path(sys.argv[2])
    result = solve(json.loads(question.read_text("utf-8")))
    rank = os.environ.get("RANK", "0")
    place = place if rank == "0" else place.with_suffix(f".rank{rank}.json")
    part = place.with_suffix(".part")
    part.write_text(json.dumps(result), "utf-8")
    part.replace(place)


def read_rows(path: str) -> tuple[list[str], list[str]]:
    """Texts and labels of a JSONL file."""
    rows = [json.loads(line) for line in Path(path).read_text("utf-8").splitlines()]
    return [row["text"] for row in rows], [row.get("label", "") for row in rows]


def peak_memory_bytes() -> int:
    """Most memory this process has held at once, in bytes.

    Read from /proc where there is one: there ``getrusage`` counts what the parent held at the fork as well.
    """
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def forget_warm_up() -> None:
    """Give back what a training that is thrown away has left, and let the greatest memory begin anew (Linux alone).

    A user's training has none before it.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim:
        trim(0)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def device_memory(device: str) -> dict[str, int]:
    """Most memory held on a CUDA device, and what the context takes besides; nothing on a processor."""
    if not device.startswith("cuda"):
        return {}
    import torch

    torch.cuda.synchronize()
    free, total = torch.cuda.mem_get_info()
    context = max(0, total - free - torch.cuda.memory_reserved())
    peaks = {"allocated": torch.cuda.max_memory_allocated(), "reserved": torch.cuda.max_memory_reserved()}
    return {f"cuda_{key}_bytes": value for key, value in {**peaks, "context": context}.items()}


BETWEEN = "no operation: Python, waiting, the profiler"


def top_operations(profiler: Any, seconds: float, threads: int = 1, count: int = 25) -> list[dict[str, Any]]:
    """The operations that took most time themselves, each with its share of the ``seconds`` that passed in each thread.

    What no operation accounts for is a row of its own.
    """
    events = profiler.key_averages()
    inside, total = sum(event.self_cpu_time_total for event in events) / 1000, 1000 * seconds * threads
    rows = [(event.key[:80], event.self_cpu_time_total / 1000, event.count) for event in events]
    most = [*sorted(rows, key=lambda row: -row[1])[:count], (BETWEEN, max(0.0, total - inside), 0)]
    return [
        {"operation": name, "share": milliseconds / total, "calls": calls, "milliseconds": milliseconds}
        for name, milliseconds, calls in sorted(most, key=lambda row: -row[1])
    ]


def versions(*packages: str) -> dict[str, str]:
    """Versions of the installed ones of ``packages``."""
    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def percentiles(latencies: list[float]) -> dict[str, float]:
    """p50 and p99 of latencies in milliseconds, by the nearest rank; nothing where nothing was timed."""
    ordered = sorted(latencies)
    ranks = {name: round(share * (len(ordered) - 1)) for name, share in (("p50", 0.5), ("p99", 0.99))}
    return {f"latency_{name}_ms": ordered[rank] for name, rank in ranks.items()} if ordered else {}
