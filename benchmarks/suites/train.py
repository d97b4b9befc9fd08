"""The same training by those whom a user might pick instead, and by Featherweight.

    python benchmarks/train.py --backbone minilm --steps 60 --repeats 5     speed: 60 batches of 32 rows
    python benchmarks/train.py --backbone minilm --rows 10000 --epochs 1 --repeats 3 --data FILE      accuracy as well

SetFit wants ``benchmarks/peers.sh`` to have been run.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.competition import PEERS_PYTHON, Contestant, interleaved, play, say
from harness.jobs import (
    BATCH,
    add_job_options,
    backbone_label,
    result_options,
    training_job,
    written,
)
from harness.recording import new_record, ratio_spread, save, spread

US = "featherweight"
TARGET = 0.92
"""Validation accuracy to which the seconds are counted."""


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser(__doc__).parse_args(arguments)
    name = options.name or f"train-{backbone_label(options.backbone)}" + ("-speed" if options.steps else "")
    chosen = select(contestants(options, "cpu"), options.only)
    written(contest(options, chosen, benchmark="train", name=name, device="cpu"))


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options, those of the job included."""
    parser = result_options(description, "train-BACKBONE, or train-BACKBONE-speed")
    add_job_options(parser)
    parser.add_argument("--epochs", type=float, default=1.0, help="passes over the rows (default: 1)")
    parser.add_argument("--steps", type=int, help=f"for speed alone: one pass over this many times {BATCH} rows")
    parser.add_argument("--evaluations", type=int, default=10, help="over the whole training (default: 10)")
    parser.add_argument("--only", help="contestants, by commas: trainer, tuned, setfit, full, dropout, featherweight")
    parser.add_argument("--tuned-batch", type=int, default=64, help="batch of the tuned Trainer (default: 64)")
    parser.add_argument("--full-learning-rate", type=float, default=5e-5, help="of full fine-tuning (default: 5e-5)")
    parser.add_argument("--setfit-rows", type=int, default=256, help="rows for SetFit at the most (default: 256)")
    parser.add_argument("--peers", default=str(PEERS_PYTHON), help="the peers' python (default: what peers.sh makes)")
    return parser


def contestants(options: argparse.Namespace, device: str) -> list[Contestant]:
    """All contestants with what makes them different."""
    half = half_precision(options.precision, device)
    return [
        Contestant("trainer", "Trainer + PEFT, defaults", "trainer", note="fp32, batches of 32 in random order"),
        Contestant("tuned", "Trainer + PEFT, tuned", "trainer",
                   {"half": half, "grouped": True, "batch_size": options.tuned_batch},
                   note=f"{half or 'fp32'}, grouped by length as in a long run, batches of {options.tuned_batch}"),
        Contestant("setfit", "SetFit", "setfit_pairs", {"setfit_rows": options.setfit_rows, "setfit_batch": 16},
                   python=options.peers, note=f"pairs from {options.setfit_rows} rows, each in two"),
        Contestant("full", "Trainer, all weights", "trainer",
                   {"full": True, "learning_rate": options.full_learning_rate}, note="fp32, no adapter"),
        Contestant("dropout", "Featherweight, with the encoder's dropout", "featherweight_run",
                   {"warm_up": 3, "encoder_dropout": True}, note="as Trainer has it by default"),
        Contestant(US, "Featherweight", "featherweight_run", {"warm_up": 3}, note="as the recipe has it"),
    ]  # fmt: skip


def half_precision(precision: str, device: str) -> str:
    """What 16 bits the tuned contestants compute in: those that Featherweight's engine takes here; empty for fp32."""
    from featherweight.model.engine import choose_engine

    return choose_engine(precision, device).precision.replace("fp32", "")


def select(chosen: Sequence[Contestant], only: str | None) -> list[Contestant]:
    """Those that ``only`` names (all where it is None), without those that are not installed."""
    wanted = [name.strip() for name in only.split(",")] if only else [contestant.name for contestant in chosen]
    unknown = set(wanted) - {contestant.name for contestant in chosen}
    if unknown:
        raise SystemExit(f"benchmark: --only {', '.join(sorted(unknown))}: no such contestant")
    for contestant in chosen:
        if contestant.name in wanted and not Path(contestant.python).is_file():
            say(f"{contestant.name}: left out; run benchmarks/peers.sh first, or name its python by --peers")
            wanted.remove(contestant.name)
    return [contestant for contestant in chosen if contestant.name in wanted]


def contest(
    options: argparse.Namespace, chosen: Sequence[Contestant], *, benchmark: str, name: str, device: str
) -> Path:
    """Play all repeats, keep what is measured after every run, and return the file of the result."""
    seeds = [options.seed + repeat for repeat in range(options.repeats)]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rows, epochs = (options.steps * BATCH, 1.0) if options.steps else (options.rows, options.epochs)
        options.rows = rows
        job = training_job(options, folder, rows=rows, epochs=epochs)
        settings = {**_settings(job.settings), "device": device, "target_accuracy": TARGET, "repeats": options.repeats}
        record = new_record(benchmark, name, settings=settings, data=job.data, seeds=seeds)
        record["contestants"] = {one.name: {"label": one.label, "note": one.note} for one in chosen}
        seen = job.data["train_rows"] * epochs
        shared = {
            **job.settings,
            "device": device,
            "evaluate_rows": seen / (1 if options.steps else options.evaluations),
        }
        predicted: dict[str, dict[int, list[int]]] = {one.name: {} for one in chosen}
        for repeat, one in interleaved(chosen, options.repeats):
            result = play(one, {**shared, "seed": seeds[repeat]}, folder)
            predicted[one.name][repeat] = result.pop("predicted", [])
            record["runs"].append({"contestant": one.name, "repeat": repeat, "seed": seeds[repeat], **result})
            save(record, options.results, whole=False)
            say(f"repeat {repeat + 1}/{options.repeats}  {one.label}: {in_short(result)}")
        record["summary"] = summarise(record["runs"], [one.name for one in chosen])
        record["comparison"] = compare(predicted, _truth(job.settings))
    return save(record, options.results)


def summarise(runs: Sequence[dict[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """For each contestant the spread of its figures over the repeats, and how many times faster Featherweight is."""
    speeds = {name: by_repeat(runs, name, lambda run: run.get("samples_per_second")) for name in names}
    summary = {}
    for name in names:
        summary[name] = {
            "samples_per_second": spread(speeds[name]),
            "times_faster": ratio_spread(speeds[US], speeds[name]) if US in names and name != US else None,
            "seconds_to_target": spread(by_repeat(runs, name, _seconds_to_target)),
            "accuracy": spread(by_repeat(runs, name, _last_accuracy)),
            "peak_memory_bytes": spread(by_repeat(runs, name, lambda run: run.get("peak_memory_bytes"))),
            "device_memory_bytes": spread(by_repeat(runs, name, lambda run: run.get("cuda_allocated_bytes"))),
            "padding_share": spread(by_repeat(runs, name, lambda run: run.get("padding_share"))),
            "failed": next((run["failed"] for run in runs if run["contestant"] == name and "failed" in run), None),
        }
    return summary


def compare(predicted: dict[str, dict[int, list[int]]], truth: Sequence[int]) -> dict[str, Any]:
    """Featherweight's accuracy against each other's on the same rows: mean over seeds, paired bootstrap over rows."""
    import numpy as np

    from featherweight.evaluation.significance import mcnemar_exact, paired_bootstrap

    right = {
        name: np.array([np.array(choices) == truth for choices in repeats.values() if choices], dtype=float)
        for name, repeats in predicted.items()
    }
    result: dict[str, Any] = {}
    for name, matrix in right.items():
        if name == US or US not in right or matrix.shape != right[US].shape or not matrix.size:
            continue
        tests = [mcnemar_exact(ours, theirs) for ours, theirs in zip(right[US], matrix, strict=True)]
        result[name] = {
            "rows": len(truth),
            "seeds": len(matrix),
            "accuracy": float(right[US].mean()),
            "other_accuracy": float(matrix.mean()),
            **paired_bootstrap(right[US].mean(0), matrix.mean(0)),
            "p_values": [test["p_value"] for test in tests],
        }
    return result


def _settings(job: dict[str, Any]) -> dict[str, Any]:
    kept = ("roles", "rank", "epochs", "batch_size", "learning_rate", "warmup", "max_length", "precision")
    return {"backbone": backbone_label(job["backbone"]), **{key: job[key] for key in kept}}


def _truth(job: dict[str, Any]) -> list[int]:
    import json

    path = job["files"].get("test", job["files"]["validation"])
    return [job["labels"].index(json.loads(line)["label"]) for line in Path(path).read_text("utf-8").splitlines()]


def by_repeat(runs: Sequence[dict[str, Any]], name: str, figure: Any) -> list[Any]:
    """The figure of each repeat, in order; None where the run failed."""
    own = sorted((run for run in runs if run["contestant"] == name), key=lambda run: run["repeat"])
    return [None if "failed" in run else figure(run) for run in own]


def _seconds_to_target(run: dict[str, Any]) -> float | None:
    reached = [point["seconds"] for point in run.get("evaluations", []) if point["accuracy"] >= TARGET]
    return min(reached, default=None)


def _last_accuracy(run: dict[str, Any]) -> float | None:
    return run["evaluations"][-1]["accuracy"] if run.get("evaluations") else None


def in_short(result: dict[str, Any]) -> str:
    """A run's speed and memory, or why it failed, in a few words."""
    if "failed" in result:
        return f"failed: {result['failed']}"
    return f"{result['samples_per_second']:.1f} samples/s, {result['peak_memory_bytes'] / 1e9:.2f} GB"
