"""What keeping the states of the frozen layers brings where the upper layers alone are adapted.

    python benchmarks/prefix.py --backbone mpnet --layers top-4 --rows 384 --epochs 3 --repeats 5

Each turn trains the same recipe twice, with and without kept states, and compares epochs, memory and what was learnt.
The first epoch computes the states; what counts is an epoch from the second on, its evaluation told apart.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from harness.competition import Contestant, interleaved, play, say
from harness.jobs import (
    BATCH,
    add_job_options,
    backbone_label,
    result_options,
    training_job,
    written,
)
from harness.recording import new_record, ratio_spread, save, spread

KEPT = Contestant("kept", "states kept", "featherweight_run", {"prefix_cache": "on"})
WITHOUT = Contestant("without", "computed in every epoch", "featherweight_run", {"prefix_cache": "off"})

_LOOKED_INTO = 5  # steps


def main(arguments: Sequence[str] | None = None) -> None:
    written(measure(parser().parse_args(arguments)))


def parser() -> argparse.ArgumentParser:
    """The options, those of the job included."""
    parser = result_options(__doc__, "prefix-BACKBONE")
    add_job_options(parser)
    parser.set_defaults(backbone="mpnet", rows=12 * BATCH)
    parser.add_argument("--layers", default="top-4", help="adapted layers (default: top-4)")
    parser.add_argument("--epochs", type=int, default=3, help="passes over the rows, two at least (default: 3)")
    return parser


def measure(options: argparse.Namespace) -> Path:
    """Train turn by turn, keep what is measured after every run, and return the file of the result."""
    if options.epochs < 2:
        raise SystemExit("benchmark: --epochs: two at least; in the first the states are computed")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        job = training_job(options, folder, rows=options.rows, epochs=float(options.epochs))
        settings = {"backbone": backbone_label(options.backbone), "roles": job.settings["roles"], "rank": options.rank}
        settings |= {"layers": options.layers, "epochs": options.epochs, "repeats": options.repeats}
        seeds = [options.seed + repeat for repeat in range(options.repeats)]
        name = options.name or f"prefix-{settings['backbone']}"
        record = new_record("prefix", name, settings=settings, data=job.data, seeds=seeds)
        record["contestants"] = {one.name: {"label": one.label, "note": one.note} for one in (KEPT, WITHOUT)}
        common = {**job.settings, "layers": options.layers, "evaluate_rows": job.data["train_rows"]}
        for repeat, one in interleaved((KEPT, WITHOUT), options.repeats):
            shutil.rmtree(folder / "cache" / "states", ignore_errors=True)  # each first epoch computes its own
            kept_run = folder / f"{one.name}-{repeat}"
            result = play(one, {**common, "seed": seeds[repeat], "keep_run": str(kept_run)}, folder)
            result = result if "failed" in result else result | figures(kept_run, folder / "cache")
            result.pop("predicted", None)
            record["runs"].append({"contestant": one.name, "repeat": repeat, "seed": seeds[repeat], **result})
            save(record, options.results, whole=False)
            say(f"repeat {repeat + 1}/{options.repeats}  {one.label}: {_in_short(result)}")
        record["differences"] = [differences(folder, repeat) for repeat in range(options.repeats)]
        record["summary"] = summarise(record["runs"], record["differences"])
        record["profiles"] = profiles(common | {"seed": options.seed}, job.data["train_rows"] // BATCH, folder)
    return save(record, options.results)


def profiles(settings: dict[str, Any], epoch_steps: int, folder: Path) -> dict[str, Any]:
    """The operations of some steps of the second epoch by their own time, with kept states and without."""
    window = [epoch_steps + 1, min(_LOOKED_INTO, epoch_steps - 2)]
    if window[1] < 1:
        return {}
    found = {}
    for one in (KEPT, WITHOUT):
        result = play(one, {**settings, "profile": window}, folder)
        found[one.name] = result.get("profile", {"failed": result.get("failed")})
    return found


def figures(run: Path, cache: Path) -> dict[str, Any]:
    """Seconds of each epoch and each evaluation by the run's history, and the bytes of all kept states.

    The history's clock runs on during evaluations, and while the states are computed; that belongs to the first epoch.
    """
    from featherweight.run.folder import read_history

    history = read_history(run / "history.jsonl")
    evaluations = {record["step"]: record["seconds"] for record in history if record["kind"] == "evaluation"}
    steps = [record for record in history if record["kind"] == "step"]
    # An evaluation comes after its step's own time was noted; it is over before the next step's is.
    trained = {s["step"]: s["seconds"] - sum(t for at, t in evaluations.items() if at < s["step"]) for s in steps}
    ends = [0.0, *(trained[s["step"]] for s in steps if float(s["epoch"]).is_integer())]
    return {
        "epoch_seconds": [end - begin for begin, end in pairwise(ends)],
        "evaluation_seconds": list(evaluations.values()),
        "states_bytes": sum(path.stat().st_size for path in cache.glob("states/*")),
    }


def differences(folder: Path, repeat: int) -> dict[str, float]:
    """How far apart what was learnt with and without kept states is: adapter, and probabilities of all judged rows."""
    import numpy as np
    import pandas as pd
    from safetensors.numpy import load_file

    runs = [folder / f"{one.name}-{repeat}" for one in (KEPT, WITHOUT)]
    if not all((run / "predictions.parquet").is_file() for run in runs):
        return {}
    ours, theirs = (load_file(run / "adapter" / "adapter_model.safetensors") for run in runs)
    tables = [pd.read_parquet(run / "predictions.parquet").filter(like="p_").to_numpy() for run in runs]
    return {
        "adapter": max(float(np.abs(ours[name] - theirs[name]).max()) for name in ours),
        "probabilities": float(np.abs(tables[0] - tables[1]).max()),
    }


def summarise(runs: Sequence[dict[str, Any]], apart: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Seconds of an epoch from the second on, how many times faster kept states make it, memory, disk, differences."""
    good = {
        one.name: {run["repeat"]: run for run in runs if run["contestant"] == one.name and "failed" not in run}
        for one in (KEPT, WITHOUT)
    }
    both = sorted(good["kept"].keys() & good["without"].keys())
    summary: dict[str, Any] = {}
    for name, by_repeat in good.items():
        own = [by_repeat[repeat] for repeat in both]
        summary[name] = {
            "first_epoch_seconds": spread(run["epoch_seconds"][0] for run in own),
            "later_epoch_seconds": spread(_later(run, "epoch_seconds") for run in own),
            "evaluation_seconds": spread(_later(run, "evaluation_seconds") for run in own),
            "peak_memory_bytes": spread(run["peak_memory_bytes"] for run in own),
            "failed": next((run["failed"] for run in runs if run["contestant"] == name and "failed" in run), None),
        }
    for key in ("epoch_seconds", "evaluation_seconds"):
        slow, fast = ([_later(good[name][repeat], key) for repeat in both] for name in ("without", "kept"))
        summary["kept"][f"{key}_times_faster"] = ratio_spread(slow, fast)
    summary["kept"]["states_bytes"] = max((run["states_bytes"] for run in good["kept"].values()), default=None)
    summary["kept"]["largest_difference"] = {
        key: max((one[key] for one in apart if one), default=None) for key in ("adapter", "probabilities")
    }
    return summary


def _later(run: dict[str, Any], key: str) -> float:
    """The mean from the second epoch on."""
    later = run[key][1:]
    return sum(later) / len(later)


def _in_short(result: dict[str, Any]) -> str:
    if "failed" in result:
        return f"failed: {result['failed']}"
    seconds = ", ".join(f"{second:.1f}" for second in result["epoch_seconds"])
    return f"epochs of {seconds} s, {result['peak_memory_bytes'] / 1e9:.2f} GB"
