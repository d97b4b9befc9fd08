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
from harness.competition import BENCHMARKS, GROUPS, OPTIONS, SUITES, Plan, interleaved, say
from harness.recording import RESULTS, machine_folder, new_record, save

from featherweight.errors import FeatherweightError

_TYPES = {"int": int, "float": float, "path": Path}


def main(arguments: Sequence[str]) -> None:
    """Run the suite that the first argument names; the others are its options."""
    name, *options = arguments
    suite = importlib.import_module(SUITES[name]["module"])
    parser = argparse.ArgumentParser(
        prog=f"run.py {name}", description=suite.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser, name)
    if not hasattr(suite, "plans"):
        suite.main(parser.parse_args(options))
        return
    parser.add_argument("--name", help="name of the result (default: by suite, backbone and variant)")
    parser.add_argument("--machine", default=machine_folder(), help="folder of the result (default: %(default)s)")
    parser.add_argument("--results", type=Path, default=RESULTS, help=argparse.SUPPRESS)
    chosen = parser.parse_args(options)
    with tempfile.TemporaryDirectory() as temporary:
        for plan in suite.plans(chosen, Path(temporary)):
            path = carry_out(plan, chosen, Path(temporary))
            say(f"written: {path.parent.name}/{path.name}; python benchmarks/run.py pages makes the pages")


def add_options(parser: argparse.ArgumentParser, suite: str) -> None:
    """Give ``parser`` the options of a suite: what the table says of all suites, and of this one."""
    for name in _ungrouped(SUITES[suite]["options"]):
        values = OPTIONS.get(name, {}) | SUITES[suite].get("option", {}).get(name, {})
        default = values.get("default")
        if values.get("type") == "path" and default:
            values["default"] = BENCHMARKS.parent / default
        if kind := _TYPES.get(values.pop("type", type(default).__name__)):
            values["type"] = kind
        if isinstance(values.get("metavar"), list):
            values["metavar"] = tuple(values["metavar"])
        if values.pop("hidden", False):
            values["help"] = argparse.SUPPRESS
        elif default not in (None, []) and "(default" not in values["help"]:
            values["help"] += " (default: %(default)s)"
        parser.add_argument(name if values.pop("positional", False) else f"--{name}", **values)


def _ungrouped(names: list[str]) -> list[str]:
    return [one for name in names for one in (_ungrouped(GROUPS[name]) if name in GROUPS else [name])]


def carry_out(plan: Plan, options: argparse.Namespace, folder: Path) -> Path:
    """Play all turns, record each run as soon as it is done, and return the file of the result."""
    repeats, first_seed = getattr(options, "repeats", 1), getattr(options, "seed", 0)
    seeds = [first_seed + repeat for repeat in range(repeats if plan.seed_each_turn else 1)]
    shown = {key: getattr(options, key) for key in (*plan.said, "repeats") if getattr(options, key, None) is not None}
    backbone = f"-{plan.settings['backbone']}" if "backbone" in plan.settings and not plan.name else ""
    name = options.name or plan.name or f"{plan.benchmark}{backbone}{plan.variant}"
    record = new_record(plan.benchmark, name, settings=plan.settings | shown, data=plan.data, seeds=seeds) | plan.more
    if plan.competitors:
        record["contestants"] = {one.name: {"label": one.label, "note": one.note} for one in plan.competitors}
    play, results = plan.play or competition.play, options.results / options.machine
    for turn, competitor in interleaved(plan.competitors, plan.warm_ups + repeats):
        repeat = turn - plan.warm_ups
        seed = {"seed": seeds[max(repeat, 0)] if plan.seed_each_turn else first_seed}
        result = play(competitor, {**plan.job, **seed}, folder)
        say(f"turn {turn + 1}/{plan.warm_ups + repeats}  {competitor.label}: {plan.told(result)}")
        if repeat >= 0:
            kept = plan.keep(competitor, repeat, result)
            record["runs"].append({"contestant": competitor.name, "repeat": repeat, **seed, **kept})
            save(record, results, whole=False)
    record |= plan.finish(record)
    record["machine"]["load_after"] = round(os.getloadavg()[0], 2)
    return save(record, results)


def cli(arguments: Sequence[Any]) -> int:
    """`main`, with what a person did wrong said in one line; returns the exit code (2; 1 for a failure)."""
    if not arguments or arguments[0] not in SUITES:
        asked = not arguments or arguments[0] in ("-h", "--help")
        suites = "\n".join(f"  {name:<16} {suite['title']}" for name, suite in SUITES.items())
        usage = f"usage: run.py SUITE ...\n\n{suites}\n\nrun.py SUITE --help lists the options."
        print(usage if asked else f"benchmark: no suite {arguments[0]}; there are {', '.join(SUITES)}")
        return 0 if asked else 2
    try:
        main(arguments)
    except FeatherweightError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(cli(sys.argv[1:]))
