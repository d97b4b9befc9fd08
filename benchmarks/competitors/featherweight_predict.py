"""Featherweight from the run folder: all texts at once, then one at a time.

With the job's key ``merge`` off the adapter stays beside its matrices, as in training. With ``model_alone`` the
encoded texts are also run without tokenizer, for the share of the peak; with ``profile`` once more, looked into.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import torch
from harness.measuring import (
    Job,
    answer,
    device_memory,
    peak_memory_bytes,
    percentiles,
    read_rows,
    top_operations,
    versions,
)

from featherweight.inference.classifier import Classifier, Prediction


def solve(job: Job) -> dict[str, Any]:
    """Load, warm up, classify everything, then time single texts."""
    began = time.perf_counter()
    options = {"precision": job["precision"], "device": job["device"], "merge": job.get("merge", True)}
    classifier = Classifier.load(job["run"], **options)
    load_seconds = time.perf_counter() - began
    texts, _ = read_rows(job["texts"])
    classifier.predict(texts[:64])
    began = time.perf_counter()
    found = classifier.predict(texts)
    seconds = time.perf_counter() - began
    memory = {"peak_memory_bytes": peak_memory_bytes(), **device_memory(job["device"])}
    latencies = []
    for text in texts[: job["latency_texts"]]:
        began = time.perf_counter()
        classifier.predict([text])
        latencies.append(1000 * (time.perf_counter() - began))
    return {
        "samples_per_second": len(texts) / seconds,
        "load_seconds": load_seconds,
        **percentiles(latencies),
        "predicted": [prediction.label for prediction in found],
        "scores": [uncalibrated(prediction, classifier.temperature) for prediction in found],
        "precision": classifier.engine.precision,
        "threads": torch.get_num_threads(),
        "versions": versions("featherweight", "torch", "transformers"),
        **(model_alone(classifier, texts, job.get("profile", False)) if job.get("model_alone") else {}),
        **memory,
    }


def uncalibrated(prediction: Prediction, temperature: float) -> float:
    """The label's probability as the pipeline gives it, which knows no temperature: softmax of the logits alone."""
    powers = {label: share**temperature for label, share in prediction.probabilities.items()}
    return powers[prediction.label] / sum(powers.values())


def model_alone(classifier: Classifier, texts: list[str], look: bool) -> dict[str, Any]:
    """Real tokens a second of the network on texts that are encoded already; with ``look`` its operations too."""
    from featherweight.data.batches import encode
    from featherweight.data.sources import Rows
    from featherweight.model.predict import predict_logits, prediction_batches
    from featherweight.model.threads import shares

    rows = Rows(texts, None, classifier.labels, "texts")
    encoded = encode(rows, classifier.tokenizer, classifier.recipe.data.max_length)
    work = partial(predict_logits, classifier.network, encoded, classifier.engine, classifier.tokenizer.pad_token_id)
    began = time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    tokens = int(encoded.lengths.sum())
    figures = {"tokens_seen": tokens, "model_seconds": seconds, "model_tokens_per_second": tokens / seconds}
    if not look:
        return figures
    from torch._C._profiler import _ExperimentalConfig

    # Each core's thread puts batches of its own through the network.
    everywhere = _ExperimentalConfig(profile_all_threads=True)
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, experimental_config=everywhere) as profiler:
        began = time.perf_counter()
        work()
        seconds = time.perf_counter() - began
    threads = 1
    if classifier.network.lean is not None:
        threads, _ = shares(torch.get_num_threads(), len(prediction_batches(encoded, classifier.engine)))
    return {**figures, "profile": top_operations(profiler, seconds, threads)}


if __name__ == "__main__":
    answer(solve)
