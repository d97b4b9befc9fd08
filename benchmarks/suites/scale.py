"""What training and prediction cost as rows, length or processes grow: time and memory, with the exponent that fits.

    python benchmarks/scale.py --backbone minilm                everything
    python benchmarks/scale.py --only rows --sizes 1000,10000

Every point is a process of its own. With many rows only ``--steps`` steps are trained: what a step costs is measured,
and so is all that comes before the first one (reading, splitting, tokenizing, ordering).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.competition import Contestant, interleaved, play, say
from harness.jobs import (
    BATCH,
    add_job_options,
    backbone_label,
    recombined,
    result_options,
    training_job,
    written,
)
from harness.recording import fitted_exponent, new_record, save, spread
from suites.predict import train_run

AXES = ("rows", "length", "processes", "prediction")
SKIPPED_STEPS = 3


def main(arguments: Sequence[str] | None = None) -> None:
    written(measure(parser().parse_args(arguments)))


def parser() -> argparse.ArgumentParser:
    """The options, those of the job included."""
    parser = result_options(__doc__, "scale-BACKBONE", repeats=1)
    add_job_options(parser)
    parser.add_argument("--only", help="by commas: rows, length, processes, prediction (default: all)")
    parser.add_argument("--sizes", default="1000,10000,100000,1000000", help="numbers of rows (default: 1k to 1M)")
    parser.add_argument("--lengths", default="32,64,128,256,512", help="tokens of a text (default: 32 to 512)")
    parser.add_argument("--processes", default="1,2", help="numbers of processes (default: 1,2)")
    parser.add_argument("--files", default="20000,100000,400000",
                        help="rows of files that are predicted (default: 20k to 400k)")  # fmt: skip
    parser.add_argument("--steps", type=int, default=30, help="steps trained at each point (default: 30)")
    parser.set_defaults(epochs=1.0)  # of the run that predicts
    return parser


def measure(options: argparse.Namespace) -> Path:
    """Play every point of every axis; returns the result's file."""
    axes = [axis.strip() for axis in options.only.split(",")] if options.only else list(AXES)
    if unknown := set(axes) - set(AXES):
        raise SystemExit(f"benchmark: --only {', '.join(sorted(unknown))}: name rows, length, processes or prediction")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        job = training_job(options, folder, rows=None, epochs=1.0)
        common = {**job.settings, "seed": options.seed, "max_steps": options.steps, "skip_steps": SKIPPED_STEPS}
        common["files"] = {part: path for part, path in job.settings["files"].items() if part != "test"}
        settings = {"backbone": backbone_label(options.backbone), "roles": job.settings["roles"], "rank": options.rank}
        settings |= {"steps": options.steps, "repeats": options.repeats, "axes": axes}
        name = options.name or f"scale-{backbone_label(options.backbone)}"
        record = new_record("scale", name, settings=settings, data=job.data, seeds=[options.seed])
        points = [point for axis in axes for point in points_of(axis, options, common, folder)]
        for repeat, point in interleaved(points, options.repeats):
            axis, _, size = point.name.partition(" ")
            result = play(point, common, folder)
            result.pop("predicted", None)
            result.pop("evaluations", None)
            record["runs"].append({"axis": axis, "size": int(size), "repeat": repeat, **result})
            save(record, options.results, whole=False)
            say(f"{axis} {int(size):,}: {_in_short(result)}")
        record["summary"] = {axis: summarise(record["runs"], axis) for axis in axes}
    return save(record, options.results)


def points_of(axis: str, options: argparse.Namespace, common: dict[str, Any], folder: Path) -> Iterator[Contestant]:
    """The points of one axis as contestants, their data written."""
    if axis == "prediction":
        yield from prediction_points(options, folder)
        return
    text = {"rows": options.sizes, "length": options.lengths, "processes": options.processes}[axis]
    for size in (int(part) for part in text.split(",")):
        if axis == "rows":
            settings: dict[str, Any] = {"files": {**common["files"], "train": _many_rows(options, size, folder)}}
        elif axis == "length":
            files = {"train": long_rows(common, size, (options.steps + 1) * BATCH, folder)}
            files["validation"] = long_rows(common, size, len(common["labels"]) * 2, folder)
            settings = {"files": files, "max_length": size}
        else:
            settings = {"files": {**common["files"], "train": _many_rows(options, (options.steps + 1) * BATCH, folder)}}
        yield Contestant(f"{axis} {size}", f"{axis} {size:,}", "featherweight_run", settings,
                         processes=size if axis == "processes" else 1)  # fmt: skip


def prediction_points(options: argparse.Namespace, folder: Path) -> Iterator[Contestant]:
    """Files of several sizes, predicted by a run that is trained here: the memory is to stay as it is."""
    run = train_run(options, folder / "run").folder
    for size in (int(part) for part in options.files.split(",")):
        settings = {"run": str(run), "texts": _many_rows(options, size, folder)}
        yield Contestant(f"prediction {size}", f"prediction {size:,}", "featherweight_predict_file", settings)


def summarise(runs: Sequence[dict[str, Any]], axis: str) -> dict[str, Any]:
    """Every point's figures, and the exponents of time and memory over the points."""
    own = [run for run in runs if run["axis"] == axis]
    points = []
    for size in dict.fromkeys(run["size"] for run in own):
        runs_here = [run for run in own if run["size"] == size and "failed" not in run]
        failed = next((run["failed"] for run in own if run["size"] == size and "failed" in run), None)
        figures = ("samples_per_second", "tokens_per_second", "setup_seconds", "peak_memory_bytes")
        point = {"size": size, **{figure: spread(run[figure] for run in runs_here) for figure in figures}}
        points.append({**point, "failed": failed, "epoch_seconds": _epoch_seconds(axis, point)})
    good = [point for point in points if point["samples_per_second"]]
    sizes = [point["size"] for point in good]
    columns = {
        "seconds_a_row": [1 / point["samples_per_second"]["median"] for point in good],
        "setup_seconds": [point["setup_seconds"]["median"] for point in good],
        "peak_memory_bytes": [point["peak_memory_bytes"]["median"] for point in good],
        "epoch_seconds": [point["epoch_seconds"] for point in good if point["epoch_seconds"]],
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
        found = read_rows(options.data, DataRecipe(train=options.data, clean=options.clean))
        rows = recombined(found, count, options.seed)
        assert rows.labels is not None
        labels = rows.labels.tolist()
        with path.open("w", encoding="utf-8") as file:
            for place in range(count):
                row = {"text": rows.texts[place], "label": rows.label_names[labels[place]]}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return str(path)


def long_rows(common: dict[str, Any], length: int, count: int, folder: Path) -> str:
    """A file of ``count`` rows of at least ``length`` tokens, so that all are cut to the same length."""
    source = [json.loads(line) for line in Path(common["files"]["train"]).read_text("utf-8").splitlines()]
    labels = common["labels"]
    by_label = {label: " ".join(row["text"] for row in source if row["label"] == label).split() for label in labels}
    path = folder / f"length-{length}-{count}.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            label = labels[number % len(labels)]
            words = by_label[label]
            begin = number * 7 % max(1, len(words) - length)  # a word is a token at least
            file.write(json.dumps({"text": " ".join(words[begin : begin + length]), "label": label}) + "\n")
    return str(path)


def _in_short(result: dict[str, Any]) -> str:
    if "failed" in result:
        return f"failed: {result['failed']}"
    return (
        f"{result['samples_per_second']:.1f} samples/s, {result['setup_seconds']:.1f} s before the first step, "
        f"{result['peak_memory_bytes'] / 1e9:.2f} GB"
    )
