"""Exports beside their run: labels, differences and accuracy on all test rows, size, and throughput in turns.

    python benchmarks/run.py exports --run runs/newsbriefs --data test.csv.gz

Exports that the run does not have yet are made.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from harness.competition import Competitor, Plan, say
from harness.recording import by_repeat, ratio_spread, summary_of

from featherweight.data.new_columns import with_new_columns
from featherweight.data.sources import Rows
from featherweight.data.unlabelled import read_labelled
from featherweight.errors import UserError
from featherweight.evaluation.metrics import wilson_interval
from featherweight.inference.classifier import Classifier
from featherweight.inference.exported import MODEL, WEIGHTS

AT_ONCE = 400
"""Rows of a turn."""
RATE = "rows_per_second"


def plans(options: argparse.Namespace, folder: Path) -> Iterator[Plan]:
    """The run and each of its exports, in this process. Raises UserError without a run and rows."""
    if not options.run or not options.data:
        raise UserError("exports needs a finished run and labelled rows: --run runs/newsbriefs --data test.csv.gz")
    runners = _runners(options.run)
    columns = with_new_columns(runners["run"].recipe.data, options.data, (), None, labelled=True)
    labels = runners["run"].labels
    rows = read_labelled(options.data, columns, "test", labels, "labels are needed", "leave such rows out")
    places = np.arange(len(rows))[: options.rows]
    parts = [rows.take(part) for part in np.split(places, range(AT_ONCE, len(places), AT_ONCE))]

    def play(competitor: Competitor, job: dict[str, Any], folder: Path) -> dict[str, Any]:
        part = parts[job["seed"] % len(parts)]  # the seed is the turn's number
        began = time.perf_counter()
        runners[competitor.name].model.logits(part)
        return {RATE: len(part) / (time.perf_counter() - began)}

    name, options.name = f"exports-{options.name or 'minilm'}", None
    yield Plan(
        "serving-exports",
        {"rows_of_a_turn": AT_ONCE, "reduce_range": _reduced(options.run)},
        {"name": dict(options.call).get(options.data, Path(options.data).name), "rows": len(places)},
        [Competitor(runner, runner) for runner in runners],
        finish=lambda record: {"summary": summarise(record["runs"], runners, parts, options.run)},
        name=name,
        seed_each_turn=True,
        warm_ups=1,
        play=play,
        told=lambda result: f"{result[RATE]:.1f} rows/s",
    )


def summarise(
    runs: list[dict[str, Any]], runners: dict[str, Classifier], parts: list[Rows], run: Path
) -> dict[str, Any]:
    """What each runner gives on all rows, its size, and its throughput beside the run's and that of ONNX."""
    labels, logits = np.concatenate([part.labels for part in parts]), {}
    for name, runner in runners.items():
        say(f"{name}: all rows")
        logits[name] = np.concatenate([runner.model.logits(part) for part in parts])
    rates = {name: by_repeat(runs, name, RATE) for name in runners}
    summary = summary_of(runs, runners, (RATE,))
    for name, found in logits.items():
        right = int((found.argmax(1) == labels).sum())
        summary[name] |= {
            "accuracy": right / len(labels),
            "interval": wilson_interval(right, len(labels)),
            "other_labels": int((found.argmax(1) != logits["run"].argmax(1)).sum()),
            "largest_difference": float(np.abs(found - logits["run"]).max()),
            "bytes": None if name == "run" else (run / "exports" / name / WEIGHTS[name]).stat().st_size,
            "times_the_run": ratio_spread(rates[name], rates["run"]),
            "times_onnx": ratio_spread(rates[name], rates.get("onnx", [])),
        }
        say(f"{name}: {summary[name]}")
    return summary


def _reduced(run: Path) -> bool | None:
    """Whether the int8 export uses 7 bits, because this processor has no instructions for 8-bit dot products."""
    described = run / "exports" / "onnx-int8" / "export.json"
    return json.loads(described.read_text("utf-8"))["quantization"]["reduce_range"] if described.is_file() else None


def _runners(run: Path) -> dict[str, Classifier]:
    """The run in fp32, and every export that it can have."""
    from featherweight.workflows.export import export_run

    found = {"run": Classifier.load(run, precision="fp32", device="cpu")}
    for target in MODEL:
        folder = run / "exports" / target
        try:
            if not folder.exists():
                export_run(run, target, note=say)
        except UserError as error:
            say(f"no {target}: {str(error).splitlines()[0]}")
            continue
        merged = {"precision": "fp32", "device": "cpu"} if target == "merged" else {}
        found[target] = Classifier.load(folder, **merged)
    return found
