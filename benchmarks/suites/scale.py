"""What training and prediction cost as rows, length or processes grow: time and memory, with the exponent that fits.

    python benchmarks/run.py scale --backbone minilm                everything
    python benchmarks/run.py scale --only rows --sizes 1000,10000

Every point is a process of its own. With many rows only ``--steps`` steps are trained: what a step costs is measured,
and so is all that comes before the first one (reading, splitting, tokenizing, ordering).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.competition import Competitor, Plan, named
from harness.jobs import BATCH, long_files, recombined, train_run, training_job, write_rows
from harness.recording import fitted_exponent, summary_of

from featherweight.data.sources import read_rows
from featherweight.recipe import DataRecipe

AXES = {"rows": "sizes", "length": "lengths", "processes": "processes", "prediction": "files"}
"""What grows, and the option with its sizes."""
SKIPPED_STEPS = 3
_FIGURES = ("samples_per_second", "tokens_per_second", "setup_seconds", "peak_memory_bytes")


def plans(options: argparse.Namespace, folder: Path) -> Iterator[Plan]:
    """Every point of every axis is a competitor."""
    axes = named(options.only, AXES, "axis")
    job = training_job(options, folder)
    common = {**job.settings, "max_steps": options.steps, "skip_steps": SKIPPED_STEPS}
    common["files"] = {part: path for part, path in job.settings["files"].items() if part != "test"}

    def keep(competitor: Competitor, repeat: int, result: dict[str, Any]) -> dict[str, Any]:
        axis, _, size = competitor.name.partition(" ")
        kept = {key: value for key, value in result.items() if key not in ("predicted", "evaluations")}
        return {"axis": axis, "size": int(size), **kept}

    yield Plan(
        "scale",
        job.said | {"axes": axes},
        job.data,
        [point for axis in axes for point in points_of(axis, options, common, folder)],
        common,
        lambda record: {"summary": {axis: summarise(record["runs"], axis) for axis in axes}},
        said=("steps",),
        keep=keep,
    )


def points_of(axis: str, options: argparse.Namespace, common: dict[str, Any], folder: Path) -> Iterator[Competitor]:
    """The points of one axis as competitors, their data written."""
    few = (options.steps + 1) * BATCH
    # The memory of a prediction is to stay as it is, however many rows the file has.
    run = str(train_run(options, folder / "run").folder) if axis == "prediction" else ""
    for size in map(int, getattr(options, AXES[axis]).split(",")):
        settings: dict[str, Any]
        if axis == "prediction":
            settings = {"run": run, "texts": _many_rows(options, size, folder), "whole_file": True}
        elif axis == "length":
            settings = {"files": long_files(common, size, few, folder), "max_length": size}
        else:
            rows = size if axis == "rows" else few
            settings = {"files": {**common["files"], "train": _many_rows(options, rows, folder)}}
        module = "featherweight_predict" if axis == "prediction" else "featherweight_run"
        processes = size if axis == "processes" else 1
        yield Competitor(f"{axis} {size}", f"{axis} {size:,}", module, settings, processes=processes)


def summarise(runs: Sequence[dict[str, Any]], axis: str) -> dict[str, Any]:
    """Every point's figures, and the exponents of time and memory over the points."""
    sizes = {run["contestant"]: run["size"] for run in runs if run["axis"] == axis}
    points = [{"size": size, **summary_of(runs, [name], _FIGURES)[name]} for name, size in sizes.items()]
    measured = [point for point in points if point["samples_per_second"]]
    for point in points:
        # Setup and one whole epoch at the measured speed: computed, not waited for.
        whole = axis == "rows" and point in measured
        speed = point["samples_per_second"]
        point["epoch_seconds"] = point["setup_seconds"]["median"] + point["size"] / speed["median"] if whole else None
    medians = ("setup_seconds", "peak_memory_bytes")
    fitted = {key: [point[key]["median"] for point in measured] for key in medians}
    fitted["seconds_a_row"] = [1 / point["samples_per_second"]["median"] for point in measured]
    if axis == "rows":
        fitted["epoch_seconds"] = [point["epoch_seconds"] for point in measured]
    grown = [point["size"] for point in measured]
    return {
        "points": points,
        "exponents": {key: fitted_exponent(grown, column) for key, column in fitted.items()},
        "last_exponents": {key: fitted_exponent(grown[-2:], column[-2:]) for key, column in fitted.items()},
    }


def _many_rows(options: argparse.Namespace, count: int, folder: Path) -> str:
    """A file of ``count`` rows of the data, recombined where there are fewer."""
    path = folder / f"rows-{count}.jsonl"
    if path.exists():
        return str(path)
    rows = read_rows(options.data, DataRecipe(train=options.data, clean=options.clean))
    return write_rows(recombined(rows, count, options.seed), path, count)
