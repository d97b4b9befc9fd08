"""Many texts classified by transformers' pipeline on the merged model, and by Featherweight from the run folder.

    python benchmarks/predict.py --backbone minilm --rows 7600 --repeats 3
    python benchmarks/predict.py --run runs/NAME --data test.csv.gz --clean ag_news

Without ``--run`` a classifier is trained for it first, on the built-in news briefs, whose rows are recombined where
``--rows`` asks for more.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.competition import Contestant, interleaved, play, say
from harness.jobs import backbone_label, recombined, result_options, written
from harness.recording import new_record, ratio_spread, save, spread
from suites.train import select

from featherweight.errors import UserError
from featherweight.run.folder import Run

US = "featherweight"
REFERENCE = "pipeline"
LATER = {"onnx-fp32": "ONNX fp32", "onnx-int8": "ONNX int8"}
"""Ways that wait for ``featherweight.export``."""
Answers = tuple[list[str], list[float]]
"""The label of every text, and the label's probability."""


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser(__doc__).parse_args(arguments)
    name = options.name or f"predict-{backbone_label(options.backbone)}"
    written(contest(options, select(contestants(), options.only), benchmark="predict", name=name, device="cpu"))


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options."""
    parser = result_options(description, "predict-BACKBONE")
    parser.add_argument("--run", type=Path, help="a finished run with a native head; by default one is trained")
    parser.add_argument("--backbone", default="minilm", help="of the run that is trained (default: minilm)")
    parser.add_argument("--epochs", type=float, default=2.0, help="of the run that is trained (default: 2)")
    parser.add_argument("--data", default="newsbriefs", help="newsbriefs or a file of texts (default: newsbriefs)")
    parser.add_argument("--clean", choices=("none", "ag_news"), default="none", help="text repair (default: none)")
    parser.add_argument("--rows", type=int, default=7600, help="texts; recombined where too few (default: 7600)")
    parser.add_argument("--latency-texts", type=int, default=200, help="texts timed one by one (default: 200)")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16", "fp16"), default="auto",
                        help="of Featherweight (default: auto)")  # fmt: skip
    parser.add_argument("--max-length", type=int, default=256, help="of the run that is trained (default: 256)")
    parser.add_argument("--only", help="contestants, by commas: pipeline, pipeline-64, unmerged, fp32, featherweight")
    parser.add_argument("--seed", type=int, default=0, help="seed of run and texts (default: 0)")
    return parser


def contestants() -> list[Contestant]:
    """All ways to classify that there are today."""
    return [
        Contestant(REFERENCE, "pipeline, defaults", "pipeline_predict", note="fp32, one text at a time"),
        Contestant("pipeline-64", "pipeline, batch 64", "pipeline_predict", {"batch_size": 64},
                   note="fp32, padded to the longest of 64"),
        Contestant("unmerged", "Featherweight, unmerged", "featherweight_predict", {"merge": False},
                   note="as the training computes"),
        Contestant("fp32", "Featherweight, fp32", "featherweight_predict", {"precision": "fp32"},
                   note="merged, without 16 bits"),
        Contestant(US, "Featherweight", "featherweight_predict", note="merged, as `predict` does it"),
    ]  # fmt: skip


def contest(
    options: argparse.Namespace, chosen: Sequence[Contestant], *, benchmark: str, name: str, device: str
) -> Path:
    """Play all repeats and return the file of the result."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        run = Run(options.run) if options.run else train_run(options, folder / "run")
        if run.recipe.adapter.head != "native":
            raise UserError("--run: pipeline() knows native heads alone; name a run with adapter.head = 'native'")
        data = write_texts(options, run, folder / "texts.jsonl")
        job = {
            "run": str(run.folder.resolve()),
            "merged": str(merge(run, folder / "merged")),
            "texts": str(folder / "texts.jsonl"),
            "latency_texts": options.latency_texts,
            "max_length": run.recipe.data.max_length,
            "precision": options.precision,
            "device": device,
        }
        settings = {key: job[key] for key in ("precision", "device", "max_length", "latency_texts")}
        settings |= {"backbone": backbone_label(run.recipe.backbone.name), "repeats": options.repeats}
        record = new_record(benchmark, name, settings=settings, data=data, seeds=[options.seed])
        record["contestants"] = {one.name: {"label": one.label, "note": one.note} for one in chosen}
        record["left_out"] = left_out()
        answers: dict[str, Answers] = {}
        for repeat, one in interleaved(chosen, options.repeats):
            result = play(one, job, folder)
            answers.setdefault(one.name, (result.pop("predicted", []), result.pop("scores", [])))
            record["runs"].append({"contestant": one.name, "repeat": repeat, **result})
            save(record, options.results, whole=False)
            say(f"repeat {repeat + 1}/{options.repeats}  {one.label}: {_in_short(result)}")
        record["summary"] = summarise(record["runs"], [one.name for one in chosen], answers)
    return save(record, options.results)


def train_run(options: argparse.Namespace, folder: Path) -> Run:
    """A classifier with a native head, trained on the news briefs."""
    from featherweight import Recipe, train

    values = {
        "name": "benchmark",
        "seed": options.seed,
        "data": {"max_length": options.max_length},
        "backbone": {"name": options.backbone},
        "adapter": {"head": "native"},
        "training": {"epochs": options.epochs, "evaluate_every": 10**9},
    }
    say("training a classifier first")
    return train(Recipe.parse(values, "benchmark"), folder)


def write_texts(options: argparse.Namespace, run: Run, path: Path) -> dict[str, Any]:
    """The texts to classify as a file; returns what the result says of them."""
    from featherweight.data.sources import read_rows

    rows = read_rows(options.data, run.recipe.data.model_copy(update={"clean": options.clean, "labels": ()}))
    many = recombined(rows, options.rows, options.seed).texts[: options.rows]
    lines = (json.dumps({"text": text}, ensure_ascii=False) for text in many)
    path.write_text("\n".join(lines) + "\n", "utf-8")
    data = {"name": Path(options.data).name, "rows": len(many)}
    return {**data, "recombined_rows": len(many) - len(rows)} if len(many) > len(rows) else data


def merge(run: Run, folder: Path) -> Path:
    """The run's adapter merged into its backbone by PEFT itself, with tokenizer: a plain folder for transformers."""
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


def left_out() -> dict[str, str]:
    """What is not measured, and why."""
    if importlib.util.find_spec("featherweight.export"):
        return dict.fromkeys(LATER, "this benchmark does not know featherweight.export yet")
    return dict.fromkeys(LATER, "there is no featherweight.export yet")


def summarise(
    runs: Sequence[dict[str, Any]], names: Sequence[str], answers: dict[str, Answers]
) -> dict[str, dict[str, Any]]:
    """For each contestant the spread of its figures, Featherweight's lead, and how far the labels agree."""
    figures = ("samples_per_second", "latency_p50_ms", "latency_p99_ms", "load_seconds", "peak_memory_bytes")
    own = {name: sorted((r for r in runs if r["contestant"] == name), key=lambda r: r["repeat"]) for name in names}
    speeds = {name: [run.get("samples_per_second") for run in own[name]] for name in names}
    return {
        name: {
            **{figure: spread(run.get(figure) for run in own[name]) for figure in figures},
            "device_memory_bytes": spread(run.get("cuda_allocated_bytes") for run in own[name]),
            "times_faster": ratio_spread(speeds[US], speeds[name]) if US in names and name != US else None,
            **_agreement(answers.get(REFERENCE, ([], [])), answers.get(name, ([], []))),
            "failed": next((run["failed"] for run in own[name] if "failed" in run), None),
        }
        for name in names
    }


def _agreement(reference: Answers, own: Answers) -> dict[str, float | None]:
    """Share of the texts with the label that pipeline with its defaults gives, and how far its probability is off."""
    same = [one == other for one, other in zip(reference[0], own[0], strict=False)]
    if not same or len(reference[0]) != len(own[0]):
        return {"agreement": None, "largest_difference": None}
    apart = (abs(one - other) for one, other, kept in zip(reference[1], own[1], same, strict=True) if kept)
    return {"agreement": sum(same) / len(same), "largest_difference": max(apart, default=None)}


def _in_short(result: dict[str, Any]) -> str:
    if "failed" in result:
        return f"failed: {result['failed']}"
    latency = f"{result['latency_p50_ms']:.1f} ms a text" if "latency_p50_ms" in result else ""
    return f"{result['samples_per_second']:.1f} samples/s, {latency}"
