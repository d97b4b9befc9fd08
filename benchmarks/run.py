"""Run a benchmark: `python benchmarks/run.py SUITE`; with --help after the suite, its options."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness import competition
from harness.competition import Plan, interleaved, say
from harness.recording import RESULTS, machine_folder, new_record, save

from featherweight.errors import FeatherweightError

SUITES = {
    "train": ("suites.train", "Trainer with PEFT, the same tuned, SetFit, all weights, Featherweight"),
    "predict": ("suites.predict", "transformers' pipeline, also in batches, and Featherweight, merged and not"),
    "limit": ("suites.limit", "share of the measured peak of matrix products, and where a step's time goes"),
    "scale": ("suites.scale", "time and memory by rows, length, processes, rows of a file that is predicted"),
    "changes": ("suites.changes", "each decision about the engine undone, with what was expected of it"),
    "prefix": ("suites.prefix", "epochs with and without stored states of the frozen layers"),
    "startup": ("suites.startup", "seconds of --help, import, weigh and the first training step"),
    "gpu": ("suites.gpu", "train and predict on a CUDA device, and what a T4 holds"),
    "kills": ("reliability.kills", "small runs killed and resumed, compared with the same runs undisturbed"),
    "checkpoint-cost": ("suites.checkpoint_cost", "what checkpoints cost, and how soon a resumed run trains again"),
    "bad-inputs": ("reliability.bad_inputs", "the tests' tables of bad inputs, counted"),
    "same-bits": ("reliability.same_bits", "the same recipes trained by several commits, compared byte for byte"),
    "planted-faults": ("reliability.planted_faults", "faults planted one at a time: which do the tests notice?"),
    "publish": ("accuracy.publish", "finished runs to result files, and the tables of results"),
    "tune-rounds": ("accuracy.tune_rounds", "the learning rate of each round, on validation rows"),
    "publish-rounds": ("accuracy.publish_rounds", "finished rounds to a result file and the page of the four rounds"),
    "pages": ("pages.write", "all result files to docs/results and the tables of docs/design/speed.md"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the suite that the first argument names; the others are its options."""
    name, *options = arguments if arguments is not None else sys.argv[1:]
    suite = importlib.import_module(SUITES[name][0])
    parser = argparse.ArgumentParser(
        prog=f"run.py {name}", description=suite.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    suite.add_options(parser)
    if not hasattr(suite, "plans"):
        suite.main(parser.parse_args(options))
        return
    parser.add_argument("--name", help="name of the result (default: by suite, backbone and variant)")
    parser.add_argument("--machine", default=machine_folder(), help="folder of the result (default: %(default)s)")
    parser.add_argument("--results", type=Path, default=RESULTS, help=argparse.SUPPRESS)
    chosen = parser.parse_args(options)
    with tempfile.TemporaryDirectory() as temporary:
        for plan in suite.plans(chosen, Path(temporary)):
            path = carry_out(plan, Path(temporary), chosen.results / chosen.machine)
            say(f"written: {path.parent.name}/{path.name}; python benchmarks/run.py pages makes the pages")


def carry_out(plan: Plan, folder: Path, results: Path) -> Path:
    """Play all turns, record each run as soon as it is done, and return the file of the result."""
    record = new_record(plan.benchmark, plan.name, settings=plan.settings, data=plan.data, seeds=plan.seeds)
    record |= plan.more
    if plan.competitors:
        record["contestants"] = {one.name: {"label": one.label, "note": one.note} for one in plan.competitors}
    play = plan.play or competition.play
    for turn, competitor in interleaved(plan.competitors, plan.warm_ups + plan.repeats):
        repeat = turn - plan.warm_ups
        seed = {"seed": plan.seeds[max(repeat, 0)]} if len(plan.seeds) == plan.repeats else {"seed": plan.seeds[0]}
        result = play(competitor, {**plan.job, **seed}, folder)
        say(f"turn {turn + 1}/{plan.warm_ups + plan.repeats}  {competitor.label}: {plan.told(result)}")
        if repeat >= 0:
            kept = plan.keep(competitor, repeat, result)
            record["runs"].append({"contestant": competitor.name, "repeat": repeat, **seed, **kept})
            save(record, results, whole=False)
    record |= plan.finish(record)
    record["machine"]["load_after"] = round(os.getloadavg()[0], 2)
    return save(record, results)


def _usage() -> str:
    suites = "\n".join(f"  {name:<16} {line}" for name, (_, line) in SUITES.items())
    return f"usage: run.py SUITE ...\n\n{suites}\n\nrun.py SUITE --help lists the options."


def cli(arguments: Sequence[Any]) -> int:
    """`main`, with what a person did wrong said in one line; returns the exit code (2; 1 for a failure)."""
    if not arguments or arguments[0] not in SUITES:
        asked = not arguments or arguments[0] in ("-h", "--help")
        print(_usage() if asked else f"benchmark: no suite {arguments[0]}; there are {', '.join(SUITES)}")
        return 0 if asked else 2
    try:
        main(arguments)
    except FeatherweightError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(cli(sys.argv[1:]))
