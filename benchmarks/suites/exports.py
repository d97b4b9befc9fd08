"""Exports beside their run: labels, differences and accuracy on all test rows, size, and throughput in turns.

    python benchmarks/run.py exports --run runs/newsbriefs --data test.csv.gz

Exports that the run does not have yet are made. A file of rows that is not there is said, and nothing is measured.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from harness.competition import say
from harness.recording import new_record, save, spread

from featherweight.data.new_columns import with_new_columns
from featherweight.data.sources import Rows
from featherweight.data.unlabelled import read_labelled
from featherweight.errors import UserError
from featherweight.evaluation.metrics import wilson_interval
from featherweight.inference.classifier import Classifier
from featherweight.inference.exported import MODEL

AT_ONCE = 400
"""Rows of a turn, and between two lines of progress."""


def main(options: argparse.Namespace) -> None:
    """Measure the run and all its exports, and write the result."""
    if options.run is None:
        raise UserError("exports needs a finished run: --run runs/newsbriefs")
    if not Path(options.data).exists():
        say(f"skipped: {options.data} is not there")
        return
    runners = _runners(options.run)
    whole = _rows(options.data, runners["run"])
    rows = _part(whole, 0, options.rows or len(whole))
    settings = {"repeats": options.repeats, "rows_of_a_turn": AT_ONCE, "reduce_range": _reduced(options.run)}
    data = {"name": dict(options.call).get(options.data, Path(options.data).name), "rows": len(rows)}
    name = f"exports-{options.name or 'minilm'}"
    record = new_record("serving-exports", name, settings=settings, data=data, seeds=[0])
    _compare(runners, rows, options.run, record["summary"])
    _time(runners, rows, options.repeats, record)
    say(f"written: {save(record, options.results / options.machine).name}")


def _compare(runners: dict[str, Classifier], rows: Rows, run: Path, summary: dict) -> None:
    """Add to ``summary`` what each runner gives on all rows."""
    logits = {name: _logits(name, runner, rows) for name, runner in runners.items()}
    reference = logits["run"]
    for name, found in logits.items():
        right = int((found.argmax(1) == rows.labels).sum())
        summary[name] = {
            "accuracy": right / len(rows),
            "interval": wilson_interval(right, len(rows)),
            "other_labels": int((found.argmax(1) != reference.argmax(1)).sum()),
            "largest_difference": float(np.abs(found - reference).max()),
            "bytes": _size(run, name),
        }
        say(f"{name}: {summary[name]}")


def _time(runners: dict[str, Classifier], rows: Rows, repeats: int, record: dict) -> None:
    """Add the throughput of each runner, in turns."""
    rates: dict[str, list[float]] = {name: [] for name in runners}
    for turn in range(repeats):
        for name, runner in runners.items():
            part = _part(rows, (turn * AT_ONCE) % len(rows), AT_ONCE)
            began = time.perf_counter()
            runner.model.logits(part)
            rates[name].append(len(part) / (time.perf_counter() - began))
            record["runs"].append({"turn": turn, "name": name, "rows_per_second": rates[name][-1]})
    for name, found in rates.items():
        summary = record["summary"][name]
        summary["rows_per_second"] = spread(found)
        summary["times_the_run"] = spread(a / b for a, b in zip(found, rates["run"], strict=True))
        if "onnx" in rates:
            summary["times_onnx"] = spread(a / b for a, b in zip(found, rates["onnx"], strict=True))


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


def _rows(data: str, classifier: Classifier) -> Rows:
    columns = with_new_columns(classifier.recipe.data, data, (), None, labelled=True)
    return read_labelled(data, columns, "test", classifier.labels, "labels are needed", "leave such rows out")


def _part(rows: Rows, start: int, count: int) -> Rows:
    labels = None if rows.labels is None else rows.labels[start : start + count]
    return Rows(list(rows.texts[start : start + count]), labels, rows.label_names, rows.origin)


def _logits(name: str, runner: Classifier, rows: Rows) -> np.ndarray:
    parts = []
    for start in range(0, len(rows), AT_ONCE):
        parts.append(runner.model.logits(_part(rows, start, AT_ONCE)))
        say(f"{name}: {min(start + AT_ONCE, len(rows)):,} rows")
    return np.concatenate(parts)


def _size(run: Path, name: str) -> int | None:
    return None if name == "run" else (run / "exports" / name / MODEL[name]).stat().st_size
