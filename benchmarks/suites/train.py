"""The same training by those whom a user might pick instead, and by Featherweight.

    python benchmarks/run.py train --backbone minilm --steps 60 --repeats 5     speed: 60 batches of 32 rows
    python benchmarks/run.py train --backbone minilm --rows 10000 --repeats 3 --data FILE      accuracy as well

SetFit wants ``competitors/peers.sh`` to have been run.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.competition import PEERS_PYTHON, Competitor, Plan, select
from harness.jobs import BATCH, add_job_options, add_turns, shared_settings, training_job
from harness.recording import by_repeat, ratio_spread, summary_of

US = "featherweight"
TARGET = 0.92
"""Validation accuracy to which the seconds are counted."""
_SAID = ("epochs", "batch_size", "learning_rate", "warmup", "max_length", "precision")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options, those of the job included."""
    add_turns(parser)
    add_job_options(parser)
    parser.add_argument("--epochs", type=float, default=1.0, help="passes over the rows (default: 1)")
    parser.add_argument("--steps", type=int, help=f"for speed alone: one pass over this many times {BATCH} rows")
    parser.add_argument("--evaluations", type=int, default=10, help="over the whole training (default: 10)")
    parser.add_argument("--tuned-batch", type=int, default=64, help="batch of the tuned Trainer (default: 64)")
    parser.add_argument("--full-learning-rate", type=float, default=5e-5, help="of full fine-tuning (default: 5e-5)")
    parser.add_argument("--setfit-rows", type=int, default=256, help="rows for SetFit at the most (default: 256)")
    parser.add_argument("--peers", default=str(PEERS_PYTHON), help="the peers' python (default: what peers.sh makes)")


def plans(options: argparse.Namespace, folder: Path) -> Iterator[Plan]:
    """One competition on the processor."""
    yield plan(options, folder, "train", "cpu", competitors(options, "cpu"))


def competitors(options: argparse.Namespace, device: str) -> list[Competitor]:
    """All competitors with what makes them different."""
    half = half_precision(options.precision, device)
    return [
        Competitor("trainer", "Trainer + PEFT, defaults", "trainer", note="fp32, batches of 32 in random order"),
        Competitor("tuned", "Trainer + PEFT, tuned", "trainer",
                   {"half": half, "grouped": True, "batch_size": options.tuned_batch},
                   note=f"{half or 'fp32'}, grouped by length as in a long run, batches of {options.tuned_batch}"),
        Competitor("setfit", "SetFit", "setfit_pairs", {"setfit_rows": options.setfit_rows, "setfit_batch": 16},
                   python=options.peers, note=f"pairs from {options.setfit_rows} rows, each in two"),
        Competitor("full", "Trainer, all weights", "trainer",
                   {"full": True, "learning_rate": options.full_learning_rate}, note="fp32, no adapter"),
        Competitor("dropout", "Featherweight, with the encoder's dropout", "featherweight_run",
                   {"warm_up": 3, "encoder_dropout": True}, note="as Trainer has it by default"),
        Competitor(US, "Featherweight", "featherweight_run", {"warm_up": 3}, note="as the recipe has it"),
    ]  # fmt: skip


def half_precision(precision: str, device: str) -> str:
    """What 16 bits the tuned competitors compute in: those that Featherweight's engine takes here; empty for fp32."""
    from featherweight.model.engine import choose_engine

    return choose_engine(precision, device).precision.replace("fp32", "")


def plan(
    options: argparse.Namespace, folder: Path, benchmark: str, device: str, competitors: Sequence[Competitor]
) -> Plan:
    """The competition on ``device``, its rows written into ``folder``."""
    if options.steps:
        options.rows, options.epochs = options.steps * BATCH, 1.0
    job = training_job(options, folder, epochs=options.epochs)
    settings = {**shared_settings(options, job), **{key: job.settings[key] for key in _SAID}, "device": device}
    seen = job.data["train_rows"] * options.epochs
    predicted: dict[str, dict[int, list[int]]] = {}

    def keep(competitor: Competitor, repeat: int, result: dict[str, Any]) -> dict[str, Any]:
        predicted.setdefault(competitor.name, {})[repeat] = result.pop("predicted", [])
        return result

    def finish(record: dict[str, Any]) -> dict[str, Any]:
        summary = summarise(record["runs"], list(record["contestants"]))
        return {"summary": summary, "comparison": compare(predicted, _truth(job.settings))}

    variant = "-speed" if options.steps and benchmark == "train" else ""
    return Plan(
        benchmark,
        options.name or f"{benchmark}-{settings['backbone']}{variant}",
        settings | {"target_accuracy": TARGET, "repeats": options.repeats},
        job.data,
        select(competitors, options.only),
        {**job.settings, "device": device, "evaluate_rows": seen / (1 if options.steps else options.evaluations)},
        finish,
        [options.seed + repeat for repeat in range(options.repeats)],
        options.repeats,
        keep=keep,
    )


def summarise(runs: Sequence[dict[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """For each competitor the spread of its figures over the repeats, and how many times faster Featherweight is."""
    keys = {"device_memory_bytes": "cuda_allocated_bytes"}
    keys |= {key: key for key in ("samples_per_second", "peak_memory_bytes", "padding_share")}
    summary = summary_of(runs, names, {**keys, "seconds_to_target": _seconds_to_target, "accuracy": _last_accuracy})
    add_lead(summary, runs)
    return summary


def add_lead(summary: dict[str, Any], runs: Sequence[dict[str, Any]]) -> None:
    """Add to each competitor's figures how many times faster Featherweight is, turn by turn."""
    speeds = {name: by_repeat(runs, name, "samples_per_second") for name in summary}
    for name, figures in summary.items():
        beside = US in speeds and name != US
        figures["times_faster"] = ratio_spread(speeds[US], speeds[name]) if beside else None


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


def _truth(job: dict[str, Any]) -> list[int]:
    path = job["files"].get("test", job["files"]["validation"])
    return [job["labels"].index(json.loads(line)["label"]) for line in Path(path).read_text("utf-8").splitlines()]


def _seconds_to_target(run: dict[str, Any]) -> float | None:
    reached = [point["seconds"] for point in run.get("evaluations", []) if point["accuracy"] >= TARGET]
    return min(reached, default=None)


def _last_accuracy(run: dict[str, Any]) -> float | None:
    return run["evaluations"][-1]["accuracy"] if run.get("evaluations") else None
