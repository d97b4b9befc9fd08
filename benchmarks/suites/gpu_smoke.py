"""The first minutes with a GPU: does the training work there, and where does its time go?

    python benchmarks/run.py gpu-smoke --out smoke.json                      on a CUDA device, with base-size layers
    python benchmarks/run.py gpu-smoke --device cpu --tiny --out smoke.json  a trial of the script itself
    python benchmarks/run.py gpu-smoke --only parity,curves                  some parts alone

Weights are random, of real size, so nothing is downloaded. The file is written after each part; a part that fails is
noted, and the others go on. No part begins after nine minutes. Predictions, memory, and speed beside competitors are
measured by the suite gpu.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import torch
from harness import gpu_trials
from harness.competition import named, say
from harness.gpu_trials import Smoke, apart, losses_of, peak_memory, reading_after, steps_of

from featherweight.errors import FeatherweightError, UserError
from featherweight.training import loop

FAMILIES = ("bert", "roberta", "distilbert", "mpnet", "electra")
_BEGINS_UNTIL = 540  # seconds
_TOLERANCE = {"fp32": 2e-3, "bf16": 0.1}
_FLOP_A_WEIGHT = 4  # forward, and backward to the input; a frozen weight has no gradient


def main(options: argparse.Namespace) -> None:
    """Run the parts, and write what they found to ``options.out`` after each."""
    if options.device == "cuda" and not torch.cuda.is_available():
        raise UserError("gpu-smoke needs a CUDA device, and torch finds none on this machine; --device cpu tries it")
    chosen = named(options.only, PARTS, "part")
    card = torch.cuda.get_device_name() if options.device == "cuda" else "cpu"
    found: dict[str, Any] = {"device": card, "torch": torch.__version__, "tiny": options.tiny, "parts": {}}
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        smoke = Smoke(options.device, options.tiny, options.steps, options.peak, Path(temporary))
        for name in chosen:
            found["parts"][name] = _outcome(PARTS[name], smoke, began)
            options.out.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
            say(f"{name}: {json.dumps(found['parts'][name])}")


def _outcome(part: Callable[[Smoke], dict[str, Any]], smoke: Smoke, began: float) -> dict[str, Any]:
    if time.perf_counter() - began > _BEGINS_UNTIL:
        return {"left_out": "no time"}
    started = time.perf_counter()
    try:
        found = part(smoke)
    except (FeatherweightError, RuntimeError, ValueError, TypeError, AssertionError, ImportError, OSError) as error:
        found = {"failed": f"{type(error).__name__}: {error}"[:2000]}
    return {**found, "seconds": round(time.perf_counter() - started, 1)}


def parity(smoke: Smoke) -> dict[str, Any]:
    """Largest differences between the lean pass and transformers' own, as shares of the largest value."""
    found: dict[str, Any] = {}
    for family, precision in product(FAMILIES, _TOLERANCE):
        recipe = smoke.recipe(smoke.backbone(family, small=True), precision=precision)
        own, lean = (gpu_trials.logits_and_gradients(job) for _, job in smoke.both(recipe))
        differences = {name: apart(own[name], lean[name]) for name in own}
        logits = differences.pop("logits")
        found[f"{family} {precision}"] = {"logits": logits, "gradients": max(differences.values())}
    worst = {key: max(values.values()) for key, values in found.items()}
    return {**found, "passed": all(most <= _TOLERANCE[key.split()[1]] for key, most in worst.items())}


def works(smoke: Smoke) -> dict[str, Any]:
    """A whole training in each precision: it ends, resumes with the same bits, predicts, and is verified."""
    from safetensors.torch import load_file

    from featherweight import Classifier
    from featherweight.verification.verify import verify_run
    from featherweight.workflows.train import train

    found = {}
    precisions = ("bf16", "fp32", *(["fp16"] if smoke.device == "cuda" else []))
    for family, precision in (*product(("mpnet",), precisions), ("bert", "bf16")):  # BERT has PyTorch's attention
        recipe = smoke.recipe(smoke.backbone(family), precision=precision, max_steps=8, checkpoint_steps=3)
        whole, halves = (smoke.folder / f"{name}-{family}-{precision}" for name in ("whole", "halves"))
        run = train(recipe, whole)
        with suppress(gpu_trials.Crash):
            train(recipe, halves, listeners=[gpu_trials.CrashAfter(5)])
        train(recipe, halves, resume=True)
        one, other = (load_file(next((folder / "adapter").glob("*.safetensors"))) for folder in (whole, halves))
        labels = Classifier.load(whole).predict(["Stocks fell.", "The match was won."])
        checks = verify_run(run.folder)
        found[f"{family} {precision}"] = {
            "same_bits_after_resume": all(torch.equal(one[name], other[name]) for name in one),
            "labels": [one.label for one in labels],
            "failed_checks": [str(check.name) for check in checks if check.result == "fail"],
        }
    return found


def blocks(smoke: Smoke) -> dict[str, Any]:
    """Losses of a loop that waits for each step, of one that does not, and of a second one that does not."""
    recipe = smoke.recipe(smoke.backbone("roberta"), max_steps=min(40, smoke.steps))
    losses = []
    for most in (1, 64, 64):
        with reading_after(most):
            losses.append(losses_of(smoke.job(recipe)))
    return {"waiting": apart(losses[0], losses[1]), "same_run_twice": apart(losses[1], losses[2])}


def curves(smoke: Smoke) -> dict[str, Any]:
    """Losses of transformers' own pass and of the lean pass, step by step, with the memory of each."""
    losses, memory = [], []
    for _, job in smoke.both(smoke.recipe(smoke.backbone("mpnet"))):
        losses.append(losses_of(job))
        memory.append(peak_memory())
        del job  # before the next one is made, whose memory is measured
    differences = (losses[0] - losses[1]).abs()
    return {
        "steps": len(differences),
        "largest": float(differences.max()),
        "mean": float(differences.mean()),
        "last_ten": [float(loss[-10:].mean()) for loss in losses],
        "memory_bytes": memory,
    }


def speed(smoke: Smoke) -> dict[str, Any]:
    """Milliseconds a step and rows a second: waiting for each step, not waiting, and with the lean pass."""
    found: dict[str, Any] = {}
    first, more = (2, 3) if smoke.tiny else (20, 80)
    ways = (("waiting", 1, False), ("ahead", 64, False), ("lean", 64, True))
    for family, batch, (way, most, lean) in product(("mpnet", "roberta"), (32, 64), ways):
        seconds = []
        gpu_trials.reset_memory()
        for steps in (first, first + more):
            recipe = smoke.recipe(smoke.backbone(family), max_steps=steps, batch_size=batch)
            job = smoke.job(recipe, lean=lean)
            with reading_after(most):
                began = time.perf_counter()
                loop.fit(job)
                seconds.append(time.perf_counter() - began)
        trained = max(seconds[1] - seconds[0], 1e-9)
        rows, tokens = (sum(record[key] for record in steps_of(job)[first:]) for key in ("rows", "tokens"))
        weights = sum(linear.inputs * linear.outputs for linear in job.network.architecture.linears)
        found[f"{family} {batch} {way}"] = {
            "milliseconds_a_step": 1000 * trained / more,
            "rows_a_second": rows / trained,
            "share_of_peak": _FLOP_A_WEIGHT * weights * tokens / trained / (smoke.peak * 1e12),
            "memory_bytes": peak_memory(),
        }
    return found


def profile(smoke: Smoke) -> dict[str, Any]:
    """Where the time of ten steps goes: the largest operations, launches, and seconds with a kernel."""
    found, on_gpu = {}, smoke.device == "cuda"
    activity, key = torch.profiler.ProfilerActivity, "self_device_time_total" if on_gpu else "self_cpu_time_total"
    recipe = smoke.recipe(smoke.backbone("mpnet"), max_steps=3 if smoke.tiny else 10, batch_size=64)
    for name, job in smoke.both(recipe):
        loop.fit(smoke.job(recipe, lean=job.engine.lean))  # to warm up
        with torch.profiler.profile(activities=[activity.CPU, *([activity.CUDA] if on_gpu else [])]) as profiler:
            began = time.perf_counter()
            loop.fit(job)
            seconds = time.perf_counter() - began
        averages = profiler.key_averages()
        calls: Counter[str] = Counter()
        for one in averages:
            calls[one.key] += one.count
        # The time of a kernel also stands in the row of the operation that launched it: it counts once.
        timed = [one for one in averages if not on_gpu or one.device_type == torch.autograd.DeviceType.CUDA]
        operations = [(one.key, getattr(one, key) / 1e6, one.count) for one in timed if not one.is_user_annotation]
        largest = sorted(operations, key=lambda one: -one[1])[:12]
        found[name] = {
            "seconds": seconds,
            "busy_seconds": sum(own for _, own, _ in operations),
            "launches": sum(count for call, count in calls.items() if "LaunchKernel" in call),
            "waits": calls["cudaStreamSynchronize"] + calls["cudaDeviceSynchronize"],
            "largest": {operation[:80]: [own, count] for operation, own, count in largest},
        }
    return found


_ALL = (parity, works, blocks, curves, speed, profile)
PARTS: dict[str, Callable[[Smoke], dict[str, Any]]] = {part.__name__: part for part in _ALL}
