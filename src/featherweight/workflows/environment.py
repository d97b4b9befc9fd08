"""Describes a run for environment.json: versions, machine, device, data and memory."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from featherweight.backbone.adapted import entry, read_adapted
from featherweight.backbone.resolve import Backbone
from featherweight.data.fingerprints import fingerprints_of
from featherweight.data.splits import Splits
from featherweight.environment import describe_machine, peak_memory_bytes, versions
from featherweight.run.folder import FORMAT, read_history
from featherweight.workflows.prepare import Prepared


def describe_run(prepared: Prepared, started: datetime) -> dict[str, Any]:
    """The content of environment.json at the start of a run."""
    import torch

    column = prepared.splits.train.label_column
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
        "backbone": describe_backbone(prepared.backbone),
        **fingerprints_of(prepared.train, prepared.validation, prepared.splits),
        "label_column": {key: value for key, value in asdict(column).items() if value is not None} if column else None,
        **_left_out(prepared.splits),
        "working_folder": str(Path.cwd()),
        "warnings": prepared.splits.warnings,
        **({"remedies": remedies} if (remedies := prepared.splits.remedies) else {}),
    }


def describe_backbone(backbone: Backbone) -> dict[str, Any]:
    """The entry ``backbone`` of environment.json: name, source, hash, and how it was adapted."""
    return {
        "name": backbone.name,
        "source": backbone.source,
        "sha256": backbone.sha256,
        **entry(read_adapted(backbone.folder)),
    }


def _start(prepared: Prepared) -> dict[str, Any]:
    """The entry ``started_from`` of environment.json, about the run that the training starts from; {} if none."""
    from featherweight.adapter.start import described
    from featherweight.run.folder import Run

    run = prepared.recipe.adapter.start_from
    return {"started_from": described(Run(run))} if run else {}


def _teachers(prepared: Prepared) -> dict[str, Any]:
    """The entry ``teachers`` of environment.json, about the runs that the training learns from; {} if none."""
    return {"teachers": [teacher.described() for teacher in prepared.teachers]} if prepared.teachers else {}


def _soup(prepared: Prepared) -> dict[str, Any]:
    """The entry ``soup`` of environment.json: its runs, the best first; {} for a run that is no soup."""
    if not prepared.ingredients:
        return {}
    best_by = prepared.recipe.evaluation.best_by
    runs = [ingredient.described(best_by) for ingredient in prepared.ingredients]
    return {"soup": {"choice": prepared.recipe.training.soup_choice, "metric": best_by, "runs": runs}}


def _left_out(splits: Splits) -> dict[str, Any]:
    """The entry ``left_out`` of environment.json: rows without text or label that ``data.empty = "drop"`` left out.

    They are listed by part of the data, such as ``train``; {} if none were left out.
    """
    return {"left_out": {part: gaps.as_dict() for part, gaps in splits.left_out.items()}} if splits.left_out else {}


def _gpu(device: str) -> dict[str, Any]:
    import torch

    if not device.startswith("cuda"):
        return {}
    gpu = torch.cuda.get_device_properties(device)
    return {"gpu": gpu.name, "gpu_memory_bytes": gpu.total_memory}


def most_memory(folder: Path) -> int:
    """Peak memory in bytes of the run in ``folder``, including the processes before a resume."""
    earlier = [record.get("peak_memory_bytes", 0) for record in read_history(folder / "history.jsonl")]
    return max([peak_memory_bytes(), *earlier])


def gpu_peak(device: str) -> dict[str, int]:
    """The entry of environment.json with the peak memory in bytes of this process on a GPU; empty on a CPU."""
    import torch

    return {"gpu_peak_memory_bytes": torch.cuda.max_memory_allocated(device)} if device.startswith("cuda") else {}
