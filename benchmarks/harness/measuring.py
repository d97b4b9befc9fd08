"""What every competitor's process does alike: read its job, write its answer, look at its own memory and versions.

Of Featherweight it imports what needs nothing but Python itself: the peers' environment has no more of it.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from featherweight.environment import forget_peak_memory, peak_memory_bytes, versions

Job = dict[str, Any]


def answer(module: str, question: Path, place: Path) -> None:
    """Let a module of ``competitors`` solve the job in ``question``, and write what comes of it to ``place``, whole.

    Of several processes the first writes; the others leave their greatest memory beside it.
    """
    result = importlib.import_module(f"competitors.{module}").solve(json.loads(question.read_text("utf-8")))
    rank = os.environ.get("RANK", "0")
    place = place if rank == "0" else place.with_suffix(f".rank{rank}.json")
    part = place.with_suffix(".part")
    part.write_text(json.dumps(result), "utf-8")
    part.replace(place)


def read_rows(path: str) -> tuple[list[str], list[str]]:
    """Texts and labels of a JSONL file."""
    rows = [json.loads(line) for line in Path(path).read_text("utf-8").splitlines()]
    return [row["text"] for row in rows], [row.get("label", "") for row in rows]


def forget_warm_up(device: str = "cpu") -> None:
    """Give back what a training that is thrown away has left, and let the greatest memory begin anew (Linux alone).

    A user's training has none before it.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim:
        trim(0)
    forget_peak_memory()
    if device.startswith("cuda"):
        import torch

        torch.cuda.reset_peak_memory_stats()


def memory(device: str = "cpu") -> dict[str, int]:
    """Most memory held by this process; on a CUDA device too, and what its context takes besides."""
    figures = {"peak_memory_bytes": peak_memory_bytes()}
    if not device.startswith("cuda"):
        return figures
    import torch

    torch.cuda.synchronize()
    free, total = torch.cuda.mem_get_info()
    context = max(0, total - free - torch.cuda.memory_reserved())
    peaks = {"allocated": torch.cuda.max_memory_allocated(), "reserved": torch.cuda.max_memory_reserved()}
    return figures | {f"cuda_{key}_bytes": value for key, value in {**peaks, "context": context}.items()}


def timed(call: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    """Seconds that a call takes, and what it returns."""
    began = time.perf_counter()
    found = call(*arguments)
    return time.perf_counter() - began, found


def time_predictions(
    job: Job, load: Callable[[], Any], all_of: Callable[[Any, list[str]], Any], one: Callable[[Any, str], Any]
) -> tuple[dict[str, Any], Any, Any]:
    """Load a model, let it warm up, classify all texts, then single ones; the figures, the model, and its answers."""
    import numpy as np
    import torch

    load_seconds, model = timed(load)
    texts, _ = read_rows(job["texts"])
    all_of(model, texts[:64])
    seconds, found = timed(all_of, model, texts)
    held = memory(job["device"])
    latencies = [1000 * timed(one, model, text)[0] for text in texts[: job["latency_texts"]]]
    p50, p99 = np.percentile(latencies, [50, 99], method="nearest").tolist() if latencies else (None, None)
    return (
        {
            "samples_per_second": len(texts) / seconds,
            "load_seconds": load_seconds,
            **({"latency_p50_ms": p50, "latency_p99_ms": p99} if latencies else {}),
            "threads": torch.get_num_threads(),
            "versions": versions(),
            **held,
        },
        model,
        found,
    )


def without_evaluations(history: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records, each with the seconds ``trained`` until then.

    The history's clock runs on during evaluations; their seconds are taken off again.
    """
    evaluating = trained = 0.0
    records = []
    for record in history:
        if record["kind"] == "evaluation":
            evaluating += record["seconds"]
        else:
            trained = record["seconds"] - evaluating
        records.append({**record, "trained": trained})
    return records


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


if __name__ == "__main__":
    answer(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
