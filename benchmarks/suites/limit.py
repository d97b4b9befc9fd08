"""What the processor's matrix products allow at the model's own shapes, and the share that Featherweight reaches.

    python benchmarks/run.py limit --backbone minilm --steps 60 --repeats 3

Tokens are real ones, padding not counted. The peak is measured between the runs, so that both see the same machine.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from harness import competition
from harness.competition import Competitor, Plan
from harness.flops import Product, linear_weights, prediction_flops, products, training_flops
from harness.jobs import BATCH, add_job_options, shared_settings, training_job
from harness.recording import spread

from featherweight.backbone.describe import architecture_of

TRAIN = Competitor("train", "Training", "featherweight_run", {"warm_up": 3})
PREDICT = Competitor("predict", "Prediction", "featherweight_predict", {"model_alone": True, "latency_texts": 0})


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options, those of the job included."""
    parser.add_argument("--repeats", type=int, default=3, help="turns (default: 3)")
    add_job_options(parser)
    parser.add_argument("--steps", type=int, default=60, help=f"batches of {BATCH} rows in a training (default: 60)")
    parser.add_argument("--predict-rows", type=int, default=1920, help="texts in a prediction (default: 1920)")
    parser.add_argument("--profile-steps", type=int, default=5, help="training steps looked into, and then a "
                        "prediction; 0: neither (default: 5)")  # fmt: skip
    parser.add_argument("--seconds", type=float, default=0.3, help="least time for each product's peak (default: 0.3)")


def plans(options: argparse.Namespace, folder: Path) -> Iterator[Plan]:
    """Each turn trains and predicts, and measures the peak in between."""
    from featherweight.backbone.resolve import resolve_backbone
    from featherweight.recipe import BackboneRecipe

    architecture = architecture_of(resolve_backbone(BackboneRecipe(name=options.backbone)).config)
    options.rows = options.steps * BATCH
    job = training_job(options, folder)
    texts = _prediction_texts(Path(job.settings["files"]["train"]), options.predict_rows, folder / "texts.jsonl")
    settings = shared_settings(options, job)

    def finish(record: dict[str, Any]) -> dict[str, Any]:
        common = job.settings | {"seed": options.seed}
        looked_into = profiles(common, options.profile_steps, folder) if options.profile_steps else {}
        return {**looked_into, "summary": summarise(record["runs"])}

    yield Plan(
        "limit",
        options.name or f"limit-{settings['backbone']}",
        settings | {"steps": options.steps, "predict_rows": texts, "repeats": options.repeats},
        job.data,
        [Competitor("turn", "training, peak, prediction")],
        job.settings,
        finish,
        [options.seed],
        options.repeats,
        play=lambda competitor, job, folder: one_turn(job, architecture, options.seconds, folder),
        told=_in_short,
        more={
            "arithmetic": {
                "linear_weights": linear_weights(architecture),
                "training_flops_a_token": training_flops(architecture),
                "prediction_flops_a_token": prediction_flops(architecture),
            }
        },
    )


def one_turn(settings: dict[str, Any], architecture: Any, seconds: float, folder: Path) -> dict[str, Any]:
    """One training, one prediction from its run folder, and the peak at both batches' sizes; shares of it."""
    from featherweight.model.engine import choose_engine

    run = folder / f"run-{time.time_ns()}"
    trained = competition.play(TRAIN, {**settings, "keep_run": str(run)}, folder)
    if "failed" in trained:
        return {"failed": trained["failed"]}
    trained.pop("predicted")
    tokens = round(trained["tokens_seen"] / trained["steps"])
    precision = trained["precision"]
    peaks = {kind: peak(architecture, tokens, kind, seconds, backward=True) for kind in ("bf16", "fp32")}
    predicted = competition.play(PREDICT, {**settings, "run": str(run), "texts": str(folder / "texts.jsonl")}, folder)
    if "failed" in predicted:
        return {"failed": predicted["failed"]}
    predicted.pop("predicted")
    most = choose_engine("auto", "cpu").piece_tokens
    forward = {kind: peak(architecture, most, kind, seconds, backward=False) for kind in ("bf16", "fp32")}
    training_rate = trained["tokens_per_second"] * training_flops(architecture)
    prediction_rate = predicted["model_tokens_per_second"] * prediction_flops(architecture)
    return {
        "precision": precision,
        "batch_tokens": tokens,
        "training": {**trained, "flops_per_second": training_rate, "share": training_rate / _rate(peaks, precision)},
        "training_peak": peaks,
        "prediction": {
            **predicted,
            "flops_per_second": prediction_rate,
            "share": prediction_rate / _rate(forward, precision),
        },
        "prediction_peak": forward,
    }


def peak(architecture: Any, tokens: int, precision: str, seconds: float, *, backward: bool) -> dict[str, Any]:
    """FLOP/s of the model's own matrix products on ``tokens`` tokens, each shape weighted by its FLOPs.

    Query, key and value are taken one by one or joined, whichever is faster here. With ``backward`` half of the work is
    the gradient of the activations, as in a LoRA step.
    """
    measured = []
    for joined in (False, True):
        shapes = products(architecture, joined=joined)
        rows = [timed(shape, tokens, precision, seconds, backward) for shape in shapes]
        work = sum(row["flops"] * row["count"] for row in rows)
        spent, typically = (sum(row[key] * row["count"] for row in rows) for key in ("seconds", "typical_seconds"))
        rates = {"flops_per_second": work / spent, "typical_flops_per_second": work / typically}
        measured.append({**rates, "joined": joined, "tokens": tokens, "shapes": rows})
    return max(measured, key=lambda one: one["flops_per_second"])


def timed(product: Product, tokens: int, precision: str, seconds: float, backward: bool) -> dict[str, Any]:
    """The best time of one product [tokens, in] x [in, out], and of its gradient [tokens, out] x [out, in]; the median.

    Each by PyTorch's plain product and with the matrix laid out beforehand: the faster one is what the processor can.
    """
    import torch

    from featherweight.model.lean.frozen_matrix import FrozenMatrix

    kind = {"bf16": torch.bfloat16, "fp32": torch.float32, "fp16": torch.float16}[precision]
    weight = torch.randn(product.outputs, product.inputs).to(kind)
    x, grad = torch.randn(tokens, product.inputs).to(kind), torch.randn(tokens, product.outputs).to(kind)
    matrix = FrozenMatrix(weight)
    ways = {"forward_seconds": (lambda: torch.mm(x, weight.t()), lambda: matrix.times(x, None))}
    if backward:
        ways["backward_seconds"] = (lambda: torch.mm(grad, weight), lambda: matrix.gradient(grad))
    tried = {name: min((_times(way, seconds) for way in two), key=min) for name, two in ways.items()}
    best = {name: min(times) for name, times in tried.items()}
    flops = 2 * tokens * product.inputs * product.outputs * len(best)
    shape = {"inputs": product.inputs, "outputs": product.outputs, "count": product.count}
    typical = sum(median(times) for times in tried.values())
    return {**shape, **best, "seconds": sum(best.values()), "typical_seconds": typical, "flops": flops}


def profiles(settings: dict[str, Any], steps: int, folder: Path) -> dict[str, Any]:
    """The operations of some training steps and of a prediction by their own time, ``profile`` and
    ``prediction_profile``; in runs of their own, because looking costs time.
    """
    run = str(folder / "looked-into")
    looked_into = {**settings, "max_steps": steps + 3, "profile": [2, steps], "keep_run": run}
    trained = competition.play(TRAIN, looked_into, folder)
    if "failed" in trained:
        return {"profile": {"failed": trained["failed"]}}
    predicted = competition.play(
        PREDICT, {**settings, "run": run, "texts": str(folder / "texts.jsonl"), "profile": True}, folder
    )
    found = predicted.get("profile", {"failed": predicted.get("failed")})
    return {"profile": trained.get("profile", {"failed": "too few steps"}), "prediction_profile": found}


def summarise(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Spread over the turns of peak, rate and share."""
    runs = [run for run in runs if "failed" not in run]
    summary: dict[str, Any] = {"precision": runs[0]["precision"] if runs else None}
    for job in ("training", "prediction"):
        summary[job] = {
            "share": spread(run[job]["share"] for run in runs),
            "flops_per_second": spread(run[job]["flops_per_second"] for run in runs),
            "samples_per_second": spread(run[job]["samples_per_second"] for run in runs),
            **{
                f"{name}_{kind}": spread(run[f"{job}_peak"][kind][key] for run in runs)
                for name, key in (("peak", "flops_per_second"), ("typical", "typical_flops_per_second"))
                for kind in ("bf16", "fp32")
            },
        }
    return summary


def _times(action: Any, seconds: float) -> list[float]:
    """Seconds that ``action`` took in each of some ten tries or more, after two that do not count."""
    action(), action()
    times: list[float] = []
    while sum(times) < seconds or len(times) < 10:
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return times


def _rate(peaks: dict[str, dict[str, Any]], precision: str) -> float:
    return peaks["fp32" if precision == "fp32" else "bf16"]["flops_per_second"]


def _prediction_texts(source: Path, rows: int, place: Path) -> int:
    lines = source.read_text("utf-8").splitlines()
    many = [lines[number % len(lines)] for number in range(rows)]
    texts = [json.dumps({"text": json.loads(line)["text"]}, ensure_ascii=False) for line in many]
    place.write_text("\n".join(texts) + "\n", "utf-8")
    return len(texts)


def _in_short(run: dict[str, Any]) -> str:
    if "failed" in run:
        return f"failed: {run['failed']}"
    peaks = run["training_peak"][run["precision"] if run["precision"] == "fp32" else "bf16"]
    return (
        f"peak {peaks['flops_per_second'] / 1e9:.0f} GFLOP/s, training {run['training']['share']:.0%} of it, "
        f"prediction {run['prediction']['share']:.0%}"
    )
