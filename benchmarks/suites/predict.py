"""Many texts classified by transformers' pipeline on the merged model, and by Featherweight from the run folder.

    python benchmarks/run.py predict --backbone minilm --rows 7600 --repeats 3
    python benchmarks/run.py predict --run runs/NAME --data test.csv.gz --clean ag_news

Without ``--run`` a classifier is trained for it first, on the built-in news briefs, whose rows are recombined where
``--rows`` asks for more.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from harness.competition import Plan, competitors
from harness.jobs import recombined, train_run, write_rows
from harness.recording import summary_of
from suites.train import add_lead

from featherweight.data.sources import Rows, read_rows
from featherweight.errors import UserError
from featherweight.run.folder import Run

REFERENCE = "pipeline"
Answers = tuple[list[str], list[float]]
"""The label of every text, and the label's probability."""


def plans(options: argparse.Namespace, folder: Path, device: str = "cpu") -> Iterator[Plan]:
    """The competition on ``device``; run, merged model and texts lie in ``folder``."""
    chosen = competitors("predict", options.only if device == "cpu" else None)
    named = getattr(options, "run", None)
    run = Run(named) if named else train_run(options, folder / "run")
    if run.recipe.adapter.head != "native":
        raise UserError("--run: pipeline() knows native heads alone; name a run with adapter.head = 'native'")
    data = write_texts(options, run, folder / "texts.jsonl")
    settings = {"precision": options.precision, "device": device, "max_length": run.recipe.data.max_length}
    settings["latency_texts"] = options.latency_texts
    places = {"run": run.folder.resolve(), "merged": merge(run, folder / "merged"), "texts": folder / "texts.jsonl"}
    answers: dict[str, Answers] = {}

    def keep(competitor: Any, repeat: int, result: dict[str, Any]) -> dict[str, Any]:
        answers.setdefault(competitor.name, (result.pop("predicted", []), result.pop("scores", [])))
        return result

    yield Plan(
        "predict" if device == "cpu" else "gpu-predict",
        settings | {"backbone": Path(run.recipe.backbone.name).name},
        data,
        chosen,
        settings | {key: str(place) for key, place in places.items()},
        lambda record: {"summary": summarise(record["runs"], list(record["contestants"]), answers)},
        keep=keep,
    )


def write_texts(options: argparse.Namespace, run: Run, path: Path) -> dict[str, Any]:
    """The texts to classify as a file; returns what the result says of them."""
    rows = read_rows(options.data, run.recipe.data.model_copy(update={"clean": options.clean, "labels": ()}))
    many = recombined(rows, options.rows, options.seed).texts[: options.rows]
    write_rows(Rows(many, None, (), "texts"), path)
    data = {"name": Path(options.data).name, "rows": len(many)}
    return {**data, "recombined_rows": len(many) - len(rows)} if len(many) > len(rows) else data


def merge(run: Run, folder: Path) -> Path:
    """The run's adapter merged into its backbone by PEFT itself, with tokenizer: a plain folder for transformers."""
    import warnings

    from peft import AutoPeftModelForSequenceClassification
    from transformers import AutoTokenizer
    from transformers.utils import logging

    # It would announce a new head, which the adapter then replaces.
    logging.set_verbosity_error()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = AutoPeftModelForSequenceClassification.from_pretrained(str(run.adapter))
        model.merge_and_unload().save_pretrained(folder)
    AutoTokenizer.from_pretrained(run.adapter).save_pretrained(folder)
    return folder


def summarise(runs: Sequence[dict[str, Any]], names: Sequence[str], answers: dict[str, Answers]) -> dict[str, Any]:
    """For each competitor the spread of its figures, Featherweight's lead, and how far the labels agree."""
    keys = ("samples_per_second", "latency_p50_ms", "latency_p99_ms", "load_seconds", "peak_memory_bytes")
    summary = summary_of(runs, names, keys, device_memory_bytes="cuda_allocated_bytes")
    add_lead(summary, runs)
    labels, scores = answers.get(REFERENCE, ([], []))
    for name, own in summary.items():
        found, probabilities = answers.get(name, ([], []))
        both = labels and len(found) == len(labels)
        # Share of the texts with the label of pipeline with its defaults, and how far its probability is off there.
        same = [one == other for one, other in zip(labels, found, strict=True)] if both else []
        apart = (abs(one - other) for one, other, equal in zip(scores, probabilities, same, strict=False) if equal)
        own |= {"agreement": fmean(same) if both else None, "largest_difference": max(apart, default=None)}
    return summary
