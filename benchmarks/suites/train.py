"""The same training by those whom a user might pick instead, and by Featherweight.

    python benchmarks/run.py train --backbone minilm --steps 60 --repeats 5     speed: 60 batches of 32 rows
    python benchmarks/run.py train --backbone minilm --rows 10000 --repeats 3 --data FILE      accuracy as well

SetFit wants ``competitors/peers.sh`` to have been run.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from harness.competition import PEERS_PYTHON, Plan, competitors
from harness.jobs import BATCH, training_job
from harness.measuring import read_rows
from harness.recording import by_repeat, ratio_spread, summary_of

from featherweight.evaluation.significance import mcnemar_exact, paired_bootstrap
from featherweight.model.engine import choose_engine

US = "featherweight"
TARGET = 0.92
"""Validation accuracy to which the seconds are counted."""
_SAID = ("epochs", "batch_size", "learning_rate", "warmup", "max_length", "precision", "device")


def plans(options: argparse.Namespace, folder: Path, device: str = "cpu") -> Iterator[Plan]:
    """The competition on ``device``, its rows written into ``folder``."""
    if options.steps:
        options.rows, options.epochs = options.steps * BATCH, 1.0
    job = training_job(options, folder, epochs=options.epochs)
    keys = ("tuned_batch", "setfit_rows", "full_learning_rate")
    settings = job.settings | {"device": device} | {key: getattr(options, key) for key in keys}
    # The tuned competitors compute in those 16 bits that Featherweight's engine takes here.
    settings["half"] = choose_engine(options.precision, device).precision
    seen = job.data["train_rows"] * options.epochs
    settings["evaluate_rows"] = seen / (1 if options.steps else options.evaluations)
    predicted: dict[str, dict[int, list[int]]] = {}

    def keep(competitor: Any, repeat: int, result: dict[str, Any]) -> dict[str, Any]:
        predicted.setdefault(competitor.name, {})[repeat] = result.pop("predicted", [])
        return result

    def finish(record: dict[str, Any]) -> dict[str, Any]:
        files, labels = job.settings["files"], job.settings["labels"]
        truth = [labels.index(label) for label in read_rows(files.get("test", files["validation"]))[1]]
        summary = summarise(record["runs"], list(record["contestants"]))
        return {"summary": summary, "comparison": compare(predicted, truth)}

    chosen = competitors("train", options.only, settings | {"peers": options.peers or str(PEERS_PYTHON)})
    yield Plan(
        "train" if device == "cpu" else "gpu-train",
        job.said | {key: settings[key] for key in _SAID} | {"target_accuracy": TARGET},
        job.data,
        [one for one in chosen if one.name != ("compiled" if device == "cpu" else "setfit")],
        settings,
        finish,
        variant="-speed" if options.steps and device == "cpu" else "",
        seed_each_turn=True,
        keep=keep,
    )


def summarise(runs: Sequence[dict[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """For each competitor the spread of its figures over the repeats, and how many times faster Featherweight is."""

    def seconds_to_target(run: dict[str, Any]) -> float | None:
        reached = (point["seconds"] for point in run.get("evaluations", []) if point["accuracy"] >= TARGET)
        return min(reached, default=None)

    summary = summary_of(
        runs,
        names,
        ("samples_per_second", "peak_memory_bytes", "padding_share"),
        device_memory_bytes="cuda_allocated_bytes",
        seconds_to_target=seconds_to_target,
        accuracy=lambda run: run["evaluations"][-1]["accuracy"] if run.get("evaluations") else None,
    )
    add_lead(summary, runs)
    return summary


def add_lead(summary: dict[str, Any], runs: Sequence[dict[str, Any]]) -> None:
    """Add to each competitor's figures how many times faster Featherweight is, turn by turn."""
    speeds = {name: by_repeat(runs, name, "samples_per_second") for name in summary}
    for name, figures in summary.items():
        beside = US in speeds and name != US
        figures["times_faster"] = ratio_spread(speeds[US], speeds[name]) if beside else None


def compare(predicted: dict[str, dict[int, list[int]]], truth: Sequence[int]) -> dict[str, Any]:
    """Featherweight's accuracy against each other's on the same rows: mean over seeds, paired bootstrap over rows.

    ``predicted`` are class numbers by competitor and turn, and each turn has a seed of its own. A turn in which one of
    the two failed is left out, so that both have the same seeds.
    """
    found = {}
    ours = {turn: choices for turn, choices in predicted.get(US, {}).items() if choices}
    for name, repeats in predicted.items():
        turns = [turn for turn in sorted(ours) if repeats.get(turn)]
        if name == US or not turns:
            continue
        own, other = (np.array([np.array(one[turn]) == truth for turn in turns], float) for one in (ours, repeats))
        found[name] = {
            "rows": len(truth),
            "seeds": len(turns),
            "accuracy": float(own.mean()),
            "other_accuracy": float(other.mean()),
            **paired_bootstrap(own.mean(0), other.mean(0)),
            "p_values": [mcnemar_exact(*pair)["p_value"] for pair in zip(own, other, strict=True)],
        }
    return found
