"""Featherweight's `predict` for a whole file, as the command does it: read in pieces, checked first, written."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from harness.measuring import Job, answer, memory, versions

from featherweight.inference.output_files import predict_file


def solve(job: Job) -> dict[str, Any]:
    """Predict; the setup ends where the first batch does."""
    ticks: list[float] = []
    began = time.perf_counter()
    place = Path(job["scratch"]) / "predictions.csv"
    tick = lambda *_: ticks.append(time.perf_counter())  # noqa: E731
    rows = predict_file(job["run"], job["texts"], place, replace=True, follow=tick)
    return {
        "samples_per_second": rows / (time.perf_counter() - ticks[0]),
        "tokens_per_second": None,
        "setup_seconds": ticks[0] - began,
        "threads": torch.get_num_threads(),
        "versions": versions(),
        **memory(),
    }


if __name__ == "__main__":
    answer(solve)
