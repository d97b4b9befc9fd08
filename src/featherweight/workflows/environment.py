"""The content of environment.json: versions, machine, device, data and memory of a run."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from featherweight.backbone.adapted import entry, read_adapted
from featherweight.data.fingerprints import fingerprints_of
from featherweight.data.splits import Splits
from featherweight.environment import describe_machine, peak_memory_bytes, versions
from featherweight.run.folder import FORMAT, read_history
from featherweight.workflows.prepare import Prepared


def describe_run(prepared: Prepared, started: datetime) -> dict[str, Any]:
    """The content of environment.json at the start of a run."""
    import torch

    backbone, column = prepared.backbone, prepared.splits.train.label_column
    return {
        "format": FORMAT,
        **versions(),
        **describe_machine(),
        "threads": torch.get_num_threads(),
        "device": prepared.model.engine.device,
        **_gpu(prepared.model.engine.device),
        "precision": prepared.model.engine.precision,
        "precision_reason": prepared.model.engine.reason,
        "processes": prepared.accelerator.num_processes,
        "seed": prepared.recipe.seed,
        "started": started.isoformat(timespec="seconds"),
        **_start(prepared),
        **_teachers(prepared),
        **_soup(prepared),
        "backbone": {
            "name": backbone.name,
            "source": backbone.source,
            "sha256": backbone.sha256,
            **entry(read_adapted(backbone.folder)),
        },
        **fingerprints_of(prepared.train, prepared.validation, prepared.splits),
        "label_column": {key: value for key, value in asdict(column).items() if value is not None} if column else None,
        **_left_out(prepared.splits),
        "working_folder": str(Path.cwd()),
        "warnings": prepared.splits.warnings,
    }


def _start(prepared: Prepared) -> dict[str, Any]:
    """The entry about the run from which the training starts; empty if there is none."""
    from featherweight.adapter.start import described
    from featherweight.run.folder import Run

    run = prepared.recipe.adapter.start_from
    return {"started_from": described(Run(run))} if run else {}


def _teachers(prepared: Prepared) -> dict[str, Any]:
    """The entry about the runs that the training learns from; empty if there are none."""
    return {"teachers": [teacher.described() for teacher in prepared.teachers]} if prepared.teachers else {}


def _soup(prepared: Prepared) -> dict[str, Any]:
    """The entry about the runs of the soup, the best first; empty for a training."""
    if not prepared.ingredients:
        return {}
    best_by = prepared.recipe.evaluation.best_by
    runs = [ingredient.described(best_by) for ingredient in prepared.ingredients]
    return {"soup": {"choice": prepared.recipe.training.soup_choice, "metric": best_by, "runs": runs}}


def _left_out(splits: Splits) -> dict[str, Any]:
    """The entry with the number of rows that ``data.empty`` left out, by part; empty if there are none."""
    return {"left_out": {part: gaps.as_dict() for part, gaps in splits.left_out.items()}} if splits.left_out else {}


def _gpu(device: str) -> dict[str, Any]:
    import torch

    if not device.startswith("cuda"):
        return {}
    gpu = torch.cuda.get_device_properties(device)
    return {"gpu": gpu.name, "gpu_memory_bytes": gpu.total_memory}


def most_memory(folder: Path) -> int:
    """Peak memory in bytes over all processes of the run in ``folder``; the history has the peaks before a resume."""
    earlier = [record.get("peak_memory_bytes", 0) for record in read_history(folder / "history.jsonl")]
    return max([peak_memory_bytes(), *earlier])


def gpu_peak(device: str) -> dict[str, int]:
    """The entry with the peak memory of this process on the GPU ``device``; empty on a processor."""
    import torch

    return {"gpu_peak_memory_bytes": torch.cuda.max_memory_allocated(device)} if device.startswith("cuda") else {}
