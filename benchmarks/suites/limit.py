"""What the processor's matrix products allow at the model's own shapes, and the share that Featherweight reaches.

    python benchmarks/run.py limit --backbone minilm --steps 60 --repeats 3

Tokens are real ones, padding not counted. The peak is measured between the runs, so that both see the same machine.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

from harness import competition
from harness.competition import Competitor, Plan, competitors
from harness.jobs import BATCH, training_job, write_rows
from harness.measuring import read_rows, timed
from harness.recording import spread

from featherweight.backbone.architecture import Architecture
from featherweight.backbone.describe import architecture_of
from featherweight.backbone.resolve import resolve_backbone
from featherweight.data.sources import Rows
from featherweight.recipe import BackboneRecipe

TRAIN = Competitor("train", "Training", "featherweight_run", {"warm_up": 3})
PREDICT = Competitor("predict", "Prediction", "featherweight_predict", {"model_alone": True, "latency_texts": 0})
JOBS = {"training": "tokens_per_second", "prediction": "model_tokens_per_second"}
"""What is measured, and by which figure."""
JOINED_ROLES = ("query", "key", "value")


@dataclass(frozen=True)
class Product:
    """Linear layers of one shape: ``count`` of them over the encoder."""

    inputs: int
    outputs: int
    count: int


def products(architecture: Architecture, *, joined: bool = False) -> list[Product]:
    """The encoder's linear layers by shape; ``joined`` takes query, key and value of a layer as one product."""
    outputs: Counter[tuple[str, int]] = Counter()
    for number, linear in enumerate(architecture.linears):
        together = joined and linear.roles[0] in JOINED_ROLES
        outputs[f"layer {linear.layer}" if together else str(number), linear.inputs] += linear.outputs
    shapes = Counter((inputs, wide) for (_, inputs), wide in outputs.items())
    return [Product(*shape, count) for shape, count in sorted(shapes.items())]


def linear_weights(architecture: Architecture) -> int:
    """Frozen weights in linear layers: what every token is multiplied with; biases multiply nothing."""
    return sum(linear.inputs * linear.outputs for linear in architecture.linears)


def flops_a_token(architecture: Architecture) -> dict[str, int]:
    """FLOPs of a LoRA step's training: 2 a weight forward, 2 backward for the activations, as W has no gradient itself;
    and of a prediction, which is the forward pass alone.

    Attention's own products, the adapters and the head are left out: the share of the peak is of what the frozen
    weights ask for.
    """
    return {"training": 4 * linear_weights(architecture), "prediction": 2 * linear_weights(architecture)}


def plans(options: argparse.Namespace, folder: Path) -> Iterator[Plan]:
    """Each turn trains and predicts, and measures the peak in between."""
    architecture = architecture_of(resolve_backbone(BackboneRecipe(name=options.backbone)).config)
    options.rows = options.steps * BATCH
    job = training_job(options, folder)
    texts = list(islice(cycle(read_rows(job.settings["files"]["train"])[0]), options.predict_rows))
    settings = {**job.settings, "texts": write_rows(Rows(texts, None, (), "texts"), folder / "texts.jsonl")}

    def finish(record: dict[str, Any]) -> dict[str, Any]:
        looked_into = profiles(settings, options.profile_steps, folder) if options.profile_steps else {}
        return {**looked_into, "summary": summarise(record["runs"])}

    def play(competitor: Competitor, job: dict[str, Any], folder: Path) -> dict[str, Any]:
        return one_turn(job, architecture, options.seconds, folder)

    flops = {f"{kind}_flops_a_token": count for kind, count in flops_a_token(architecture).items()}
    more = {"arithmetic": {"linear_weights": linear_weights(architecture), **flops}}
    said, turn = ("steps", "predict_rows"), competitors("limit")
    yield Plan("limit", job.said, job.data, turn, settings, finish, said, play=play, told=_in_short, more=more)


def one_turn(settings: dict[str, Any], architecture: Architecture, seconds: float, folder: Path) -> dict[str, Any]:
    """One training, one prediction from its run folder, and the peak at both batches' sizes; shares of it."""
    from featherweight.model.engine import choose_engine

    run = str(folder / f"run-{time.time_ns()}")
    result: dict[str, Any] = {}
    for job, competitor in {"training": TRAIN, "prediction": PREDICT}.items():
        found = competition.play(competitor, {**settings, "keep_run": run, "run": run}, folder)
        if "failed" in found:
            return found
        if job == "training":
            tokens = round(found["tokens_seen"] / found["steps"])
            result |= {"precision": found["precision"], "batch_tokens": tokens}
        else:
            tokens = choose_engine("auto", "cpu").micro_batch_tokens
        peaks = {kind: peak(architecture, tokens, kind, seconds, job == "training") for kind in ("bf16", "fp32")}
        rate = found[JOBS[job]] * flops_a_token(architecture)[job]
        share = rate / peaks[_counted(result["precision"])]["flops_per_second"]
        kept = {key: value for key, value in found.items() if key not in ("predicted", "scores")}
        result |= {job: {**kept, "flops_per_second": rate, "share": share}, f"{job}_peak": peaks}
    return result


def peak(architecture: Architecture, tokens: int, precision: str, seconds: float, backward: bool) -> dict[str, Any]:
    """FLOP/s of the model's own matrix products on ``tokens`` tokens, each shape weighted by its FLOPs.

    Query, key and value are taken one by one or joined, whichever is faster here. With ``backward`` half of the work is
    the gradient of the activations, as in a LoRA step.
    """
    measured = []
    for joined in (False, True):
        shapes = products(architecture, joined=joined)
        rows = [product_times(shape, tokens, precision, seconds, backward) for shape in shapes]
        keys = ("flops", "seconds", "typical_seconds")
        work, spent, typically = (sum(row[key] * row["count"] for row in rows) for key in keys)
        rates = {"flops_per_second": work / spent, "typical_flops_per_second": work / typically}
        measured.append({**rates, "joined": joined, "tokens": tokens, "shapes": rows})
    return max(measured, key=lambda one: one["flops_per_second"])


def product_times(product: Product, tokens: int, precision: str, seconds: float, backward: bool) -> dict[str, Any]:
    """The best time of one product [tokens, in] x [in, out], and of its gradient [tokens, out] x [out, in]; the median.

    Each by PyTorch's plain product and with the matrix laid out beforehand: the faster one is what the processor can.
    """
    import torch

    from featherweight.model.lean.frozen_matrix import FrozenMatrix

    kind = {"bf16": torch.bfloat16, "fp32": torch.float32}[precision]
    weight = torch.randn(product.outputs, product.inputs).to(kind)
    x, grad = torch.randn(tokens, product.inputs).to(kind), torch.randn(tokens, product.outputs).to(kind)
    matrix = FrozenMatrix(weight)
    ways = {"forward_seconds": (lambda: torch.mm(x, weight.t()), lambda: matrix.times(x, None))}
    if backward:
        ways["backward_seconds"] = (lambda: torch.mm(grad, weight), lambda: matrix.gradient(grad))
    tried = {name: min((_times(way, seconds) for way in two), key=min) for name, two in ways.items()}
    best = {name: min(times) for name, times in tried.items()}
    flops = 2 * tokens * product.inputs * product.outputs * len(best)
    typical = sum(median(times) for times in tried.values())
    return {**vars(product), **best, "seconds": sum(best.values()), "typical_seconds": typical, "flops": flops}


def profiles(settings: dict[str, Any], steps: int, folder: Path) -> dict[str, Any]:
    """The operations of some training steps and of a prediction by their own time, ``profile`` and
    ``prediction_profile``; in runs of their own, because looking costs time.
    """
    run = str(folder / "looked-into")
    looked_into = {**settings, "max_steps": steps + 3, "profile": [2, steps], "keep_run": run}
    trained = competition.play(TRAIN, looked_into, folder)
    if "failed" in trained:
        return {"profile": {"failed": trained["failed"]}}
    predicted = competition.play(PREDICT, {**settings, "run": run, "profile": True}, folder)
    found = predicted.get("profile", {"failed": predicted.get("failed")})
    return {"profile": trained.get("profile", {"failed": "too few steps"}), "prediction_profile": found}


def summarise(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Spread over the turns of peak, rate and share."""
    runs = [run for run in runs if "failed" not in run]
    summary: dict[str, Any] = {"precision": runs[0]["precision"] if runs else None}
    figures = ("share", "flops_per_second", "samples_per_second")
    for job in JOBS:
        summary[job] = {key: spread(run[job][key] for run in runs) for key in figures}
        for kind in ("bf16", "fp32"):
            peaks = [run[f"{job}_peak"][kind] for run in runs]
            summary[job][f"peak_{kind}"] = spread(one["flops_per_second"] for one in peaks)
            summary[job][f"typical_{kind}"] = spread(one["typical_flops_per_second"] for one in peaks)
    return summary


def _times(action: Callable[[], Any], seconds: float) -> list[float]:
    """Seconds that ``action`` took in each of some ten tries or more, after two that do not count."""
    action(), action()
    times: list[float] = []
    while sum(times) < seconds or len(times) < 10:
        times.append(timed(action)[0])
    return times


def _counted(precision: str) -> str:
    """The peak that a precision is held against: all 16 bits are as fast."""
    return "fp32" if precision == "fp32" else "bf16"


def _in_short(run: dict[str, Any]) -> str:
    if "failed" in run:
        return f"failed: {run['failed']}"
    rate = run["training_peak"][_counted(run["precision"])]["flops_per_second"] / 1e9
    return f"peak {rate:.0f} GFLOP/s" + "".join(f", {job} {run[job]['share']:.0%} of it" for job in JOBS)
