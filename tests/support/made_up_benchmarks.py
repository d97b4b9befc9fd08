"""Results of benchmarks that nobody ran, for tests of what is made of them."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

Load = Callable[[str], ModuleType]


def a_record(load: Load, benchmark: str, name: str, **values: Any) -> dict[str, Any]:
    settings = {"backbone": "minilm", "target_accuracy": 0.92, **values.pop("settings", {})}
    data = {"name": "newsbriefs", "train_rows": 816}
    return {
        **load("harness.recording").new_record(benchmark, name, settings=settings, data=data, seeds=[0, 1]),
        **values,
    }


def a_spread(median: float) -> dict[str, float]:
    return {"median": median, "low": 0.9 * median, "high": 1.1 * median, "runs": 2}


def trained(load: Load) -> dict[str, Any]:
    figures = {
        "samples_per_second": a_spread(20), "times_faster": a_spread(12.5), "seconds_to_target": a_spread(90),
        "accuracy": a_spread(0.9), "peak_memory_bytes": a_spread(1e9), "padding_share": None,
        "device_memory_bytes": None,
        "failed": None,
    }  # fmt: skip
    nothing = {**dict.fromkeys(figures), "failed": "no setfit"}
    ours = {**figures, "samples_per_second": a_spread(250), "times_faster": None}
    points = [{"step": step, "seconds": 10.0 * step, "accuracy": 0.8 + 0.05 * step} for step in (1, 2)]
    pair = {"rows": 200, "seeds": 2, "accuracy": 0.925, "other_accuracy": 0.92, "difference": 0.005}
    names = {"trainer": "Trainer + PEFT", "setfit": "SetFit", "featherweight": "Featherweight"}
    return a_record(
        load, "train", "train-minilm",
        runs=[{"contestant": "trainer", "repeat": 0, "evaluations": points}],
        summary={"trainer": figures, "setfit": nothing, "featherweight": ours},
        contestants={name: {"label": label, "note": "fp32"} for name, label in names.items()},
        comparison={"trainer": {**pair, "low": -0.01, "high": 0.02, "p_values": [0.5, 1.0]}},
    )  # fmt: skip


def predicted(load: Load) -> dict[str, Any]:
    figures = ("samples_per_second", "times_faster", "latency_p50_ms", "latency_p99_ms", "peak_memory_bytes")
    summary = {"pipeline": {**{figure: a_spread(30) for figure in figures}, "agreement": 1.0, "failed": None}}
    left_out = {"onnx-fp32": "there is no featherweight.export yet"}
    contestants = {"pipeline": {"label": "pipeline", "note": "fp32"}}
    return a_record(load, "predict", "predict-minilm", summary=summary, contestants=contestants, left_out=left_out)


def limited(load: Load) -> dict[str, Any]:
    rates = {"flops_per_second": a_spread(5.4e11), "peak_bf16": a_spread(9e11), "peak_fp32": a_spread(2e11)}
    job = {"share": a_spread(0.6), "typical_bf16": a_spread(7e11), **rates}
    sums = {"linear_weights": 10_616_832, "training_flops_a_token": 42_467_328, "prediction_flops_a_token": 21_233_664}
    profile = [{"operation": "aten::mm", "share": 0.5, "calls": 12, "milliseconds": 3.0}]
    summary = {"precision": "bf16", "training": job, "prediction": job}
    return a_record(load, "limit", "limit-minilm", summary=summary, arithmetic=sums, profile=profile)


def scaled(load: Load) -> dict[str, Any]:
    points = [
        {"size": size, "samples_per_second": a_spread(180), "tokens_per_second": a_spread(9000), "epoch_seconds": 10.0,
         "setup_seconds": a_spread(size / 100), "peak_memory_bytes": a_spread(8e8), "failed": None}
        for size in (1000, 10_000)
    ]  # fmt: skip
    axis = {"points": points, "exponents": {"setup_seconds": 0.5}, "last_exponents": {"setup_seconds": 0.7}}
    return a_record(load, "scale", "scale-minilm", summary={"rows": axis})


def started(load: Load) -> dict[str, Any]:
    summary = {"help": {"seconds": a_spread(0.25), "failed": None}, "weigh": {"seconds": None, "failed": "no recipe"}}
    contestants = {
        name: {"label": f"featherweight {command}"} for name, command in (("help", "--help"), ("weigh", "weigh"))
    }
    return a_record(load, "startup", "startup", summary=summary, contestants=contestants)
