"""transformers' ``pipeline`` on the merged model: all texts at once, then one at a time.

The job's key ``batch_size`` is given to the pipeline; without it the pipeline's own default holds.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from harness.measuring import Job, answer, device_memory, peak_memory_bytes, percentiles, read_rows, versions
from transformers import pipeline


def solve(job: Job) -> dict[str, Any]:
    """Load, warm up, classify everything, then time single texts."""
    began = time.perf_counter()
    classify = pipeline("text-classification", model=job["merged"], device=job["device"])
    load_seconds = time.perf_counter() - began
    texts, _ = read_rows(job["texts"])
    options: dict[str, Any] = {"truncation": True, "max_length": job["max_length"]}
    batched = {"batch_size": job["batch_size"]} if "batch_size" in job else {}
    classify(texts[:64], **options, **batched)
    began = time.perf_counter()
    found = classify(texts, **options, **batched)
    seconds = time.perf_counter() - began
    memory = {"peak_memory_bytes": peak_memory_bytes(), **device_memory(job["device"])}
    latencies = []
    for text in texts[: job["latency_texts"]]:
        began = time.perf_counter()
        classify(text, **options)
        latencies.append(1000 * (time.perf_counter() - began))
    return {
        "samples_per_second": len(texts) / seconds,
        "load_seconds": load_seconds,
        **percentiles(latencies),
        "predicted": [row["label"] for row in found],
        "scores": [row["score"] for row in found],
        "threads": torch.get_num_threads(),
        "versions": versions("torch", "transformers"),
        **memory,
    }


if __name__ == "__main__":
    answer(solve)
