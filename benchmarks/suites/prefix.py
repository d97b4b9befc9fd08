"""What storing the states of the frozen layers brings where the upper layers alone are adapted.

    python benchmarks/run.py prefix --backbone mpnet --layers top-4 --rows 384 --epochs 3 --repeats 5

Each turn trains the same recipe twice, with and without stored states, and compares epochs, memory and what was learnt.
The first epoch computes the states; what counts is an epoch from the second on, its evaluation told apart.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd
from harness import competition
from harness.competition import Competitor, Plan, competitors
from harness.jobs import BATCH, training_job
from harness.measuring import without_evaluations
from harness.recording import by_repeat, ratio_spread, spread, summary_of
from safetensors.numpy import load_file

from featherweight.errors import UserError
from featherweight.run.folder import read_history

KEPT, WITHOUT = WAYS = competitors("prefix")

_PROFILED = 5  # steps


def plans(options: argparse.Namespace, folder: Path) -> Iterator[Plan]:
    """Both ways, turn by turn."""
    if options.epochs < 2:
        raise UserError("--epochs: two at least; in the first the states are computed")
    job = training_job(options, folder, epochs=float(options.epochs))
    common = {**job.settings, "layers": options.layers, "evaluate_rows": job.data["train_rows"]}

    def play(competitor: Competitor, job: dict[str, Any], folder: Path) -> dict[str, Any]:
        shutil.rmtree(folder / "cache" / "states", ignore_errors=True)  # each first epoch computes its own
        run = folder / f"{competitor.name}-{job['seed']}"
        result = competition.play(competitor, {**job, "keep_run": str(run)}, folder)
        result.pop("predicted", None)
        return result if "failed" in result else result | figures(run, folder / "cache")

    def finish(record: dict[str, Any]) -> dict[str, Any]:
        apart = [differences(folder, seed) for seed in record["seeds"]]
        looked_into = profiles(common, job.data["train_rows"] // BATCH, folder)
        return {"differences": apart, "summary": summarise(record["runs"], apart), "profiles": looked_into}

    said = ("layers", "epochs")
    yield Plan("prefix", job.said, job.data, WAYS, common, finish, said, seed_each_turn=True, play=play)


def profiles(settings: dict[str, Any], epoch_steps: int, folder: Path) -> dict[str, Any]:
    """The operations of some steps of the second epoch by their own time, with stored states and without."""
    window = [epoch_steps + 1, min(_PROFILED, epoch_steps - 2)]
    if window[1] < 1:
        return {}
    results = {one.name: competition.play(one, {**settings, "profile": window}, folder) for one in WAYS}
    return {name: result.get("profile", {"failed": result.get("failed")}) for name, result in results.items()}


def figures(run: Path, cache: Path) -> dict[str, Any]:
    """Seconds of each epoch and each evaluation by the run's history, and the bytes of all stored states.

    The computation of the states belongs to the first epoch.
    """
    history = without_evaluations(read_history(run / "history.jsonl"))
    steps = [record for record in history if record["kind"] == "step"]
    ends = [0.0, *(step["trained"] for step in steps if float(step["epoch"]).is_integer())]
    return {
        "epoch_seconds": [end - begin for begin, end in pairwise(ends)],
        "evaluation_seconds": [record["seconds"] for record in history if record["kind"] == "evaluation"],
        "states_bytes": sum(path.stat().st_size for path in cache.glob("states/*")),
    }


def differences(folder: Path, seed: int) -> dict[str, float]:
    """How far apart what was learnt with and without states is: adapter, and probabilities of all evaluated rows."""
    runs = [folder / f"{one.name}-{seed}" for one in WAYS]
    if not all((run / "predictions.parquet").is_file() for run in runs):
        return {}
    ours, theirs = (load_file(run / "adapter" / "adapter_model.safetensors") for run in runs)
    tables = [pd.read_parquet(run / "predictions.parquet").filter(like="p_").to_numpy() for run in runs]
    return {
        "adapter": max(float(np.abs(ours[name] - theirs[name]).max()) for name in ours),
        "probabilities": float(np.abs(tables[0] - tables[1]).max()),
    }


def summarise(runs: Sequence[dict[str, Any]], apart: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Seconds of an epoch from the second on, how many times faster states make it, memory, disk, differences."""
    means = {key: lambda run, key=key: fmean(run[key][1:]) for key in ("epoch_seconds", "evaluation_seconds")}
    names = [one.name for one in WAYS]
    summary = summary_of(
        runs,
        names,
        ("peak_memory_bytes",),
        first_epoch_seconds=lambda run: run["epoch_seconds"][0],
        later_epoch_seconds=means["epoch_seconds"],
        evaluation_seconds=means["evaluation_seconds"],
    )
    kept = summary[KEPT.name]
    for key, mean in means.items():
        fast, slow = (by_repeat(runs, name, mean) for name in names)
        kept[f"{key}_times_faster"] = ratio_spread(slow, fast)
    kept["states_bytes"] = (spread(by_repeat(runs, KEPT.name, "states_bytes")) or {}).get("high")
    kept["largest_difference"] = {
        key: max((one[key] for one in apart if one), default=None) for key in ("adapter", "probabilities")
    }
    return summary
