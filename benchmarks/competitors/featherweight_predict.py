"""Featherweight from the run folder: all texts at once, then one at a time.

With the job's key ``merge`` off the adapter stays beside its matrices, as in training. With ``model_alone`` the
encoded texts are also run without tokenizer, for the share of the peak; with ``profile`` once more, looked into. With
``whole_file`` the command ``predict`` is carried out alone: the file is read in pieces, checked first, and written.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from harness.measuring import Job, memory, read_rows, time_predictions, timed, top_operations, versions

from featherweight.inference.classifier import Classifier
from featherweight.inference.output_files import predict_file


def solve(job: Job) -> dict[str, Any]:
    """Load, warm up, classify everything, then time single texts."""
    if job.get("whole_file"):
        return predict_whole_file(job)
    options = {"precision": job["precision"], "device": job["device"], "merge": job.get("merge", True)}
    figures, classifier, found = time_predictions(
        job,
        lambda: Classifier.load(job["run"], **options),
        lambda classifier, texts: classifier.predict(texts),
        lambda classifier, text: classifier.predict([text]),
    )
    # The label's probability as the pipeline gives it, which knows no temperature: softmax of the logits alone.
    temperature = classifier.temperature
    powers = [[share**temperature for share in prediction.probabilities.values()] for prediction in found]
    return {
        **figures,
        "predicted": [prediction.label for prediction in found],
        "scores": [score / sum(own) for own, score in zip(powers, map(max, powers), strict=True)],
        "precision": classifier.engine.precision,
        **(model_alone(classifier, job) if "model_alone" in job else {}),
    }


def predict_whole_file(job: Job) -> dict[str, Any]:
    """The speed of `predict` on a file; the setup ends where the first batch does."""
    ticks: list[float] = []
    began = time.perf_counter()
    place = Path(job["scratch"]) / "predictions.csv"
    tick = lambda *_: ticks.append(time.perf_counter())  # noqa: E731
    rows = predict_file(job["run"], job["texts"], place, replace=True, follow=tick)
    return {
        "samples_per_second": rows / (time.perf_counter() - ticks[0]),
        "tokens_per_second": None,
        "setup_seconds": ticks[0] - began,
        "threads": torch.get_num_threads(),
        "versions": versions(),
        **memory(),
    }


def model_alone(classifier: Classifier, job: Job) -> dict[str, Any]:
    """Real tokens a second of the network on texts that are encoded already; with ``profile`` its operations too."""
    from featherweight.data.sources import Rows
    from featherweight.model.predict import prediction_batches
    from featherweight.model.threads import shares

    encoded = classifier.model.encode(Rows(read_rows(job["texts"])[0], None, classifier.labels, "texts"))
    work = partial(classifier.model.logits_of, encoded)
    seconds, _ = timed(work)
    tokens = int(encoded.lengths.sum())
    figures = {"tokens_seen": tokens, "model_seconds": seconds, "model_tokens_per_second": tokens / seconds}
    if not job.get("profile"):
        return figures
    from torch._C._profiler import _ExperimentalConfig

    # Each core's thread puts batches of its own through the network.
    everywhere = _ExperimentalConfig(profile_all_threads=True)
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, experimental_config=everywhere) as profiler:
        seconds, _ = timed(work)
    threads = 1
    if classifier.network.lean is not None:
        threads, _ = shares(torch.get_num_threads(), len(prediction_batches(encoded, classifier.engine)))
    return {**figures, "profile": top_operations(profiler, seconds, threads)}
