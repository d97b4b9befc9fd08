"""Training and prediction on a CUDA device, with the memory that they take, and whether a T4 with 16 GB would do.

    python benchmarks/run.py gpu --backbone mpnet --steps 200 --repeats 3
    python benchmarks/run.py gpu --backbone mpnet --precision fp16         as on a T4, which has no bf16

The competitors are those of train and predict. For the T4, memory is measured at several batches of full length; what
it takes at rest and for each token follows by least squares, and from these the largest batch that fits.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from harness import competition
from harness.competition import Competitor, say
from harness.jobs import long_files, training_job
from suites import predict, train

from featherweight.errors import UserError

T4_BYTES = 15_360 * 2**20
"""Memory of a Tesla T4 (16 GB) as its driver counts it: 15,360 MiB."""
MEMORY_STEPS = 3


def plans(options: argparse.Namespace, folder: Path) -> Iterator[competition.Plan]:
    """The training and its memory, then the prediction. Raises UserError without a device."""
    device = {"device_name": require_device()}
    variant, options.name = f"-{options.name}" if options.name else "", None  # two results cannot have one name
    (training,) = train.plans(options, folder, "cuda")
    training.more, training.variant = device, variant
    summarise = training.finish

    def finish(record: dict[str, Any]) -> dict[str, Any]:
        return {**summarise(record), "t4": t4_room(memory_points(options, folder), options.max_length)}

    training.finish = finish
    yield training
    options.rows = options.predict_rows
    (prediction,) = predict.plans(options, folder, "cuda")
    prediction.more, prediction.variant = prediction.more | device, variant
    yield prediction


def require_device() -> str:
    """The CUDA device's name. Raises UserError where there is none."""
    import torch

    if not torch.cuda.is_available():
        raise UserError("gpu needs a CUDA device, and torch finds none on this machine")
    return torch.cuda.get_device_name()


def memory_points(options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Featherweight's memory on the device for batches of some sizes, all texts at full length."""
    points = []
    common = training_job(options, folder).settings | {"device": "cuda", "max_steps": MEMORY_STEPS}
    for rows in map(int, options.memory_batches.split(",")):
        tokens = rows * options.max_length
        settings = {"files": long_files(common, options.max_length, rows * MEMORY_STEPS, folder)}
        settings |= {"batch_size": rows, "batch_tokens": tokens}
        result = competition.play(Competitor("memory", "memory", "featherweight_run", settings), common, folder)
        kept = {key: result[key] for key in result if key.startswith("cuda_") or key == "failed"}
        points.append({"rows": rows, "tokens": tokens, **kept})
        say(f"memory at {rows} rows of {options.max_length} tokens: {kept}")
    return points


def t4_room(points: Sequence[dict[str, Any]], max_length: int) -> dict[str, Any]:
    """Bytes at rest and for each token of a batch (least squares), and the largest batch of ``max_length`` on a T4.

    What counts is what torch reserved, with the CUDA context of this device on top.
    """
    measured = [point for point in points if "cuda_reserved_bytes" in point]
    if len(measured) < 2:
        return {"points": list(points)}
    needs = [point["cuda_reserved_bytes"] + point["cuda_context_bytes"] for point in measured]
    each, rest = np.polyfit([point["tokens"] for point in measured], needs, 1)
    return {
        "points": list(points),
        "capacity_bytes": T4_BYTES,
        "bytes_at_rest": round(rest),
        "bytes_a_token": round(each),
        "max_length": max_length,
        "largest_batch": int((T4_BYTES - rest) // (each * max_length)) if each > 0 else None,
        "share_of_t4": max(needs) / T4_BYTES,
    }
