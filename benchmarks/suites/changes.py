"""What each decision about the engine brings: the training as it is, and with one thing undone or added.

    python benchmarks/run.py changes --backbone minilm --steps 40 --repeats 5
    python benchmarks/run.py changes --only lean,pieces

Each change was given a prediction before it was measured; both are in the result and in docs/design/speed.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.competition import Competitor, Plan, select
from harness.jobs import BATCH, add_job_options, add_turns, long_rows, shared_settings, training_job
from harness.recording import by_repeat, ratio_spread, summary_of

SHIPPED = "shipped"


@dataclass(frozen=True)
class Change:
    """One thing that is done otherwise than shipped."""

    name: str
    label: str
    predicted: str
    """What was expected of it before it was measured: the speed against the shipped engine's."""
    settings: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


CHANGES = (
    Change("lean", "transformers' own forward pass", "0.8 to 0.9: more copies, separate q, k, v",
           {"change": "without_lean_pass"}),
    Change("unpacked", "frozen matrices not laid out ahead",
           "0.95 in bf16, 0.5 in fp32: each product lays them out anew", {"change": "without_layouts"}),
    Change("sdpa", "transformers' pass, scaled_dot_product_attention", "0.5 to 0.6: its 16-bit backward is slow here",
           {"change": "scaled_dot_product"}),
    Change("frozen-fp32", "transformers' pass, frozen weights in fp32 under autocast", "0.7: a cast at each use",
           {"change": "frozen_in_fp32"}),
    Change("fp32", "everything in fp32", "0.25 to 0.3: the ratio of the matrix peaks", {"precision": "fp32"}),
    Change("dropout", "the frozen encoder's own dropout on", "0.6: masks are dear on a processor",
           {"encoder_dropout": True}),
    Change("order", "batches in random order", "0.55: nearly half of the tokens would be padding",
           {"change": "random_order"}),
    Change("whole", "batches whole, not in pieces", "1.0, and more memory", {"change": "whole_batches"}),
    Change("full", "full pieces and a rest, not equal ones", "0.97: a small rest is slow", {"change": "full_pieces"}),
    Change("rows", "products of as many rows as there are tokens", "1.0; 0.8 with tiles (AMX), where compiling is dear",
           {"change": "every_number_of_rows"}),
    Change("lengths", "attention's products of each length of its own",
           "1.0; 0.9 with tiles, and more memory: twice as many products to compile", {"change": "every_length"}),
    Change("whole-attention", "attention of long texts whole, not in parts",
           "0.8 with texts of 512 tokens, and more memory; 1.0 with short ones", {"change": "whole_attention"}),
    Change("compiled-kept", "compiled products kept for a few steps alone", "1.0; 0.9 with tiles, and less memory",
           environment={"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "128", "LRU_CACHE_CAPACITY": "16"}),
    Change("pieces", "pieces of half as many tokens", "0.97, and less memory", {"change": "small_pieces"}),
    Change("glibc", "memory not bounded (oneDNN's cache, glibc's gaps)", "1.0, and twice the memory",
           {"change": "as_glibc_likes"}),
    Change("huge-pages", "huge pages for large tensors", "1.02: fewer page faults",
           environment={"THP_MEM_ALLOC_ENABLE": "1"}),
    Change("pinned", "threads pinned to cores", "1.0 on two cores",
           environment={"OMP_PROC_BIND": "close", "OMP_PLACES": "cores"}),
    Change("collate", "each batch made ready twice", "0.995: a batch is ready in well under a millisecond",
           {"change": "slow_collate"}),
    Change("compiled", "torch.compile, compile time counted", "below 0.5 over so few steps, 1.0 after it",
           {"change": "compiled"}),
)  # fmt: skip


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options, those of the job included."""
    add_turns(parser, only="changes")
    add_job_options(parser)
    parser.add_argument("--steps", type=int, default=40, help=f"batches of {BATCH} rows (default: 40)")
    parser.add_argument("--length", type=int, help="tokens of every text, made of the data's (default: the data's own)")


def plans(options: argparse.Namespace, folder: Path) -> Iterator[Plan]:
    """The shipped engine first, then each change."""
    changed = [
        Competitor(change.name, change.label, "changed_run", {"warm_up": 3, **change.settings},
                   note=change.predicted, environment=change.environment)
        for change in CHANGES
    ]  # fmt: skip
    options.rows = options.steps * BATCH
    job = training_job(options, folder)
    settings = shared_settings(options, job)
    if options.length:
        counts = {"train": options.rows, "validation": 2 * len(job.settings["labels"])}
        files = {part: long_rows(job.settings, options.length, count, folder) for part, count in counts.items()}
        job.settings.update(files=files, max_length=options.length)
        settings["length"] = options.length
    yield Plan(
        "changes",
        options.name or f"changes-{settings['backbone']}",
        settings | {"steps": options.steps, "repeats": options.repeats},
        job.data,
        [Competitor(SHIPPED, "as shipped", "changed_run", {"warm_up": 3}), *select(changed, options.only)],
        {**job.settings, "skip_steps": 0},
        lambda record: {"summary": summarise(record["runs"], list(record["contestants"]))},
        [options.seed],
        options.repeats,
    )


def summarise(runs: Sequence[dict[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """Speed, speed against the shipped engine's of the same turn, and memory."""
    summary = summary_of(runs, names, {key: key for key in ("samples_per_second", "peak_memory_bytes")})
    shipped = by_repeat(runs, SHIPPED, "samples_per_second")
    for name, figures in summary.items():
        own = by_repeat(runs, name, "samples_per_second")
        figures["against_shipped"] = ratio_spread(own, shipped) if name != SHIPPED else None
    return summary
