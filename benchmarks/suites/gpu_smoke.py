"""The first minutes with a GPU: does the training work there, and where does its time go?

    python benchmarks/run.py gpu-smoke --out smoke.json                      on a CUDA device, with base-size layers
    python benchmarks/run.py gpu-smoke --device cpu --tiny --out smoke.json  a trial of the script itself
    python benchmarks/run.py gpu-smoke --only parity,curves                  some parts alone

Weights are random, of real size, so nothing is downloaded. The file is written after each part; a part that fails is
noted, and the others go on. No part begins after nine minutes. Speed beside competitors: the suite gpu.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness.competition import say
from harness.gpu_trials import (
    Crash,
    CrashAfter,
    Smoke,
    apart,
    logits_and_gradients,
    losses_of,
    peak_memory,
    reading_after,
    reset_memory,
    steps_of,
)

from featherweight.errors import FeatherweightError, UserError
from featherweight.model.engine import move_to_engine
from featherweight.training import loop

FAMILIES = ("bert", "roberta", "distilbert", "mpnet", "electra")
_BEGINS_UNTIL = 540  # seconds
_TOLERANCE = {"fp32": 2e-3, "bf16": 0.1}
_FLOP_A_WEIGHT = 4  # forward, and backward to the input; a frozen weight has no gradient


def main(options: argparse.Namespace) -> None:
    """Run the parts, and write what they found to ``options.out`` after each."""
    if options.device == "cuda" and not torch.cuda.is_available():
        raise UserError("gpu-smoke needs a CUDA device, and torch finds none on this machine; --device cpu tries it")
    chosen = options.only.split(",") if options.only else list(PARTS)
    if unknown := sorted(set(chosen) - PARTS.keys()):
        raise UserError(f"--only {unknown[0]}: no such part; there are {', '.join(PARTS)}")
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
    for family in FAMILIES:
        for precision in ("fp32", "bf16"):
            both = []
            for lean in (False, True):
                job = smoke.job(
                    smoke.recipe(smoke.backbone(family, small=True), precision=precision),
                    "parity",
                    lean=lean,
                    portable=lean,
                )
                both.append(logits_and_gradients(job))
            differences = {name: apart(both[0][name], both[1][name]) for name in both[0]}
            found[f"{family} {precision}"] = {
                "logits": differences.pop("logits"),
                "gradients": max(differences.values()),
            }
    worst = {key: max(values.values()) for key, values in found.items()}
    return {**found, "passed": all(most <= _TOLERANCE[key.split()[1]] for key, most in worst.items())}


def works(smoke: Smoke) -> dict[str, Any]:
    """A whole training in each precision: it ends, resumes with the same bits, predicts, and is verified."""
    from safetensors.torch import load_file

    from featherweight import Classifier
    from featherweight.verification.verify import verify_run
    from featherweight.workflows.train import train

    found = {}
    for precision in smoke.precisions:
        recipe = smoke.recipe(smoke.backbone("mpnet"), precision=precision, max_steps=8, checkpoint_steps=3)
        whole, halves = (smoke.folder / f"{name}-{precision}" for name in ("whole", "halves"))
        run = train(recipe, whole)
        with suppress(Crash):
            train(recipe, halves, listeners=[CrashAfter(5)])
        train(recipe, halves, resume=True)
        one, other = (load_file(next((folder / "adapter").glob("*.safetensors"))) for folder in (whole, halves))
        labels = Classifier.load(whole).predict(["Stocks fell.", "The match was won."])
        checks = verify_run(run.folder)
        found[precision] = {
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
            losses.append(losses_of(smoke.job(recipe, "blocks")))
    return {"waiting": apart(losses[0], losses[1]), "same_run_twice": apart(losses[1], losses[2])}


def curves(smoke: Smoke) -> dict[str, Any]:
    """Losses of transformers' own pass and of the lean pass, step by step, with the memory of each."""
    recipe, losses, memory = smoke.recipe(smoke.backbone("mpnet")), [], []
    for lean in (False, True):
        reset_memory(smoke)
        losses.append(losses_of(smoke.job(recipe, "curves", lean=lean, portable=lean)))
        memory.append(peak_memory(smoke))
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
    for family in ("mpnet", "roberta"):
        for batch in (32, 64):
            for way, most, lean in (("waiting", 1, False), ("ahead", 64, False), ("lean", 64, True)):
                seconds, rows, tokens, weights = [], 0, 0, 0
                reset_memory(smoke)
                for steps in (first, first + more):
                    recipe = smoke.recipe(smoke.backbone(family), max_steps=steps, batch_size=batch)
                    job = smoke.job(recipe, "speed", lean=lean, portable=lean)
                    with reading_after(most):
                        began = time.perf_counter()
                        loop.fit(job)
                        seconds.append(time.perf_counter() - began)
                    records = steps_of(job)[first:]
                    rows, tokens = (sum(record[key] for record in records) for key in ("rows", "tokens"))
                    weights = sum(linear.inputs * linear.outputs for linear in job.network.architecture.linears)
                trained = max(seconds[1] - seconds[0], 1e-9)
                found[f"{family} {batch} {way}"] = {
                    "milliseconds_a_step": 1000 * trained / more,
                    "rows_a_second": rows / trained,
                    "share_of_peak": _FLOP_A_WEIGHT * weights * tokens / trained / (smoke.peak * 1e12),
                    "memory_bytes": peak_memory(smoke),
                }
    return found


def profile(smoke: Smoke) -> dict[str, Any]:
    """Where the time of ten steps goes: the largest operations, launches, and seconds with a kernel."""
    found = {}
    activities = [torch.profiler.ProfilerActivity.CPU]
    activities += [torch.profiler.ProfilerActivity.CUDA] if smoke.device == "cuda" else []
    for lean in (False, True):
        recipe = smoke.recipe(smoke.backbone("mpnet"), max_steps=3 if smoke.tiny else 10, batch_size=64)
        loop.fit(smoke.job(recipe, "warm", lean=lean, portable=lean))
        job = smoke.job(recipe, "profile", lean=lean, portable=lean)
        with torch.profiler.profile(activities=activities) as profiler:
            began = time.perf_counter()
            loop.fit(job)
            seconds = time.perf_counter() - began
        averages = profiler.key_averages()
        key = "self_device_time_total" if smoke.device == "cuda" else "self_cpu_time_total"
        busy = sum(getattr(one, key) for one in averages) / 1e6
        largest = sorted(averages, key=lambda one, key=key: -getattr(one, key))[:12]
        found["lean" if lean else "own"] = {
            "seconds": seconds,
            "busy_seconds": busy,
            "launches": sum(one.count for one in averages if one.key == "cudaLaunchKernel"),
            "waits": sum(
                one.count for one in averages if one.key in ("cudaStreamSynchronize", "cudaDeviceSynchronize")
            ),
            "largest": {one.key[:80]: [getattr(one, key) / 1e6, one.count] for one in largest},
        }
    return found


def prediction(smoke: Smoke) -> dict[str, Any]:
    """Rows a second of transformers' own pass and of the merged lean pass, and how many labels differ."""
    from featherweight.adapter.merge import merge_adapter
    from featherweight.model.lean.forward_only import drop_gradients
    from featherweight.model.predict import predict_logits

    found, chosen = {}, []
    for lean in (False, True):
        job = smoke.job(smoke.recipe(smoke.backbone("mpnet")), "prediction", lean=lean, portable=lean)
        if lean:
            job = smoke.job(job.recipe, "prediction", lean=False)
            merge_adapter(job.network)
            job.engine = replace(job.engine, lean=True, portable=True)
            move_to_engine(job.network, job.engine)
            drop_gradients(job.network)
        times = []
        for _ in range(3):
            began = time.perf_counter()
            logits = predict_logits(job.network, job.train, job.engine, job.pad_id)
            times.append(time.perf_counter() - began)
        chosen.append(logits.argmax(-1))
        found["lean" if lean else "own"] = {"rows_a_second": len(job.train) / min(times)}
    return {**found, "labels_that_differ": int((chosen[0] != chosen[1]).sum()), "rows": len(chosen[0])}


def memory(smoke: Smoke) -> dict[str, Any]:
    """Bytes at rest and for each token of a batch, by least squares, for both passes (for the arithmetic of a T4)."""
    found = {}
    for lean in (False, True):
        points = []
        for rows in (8, 32, 64):
            reset_memory(smoke)
            recipe = smoke.recipe(smoke.backbone("roberta"), max_steps=3, batch_size=rows)
            job = smoke.job(recipe, "memory", lean=lean, portable=lean)
            loop.fit(job)
            points.append((max(record["tokens"] for record in steps_of(job)), peak_memory(smoke)))
        each, rest = np.polyfit(*np.array(points, float).T, 1)
        found["lean" if lean else "own"] = {"points": points, "bytes_a_token": each, "bytes_at_rest": rest}
    return found


PARTS: dict[str, Callable[[Smoke], dict[str, Any]]] = {
    "parity": parity, "works": works, "blocks": blocks, "curves": curves, "speed": speed, "profile": profile,
    "prediction": prediction, "memory": memory,
}  # fmt: skip
