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

from harness.competition import Competitor, Plan
from harness.jobs import (
    BATCH,
    add_job_options,
    add_turns,
    long_rows,
    recombined,
    shared_settings,
    train_run,
    training_job,  # fmt: skip
    write_rows,
)
from harness.recording import fitted_exponent, spread

from featherweight.errors import UserError

AXES = ("rows", "length", "processes", "prediction")
SKIPPED_STEPS = 3
_FIGURES = ("samples_per_second", "tokens_per_second", "setup_seconds", "peak_memory_bytes")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options, those of the job included."""
    add_turns(parser, repeats=1, only=f"axes ({', '.join(AXES)})")
    add_job_options(parser)
    parser.add_argument("--sizes", default="1000,10000,100000,1000000", help="numbers of rows (default: 1k to 1M)")
    parser.add_argument("--lengths", default="32,64,128,256,512", help="tokens of a text (default: 32 to 512)")
    parser.add_argument("--processes", default="1,2", help="numbers of processes (default: 1,2)")
    parser.add_argument("--files", default="20000,100000,400000",
                        help="rows of files that are predicted (default: 20k to 400k)")  # fmt: skip
    parser.add_argument("--steps", type=int, default=30, help="steps trained at each point (default: 30)")
    parser.set_defaults(epochs=1.0)  # of the run that predicts


def plans(options: argparse.Namespace, folder: Path) -> Iterator[Plan]:
    """Every point of every axis is a competitor."""
    axes = [axis.strip() for axis in options.only.split(",")] if options.only else list(AXES)
    if unknown := set(axes) - set(AXES):
        raise UserError(f"--only {', '.join(sorted(unknown))}: name rows, length, processes or prediction")
    job = training_job(options, folder)
    common = {**job.settings, "max_steps": options.steps, "skip_steps": SKIPPED_STEPS}
    common["files"] = {part: path for part, path in job.settings["files"].items() if part != "test"}
    settings = shared_settings(options, job) | {"steps": options.steps, "repeats": options.repeats, "axes": axes}

    def keep(competitor: Competitor, repeat: int, result: dict[str, Any]) -> dict[str, Any]:
        axis, _, size = competitor.name.partition(" ")
        kept = {key: value for key, value in result.items() if key not in ("predicted", "evaluations")}
        return {"axis": axis, "size": int(size), **kept}

    yield Plan(
        "scale",
        options.name or f"scale-{settings['backbone']}",
        settings,
        job.data,
        [point for axis in axes for point in points_of(axis, options, common, folder)],
        common,
        lambda record: {"summary": {axis: summarise(record["runs"], axis) for axis in axes}},
        [options.seed],
        options.repeats,
        keep=keep,
    )


def points_of(axis: str, options: argparse.Namespace, common: dict[str, Any], folder: Path) -> Iterator[Competitor]:
    """The points of one axis as competitors, their data written."""
    lists = {"rows": options.sizes, "length": options.lengths, "processes": options.processes,
             "prediction": options.files}  # fmt: skip
    # The memory of a prediction is to stay as it is, however many rows the file has.
    run = str(train_run(options, folder / "run").folder) if axis == "prediction" else ""
    for size in map(int, lists[axis].split(",")):
        settings: dict[str, Any]
        if axis == "prediction":
            settings = {"run": run, "texts": _many_rows(options, size, folder)}
        elif axis == "length":
            files = {"train": long_rows(common, size, (options.steps + 1) * BATCH, folder)}
            files["validation"] = long_rows(common, size, len(common["labels"]) * 2, folder)
            settings = {"files": files, "max_length": size}
        else:
            rows = size if axis == "rows" else (options.steps + 1) * BATCH
            settings = {"files": {**common["files"], "train": _many_rows(options, rows, folder)}}
        module = "featherweight_predict_file" if axis == "prediction" else "featherweight_run"
        processes = size if axis == "processes" else 1
        yield Competitor(f"{axis} {size}", f"{axis} {size:,}", module, settings, processes=processes)


def summarise(runs: Sequence[dict[str, Any]], axis: str) -> dict[str, Any]:
    """Every point's figures, and the exponents of time and memory over the points."""
    own = [run for run in runs if run["axis"] == axis]
    points = []
    for size in dict.fromkeys(run["size"] for run in own):
        at_size = [run for run in own if run["size"] == size]
        good = [run for run in at_size if "failed" not in run]
        point = {"size": size, **{figure: spread(run[figure] for run in good) for figure in _FIGURES}}
        failed = next((run["failed"] for run in at_size if "failed" in run), None)
        points.append({**point, "failed": failed, "epoch_seconds": _epoch_seconds(axis, point)})
    measured = [point for point in points if point["samples_per_second"]]
    sizes = [point["size"] for point in measured]
    columns = {
        "seconds_a_row": [1 / point["samples_per_second"]["median"] for point in measured],
        "setup_seconds": [point["setup_seconds"]["median"] for point in measured],
        "peak_memory_bytes": [point["peak_memory_bytes"]["median"] for point in measured],
        "epoch_seconds": [point["epoch_seconds"] for point in measured if point["epoch_seconds"]],
    }
    fitted = {key: column for key, column in columns.items() if len(column) == len(sizes)}
    return {
        "points": points,
        "exponents": {key: fitted_exponent(sizes, column) for key, column in fitted.items()},
        "last_exponents": {key: fitted_exponent(sizes[-2:], column[-2:]) for key, column in fitted.items()},
    }


def _epoch_seconds(axis: str, point: dict[str, Any]) -> float | None:
    """Setup and one whole epoch at the measured speed: computed, not waited for."""
    if axis != "rows" or not point["samples_per_second"]:
        return None
    return point["setup_seconds"]["median"] + point["size"] / point["samples_per_second"]["median"]


def _many_rows(options: argparse.Namespace, count: int, folder: Path) -> str:
    """A file of ``count`` rows of the data, recombined where there are fewer."""
    from featherweight.data.sources import read_rows
    from featherweight.recipe import DataRecipe

    path = folder / f"rows-{count}.jsonl"
    if not path.exists():
        rows = read_rows(options.data, DataRecipe(train=options.data, clean=options.clean))
        write_rows(recombined(rows, count, options.seed), path, count)
    return str(path)
