"""transformers' ``pipeline`` on the merged model: all texts at once, then one at a time.

The job's key ``batch_size`` is given to the pipeline; without it the pipeline's own default holds.
"""

from __future__ import annotations

from typing import Any

from harness.measuring import Job, time_predictions
from transformers import pipeline


def solve(job: Job) -> dict[str, Any]:
    """Load, warm up, classify everything, then time single texts."""
    options: dict[str, Any] = {"truncation": True, "max_length": job["max_length"]}
    batched = {"batch_size": job["batch_size"]} if "batch_size" in job else {}
    figures, _, found = time_predictions(
        job,
        lambda: pipeline("text-classification", model=job["merged"], device=job["device"]),
        lambda classify, texts: classify(texts, **options, **batched),
        lambda classify, text: classify(text, **options),
    )
    return {**figures, "predicted": [row["label"] for row in found], "scores": [row["score"] for row in found]}
